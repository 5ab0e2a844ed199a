import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from language_snippets import HASKELL, JAVA, PROSE, PYTHON, RUST

from pipeline.cli.classify_files import classify_files, line_of
from pipeline.config import Classify
from pipeline.language.classes import CLASSES
from pipeline.language.decide import CONFIDENCE, Declared, classify_batch, classify_one
from pipeline.language.table import languages

WORKED = [
    # path, content, hint -> pool, language, decided_by
    ("src/lib.rs", RUST, "auto", "code", "Rust", "heuristic"),
    ("Main.java", JAVA, "auto", "code", "Java", "extension"),
    ("Main.java", b"", "code", "code", "Java", "extension"),
    ("Main.java", b"\0\1\2", "auto", "code", "Java", "extension"),
    ("lamp.h", b"\0\1", "auto", "code", "C", "popularity"),
    ("lamp.h", b"// -*- C++ -*-\nint lamp();\n", "auto", "code", "C++", "modeline"),
    ("lamp.js", b"// -*- Mode: Java -*-\nlet x = 1\n", "auto", "code", "JavaScript", "extension"),
    ("lamp.m", b"x = magic(4);\ndisp(x)\n", "auto", "code", "MATLAB", "classifier"),
    ("lamp.cgi", b"#!/usr/bin/perl\nprint 1;\n", "auto", "code", "Perl", "shebang"),
    ("lamp.cgi", b"#!/usr/bin/tclsh\nputs 1\n", "auto", "code", "Tcl", "shebang"),
    ("Lamp.cls", b"public with sharing class Lamp {}\n", "auto", "code", "Apex", "classifier"),
    ("lamp.mm", b"<?xml version='1.0'?><map/>", "auto", "code", "XML", "signature"),
    ("lamp.pl", b"lit(X) :- on(X).\n", "auto", "code", "Prolog", "heuristic"),
    ("lamp.spec", b"Name: lamp\nVersion: 1\n", "auto", "code", "RPM Spec", "classifier"),
    ("lamp.cmp", b"\xff\xfe%%\n", "auto", "code", "Unknown", "none"),
    ("lamp.7", b".TH LAMP 7\n.SH NAME\nlamp\n", "auto", "code", "Roff Manpage", "heuristic"),
    ("README", PROSE, "auto", "text", "Text", "filename"),
    ("README.md", PROSE, "auto", "code", "Markdown", "heuristic"),
    ("notes.txt", PROSE, "auto", "text", "Text", "extension"),
    ("notes.txt", PROSE, "code", "code", "Text", "extension"),
    ("notes.txt", b"*lamp.txt* help\n vim:tw=78:ft=help:\n", "auto", "code", "Vim Help File", "modeline"),
    ("lamp.py", PYTHON, "text", "text", "Text", "hint"),
    ("", PROSE, "auto", "text", "Text", "prose"),
    ("", PROSE, "code", "code", "Text", "prose"),
    ("", b"# Lamps\n\n**Do** this:\n\n" + PROSE, "auto", "code", "Markdown", "prose"),
    ("", HASKELL, "auto", "code", "Haskell", "classifier"),
    ("", PYTHON, "auto", "code", "Python", "classifier"),
    ("", b"#!/usr/bin/env python3\n" + PYTHON, "auto", "code", "Python", "shebang"),
    ("", b"<?php echo 1;\n", "auto", "code", "PHP", "signature"),
    ("", b'.\\" lamps\n.TH LAMP 1\n.SH NAME\nlamp\n', "auto", "code", "Roff Manpage", "signature"),
    ("", b'{"cells": [{"cell_type": "code", "source": ["1"]', "auto", "code", "Jupyter Notebook", "signature"),
    ("", b"", "auto", "code", "Unknown", "none"),
    ("", b" \n\t\n", "text", "text", "Text", "hint"),
    ("", b"\x7fELF\0\0\0\0", "auto", "code", "Unknown", "none"),
    ("outlook.msg", b"\xd0\xcf\0\0", "auto", "code", "Unknown", "none"),
]


@pytest.mark.parametrize(("path", "content", "hint", "pool", "language", "decided_by"), WORKED)
def test_classify_one_follows_the_order_of_rules(
    path: str, content: bytes, hint: str, pool: str, language: str, decided_by: str
) -> None:
    verdict = classify_one(path, content, declared=Declared(hint))
    assert (verdict.pool, verdict.language, verdict.decided_by) == (pool, language, decided_by)
    assert verdict.confidence == CONFIDENCE.get(decided_by, verdict.confidence)


