"""Lists of what shall be taken back."""

from __future__ import annotations

import pytest

from pipeline.errors import ConfigError
from pipeline.forget.listing import read_entries

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
    ],
)
def test_an_entry_that_cannot_be_read_is_an_error_with_its_line(line: str, said: str) -> None:
    with pytest.raises(ConfigError, match=r"list.txt, line 2: ") as error:
        read_entries(["# first", line], where="list.txt")
    assert said in str(error.value)


def test_a_list_without_entries_is_an_error() -> None:
    with pytest.raises(ConfigError, match="lists nothing"):
        read_entries(["# only this", ""], where="list.txt")
