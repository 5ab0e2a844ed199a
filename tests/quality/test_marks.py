"""Every mark: documents that have it, and near misses that do not; every row of the tables is shown by one of each."""

from __future__ import annotations

import re
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marks_signs import FIRES, QUIET

from pipeline.features import MARKS
from pipeline.filters import Rule
from pipeline.language.table import OTHER_CODE, TEXT, UNKNOWN, languages
from pipeline.quality import features
from pipeline.quality.marks import checks, wordings
from pipeline.quality.marks.marks import as_lists, find_marks
from pipeline.quality.marks.paths import find_by_path, path_rules, rooted
from pipeline.quality.marks.signs import sign_ids, signs_of
from pipeline.quality.marks.tables import pattern_of, read_table

ANNOTATING = {"vendored", "test_data", "changelog", "documentation", "linguist_generated"}


def pack(contents: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, contents)]).astype(np.int64)
    return np.frombuffer(b"".join(contents), np.uint8), offsets


def marks(*documents: tuple[str | None, str, str]) -> list[set[str]]:
    """The marks of documents of a path, a language and a content."""
    data, offsets = pack([content.encode() for _, _, content in documents])
    measured = features.measure(data, offsets)
    found = find_marks(
        pa.array([path for path, _, _ in documents], pa.string()),
        data,
        offsets,
        languages=np.array([language for _, language, _ in documents], np.str_),
        features={name: getattr(measured, name) for name in ("n_chars", "max_line_chars", "mean_line_chars")},
    )
    return [{mark for mark in found if found[mark][row]} for row in range(len(documents))]


SIGNS = sign_ids()


def test_every_sign_has_documents_that_show_it_and_near_misses() -> None:
    assert set(FIRES) == set(QUIET) == set(SIGNS)


@pytest.mark.parametrize("sign", SIGNS)
def test_a_sign_marks_its_documents_and_no_near_miss(sign: str) -> None:
    def signs(document: tuple[str, str, str]) -> set[str]:
        data, offsets = pack([document[2].encode()])
        return signs_of(pa.array(["/" + document[0]]), data, offsets, languages=np.array([document[1]]))

    assert [d for d in FIRES[sign] if sign not in signs(d)] == []
    assert [d for d in QUIET[sign] if sign in signs(d)] == []
    mark = SIGNS[sign]
    assert all(mark in found for found in marks(*FIRES[sign]))
    assert not any(mark in found for found in marks(*QUIET[sign]))


PATHS = {
    "generated_path": (
        "App.xcodeproj/project.pbxproj src/.idea/workspace.xml tide/Tide.vcxproj Pods/Tide/tide.m Carthage/Build/x.h "
        "go/vendor/example.com/tide/tide.go Form.Designer.cs api/tide.pb.go tide_pb2.py parser/tide.tab.c "
        "ui/moc_tide.cpp src/__generated__/Tide.graphql.js lib/generated/tide.ts R.java gradlew .pnp.cjs ltmain.sh "
        "ppport.h docs/help-doc.html icon.png.import htmlcov/index.html tide_tlb.pas .secrets.baseline"
    ),
    "vendored": "vendor/tide.c third_party/x/tide.py node_modules/tide/index.js js/jquery-3.1.0.js src/sqlite3.c",
    "lock_file": "package-lock.json sub/Cargo.lock go.sum tide.lock.json Gemfile.lock mise.local.lock",
    "source_map": "dist/tide.js.map a.css.map",
    "localisation": "po/de.po en.lproj/Pier.strings res/values-pt-rBR/strings.xml i18n/tide.xlf",
    "package_record": "tide-1.0.dist-info/RECORD pkg/.cargo-checksum.json SHA256SUMS tide.md5 META-INF/MANIFEST.MF",
    "changelog": "CHANGELOG.md NEWS docs/changes.rst debian/tide.changelog changelog.d/12.rst",
    "data_dump": "tides.csv data/pier.geojson a.ndjson mesh.ply",
    "build_output": "CMakeCache.txt build/CMakeFiles/x.make a/__snapshots__/t.snap config.log dist/tide.js t.bundle.js",
    "minified": "js/tide.min.js tide-min.css",
    "word_list": "stopwords.txt dict/en_GB.dic lists/badwords.txt",
    "test_data": "testdata/tide.txt tests/fixtures/a.json expected/tide.out tide.expected",
    "documentation": "docs/tide.md README.rst man/tide.1 CONTRIBUTING.md",
    "licence_only": "LICENSE sub/COPYING LICENSE-MIT",
    "linguist_generated": "node_modules/tide/index.js .idea/x.xml Cargo.lock web/__generated__/a.ts mvnw",
}
QUIET_PATHS = (
    "src/tide.c lib/lock.py src/lockfile.go app/designer.cs vendors.py maps/tide.map src/localstrings.c licence.py "
    "generated/tide.adb idea/tide.xml my.idea.txt src/changes.py history.js min.js src/admin.js wordlist.py R.md "
    "podspec/x.swift docs.py test_data.py csv/read.py gradlew.md snap/tide.py dist.py distribution/tide.js "
    "aclocal.m4 src/generate.ts protobuf.go sums.c"
)