def test_min_confidence_decides_what_is_unknown() -> None:
    lines = b"import lamp\n\ndef light(street):\n    for x in street:\n        lamp.on(x)\n"  # few, so not quite sure
    sure = classify_one("", lines)
    assert (sure.language, sure.decided_by) == ("Python", "classifier") and 0.5 < sure.confidence < 1
    strict = classify_one("", lines, config=Classify(min_confidence=1.0))
    assert (strict.language, strict.confidence, strict.decided_by) == ("Other code", 0.95, "structure")
    assert (strict.runner_up, strict.runner_up_confidence) == ("Python", sure.confidence)
    content = b"       MOVE LAMP TO STREET.\n       ADD 1 TO LAMPS.\n       STOP RUN.\n"
    sure, strict = classify_one("", content), classify_one("", content, config=Classify(min_confidence=1.0))
    assert (sure.language, sure.decided_by) == ("COBOL", "classifier") and 0.5 < sure.confidence < 1
    assert (strict.language, strict.confidence, strict.decided_by) == ("Unknown", 0.0, "none")
    assert (strict.runner_up, strict.runner_up_confidence) == ("COBOL", sure.confidence)


def test_only_the_first_bytes_count_when_the_limit_is_small() -> None:
    content = b"int lamp;\n" * 100 + b"class Lamp {};\n"
    assert classify_one("lamp.h", content, config=Classify(max_scan_bytes=1_000)).language == "C"
    assert classify_one("lamp.h", content, config=Classify(max_scan_bytes=1_100)).language == "C++"


def test_the_last_lines_count_even_behind_the_limit() -> None:
    content = b"lamp\n" * 1_000 + b"# vim: ft=nginx\n"
    assert classify_one("site.unheardof", content, config=Classify(max_scan_bytes=100)).language == "Nginx"


def test_what_the_mixture_and_the_source_say_beats_every_rule() -> None:
    declared = [
        Declared("auto", "vb.net", "override"),
        Declared("auto", "Text", "override"),
        Declared("code", "Text", "label"),
        Declared("auto", "Klingon", "label"),
        Declared("text", "", "label"),
    ]
    found = classify_batch(["a.py"] * 5, [PYTHON] * 5, declared=declared)
    assert [(v.pool, v.language, v.decided_by) for v in found] == [
        ("code", "Visual Basic .NET", "override"),
        ("text", "Text", "override"),
        ("code", "Text", "label"),
        ("code", "Klingon", "label"),
        ("text", "Text", "hint"),
    ]


def test_renamed_languages_take_the_name_that_the_mixture_gives() -> None:
    config = Classify(merge={"Java": "Kotlin"})
    assert classify_one("Main.java", JAVA, config=config).language == "Kotlin"


def test_guesslang_alone_answers_for_the_languages_that_it_knows() -> None:
    config = Classify(classifier="guesslang", min_confidence=0.3)
    alone = classify_one("", PYTHON, config=config)
    assert (alone.language, alone.confidence) == ("Python", pytest.approx(0.3094, abs=1e-4))


def test_a_tie_names_the_loser_with_its_share() -> None:
    found = classify_one("lamp.m", b"x = magic(4);\ndisp(x)\n")
    assert found.runner_up and found.runner_up_confidence is not None
    assert found.confidence + found.runner_up_confidence <= 1.0001


PATHS = st.one_of(
    st.text(max_size=30),
    st.builds(
        "{}{}".format, st.text(max_size=8), st.sampled_from([".h", ".m", ".txt", ".ts", ".7", ".cgi", ".inc", ""])
    ),
)
CONTENTS = st.one_of(st.binary(max_size=300), st.sampled_from([PROSE, PYTHON, RUST, b"", b"\xff" * 50, b"\xe2\x82"]))
HINTS = st.sampled_from(["auto", "code", "text"])


@given(st.lists(st.tuples(PATHS, CONTENTS, HINTS), max_size=8))
def test_a_batch_equals_its_documents_alone_and_never_raises(rows: list[tuple[str, bytes, str]]) -> None:
    paths, contents, hints = ([row[i] for row in rows] for i in range(3))
    verdicts = classify_batch(paths, contents, declared=[Declared(hint) for hint in hints])
    assert verdicts == classify_batch(
        paths, [memoryview(c) for c in contents], declared=[Declared(hint) for hint in hints]
    )
    assert verdicts == [classify_one(p, c, declared=Declared(h)) for p, c, h in rows]
    for verdict, hint in zip(verdicts, hints, strict=True):
        assert verdict.language in languages() or verdict.language == "Unknown"
        assert verdict.pool == hint or hint == "auto"
        assert 0 <= verdict.confidence <= 1


def test_command_decides_as_a_mixture_does_and_shows_its_best_guess(tmp_path) -> None:
    (tmp_path / "snippet").write_bytes(b"x = y\nlet z\n")
    (row,) = classify_files([tmp_path / "snippet"])
    alone = classify_one("snippet", b"x = y\nlet z\n", config=Classify())
    assert tuple(row[name] for name in alone._fields) == alone
    assert (row["language"], row["decided_by"]) == ("Unknown", "none") and 0.15 <= row["runner_up_confidence"] < 0.35
    guess = f"; best guess {row['runner_up']}, {row['runner_up_confidence']:.2f}"
    assert line_of(row).endswith("Unknown (code, 0.00 by none)" + guess)
    (tmp_path / "a.java").write_bytes(b"class A {}\n")
    (sure,) = classify_files([tmp_path / "a.java"])
    assert line_of(sure).endswith("a.java: Java (code, 0.99 by extension)")


