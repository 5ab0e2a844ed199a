"""File names that are not UTF-8, and how a glob is split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.names import is_safe, to_bytes, to_text
from pipeline.sources.roots import split_glob

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
    "path", ["../x", "/etc/passwd", "a/../../x", "a//b", ".", "", "a/./b", r"\x2e\x2e/x", r"a\x2f", "a\0b", r"a\x00b"]
)
def test_path_is_unsafe_when_it_can_leave_its_root(path: str) -> None:
    assert not is_safe(path)


def test_path_is_safe_when_dots_are_part_of_a_name() -> None:
    assert is_safe("a/..b/c...d")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/data/a/*.gz", ("/data/a", "*.gz")), ("/*", ("/", "*")), ("b/**/c*.x", ("b", "**/c*.x")), ("*", ("", "*"))],
)
def test_glob_is_split_above_its_first_wildcard(path: str, expected: tuple[str, str]) -> None:
    assert split_glob(path, is_folder=lambda _: False) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/[2024] set/in/*.gz", ("/[2024] set/in", "*.gz")),
        ("/[2024] set/*/a[bc]/*.gz", ("/[2024] set", "*/a[bc]/*.gz")),
        ("/[2025] set/in/*.gz", ("/", "[2025] set/in/*.gz")),
        ("/[2024] set/none.gz", ("/[2024] set/none.gz", "")),
    ],
)
def test_part_of_a_glob_is_a_name_where_a_folder_bears_it(path: str, expected: tuple[str, str]) -> None:
    assert split_glob(path, is_folder=lambda folder: folder == "/[2024] set") == expected
