"""A row of JSON gives its document whatever stands beside the content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Columns, Source
from pipeline.sources.json_rows import LOST, Text, parse_row

DEEP = "[" * 5_000 + "]" * 5_000
FIELDS = ("path", "repo", "revision", "revision_time", "license", "stars", "language")


@pytest.mark.parametrize(
    ("value", "lost"),
    [
        (b"NaN", True),
        (b"-Infinity", True),
        (b"1" + b"0" * 5_000, True),
        (b'"cut \\ud83d"', True),
        (b'"\\udc00 cut"', True),
        (b'"caf\xe9"', True),
        (b'"C:\\x"', True),
        (b'"\xed\xa0\xbd"', True),
        (DEEP.encode(), True),
        (b'{"a": ' + DEEP.encode() + b"}", True),
        (b"tru", True),
        (b"1e999", True),
        (b"null", False),
        (b'""', False),
        (b"[]", False),
    ],
)
@pytest.mark.parametrize("field", FIELDS)
def test_odd_value_costs_its_field_and_not_the_document(
    tmp_path: Path, rows_of: Any, field: str, value: bytes, lost: bool
) -> None:
    line = b'{"odd": %b, "content": "x = \\u00e9\\n", "p": "a.py", "other": %b}' % (value, value)
    (tmp_path / "a.jsonl").write_bytes(line + b'\n{"content": "y"}\n')
    columns = Columns(**({"path": "p"} | {field: "odd"}))
    row, last = rows_of(Source(name="s", kind="jsonl", path=str(tmp_path), columns=columns))
    assert (row["content"], row["problem"], row["encoding"]) == ("x = é\n".encode(), None, "utf-8")
    assert row["lost_fields"] == ([field] if lost else [])
    assert row["path"] == ("a.jsonl#0" if field == "path" else "a.py")
    if field != "path":
        assert row[{"language": "language_label"}.get(field, field)] is None
    assert (last["content"], last["lost_fields"]) == (b"y", [])


@pytest.mark.parametrize(
    ("raw", "text", "n_replaced"),
    [
        (b"cut \\ud83d end", "cut \ufffd end", 1),
        (b"\\udc00\\ud800", "\ufffd\ufffd", 2),
        (b"\\ud83d\\ude00 \\ud83d", "\U0001f600 \ufffd", 1),
        (b"\xed\xa0\xbd\xec\x95\x88", "\ufffd안", 1),
        (b'tab\t\\"\\\\\\/\\b\\f\\n\\r\\t\\u20ac \\ud83d', 'tab\t"\\/\b\f\n\r\t€ \ufffd', 1),
    ],
)
def test_half_a_pair_in_the_content_costs_one_character(
    tmp_path: Path, rows_of: Any, raw: bytes, text: str, n_replaced: int
) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"content": "' + raw + b'"}\n')
    (row,) = rows_of(Source(name="s", kind="jsonl", path=str(tmp_path)))
    assert row["content"].decode() == text
    assert (row["problem"], row["encoding"], row["n_replaced"]) == (None, "utf-8-damaged", n_replaced)


def test_content_of_other_bytes_is_decoded_like_a_file(tmp_path: Path, rows_of: Any) -> None:
    text = "# Größe und Maß der Straße, für alle geprüft\n" * 4
    raw = text.replace("\n", "\\n").encode("latin-1")
    (tmp_path / "a.jsonl").write_bytes(b'{"content": "' + raw + b'", "title": "stra\xdfe"}\n')
    (row,) = rows_of(Source(name="s", kind="jsonl", path=str(tmp_path)))
    assert row["problem"] is None
    assert row["content"].decode() == text


def test_values_below_dots_are_found_in_a_damaged_row() -> None:
    line = b'{"n": NaN, "bad": "\\ud800", "m": {"a": {"b": "x"}, "c": "\\ud800", "d": [1]}, "m.e": "y", "f": {"g": 1}}'
    row = parse_row(line, wanted=["m.a.b", "m.c", "m.d", "m.e", "f"])
    assert row == {"m": {"a": {"b": "x"}, "c": Text("\ufffd".encode(), 1), "d": [1]}, "m.e": "y", "f": {"g": 1}}
    assert parse_row(b'{"a": "\\ud800", "b": "\\x"}')["b"] is LOST


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=8,
)


@given(row=st.dictionaries(st.text(max_size=4), VALUES, max_size=5), ascii_only=st.booleans(), indent=st.booleans())
def test_damaged_row_gives_what_a_sound_one_gives(row: dict[str, Any], ascii_only: bool, indent: bool) -> None:
    sound = json.dumps(row, ensure_ascii=ascii_only, indent=1 if indent else None).encode("utf-8", "replace")
    expected = json.loads(sound)
    damaged = sound[:-1].rstrip() + (b", " if row else b"") + b'"zzzzz": "\\ud800"}'
    found = parse_row(damaged)
    assert found.pop("zzzzz") == Text("\ufffd".encode(), 1)
    assert found == expected


@given(
    raw=st.lists(st.sampled_from([b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"a", b" ", b"\xff"])).map(b"".join)
)
def test_no_line_breaks_the_parser(raw: bytes) -> None:
    found = parse_row(b'{"a": "\\ud800", ' + raw, wanted=["a", "b.c"])
    assert found is None or set(found) <= {"a", "b"}