@pytest.mark.parametrize("mark", PATHS)
def test_paths_that_say_it(mark: str) -> None:
    paths = PATHS[mark].split()
    found = marks(*((path, "Other code", "x\n") for path in paths))
    assert [path for path, has in zip(paths, found, strict=True) if mark not in has] == []


def test_every_row_of_paths_is_shown_above() -> None:
    """A row that nobody reaches could be anything."""
    tables = read_table("paths.yaml")
    for mark, row in ((mark, row) for mark, rows in tables.items() for row in rows):
        rest = tables | {mark: [other for other in tables[mark] if other is not row]}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.quality.marks.paths.read_table", lambda name, rest=rest: rest)
            path_rules.cache_clear()
            found = find_by_path(rooted(pa.array(PATHS[mark].split())))
        path_rules.cache_clear()
        assert not found.get(mark, np.zeros(1, bool)).all(), row["why"]


def test_paths_that_only_look_like_it() -> None:
    paths = QUIET_PATHS.split()
    found = marks(*((path, "Other code", "x\n") for path in paths))
    assert {path: has for path, has in zip(paths, found, strict=True) if has} == {}


def test_a_document_without_a_path_has_the_marks_of_its_content() -> None:
    assert marks((None, "Go", "// Code generated by stringer. DO NOT EDIT.\n")) == [
        {"generated_content", "linguist_generated"}
    ]


def numbers(n: int) -> str:
    return "".join(f"{k * 37 % 1000}, 0x{k:02x}, {k}.5,\n" for k in range(n))


SHAPES = [
    ("data_dump", ("t.c", "C", "static const double tide[] = {\n" + numbers(120) + "};\n"), "a table in a program"),
    ("data_dump", ("t.ini", "INI", "".join(f"pier{k};north;{k}\n" for k in range(20))), "columns"),
    ("data_dump", ("t.txt", "Text", "".join(f"pier;{k}{k};{k}\n" for k in range(20))), "columns of a text"),
    ("data_dump", ("t.x", "G-code", "G1 X10.5 Y20.25\nG1 X11 Y21\n"), "movements"),
    ("data_dump", ("t.txt", "Text", "7481920" * 200), "digits"),
    ("data_dump", ("t.xpm", "X PixMap", "static char *pier[] = {};\n"), "a format that is data"),
    ("package_record", ("t.txt", "Text", "".join(f"{k:032x}  tide{k}.c\n" for k in range(4))), "sums"),
    ("lock_file", ("x", "Go Checksums", "example.org/tide v1.0.0 h1:abc=\n"), "a format that is a lock"),
    ("package_record", ("x", "Checksums", "abc tide\n"), "a format that is a record"),
    ("localisation", ("x", "Gettext Catalog", "# tides\n"), "a format that is a catalogue"),
    ("generated_path", ("x", "Microsoft Visual Studio Solution", "Global\n"), "a format of an editor"),
    (
        "word_list",
        ("t", "Unknown", "".join(f"pier{chr(97 + k % 26)}\n" for k in range(45)) + "and some more words here.\n" * 3),
        "words",
    ),
    ("word_list", ("t.txt", "Text", "".join(f"pier {chr(97 + k)}\n" for k in range(14))), "a short list"),
    ("word_list", ("t.vim", "Vim script", "".join(f"pier{chr(97 + k % 26)}\n" for k in range(160))), "a long list"),
    ("minified", ("t.js", "JavaScript", "var tide=function(a){return a};" * 12 + "\n"), "long lines"),
    ("minified", ("t.html", "HTML", "<p>tide</p>\n" * 50 + "<p>tide</p>" * 200 + "\n"), "one line holds half"),
    ("minified", ("t.json", "JSON", '{"a": ["' + "pier tide " * 200 + '"]}'), "all in one line"),
    ("linguist_generated", ("t.css", "CSS", ".tide{color:red}" * 12 + "\n"), "linguist's bound"),
]


