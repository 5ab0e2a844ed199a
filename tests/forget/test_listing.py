"""Lists of what shall be taken back."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.forget.listing import read_entries, read_list

ID = "0123456789abcdef" * 2


def choices(*lines: str) -> list[tuple[tuple[tuple[str, str], ...], ...]]:
    return [entry.choices for entry in read_entries(lines, where="list.txt")]


def test_an_entry_with_a_prefix_says_what_it_is() -> None:
    assert choices("path:src/a.py", "repo: owner/name ", f"doc_id:{ID.upper()}", f"sha256:{ID}{ID}") == [
        ((("path", "src/a.py"),),),
        ((("repo", "owner/name"),),),
        ((("doc_id", ID),),),
        ((("sha256", ID + ID),),),
    ]


def test_comments_and_empty_lines_are_left_out_and_lines_keep_their_numbers() -> None:
    entries = read_entries(["\ufeff# asked for on Monday\n", "\n", "  path:a.py\n"], where="list.txt")
    assert [(e.line, e.text) for e in entries] == [(3, "path:a.py")]


@pytest.mark.parametrize(
    ("line", "kinds"),
    [
        (ID + ID, [("sha256",)]),
        (ID + "01234567", [("sha1",), ("blob",)]),
        (ID, [("doc_id",), ("content_hash",)]),
        ("src/a.py", [("path",), ("repo",)]),
        (ID[:31], [("path",), ("repo",)]),
        ("C:/src/a.py", [("path",), ("repo",)]),
    ],
)
def test_an_entry_without_a_prefix_is_told_by_its_form(line: str, kinds: list[tuple[str]]) -> None:
    assert [tuple(kind for kind, _ in choice) for choice in choices(line)[0]] == kinds


def test_a_line_of_json_asks_for_all_that_it_says() -> None:
    assert choices('{"repo": "owner/name", "path": "a.py"}') == [((("repo", "owner/name"), ("path", "a.py")),)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("path:", "path: has no value"),
        (f"doc_id:{ID}0", "expected 32 hex characters"),
        ("sha256:xyz", "expected 64 hex characters"),
        ("{", "is no JSON"),
        ("{}", "expected keys among doc_id"),
        ('{"path": 3}', "with texts as values"),
        ('{"paht": "a"}', "unknown key 'paht'"),
        ('{"a":' * 200_000, "nested without end"),
        ('{"path": "\\ud800"}', "path: half a pair of surrogates, as in '\\ud800', is no text"),
    ],
)
def test_an_entry_that_cannot_be_read_is_an_error_with_its_line(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"list.txt, line 2: ") as error:
        read_entries(["# first", line], where="list.txt")
    assert said in str(error.value)


def test_a_list_without_entries_is_an_error() -> None:
    with pytest.raises(ConfigError, match="lists nothing"):
        read_entries(["# only this", ""], where="list.txt")


WRITTEN: dict[str, bytes] = {
    "a byte order mark": f"\ufeffdoc_id:{ID}\n".encode(),
    "lines of Windows": f"doc_id:{ID}\r\n".encode(),
    "lines of old": f"doc_id:{ID}\r".encode(),
    "no end": f"doc_id:{ID}".encode(),
    "a byte that is no UTF-8 in a comment": f"# \xff\ndoc_id:{ID}\n".encode("latin-1"),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_list_is_read_however_its_lines_end(tmp_path: Path, kind: str) -> None:
    (tmp_path / "list").write_bytes(WRITTEN[kind])
    assert [entry.choices for entry in read_list(tmp_path / "list")] == [((("doc_id", ID),),)]


def _large(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


STANDING: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda path: path.touch(), "lists nothing; expected one document"),
    "a pipe": (os.mkfifo, "is a pipe and no file; save what it gives as a file, and name that"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device or socket and no file"),
    "a folder": (lambda path: path.mkdir(), "and no file"),
    "a terabyte": (_large, "has 1,099,511,627,776 bytes, expected a list of at most 1,073,741,824; divide it"),
}


@pytest.mark.parametrize("kind", STANDING)
def test_what_stands_in_the_place_of_a_list_is_named_and_not_waited_for(
    tmp_path: Path, kind: str, limited: None
) -> None:
    stand, said = STANDING[kind]
    stand(tmp_path / "list")
    with pytest.raises(ConfigError) as error:
        read_list(tmp_path / "list")
    assert str(error.value).startswith(f"{tmp_path / 'list'}: ")
    assert said in str(error.value)
