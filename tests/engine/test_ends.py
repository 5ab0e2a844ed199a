"""Ends of files that are kept: fetched once, as long as asked, and no more than may be held."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.engine import ends
from pipeline.engine.ends import ends_kept, kept_end

FILES = {"a": b"0123456789", "b": b"abcdefghij", "c": b"ABCDEFGHIJ"}


def asked(name: str, n_bytes: int, fetched: list[str]) -> bytes:
    def fetch() -> ends.End:
        fetched.append(name)
        return len(FILES[name]), pa.py_buffer(FILES[name][-n_bytes:])

    size, tail = kept_end(name, fetch, n_bytes=n_bytes)
    assert size == len(FILES[name])
    return bytes(tail.to_pybytes())


def test_an_end_is_fetched_once_while_they_are_kept_and_again_where_more_is_wanted() -> None:
    fetched: list[str] = []
    with ends_kept():
        assert asked("a", 4, fetched) == asked("a", 4, fetched) == b"6789"
        assert asked("a", 20, fetched) == FILES["a"]
        assert asked("a", 30, fetched) == FILES["a"]
        assert fetched == ["a", "a"]
    assert asked("a", 4, fetched) == asked("a", 4, fetched) == b"6789"
    assert len(fetched) == 4


def test_the_oldest_goes_where_more_than_may_be_held_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ends, "KEPT_BYTES", 20)
    fetched: list[str] = []
    with ends_kept():
        for name in "abcb":
            asked(name, 10, fetched)
        assert fetched == ["a", "b", "c"]
        asked("a", 10, fetched)
    assert fetched == ["a", "b", "c", "a"]