@pytest.mark.parametrize(("mark", "document", "what"), SHAPES, ids=[what for _, _, what in SHAPES])
def test_shapes_of_lines(mark: str, document: tuple[str, str, str], what: str) -> None:
    assert mark in marks(document)[0]


@pytest.mark.parametrize(
    ("mark", "document"),
    [
        ("data_dump", ("t.c", "C", "int depth(int tide) {\n    return tide * 2;\n}\n" * 30)),
        ("data_dump", ("t.c", "C", "int t[] = {\n" + numbers(19) + "};\n" + "int depth(int tide);\n" * 30)),
        ("data_dump", ("t.md", "Text", "".join(f"|`pier{chr(97 + k)}`|It is by the quay.|\n" for k in range(20)))),
        ("data_dump", ("t.g", "G-code", 'grammar Tide;\ndepth : (NUMBER | tide) ( "," depth )? ;\n' * 9)),
        ("data_dump", ("t.asm", "Assembly", "\tmov eax, ebx, ecx\n" * 30)),  # columns, but of a program
        (
            "data_dump",
            ("t.txt", "Text", "The pier, the quay, and the pilot wait; none of them moves.\nThen, it rains.\n" * 9),
        ),
        ("package_record", ("t.txt", "Text", f"{1:032x}  tide.c\nThe sum above is wrong.\nAsk the pilot.\n")),
        ("word_list", ("t.txt", "Text", "The pilot waits at the pier.\n" * 60)),
        ("word_list", ("t.txt", "Text", "".join(f"pier {chr(97 + k)}\n" for k in range(11)))),
        ("word_list", ("t.txt", "Unknown", "".join(f"{k}e{k}\n" for k in range(60)))),  # numbers
        ("minified", ("t.js", "JavaScript", "var tide = 1;\n" * 60)),
        ("minified", ("t.py", "Python", "tide = [" + "1, " * 600 + "]\n")),  # only formats that are packed
        ("minified", ("t.html", "HTML", "<p>tide and pier</p>\n" * 300 + "<p>tide</p>" * 200 + "\n")),
    ],
)
def test_shapes_that_are_something_else(mark: str, document: tuple[str, str, str]) -> None:
    assert mark not in marks(document)[0]


def test_every_row_of_shapes_is_shown_above() -> None:
    """A row that nobody reaches could be anything."""
    for left_out in range(len(read_table("shapes.yaml"))):
        rows = [row for number, row in enumerate(read_table("shapes.yaml")) if number != left_out]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.quality.marks.marks.read_table", lambda name, rows=rows: rows)
            missed = [what for mark, document, what in SHAPES if mark not in marks(document)[0]]
        assert missed, read_table("shapes.yaml")[left_out]


def test_marks_do_not_depend_on_the_documents_beside() -> None:
    documents = [d for some in (*FIRES.values(), *QUIET.values()) for d in some]
    assert marks(*documents) == [marks(d)[0] for d in documents]


def test_a_lock_file_and_a_build_are_not_also_called_generated() -> None:
    said = "# This file is generated by the package manager.\nx = 1\n"
    assert marks(
        ("tide.py", "Python", said), ("tide.lock", "TOML", said), ("dist/t.js", "JavaScript", "/* @generated */\n")
    ) == [
        {"generated_content"},
        {"lock_file"},
        {"build_output"},
    ]


def test_a_literal_is_seen_in_the_head_and_the_tail_and_not_between() -> None:
    filler = "int depth(int tide);\n" * 300  # 6,300 bytes
    mark = '\t.ident\t"TCC 3"\n'
    assert "build_output" in marks(("t.s", "Assembly", filler + mark))[0]
    assert "build_output" not in marks(("t.s", "Assembly", filler + mark + filler))[0]


def test_lists_follow_the_order_of_the_marks_and_leave_others_empty() -> None:
    found = {mark: np.array([mark in ("lock_file", "minified"), mark == "changelog", True]) for mark in MARKS}
    lists = as_lists(found, among=np.array([True, True, False]))
    assert lists.to_pylist() == [["minified", "lock_file"], ["changelog"], []]


def test_names_in_the_tables_are_those_of_languages_and_marks() -> None:
    known = {*languages(), UNKNOWN, OTHER_CODE, TEXT}
    rows = [*read_table("shapes.yaml")]
    for name in ("generated", "build", "data", "records"):
        rows += read_table(f"signs/{name}.yaml")
    assert {n for row in rows for key in ("languages", "except") for n in row.get(key, ())} <= known
    assert {name for names in read_table("comments.yaml")["languages"].values() for name in names} <= known
    assert {row["mark"] for row in rows} | set(read_table("paths.yaml")) == set(MARKS)


