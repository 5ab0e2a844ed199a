"""Imports by language: what is found in a file, and which file of its repository each is."""

from __future__ import annotations

import pytest

from pipeline.forms.comments import without_comments
from pipeline.forms.imports import MOST_IMPORTS, imports_of
from pipeline.forms.resolve import Files
from pipeline.forms.ways import WAYS
from pipeline.language.table import languages


def found(language: str, path: str, content: str, *others: str, repo: str = "some/repo") -> list[str]:
    """The files among `others` that `content` at `path` imports."""
    paths = sorted({path, *others})
    files = Files(paths, repo=repo)
    return [paths[i] for i in files.imported(path, imports_of(content.encode(), path=path, language=language))]


CASES = [
    ("Python", "a/b.py", "import a.c\n", ["a/c.py"]),
    ("Python", "a/b.py", "from a import c, d as e\n", ["a/c.py", "a/d/__init__.py"]),
    ("Python", "a/b.py", "from .c import f\nfrom . import d\n", ["a/c.py", "a/d/__init__.py"]),
    ("Python", "a/x/b.py", "from ..c import (\n    f,\n    g,\n)\n", ["a/c.py"]),
    ("Python", "a/b.py", "import os, a.c as q\n", ["a/c.py"]),
    ("Python", "src/p/m.py", "from p.q import thing\n", ["src/p/q.py"]),
    ("C", "src/a.c", '#include "a.h"\n#  include <lib/b.h>\n', ["include/lib/b.h", "src/a.h"]),
    ("C++", "x/y/a.cc", '#include "../z.hpp"\n', ["x/z.hpp"]),
    ("JavaScript", "s/a.js", "import x from './b';\nconst y = require(\"../c\");\n", ["c/index.js", "s/b.js"]),
    ("TypeScript", "s/a.ts", "export * from './b.js'\nimport t from '@/u/v'\n", ["s/b.ts", "src/u/v.tsx"]),
    ("Vue", "s/a.vue", "<script>\nimport B from './B.vue'\n</script>\n", ["s/B.vue"]),
    ("Java", "src/o/a/A.java", "import o.b.B;\nimport static o.c.C.run;\n", ["src/o/b/B.java", "src/o/c/C.java"]),
    ("Java", "src/o/a/A.java", "import o.b.*;\n", ["src/o/b/B.java", "src/o/b/D.java"]),
    ("Kotlin", "src/o/a/A.kt", "import o.b.B\n", ["src/o/b/B.kt"]),
    ("Scala", "src/o/a/A.scala", "import o.b.{B, D => E}\n", ["src/o/b/B.scala", "src/o/b/D.scala"]),
    ("C#", "App/Web/A.cs", "using System;\nusing App.Data;\n", ["App/Data/B.cs", "App/Data/C.cs"]),
    ("Go", "cmd/main.go", 'import (\n\t"fmt"\n\tx "github.com/some/repo/pkg/x"\n)\n', ["pkg/x/a.go", "pkg/x/b.go"]),
    ("Rust", "src/lib.rs", "mod a;\npub mod b;\nuse crate::c::{D, e::F};\n", ["src/a.rs", "src/b/mod.rs", "src/c.rs"]),
    ("Rust", "src/a/x.rs", "use super::y::Z;\n", ["src/a/y.rs"]),
    ("Ruby", "lib/a.rb", "require_relative 'b/c'\nrequire 'd/e'\nrequire 'json'\n", ["lib/b/c.rb", "lib/d/e.rb"]),
    (
        "PHP",
        "src/A/B.php",
        "<?php\nuse App\\C\\{D, E};\nuse App\\F\\G as H;\n",
        ["src/C/D.php", "src/C/E.php", "src/F/G.php"],
    ),
    ("PHP", "a.php", "<?php\nrequire_once __DIR__ . '/inc/b.php';\n", ["inc/b.php"]),
    ("Perl", "lib/A.pm", "use strict;\nuse A::B;\nuse parent qw(A::C);\n", ["lib/A/B.pm", "lib/A/C.pm"]),
    ("Lua", "a.lua", 'local b = require("x.b")\n', ["x/b.lua"]),
    ("Haskell", "src/A/B.hs", "import qualified A.C as C\nimport Data.List\n", ["src/A/C.hs"]),
    ("Dart", "lib/a.dart", "import 'b.dart';\nimport 'package:me/c/d.dart';\n", ["lib/b.dart", "lib/c/d.dart"]),
    ("Shell", "bin/a.sh", '. "$(dirname "$0")/../lib/b.sh"\nsource ./c.sh\n', ["bin/c.sh", "lib/b.sh"]),
    ("Makefile", "Makefile", "include rules.mk $(TOP)/more.mk\n-include gone.mk\n", ["more.mk", "rules.mk"]),
    ("CMake", "CMakeLists.txt", "include(Find)\nadd_subdirectory(src)\n", ["cmake/Find.cmake", "src/CMakeLists.txt"]),
    ("Elixir", "lib/a.ex", "  alias Foo.BarBaz\n", ["lib/foo/bar_baz.ex"]),
    ("Erlang", "src/a.erl", '-include("a.hrl").\n-behaviour(b).\n', ["include/a.hrl", "src/b.erl"]),
    ("OCaml", "src/a.ml", "open Bee\n", ["src/bee.ml"]),
    ("Rocq Prover", "th/A.v", "Require Import B.\nFrom Lib Require Export C.\n", ["Lib/C.v", "th/B.v"]),
    ("Agda", "A.agda", "open import B.C\n", ["B/C.agda"]),
    ("Protocol Buffer", "p/a.proto", 'import "p/b.proto";\n', ["p/b.proto"]),
    ("Nix", "a.nix", "import ./b.nix\ncallPackage ./c { }\n", ["b.nix", "c/default.nix"]),
    ("SCSS", "s/a.scss", '@use "b";\n', ["s/_b.scss"]),
    ("VHDL", "a.vhd", "use work.types.all;\n", ["rtl/types.vhd"]),
    ("Clojure", "src/a.clj", "(ns a (:require [b.c-d :as d]))\n", ["src/b/c_d.clj"]),
    ("Racket", "a.rkt", '(require "b/c.rkt")\n', ["b/c.rkt"]),
    ("TeX", "a.tex", "\\input{b/c}\n", ["b/c.tex"]),
]


