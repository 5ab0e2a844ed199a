"""Our own patterns, tried before linguist's: only where a language has a line that no rival could contain.

Each row: an extension, a language, a pattern, and a pattern that must not be found ("" for none). Rows of one extension
are tried in order. They name what public repositories hold under an extension and linguist's list does not: circuits in
`.sp` and `.mod`, grammars in `.g`, tests of three tools in `.t`, Kokoro's and other settings in `.cfg`.
"""

_CIRCUIT = r"(?i:^\.(?:subckt|model|ends|end|tran|ac|dc|op|param|lib|options?|measure|print|plot|probe|ic|control)\b)"
_DECLARATION = r"^[ \t]*<!(?:ENTITY|ELEMENT|ATTLIST)\b"
_SECTION = r"^\[[^\]\n]+\][ \t]*$"
_OBJECTIVE_C = (
    r"^#(?:include|import|if|ifdef|ifndef|define|pragma)[ \t!]|\A\s*(?:/\*|//)|^int[ \t]+main[ \t]*\("
    r"|^(?:extern|static|typedef|struct)[ \t][^\n]*[;{(]"
)
_PERL = r"use (?:warnings|lib|vars|utf8)\b|BEGIN[ \t]*\{|__END__|=cut\b"
_RAKU = r"(?:use v6|unit )(?<=^[ \t]*(?:use v6|unit ))"  # the words first: a search for them is fast
_TEXT_FORMAT_FIELD = r"^[a-z][a-z0-9_]*(?::[ \t]*(?:\"[^\"\n]*\"|-?\d+|true|false)|[ \t]*\{)[ \t]*$"