def test_a_rule_about_a_mark_that_is_none_is_refused() -> None:
    Rule(reason="mine", feature="mark.vendored", above=0)
    with pytest.raises(ValueError, match=r"mark\.vendord"):
        Rule(reason="mine", feature="mark.vendord", above=0)


FLAGS = re.IGNORECASE | re.MULTILINE
EXPRESSIONS = [
    pattern_of(part)
    for name in ("generated", "build", "data", "records")
    for row in read_table(f"signs/{name}.yaml")
    for key in ("match", "unless", "and_head")
    for part in ([row[key]] if isinstance(row.get(key, []), str) else row.get(key, []))
]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(st.sampled_from(EXPRESSIONS).flatmap(lambda x: st.tuples(st.just(x), st.from_regex(re.compile(x, FLAGS)))))
def test_literals_of_an_expression_are_in_all_that_it_fits(case: tuple[str, str]) -> None:
    expression, text = case
    small = wordings.folded(text)
    assert [some for some in wordings.literals_of(expression) if not any(x in small for x in some)] == []


def test_nearly_all_expressions_have_literals() -> None:
    assert sum(not wordings.literals_of(expression) for expression in EXPRESSIONS) < 0.1 * len(EXPRESSIONS)


@pytest.mark.parametrize(
    ("expression", "literals"),
    [
        ("tide", [["tide"]]),
        ("ab", []),  # too short
        ("(?:tide|pier)s", [["pier", "tide"]]),
        ("(?:tide|x)", []),  # one may be without
        ("tide(?:quay)?pier", [["pier"], ["tide"]]),
        ("tide(?:quay)*", [["tide"]]),
        ("(?:quay)+", [["quay"]]),
        ("(?:quay){2}?", [["quay"]]),
        ("(?!quay)tide", [["tide"]]),
        ("(?<!quay)tide", [["tide"]]),
        ("TIDE", [["tide"]]),
        ("quai\u0301e", [["quai\u0301e"]]),  # a mark without case
        ("ti\u0434e pier", [["e pier"]]),  # a letter that has three forms
        ("ti[d]e.pier", [["pier"], ["tide"]]),
        ("tide|^quay$", [["quay", "tide"]]),
    ],
)
def test_literals_of_expressions(expression: str, literals: list[list[str]]) -> None:
    assert sorted(map(list, wordings.literals_of(expression))) == literals


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(["tide", "TIDE", "\u017fea", "p\u0130er", "\n", "x "]), max_size=5).map("".join))
def test_a_wording_is_said_where_one_of_its_expressions_fits(text: str) -> None:
    expressions = ("^tide x", "sea(?:pier|tide)", "t.de$", "piertide")
    plain = any(re.search(part, text, FLAGS) for part in expressions)
    assert wordings.is_said(expressions, text, wordings.folded(text)) == plain


def test_a_folded_text_is_to_small_letters_what_the_text_is_without_case() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    all_of_them = "".join(characters)
    folded = wordings.folded(all_of_them)
    assert len(folded) == len(all_of_them)
    of = dict(zip(characters, folded, strict=True))
    for letter in "abcdefghijklmnopqrstuvwxyz":
        assert set(re.findall(letter, all_of_them, re.IGNORECASE)) == {c for c, text in of.items() if text == letter}
    for kind in (r"\w", r"\s", r"\d"):
        among = set(re.findall(kind, all_of_them))
        assert among == {c for c, text in of.items() if text in among}


RIGHTS = re.compile(
    r"licen[cs]|copyright|copyleft|©|\(c\)|warrant|permission|redistribut|liab|sublicens|derivative|patent|trademark"
    r"|free software|public domain|as is\b|all rights|hereby|grant|damages|terms and conditions|gnu general|notice"
    r"|author",
    re.IGNORECASE,
)
WORDS = ["LICENSE", "licen", "licenc", "copyLEFT", "©", "(C)", "as is", "as island", "As Is.", "liab", "public domain",
         "public  domain", "\u017fublicen\u017f", "l\u0130ab", "l\u0131ab",
         "not\u0131ce", "tide", "pier", "\n", "author", "hereby", " "]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join) | st.from_regex(RIGHTS))
def test_a_paragraph_speaks_of_rights_where_one_expression_finds_it(text: str) -> None:
    assert checks._speaks_of_rights(wordings.folded(text)) == (RIGHTS.search(text) is not None)
