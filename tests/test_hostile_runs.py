"""Markers, plans, logs, exchange files and journals of a run that a stranger has made: refused in words or taken for
not there, never followed."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import xxhash
from click.testing import CliRunner
from hand_run import hand_run

from pipeline.cli.main import main
from pipeline.engine import local_disk
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.logged import events_of, logs_of
from pipeline.engine.markers import Marker, parse_marker, to_bytes
from pipeline.engine.patching import patch
from pipeline.engine.pieces import read_index, read_pieces, write_pieces
from pipeline.engine.shards import Shards, write_shard_marker
from pipeline.engine.status import status_of
from pipeline.engine.store import Block, FileEntry, Store, open_store
from pipeline.errors import StoreError
from pipeline.forget.plan import ForgetPlan, read_plan, write_plan
from pipeline.forget.texts import CHANGES_FILE, _read
from pipeline.reading.verify import verify
from pipeline.report import count
from pipeline.report.standing import _NOTED
from pipeline.sources.cutting import _CUT
from pipeline.sources.documents import Cut

HASH = "0" * 64


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(str(tmp_path))


# --- markers ---------------------------------------------------------------------------------------------------------

SOUND: dict[str, Any] = asdict(Marker((FileEntry("tables/x/a", 1, HASH),), {"n_docs": 1}, None, 0.5, 0.25))
LIES: dict[str, dict[str, Any]] = {
    "seconds that are no number": {"seconds": float("nan")},
    "seconds without end": {"seconds": float("inf")},
    "seconds before the start": {"cpu_seconds": -1.0},
    "a count beyond numbers": {"counts": {"n_docs": 10**30}},
    "a count that is a word": {"counts": {"n_docs": "many"}},
    "a size below zero": {"files": [asdict(FileEntry("tables/x/a", -1, HASH))]},
    "a size beyond numbers": {"files": [asdict(FileEntry("tables/x/a", 2**63, HASH))]},
    "a hash that is none": {"files": [asdict(FileEntry("tables/x/a", 1, "../../etc/passwd"))]},
    "a block before its file": {"files": [asdict(FileEntry("work/x/a", 1, HASH, (Block(-1, 1, ""),)))]},
    "no files": {"files": None},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_marker_that_lies_is_none(lie: str) -> None:
    assert parse_marker(json.dumps(SOUND).encode()) is not None
    assert parse_marker(json.dumps(SOUND | LIES[lie]).encode()) is None


def test_a_marker_nested_without_end_is_none() -> None:
    assert parse_marker(b'{"files":' * 200_000) is None


@pytest.mark.parametrize("path", ["manifest.json", "tables/other/a", "work/other/a"])
def test_a_shard_that_says_it_is_another_file_is_made_anew_and_that_file_stays(store: Store, path: str) -> None:
    entry = store.write_bytes(path, b"mine")
    write_shard_marker(store, "languages", "k" * 32, marker=Marker((entry,), {}, None, 0.0))
    table = Shards(store, "languages", ["k" * 32], ["tables/languages/a"])
    assert table.standing(InlineExecutor(), by_hash=True, skip_bad=False).missing() == [0]
    assert store.read_bytes(path) == b"mine"


def test_a_shard_of_the_stage_is_renamed(store: Store) -> None:
    entry = store.write_bytes("work/languages/a", b"mine")
    write_shard_marker(store, "languages", "k" * 32, marker=Marker((entry,), {}, None, 0.0))
    table = Shards(store, "languages", ["k" * 32], ["tables/languages/a"])
    assert table.standing(InlineExecutor(), by_hash=True, skip_bad=False).missing() == []
    assert store.read_bytes("tables/languages/a") == b"mine"


@pytest.mark.parametrize("starts", [[], [-1], [0, 5, 5], [0, 9, 3]])
def test_a_cut_that_would_lose_rows_is_none(starts: list[int]) -> None:
    _CUT.validate_json(json.dumps({"starts": [0, 3, 9], "counts": {}}))
    with pytest.raises(ValueError, match="rows would be left out, or read twice"):
        _CUT.validate_json(json.dumps({"starts": starts, "counts": {}}))
    with pytest.raises(ValueError, match="rows would be left out"):
        Cut(tuple(starts), {})


# --- what stands in the place of a file ------------------------------------------------------------------------------


@pytest.mark.parametrize("stands", ["a folder", "a pipe", "a device"])
def test_among_many_files_the_one_that_is_none_is_named(tmp_path: Path, store: Store, stands: str) -> None:
    bad = tmp_path / "state/x/00001.json"
    bad.parent.mkdir(parents=True)
    (bad.parent / "00000.json").write_text("{}")
    {"a folder": bad.mkdir, "a pipe": lambda: os.mkfifo(bad), "a device": lambda: bad.symlink_to("/dev/zero")}[stands]()
    with pytest.raises(StoreError, match=r"x/00001\.json: cannot be read: .*; remove what stands in its place"):
        store.read_many(["state/x/00000.json", "state/x/00001.json"])


@pytest.mark.parametrize("name", ["state/attempts.json", "logs/a.jsonl", "lease.json.beat"])
def test_a_note_that_is_larger_than_any_is_refused_unread(tmp_path: Path, store: Store, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    with (tmp_path / name).open("wb") as file:
        file.truncate(local_disk._MOST_NOTES_BYTES + 1)
    with pytest.raises(StoreError, match=r"has 1,073,741,825 bytes, expected at most .*; remove what stands in its"):
        store.find(name)


def test_a_file_that_fits_no_memory_is_refused(tmp_path: Path, store: Store) -> None:
    (tmp_path / "state/documents").mkdir(parents=True)
    with (tmp_path / "state/documents/plan.json").open("wb") as file:
        file.truncate(1 << 43)
    with pytest.raises(StoreError, match="more than memory holds"):
        store.find("state/documents/plan.json")


@pytest.mark.parametrize("name", ["logs", "state"])
def test_a_file_in_the_place_of_a_folder_is_refused_in_words(tmp_path: Path, store: Store, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(StoreError, match=f"{name}: cannot be read: Not a directory; remove what stands in its place"):
        store.files(name)


def test_folders_nested_deeper_than_functions_are_walked(tmp_path: Path, store: Store) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    try:
        assert store.sizes("") == {}
    finally:  # what removes folders of tests is itself no deeper
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


def test_nothing_is_written_through_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"12345")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/shard").symlink_to(tmp_path / "mine")
    with pytest.raises(StoreError, match="is a link, and what it leads to is no part of the run"):
        patch(open_store(str(tmp_path / "run")), "shard", [(0, b"x")])
    assert (tmp_path / "mine").read_bytes() == b"12345"


# --- logs ------------------------------------------------------------------------------------------------------------

TIME = "2026-01-01T00:00:00+00:00"
STEP: dict[str, Any] = {"time": TIME, "event": "step", "step": "languages", "n_items": 7, "n_done": 1}
STRANGE: dict[str, dict[str, Any]] = {
    "no number": {"n_done": float("nan")},
    "below zero": {"n_items": -1},
    "beyond numbers": {"n_items": 10**400},
    "a word": {"n_done": "\x1b[31m"},
    "nothing": {"n_done": None},
    "a list": {"step": ["x"]},
    "no step": {"step": ""},
    "no time": {"time": "yesterday"},
    "a time of no place": {"time": "2026-01-01T00:00:00"},
    "seconds without end": {"seconds": float("inf")},
}


def write_log(tmp_path: Path, *lines: bytes) -> None:
    (tmp_path / "logs").mkdir(exist_ok=True)
    (tmp_path / "logs/a.jsonl").write_bytes(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize("strange", STRANGE)
def test_a_line_of_a_log_that_is_no_event_is_passed_over(tmp_path: Path, store: Store, strange: str) -> None:
    start = {"time": TIME, "event": "start", "host": "node7", "mixture": "hand"}
    lines = [start, STEP, STEP | {"step": "tokens"} | STRANGE[strange]]
    write_log(tmp_path, *(json.dumps(line).encode() for line in lines), b"[" * 200_000, b"\xff")
    found = status_of(store)
    assert found.step is not None
    assert (found.step.name, found.step.n_items, found.state) == ("languages", 7, "stopped")
    shown = CliRunner().invoke(main, ["status", str(tmp_path)])
    assert shown.exit_code == 0, shown.output
    assert "languages 1 of 7" in shown.output
    assert [event.event for event in events_of(store, logs_of(store)[0])] == ["start", "step"]


def test_what_is_noted_of_a_report_has_its_types() -> None:
    sound = {"made_of": "x", "files": [asdict(FileEntry("a", 1, HASH))], "brief": {"title": "t", "lines": []}}
    _NOTED.validate_json(json.dumps(sound))
    for lie in ({"files": [asdict(FileEntry("a", -1, HASH))]}, {"brief": {"title": 3, "lines": []}}, {"made_of": []}):
        with pytest.raises(ValueError, match="validation error"):
            _NOTED.validate_json(json.dumps(sound | lie))


# --- exchange files --------------------------------------------------------------------------------------------------


def resealed(store: Store, entry: FileEntry, change: Callable[[bytes], bytes]) -> FileEntry:
    """The file with another index, and the marker that a stranger would write for it."""
    (block,) = entry.blocks
    data = store.read_bytes(entry.path)
    index = change(data[block.start :])
    made = store.write_bytes(entry.path, data[: block.start] + index)
    return replace(made, blocks=(Block(block.start, len(index), xxhash.xxh3_64_hexdigest(index)),))


def number(at: int, value: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + struct.pack("<Q", value) + data[at + 8 :]


INDEXES: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda data: data[:5],
    "more entries than there are": number(8, 2**40),
    "a schema of 2**62 bytes": number(16, 2**62),
    "no schema": number(16, 1),
    "a piece of 2**62 bytes": lambda data: data[:-16] + struct.pack("<Q", 2**62) + data[-8:],
    "a partition that is none": lambda data: data[:-24] + struct.pack("<Q", 99) + data[-16:],
}


@pytest.mark.parametrize("lie", INDEXES)
def test_an_index_that_lies_is_refused(store: Store, lie: str) -> None:
    table = pa.table({"x": pa.array([1, 2, 3], pa.int64())})
    entry = write_pieces(store, "work/a.arrow", [(0, table), (2, table)], schema=table.schema, n_partitions=4)
    assert len(list(read_pieces(store, read_index(store, entry, n_partitions=4), 0, 4))) == 2
    with pytest.raises(StoreError, match=r"a\.arrow: is not what its marker says; run the same command again"):
        read_index(store, resealed(store, entry, INDEXES[lie]), n_partitions=4)


def test_a_piece_whose_offsets_lead_out_is_refused(store: Store) -> None:
    table = pa.table({"x": pa.array([[1], [2], [3]], pa.list_(pa.int64()))})
    entry = write_pieces(store, "work/a.arrow", [(0, table)], schema=table.schema, n_partitions=1)
    index = read_index(store, entry, n_partitions=1)
    data = bytearray(store.read_bytes(entry.path))
    start, end = index.start.tolist()
    at = data.index(struct.pack("<4i", 0, 1, 2, 3), start)
    data[at : at + 16] = struct.pack("<4i", 0, 1 << 30, 2, 3)
    store.write_bytes(entry.path, bytes(data))
    index.xxh3[0] = xxhash.xxh3_64_intdigest(bytes(data[start:end]))
    with pytest.raises(StoreError, match="is not what its marker says"):
        list(read_pieces(store, index, 0, 1))


# --- forgetting ------------------------------------------------------------------------------------------------------

PLAN = ForgetPlan({0: []}, {}, {}, [], [1])
JOURNALS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "a row below zero": lambda said: packed(said | {"gone": {"0": [{"row": -1, "doc_id": "", "content_hash": ""}]}}),
    "a shard below zero": lambda said: packed(said | {"gone": {"-1": []}}),
    "a print beyond numbers": lambda said: packed(said | {"prints": [2**64]}),
    "nothing but zeros": lambda said: zlib.compress(bytes(50_000_000)),
    "cut": lambda said: packed(said)[:-6],
}


def packed(said: dict[str, Any]) -> bytes:
    return zlib.compress(json.dumps(said).encode())


@pytest.mark.parametrize("lie", JOURNALS)
def test_a_journal_that_lies_is_refused(store: Store, lie: str) -> None:
    write_plan(store, PLAN)
    assert read_plan(store) == PLAN
    store.write_bytes("state/forget.json.zlib", JOURNALS[lie](asdict(PLAN)))
    with pytest.raises(StoreError, match=r"forget\.json\.zlib: is damaged, .*; make the run anew"):
        read_plan(store)


@pytest.mark.parametrize("head", [b"{}", b"[" * 200_000, b'{"anew": 3, "sizes": {}, "places": []}'])
def test_changes_that_are_none_are_refused(store: Store, head: bytes) -> None:
    store.write_bytes(CHANGES_FILE, head + b"\n")
    with pytest.raises(StoreError, match=r"forget-texts\.bin: is damaged: .*; make the run anew"):
        _read(store)


def test_places_below_zero_are_refused(store: Store) -> None:
    head = {"anew": [], "sizes": {}, "places": [["tables/x", -1, 1]]}
    store.write_bytes(CHANGES_FILE, json.dumps(head).encode() + b"\nx")
    with pytest.raises(StoreError, match=r"forget-texts\.bin: is damaged"):
        _read(store)


def test_a_marker_is_written_as_it_is_read() -> None:
    marker = Marker((FileEntry("tables/x/a", 1, HASH, (Block(0, 1, "0"),)),), {"n": -1}, None, 0.0)
    assert parse_marker(to_bytes(marker)) == marker


def test_another_tokenizer_of_the_same_size_is_found_by_a_quick_look_and_by_the_report(tmp_path: Path) -> None:
    run = hand_run(tmp_path / "run")
    assert {f.promise: f.kept for f in verify(run, quick=True)}["files"]
    (tmp_path / "run/tokenizer.json").write_bytes(b"[]")
    assert {f.promise: f.kept for f in verify(run, quick=True)}["files"] is False
    with pytest.raises(StoreError, match=r"tokenizer\.json: is missing, or not the tokenizer that made this run"):
        count(run)