OWN_RULES = (
    (".ash", "AGS Script", r"^(?:import (?:function|int|void|bool|struct|static)|struct \w+|#ifn?def|#define) ?", ""),
    (".cfg", "HAProxy", r"^(?:frontend|backend|listen|defaults|global)\b.*\n(?:[ \t]*\n|[ \t]*#.*\n)*[ \t]+[a-z]", ""),
    (".cfg", "INI", _SECTION, ""),
    (".cfg", "Protocol Buffer Text Format", _TEXT_FORMAT_FIELD, r"^[\w.-]+[ \t]*="),
    (".cls", "Smalltalk", r"^!?[A-Z]\w* \w*[sS]ubclass:[ \t]*#?\w|^![\w ]+ methodsFor:|instanceVariableNames:", ""),
    (".conf", "ApacheConf", r"^[ \t]*<(?:VirtualHost|Directory|Location|IfModule|IfDefine|Files)|^LoadModule[ \t]", ""),
    (".conf", "Nginx", r"^[ \t]*(?:server|http|events|upstream[ \t]+\S+|location[ \t]+[^\n{]+)[ \t]*\{", ""),
    (".conf", "INI", _SECTION, ""),
    (".conf", "HOCON", r"^[a-z][\w.-]*[ \t]*[:=]?[ \t]*\{[ \t]*$", ""),
    (".ent", "XML", _DECLARATION, ""),
    (".g", "ANTLR", r"^(?:(?:lexer|parser|tree) )?grammar \w+[ \t]*;|^class \w+ extends \w*(?:Lexer|Parser)\b", ""),
    (".g", "ANTLR", r"^options[ \t]*(?:\{|$)", ""),
    (".g", "Objective-C", r"^#import[ \t]|^#include[ \t]+<objc/", ""),
    # linguist's pattern for GAP matches any comment with the word Declare in it
    (".gd", "GDScript", r"^(?:@?tool$|extends |class_name |@?onready |@?export|(?:static )?func \w+\()", ""),
    (".gs", "Genie", r"^(?:init|uses|\[indent[^\n]*)[ \t]*$", ""),
    (".hb", "Handlebars", r"\{\{[#/>!]?[ \t]*[\w@]", ""),
    (".ks", "KerboScript", r"(?i:^[ \t]*(?:set \w+ to |lock \w+ to |declare |wait |until )[^\n]*[.{][ \t]*$)", ""),
    (".m", "Objective-C", _OBJECTIVE_C, r"^:- "),
    (".m", "M", r"[ =(,]\^[A-Z%][A-Z0-9]*[(,\"]", r"^[ \t]*(?:%|function\b|//)"),
    (".mod", "XML", _DECLARATION, ""),
    (
        ".mod",
        "Go Module",
        r"^module[ \t]+\S+[ \t]*\n(?:[ \t]*(?://.*)?\n)*(?:go[ \t]+\d|require|replace|toolchain)\b",
        "",
    ),
    (".mod", "Linux Kernel Module", r"\A(?:[\w./-]+\.k?o\s+)+(?:\n|\Z)", ""),
    (".mod", "Modula-2", r"^[ \t]*(?:(?:DEFINITION|IMPLEMENTATION) )?MODULE \w+[^;\n]*;|^[ \t]*FROM \w+ IMPORT\b", ""),
    (".mod", "KiCad Layout", r"\APCBNEW-", ""),
    (".mod", "AMPL", r"^[ \t]*(?:param|set|var|minimize|maximize|subject to|s\.t\.)[ \t]+\w", ""),
    (
        ".mod",
        "C",
        r"^[ \t]*#[ \t]*(?:include|define)[ \t]|^(?:static )?(?:void|int|double|char)[ \t]+\*?\w+[ \t]*\(",
        "",
    ),
    (".mod", "Other code", _CIRCUIT, ""),
    (".pl", "Perl", rf"^[ \t]*(?:{_PERL}|sub \w+[ \t]*\{{|1;[ \t]*$)|^\+\{{$|^\$[\w:]+[^\n=]*=", r"^[^#\n]*:-"),
    (".pm", "Perl", r"^[ \t]*(?:package \w|use \w|sub \w|1;[ \t]*$)|^=(?:head|pod|cut)|^\$[\w:]+[^\n]*=", _RAKU),
    (".pro", "IDL", r"(?i:^[ \t]*(?:pro|function)[ \t]+\w+[ \t]*(?:,|$))", ""),
    (
        ".rc",
        "Other code",
        r"^[ \t]*\w+[ \t]+(?:ICON|DIALOG|DIALOGEX|MENU|BITMAP|VERSIONINFO|RCDATA)\b|^STRINGTABLE\b",
        "",
    ),
    (".rc", "Other code", r"^#include[ \t]+[\"<](?:windows|winver|winres|afxres|resource)\b", ""),
    (".rsc", "Rascal", r"^module [\w:]+[ \t]*$", ""),
    (".sls", "Scheme", r"\A\s*(?:;|\(|#!r6rs)", ""),
    (".sls", "Salt", r"^[^\n(]+:[ \t]*$", ""),
    (".sp", "Other code", _CIRCUIT, r"^#include[ \t]+<"),
    (".t", "ShellSession", r"^  \$ \S", ""),  # what dune and cram replay
    (".t", "Terra", r"^(?:local )?terra \w|\bterralib\.|^local \w+[ \t]*=", ""),
    (".t", "Turing", r"^[ \t]*(?:end (?:loop|if|for|case)\b|put \"|setscreen\b|var \w+(?:, \w+)* : \w+)", ""),
    (".t", "Perl", rf"^[ \t]*(?:{_PERL}|use Test::\w|plan (?:tests|skip_all)\b|print \"1\.\.)", _RAKU),
    (
        ".v",
        "Rocq Prover",
        r"\A\s*\(\*|^[ \t]*(?:Theorem|Lemma|Definition|Fail|Ltac|Inductive|Fixpoint)\b",
        r"^[ \t]*(?:module\b|endmodule)",
    ),
)
# Languages whose own pattern must be found, where the extension has rivals: no classifier knows them.
CONFIRMED_ONLY = frozenset(("HAProxy", "Nginx", "ApacheConf", "HOCON", "X PixMap"))
# Extensions of one language that a pattern above takes from it.
CONTESTED = frozenset((".hb", ".sp"))
