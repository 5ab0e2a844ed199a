"""The languages of the paper's mixture, by linguist's names.

LoopCoder-v2 (arXiv 2606.18023) names ten languages with their share of the code tokens and says that 93 more make up
the rest. The 93 are not published: the list below is this project's proposal, chosen by hand from common languages.
Its order is our estimate of how much public code there is, most first; it decides ties that nothing else could settle.
"""

from pipeline.schema import OTHERS

# Percent of code tokens. They add up to 99.9 in the paper too.
PAPER_SHARES = {
    "Java": 10.3,
    "Python": 10.1,
    "JavaScript": 9.4,
    "Markdown": 8.7,
    "TypeScript": 8.3,
    "C": 5.2,
    "C++": 5.0,
    "PHP": 4.7,
    "C#": 4.0,
    "HTML": 3.7,
    OTHERS: 30.5,
}

PAPER_LANGUAGES = (
    "Java", "Python", "JavaScript", "Markdown", "TypeScript", "C", "C++", "PHP", "C#", "HTML", "JSON", "XML", "YAML",
    "CSS", "SQL", "Go", "Shell", "Rust", "Ruby", "Kotlin", "Swift", "SCSS", "Scala", "Dart", "Lua", "Perl", "R",
    "Objective-C", "Haskell", "TeX", "Vue", "Julia", "Assembly", "Makefile", "Dockerfile", "TOML", "INI", "CMake",
    "PowerShell", "Batchfile", "MATLAB", "Groovy", "Elixir", "Erlang", "Clojure", "OCaml", "F#", "Fortran", "Pascal",
    "Less", "Svelte", "reStructuredText", "AsciiDoc", "HCL", "Protocol Buffer", "GraphQL", "Cuda", "Verilog",
    "SystemVerilog", "VHDL", "GLSL", "HLSL", "Visual Basic .NET", "Objective-C++", "Common Lisp", "Scheme",
    "Emacs Lisp", "Racket", "Vim script", "Tcl", "Solidity", "Zig", "Nim", "Nix", "D", "Crystal", "CoffeeScript",
    "Ada", "COBOL", "Prolog", "Diff", "XSLT", "Awk", "Thrift", "GDScript", "ActionScript", "Haxe", "Elm",
    "PureScript", "Standard ML", "SAS", "Stata", "Apex", "Wolfram Language", "ANTLR", "Yacc", "AutoHotkey",
    "AppleScript", "Smalltalk", "Agda", "Lean", "Idris", "V",
)  # fmt: skip