@pytest.mark.parametrize(("language", "path", "content", "expected"), CASES)
def test_imports_lead_to_the_files_that_are_meant(language: str, path: str, content: str, expected: list[str]) -> None:
    decoys = ["other/z.txt", "a/zz.py", "src/zz.rs"]
    assert found(language, path, content, *expected, *decoys) == expected


@pytest.mark.parametrize(
    ("language", "path", "content", "others"),
    [
        ("Python", "a/b.py", '"""\nimport a.c\n"""\n# import a.c\nx = 1\nimport os\n', ["a/c.py"]),
        ("Python", "b/b.py", "import logging\n", ["c/logging.py"]),  # of the language: no folder above holds it
        ("C", "a.c", '/*\n#include "b.h"\n*/\nint x;\n', ["b.h"]),
        ("C", "src/a.c", "#include <string.h>\n", ["compat/string.h"]),
        (
            "JavaScript",
            "a.js",
            "// import x from './b'\nconst s = `import y from './b'`;\nimport r from 'react';\n",
            ["b.js"],
        ),
        ("Java", "A.java", "/* import o.b.B; */\nclass A {}\n", ["o/b/B.java"]),
        ("Haskell", "A.hs", "{-\nimport B\n-}\n-- import B\n", ["B.hs"]),
        ("Go", "a.go", 'import "encoding/json"\n', ["json/x.go"]),
        ("Perl", "A.pm", "=pod\n\nuse B::C;\n\n=cut\n", ["B/C.pm"]),
    ],
)
def test_comments_texts_and_libraries_lead_nowhere(language: str, path: str, content: str, others: list[str]) -> None:
    assert found(language, path, content, *others) == []


def test_a_string_that_looks_like_a_comment_hides_no_import() -> None:
    assert found("TypeScript", "a.ts", "const g = 'src/*';\nimport b from './b';\nconst h = '*/';\n", "b.ts") == [
        "b.ts"
    ]


def test_the_nearest_file_is_meant_then_the_first() -> None:
    paths = ["p/inc/u.h", "q/inc/u.h", "q/r/inc/u.h"]
    assert found("C", "q/r/a.c", '#include "inc/u.h"\n', *paths) == ["q/r/inc/u.h"]
    assert found("C", "q/s/a.c", '#include "inc/u.h"\n', *paths) == ["q/inc/u.h"]
    assert found("C", "z/a.c", '#include "inc/u.h"\n', *paths) == ["p/inc/u.h"]


def test_no_file_imports_itself() -> None:
    assert found("C", "a.h", '#include "a.h"\n', "b.h") == []


def test_a_table_of_imports_is_cut() -> None:
    content = "".join(f'#include "h{i}.h"\n' for i in range(3 * MOST_IMPORTS))
    assert len(imports_of(content.encode(), path="a.c", language="C")) == MOST_IMPORTS


def test_languages_are_named_as_linguist_names_them() -> None:
    assert set(WAYS) <= set(languages())


@pytest.mark.parametrize(
    ("kind", "opening"),
    [("c", b"/* "), ("script", b"/* "), ("script", b"`"), ("go", b"`"), ("python", b'"""'), ("python", b"'''"),
     ("jvm", b'"""'), ("haskell", b"{-"), ("lua", b"--[["), ("ml", b"(*"), ("ruby", b"=begin\n"), ("perl", b"=a\n"),
     ("php", b"/* ")],
)  # fmt: skip
def test_what_is_begun_and_never_ended_is_taken_once_and_whole(kind: str, opening: bytes) -> None:
    """Else each of many openings would look for its end again, to the end of the file."""
    content = opening + b"import a\n" + b" and so on\n" * 3
    assert without_comments(content, kind=kind) == b" "
