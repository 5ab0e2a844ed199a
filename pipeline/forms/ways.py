"""How each language says what a file needs: patterns, and where what they find leads."""

import re
from dataclasses import dataclass

from pipeline.forms.leads import (
    Leads,
    clojure,
    cmake_folder,
    dart,
    dots,
    erlang_module,
    go_block,
    include,
    make,
    many,
    ocaml,
    path,
    perl_parents,
    perl_use,
    php_use,
    python_names,
    ruby_relative,
    ruby_require,
    sass,
    shell,
    shell_cmake,
    space,
)
from pipeline.forms.paths_of import anywhere, elixir, jvm, package, python, rust_module, rust_use, script


@dataclass(frozen=True)
class Way:
    """How a family of languages imports: its comments (a kind of `comments.py`), its patterns, where each leads.

    Patterns begin at a line or a word and end with it, so that reading a file takes time in proportion to its bytes.
    """

    comments: str
    patterns: tuple[tuple[re.Pattern[bytes], Leads], ...]


def _at_line(pattern: str) -> re.Pattern[bytes]:
    return re.compile(rb"^[ \t]*" + pattern.encode(), re.MULTILINE)


def _within(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


_TO_LINE_END = r"((?:[^\n;\\]|\\\n)*)"
_QUOTED = r"""[ \t]*\(?[ \t]*["']([^"'\n]+)["']"""

_C = Way("c", ((_at_line(r'#[ \t]*(?:include(?:_next)?|import)[ \t]*(["<])([^">\n]+)[">]'), include),))
_PYTHON = Way(
    "python",
    (
        (_at_line(r"c?import[ \t]+" + _TO_LINE_END), python_names),
        (
            _at_line(r"from[ \t]+(\.*[\w.]*)[ \t]+c?import[ \t]*(\([^()]*\)|(?:[^\n;\\(]|\\\n)+)"),
            lambda path, groups: python(path, groups[0], groups[1]) if groups[0] else [],
        ),
    ),
)
_JS = Way(
    "script",
    (
        (
            _within(r"""\b(?:from|import|require[ \t]*\(|import[ \t]*\()[ \t]*["']([^"'\n]+)["']"""),
            lambda path, groups: [script(path, groups[0])],
        ),
    ),
)
_JVM = Way(
    "jvm",
    (
        (
            _at_line(r"import[ \t]+(?:static[ \t]+)?([\w.]*\w)((?:\.\*|\._|\.\{[^{}]*\})?)"),
            lambda _, groups: jvm(groups[0], groups[1].lstrip(".")),
        ),
    ),
)
_CSHARP = Way(
    "c",
    (
        (
            _at_line(r"(?:global[ \t]+)?using[ \t]+([A-Z][\w.]*)[ \t]*;"),
            space(end=".cs", separator=".", is_folder=True),
        ),
        (
            _at_line(r"(?:global[ \t]+)?using[ \t]+static[ \t]+([A-Z][\w.]*)[ \t]*;"),
            space(end=".cs", separator=".", is_folder=False),
        ),
    ),
)
_GO = Way(
    "go",
    (
        (_at_line(r'import[ \t]+(?:[\w.]+[ \t]+)?"([^"\n]+)"'), lambda _, groups: [package(groups[0])]),
        (_at_line(r"import[ \t]*\(([^)]*)\)"), go_block),
    ),
)
_RUST = Way(
    "c",
    (
        (
            _at_line(r"(?:pub(?:\([a-z ]*\))?[ \t]+)?mod[ \t]+(?:r#)?(\w+)[ \t]*;"),
            lambda path, groups: [rust_module(path, groups[0])],
        ),
        (
            _at_line(r"(?:pub(?:\([a-z ]*\))?[ \t]+)?use[ \t]+(?:::)?([^;]{1,2000});"),
            lambda path, groups: rust_use(path, groups[0]),
        ),
    ),
)
_RUBY = Way(
    "ruby",
    (
        (_at_line(r"require_relative" + _QUOTED), ruby_relative),
        (_at_line(r"(?:require|load)" + _QUOTED), ruby_require),
        (_at_line(r"autoload[ \t]*\(?[ \t]*:\w+,[ \t]*[\"']([^\"'\n]+)[\"']"), ruby_require),
    ),
)
_PHP = Way(
    "php",
    (
        (_at_line(r"use[ \t]+(?:function[ \t]+|const[ \t]+)?(\\?[A-Z][\w\\]*)[ \t]*((?:\{[^{}]*\})?)"), php_use),
        (
            _at_line(r"(?:require|include)(?:_once)?\b[^'\"\n]{0,80}[\"']/?([^\"'\n]+)[\"']"),
            path(),
        ),
    ),
)
_PERL = Way(
    "perl",
    (
        (_at_line(r"(?:use|require)[ \t]+([A-Za-z]\w*(?:::\w+)*)[^\n]*"), perl_use),
        (_at_line(r"use[ \t]+(?:parent|base)[ \t]+([^\n;]*)"), perl_parents),
        (_at_line(r"(?:require|do)[ \t]+[\"']([^\"'\n]+)[\"']"), path()),
    ),
)
_LUA = Way(
    "lua",
    (
        (_within(r"\brequire" + _QUOTED), dots(".lua", "/init.lua")),
        (_within(r"\b(?:dofile|loadfile)" + _QUOTED), path()),
    ),
)
_HASKELL_IMPORT = r'import[ \t]+(?:safe[ \t]+)?(?:qualified[ \t]+)?(?:"[^"\n]*"[ \t]+)?([A-Z][\w.]*)'
_QUOTED_INCLUDE = (
    _at_line(r"[`%.@]?(?:include|import|source|load|use)\b[ \t]*[<\"(]?[<\"']([^\"'>\n]+)[\"'>]"),
    path(),
)
_ML = Way("ml", ((_at_line(r"(?:open!?|include)[ \t]+([A-Z]\w*)"), ocaml),))
_COQ = Way(
    "ml",
    (
        (
            _at_line(r"(?:From[ \t]+([\w.]+)[ \t]+)?Require[ \t]+(?:Import[ \t]+|Export[ \t]+)?([^\n]*)"),
            many(".v", prefix=0, listed=1),
        ),
    ),
)

WAYS: dict[str, Way] = {
    **dict.fromkeys(
        ("C", "C++", "Objective-C", "Objective-C++", "Cuda", "OpenCL", "GLSL", "HLSL", "Metal", "Lex", "Yacc"), _C
    ),
    **dict.fromkeys(("Python", "Cython", "Starlark"), _PYTHON),
    **dict.fromkeys(("JavaScript", "TypeScript", "TSX", "Vue", "Svelte", "CoffeeScript", "Astro"), _JS),
    **dict.fromkeys(("Java", "Kotlin", "Scala", "Groovy", "Gradle"), _JVM),
    "C#": _CSHARP,
    "Go": _GO,
    "Rust": _RUST,
    "Ruby": _RUBY,
    "PHP": _PHP,
    "Perl": _PERL,
    **dict.fromkeys(("Lua", "MoonScript", "Luau"), _LUA),
    "Haskell": Way("haskell", ((_at_line(_HASKELL_IMPORT), dots(".hs", ".lhs", ".hsc")),)),
    "Literate Haskell": Way(
        "", ((re.compile(rb"^(?:> )?" + _HASKELL_IMPORT.encode(), re.MULTILINE), dots(".hs", ".lhs")),)
    ),
    "PureScript": Way("haskell", ((_at_line(_HASKELL_IMPORT), dots(".purs")),)),
    "Elm": Way("haskell", ((_at_line(_HASKELL_IMPORT), dots(".elm")),)),
    "Agda": Way(
        "haskell", ((_at_line(r"(?:open[ \t]+)?import[ \t]+([A-Z][^\s;()]*)"), dots(".agda", ".lagda", ".lagda.md")),)
    ),
    "Idris": Way("haskell", ((_at_line(r"import[ \t]+(?:public[ \t]+)?([A-Z][\w.]*)"), dots(".idr")),)),
    "Lean": Way("haskell", ((_at_line(r"(?:public[ \t]+)?import[ \t]+([A-Z][\w.]*)"), dots(".lean")),)),
    "OCaml": _ML,
    **dict.fromkeys(("Rocq Prover",), _COQ),
    "Dart": Way("c", ((_at_line(r"(?:import|export|part)[ \t]+[\"']([^\"'\n]+)[\"']"), dart),)),
    **dict.fromkeys(
        ("Shell", "Tcsh", "fish", "Tcl"),
        Way("line", ((_at_line(r"(?:source|\.)[ \t]+([^\n;#]+)"), shell),)),
    ),
    "Makefile": Way("line", ((_at_line(r"[-s]?include[ \t]+([^\n#]+)"), make),)),
    "CMake": Way(
        "hash",
        (
            (_at_line(r"include[ \t]*\([ \t]*[\"']?([^\s\"')]+)"), lambda p, g: [shell_cmake(p, g[0])]),
            (_at_line(r"add_subdirectory[ \t]*\([ \t]*[\"']?([^\s\"')]+)"), cmake_folder),
        ),
    ),
    "Erlang": Way(
        "line",
        (
            (_at_line(r"-[ \t]*include(?:_lib)?[ \t]*\([ \t]*\"([^\"\n]+)\""), path()),
            (_at_line(r"-[ \t]*(?:behaviou?r|import)[ \t]*\([ \t]*('?[\w@]+'?)"), erlang_module),
        ),
    ),
    "Elixir": Way(
        "hash", ((_at_line(r"(?:alias|import|use|require)[ \t]+([A-Z][\w.]*\w)"), lambda _, g: [elixir(g[0])]),)
    ),
    "Clojure": Way("line", ((_within(r"[\[(]([a-z][\w.-]*\.[\w.-]+)"), clojure),)),
    "Racket": Way("line", ((_within(r'"([^"\s]+\.rkt)"'), path()),)),
    "Scheme": Way("line", ((_within(r'\((?:load|include)[ \t]+"([^"\n]+)"'), path()),)),
    **dict.fromkeys(
        (
            "Protocol Buffer",
            "Thrift",
            "Solidity",
            "OpenSCAD",
            "Jsonnet",
            "SystemVerilog",
            "Verilog",
            "Julia",
            "R",
            "Assembly",
            "Zig",
            "Fortran",
            "Fortran Free Form",
            "D",
            "Vala",
        ),
        Way(
            "c", (_QUOTED_INCLUDE, (_within(r"\b(?:include|source|import)[ \t]*\(?[ \t]*\"([^\"\n]+\.\w+)\""), path()))
        ),
    ),
    "VHDL": Way(
        "line", ((_at_line(r"(?i:use[ \t]+work)\.(\w+)"), lambda _, g: [anywhere(f"{g[0]}.vhd", f"{g[0]}.vhdl")]),)
    ),
    "Nix": Way("hash", ((_within(r"(?<![\w.])(\.{1,2}/[\w./-]*\w)"), path("", "/default.nix")),)),
    "TeX": Way("line", ((_within(r"\\(?:input|include)\{([^}\n]+)\}"), path("", ".tex")),)),
    **dict.fromkeys(
        ("CSS", "SCSS", "Sass", "Less"),
        Way("c", ((_at_line(r"@(?:import|use|forward)[^\"'\n]{0,40}[\"']([^\"'\n]+)[\"']"), sass),)),
    ),
    "Nim": Way("hash", ((_at_line(r"(?:import|include|from)[ \t]+([\w./]+)"), path(".nim")),)),
}
