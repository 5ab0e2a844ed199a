"""Where a packed token comes from, and which documents a name finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hand_run import SHARDS, hand_run
from handmade import doc_id

from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError, StoreError
from pipeline.reading.lookup import MAX_FOUND, trace, why


def test_trace_names_the_document_on_each_side_of_a_border(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    pieces = trace(run, 3)  # 2 tokens of e.txt, then 4 of h.txt
    assert [(p["path"], p["tokens"], p["doc_offset"]) for p in pieces] == [("e.txt", [0, 2], 10), ("h.txt", [2, 6], 0)]
    assert [trace(run, 3, offset=n)[0]["path"] for n in range(6)] == ["e.txt"] * 2 + ["h.txt"] * 4
    assert all(len(trace(run, 3, offset=n)) == 1 for n in range(6))


@pytest.mark.parametrize("offset", [-1, 6])
def test_trace_refuses_an_offset_outside_the_real_tokens(tmp_path: Path, offset: int) -> None:
    with pytest.raises(LoopmixError, match=f"token {offset} is not real; it has tokens 0 to 5"):
        trace(hand_run(tmp_path), 3, offset=offset)


@pytest.mark.parametrize("outside", [-1, 4])
def test_trace_counts_sequences_over_shards_and_refuses_one_outside(tmp_path: Path, outside: int) -> None:
    run = hand_run(tmp_path)
    assert [trace(run, n)[0]["path"] for n in range(4)] == ["src/a.py", "e.txt", "src/c.js", "e.txt"]
    with pytest.raises(LoopmixError, match="the run has sequences 0 to 3"):
        trace(run, outside)


def test_why_finds_by_id_path_and_ending_and_stops_at_its_limit(tmp_path: Path) -> None:
    run = hand_run(tmp_path / "one")
    for name in ("src/g.py", "g.py", "/g.py", doc_id(1, 1)):
        assert [document["path"] for document in why(run, name)] == ["src/g.py"]
    with pytest.raises(LoopmixError, match="no document of this run"):
        list(why(run, "py"))
    many = hand_run(tmp_path / "many", shards=[(SHARDS[0][0],) * 15, (SHARDS[0][0],) * 15])
    assert len(list(why(many, "a.py"))) == MAX_FOUND == 20


def test_why_lists_the_first_sequences_of_a_document(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    assert [next(why(run, name))["sequences"] for name in ("e.txt", "h.txt", "g.py")] == [[1, 3], [3], []]


def test_why_finds_a_name_whose_bytes_are_no_utf8_as_the_system_gives_it(tmp_path: Path) -> None:
    run = hand_run(tmp_path, shards=[(replace(SHARDS[0][0], path="src/\\xff.py"), *SHARDS[0][1:]), SHARDS[1]])
    assert [document["path"] for document in why(run, "\udcff.py")] == ["src/\\xff.py"]
    for name in ("\udcfe.py", "\ud800.py"):
        with pytest.raises(LoopmixError, match="no document of this run"):
            list(why(run, name))


def _swapped(run: RunFiles, first: Path, second: Path) -> None:
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)


def _foreign(run: RunFiles, first: Path, second: Path) -> None:
    """A sequence of a document of another run, in a file of the same size."""
    first.write_bytes(first.read_bytes().replace(doc_id(0, 0).encode(), b"f" * 32))


STREAMS: dict[str, tuple[Callable[[RunFiles, Path, Path], object], str]] = {
    "swapped": (_swapped, r"is missing, or has not the [\d,]+ bytes of the manifest; curate the run again"),
    "cut": (lambda run, first, second: second.write_bytes(second.read_bytes()[:-1]), "is missing, or has not the"),
    "gone": (lambda run, first, second: second.unlink(), "is missing, or has not the"),
    "foreign": (_foreign, "sequence 0 names 'f{32}', which no document of this run is; curate the run again"),
}


@pytest.mark.parametrize("damage", STREAMS)
def test_where_the_stream_is_not_that_of_the_run_no_sequence_is_told(tmp_path: Path, damage: str) -> None:
    run = hand_run(tmp_path)
    first, second = (Path(run.store.full(file.path)) for file in run.files("packed"))
    STREAMS[damage][0](run, first, second)
    with pytest.raises(StoreError, match=rf"packed/part-0000[01]-of-00002\.arrow: {STREAMS[damage][1]}"):
        trace(run, 0)
    if damage != "foreign":
        with pytest.raises(StoreError, match=r"packed/part-0000[01]-of-00002\.arrow: is missing"):
            list(why(run, "e.txt"))
