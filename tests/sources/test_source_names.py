"""Glob patterns, and file names that are not UTF-8."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.sources.names import is_safe, matcher, pruner, split_glob, to_bytes, to_text

NAMES = st.binary(min_size=1, max_size=30).filter(lambda b: b"\0" not in b)


@given(NAMES, NAMES)
def test_name_comes_back_and_stays_apart_from_others_when_bytes_are_any(one: bytes, other: bytes) -> None:
    text = to_text(one)
    text.encode("utf-8")
    assert to_bytes(text) == one
    assert (to_text(other) == text) == (other == one)


@pytest.mark.parametrize(
    ("raw", "text"),
    [(b"a/b.py", "a/b.py"), (b"caf\xe9.c", r"caf\xe9.c"), (rb"caf\xe9.c", r"caf\x5cxe9.c"), ("ü".encode(), "ü")],
)
def test_name_is_escaped_only_when_it_must_be(raw: bytes, text: str) -> None:
    assert to_text(raw) == text


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a/../../x", "a//b", ".", "", "a/./b", r"\x2e\x2e/x", r"a\x2f"]
)
def test_path_is_unsafe_when_it_can_leave_its_root(path: str) -> None:
    assert not is_safe(path)


def test_path_is_safe_when_dots_are_part_of_a_name() -> None:
    assert is_safe("a/..b/c...d")


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.py", "a.py", True),
        ("*.py", "a/b/c.py", True),
        ("*.py", "a.pyc", False),
        ("/*.py", "a/b.py", False),
        ("src/*.py", "src/a.py", True),
        ("src/*.py", "src/a/b.py", False),
        ("src/**", "src/a/b.py", True),
        ("src/**", "src", False),
        ("src/", "src/a/b.py", True),
        ("**/test/*.py", "test/a.py", True),
        ("**/test/*.py", "a/b/test/c.py", True),
        ("**/test/*.py", "a/mytest/c.py", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a?.c", "ab.c", True),
        ("[ab].c", "b.c", True),
        ("[!ab].c", "b.c", False),
        ("[!ab].c", "c.c", True),
        ("[a-c]x", "bx", True),
        ("[]]", "]", True),
        ("[^a]", "^", True),
        ("a[b", "a[b", True),
        ("x/[!a]b", "x//b", False),
        ("*", "new\nline", True),
        ("*.PY", "a.py", False),
        ("(a|b)+.py", "(a|b)+.py", True),
    ],
)
def test_pattern_matches_by_the_documented_rules(pattern: str, path: str, expected: bool) -> None:
    assert matcher((pattern,))(path) is expected


def test_matcher_takes_any_include_and_no_exclude() -> None:
    matches = matcher(("*.py", "docs/**"), ("*_test.py",))
    assert [p for p in ("a.py", "a_test.py", "docs/x", "b.c") if matches(p)] == ["a.py", "docs/x"]


def test_pattern_is_refused_when_its_range_is_backwards() -> None:
    with pytest.raises(ConfigError, match=r"\[z-a\]"):
        matcher(("[z-a]",))("x")


def test_pruner_skips_a_folder_only_when_all_below_is_excluded() -> None:
    prunes = pruner(("vendor/**", "build/", "**/node_modules/**", "*.py"))
    assert [p for p in ("vendor", "a/vendor", "build", "a/node_modules", "x.py") if prunes(p)] == [
        "vendor",
        "build",
        "a/node_modules",
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/data/a/*.gz", ("/data/a", "*.gz")), ("/*", ("/", "*")), ("b/**/c*.x", ("b", "**/c*.x")), ("*", ("", "*"))],
)
def test_glob_is_split_above_its_first_wildcard(path: str, expected: tuple[str, str]) -> None:
    assert split_glob(path) == expected


@given(st.text("ab[]!^-\\/*?.~&|", max_size=12), st.text("ab[]/-.", max_size=8))
def test_matcher_answers_or_refuses_when_the_pattern_is_any(pattern: str, path: str) -> None:
    try:
        assert matcher((pattern or "*",))(path) in (True, False)
    except ConfigError as error:
        assert "glob" in str(error)