def test_classify_files_reads_folders_and_ignores_names_on_request(tmp_path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "lamp.java").write_bytes(HASKELL)
    (tmp_path / "a.txt").write_bytes(PROSE.decode().encode("utf-16"))
    rows = list(classify_files([tmp_path]))
    assert [(row["path"], row["language"], row["pool"]) for row in rows] == [
        ((tmp_path / "a.txt").as_posix(), "Text", "text"),
        ((tmp_path / "b" / "lamp.java").as_posix(), "Java", "code"),
    ]
    blind = list(classify_files([tmp_path / "b" / "lamp.java"], content_only=True))
    assert [(row["language"], row["decided_by"]) for row in blind] == [("Haskell", "classifier")]


def test_prose_under_a_code_extension_is_text_unless_the_source_insists_on_code() -> None:
    essay = PROSE * 3
    free, bound = classify_one("lamp.java", essay), classify_one("lamp.java", essay, declared=Declared("code"))
    assert (free.pool, free.language, free.decided_by, free.runner_up) == ("text", "Text", "prose", "Java")
    assert (bound.pool, bound.language, bound.decided_by) == ("code", "Java", "extension")
    assert (free.content_kind, bound.content_kind) == ("prose", "prose")


@pytest.mark.parametrize(
    ("path", "content", "probabilities", "language", "decided_by"),
    [
        ("notes.txt", PYTHON, {"Python": 0.79}, "Text", "extension"),
        ("notes.txt", PYTHON, {"Python": 0.81}, "Python", "classifier"),
        ("lamp.java", PROSE * 3, {"Text": 0.97, "Java": 0.03}, "Java", "extension"),
        ("lamp.java", PROSE * 3, {"Text": 0.99, "Java": 0.01}, "Text", "prose"),
        ("lamp.m", b"x\n", {"MATLAB": 0.005, "Objective-C": 0.014, "Java": 0.9}, "MATLAB", "popularity"),
        ("lamp.m", b"x\n", {"MATLAB": 0.005, "Objective-C": 0.016, "Java": 0.9}, "Objective-C", "classifier"),
        ("lamp.m", b"x = 1\n" * 16, {"Java": 0.98}, "MATLAB", "popularity"),  # 96 bytes say too little
        ("lamp.m", b"x = 1\n" * 17, {"Java": 0.98}, "Java", "classifier"),
        ("lamp.m", b"x = 1\n" * 17, {"Java": 0.96}, "Other code", "structure"),
        ("lamp.m", b"x = 1\n" * 17, {"Java": 0.96, "MATLAB": 0.021}, "MATLAB", "classifier"),
        ("lamp.m", b"x = 1\n" * 17, {"TeX": 0.98}, "Other code", "structure"),  # nothing there is a program in TeX
        ("lamp.m", PROSE * 3, {"Java": 0.5}, "Unknown", "none"),
        ("lamp.scd", b"x = 1;\n" * 17, {"Java": 0.5}, "Other code", "structure"),  # Markdown is a candidate
        ("lamp.scd", b"lamp lit\n" * 17, {"Java": 0.5}, "Unknown", "none"),
        ("lamp.conf", b"lit yes\n" * 20, {"TeX": 0.99}, "Other code", "structure"),
        ("lamp.m", b"x = 1\n" * 17, {"Other": 0.9}, "Limbo", "popularity"),  # no class tells Limbo from Mercury
        ("", b"lit = 1\n" * 7, {"Java": 0.3}, "Unknown", "none"),  # 56 bytes
        ("", b"lit = 1\n" * 8, {"Java": 0.3}, "Other code", "structure"),
        ("", b"x\n", {"Text": 0.49}, "Unknown", "none"),
        ("", b"x\n", {"Text": 0.51}, "Text", "prose"),
        ("", b"x\n", {"Text": 0.6, "Markdown": 0.19}, "Text", "prose"),
        ("", b"x\n", {"Text": 0.6, "Markdown": 0.21}, "Markdown", "classifier"),
        ("", PROSE, {"COBOL": 0.94}, "Text", "prose"),
        ("", PROSE, {"COBOL": 0.96}, "COBOL", "classifier"),
        ("", b"x\n", {"Java": 0.34}, "Unknown", "none"),
        ("", b"x\n", {"Java": 0.36}, "Java", "classifier"),
    ],
)
def test_each_bound_decides_at_its_value(
    path: str,
    content: bytes,
    probabilities: dict[str, float],
    language: str,
    decided_by: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = np.zeros((1, len(CLASSES)), np.float32)
    for name, value in probabilities.items():
        row[0, CLASSES.index(name)] = value
    monkeypatch.setattr("pipeline.language.decide._probabilities", lambda heads, classifier: row)
    found = classify_one(path, content)
    assert (found.language, found.decided_by) == (language, decided_by)
