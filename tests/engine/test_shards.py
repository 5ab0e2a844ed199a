"""Shards that stay: keys, renaming in rounds, and what is removed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.engine.executor import InlineExecutor
from pipeline.engine.markers import Marker
from pipeline.engine.shards import (
    Shards,
    change_markers,
    column_hash,
    key_of,
    names_of,
    read_told,
    shard_files,
    write_shard_markers,
)
from pipeline.engine.store import Store, open_store, part

FOLDER = "tables/tokens"


def stand(store: Store, names: dict[str, int], *, of: int, problem: str | None = None, together: bool = False) -> None:
    """A file for each key and a marker, in a file of its own or in one for all."""
    entries = {key: store.write_bytes(f"{FOLDER}/{part(number, of)}", key.encode()) for key, number in names.items()}
    told = {key: Marker((entry,), {}, problem, 0.0) for key, entry in entries.items()}
    for some in [told] if together else [{key: marker} for key, marker in told.items()]:
        write_shard_markers(store, "tokens", some)


def marked(store: Store) -> list[str]:
    """The keys of all markers, in order."""
    told = read_told(store, "tokens", store.files("state/tokens/shards"))
    return sorted(key for markers in told.values() for key in markers)


def standing(store: Store, wanted: str, *, by_hash: bool = True, skip_bad: bool = False) -> str:
    """The keys that stand, in the order of their shards; a point for each that does not."""
    paths = [f"{FOLDER}/{part(i, len(wanted))}" for i in range(len(wanted))]
    found = Shards(store, "tokens", list(wanted), paths).standing(InlineExecutor(), by_hash=by_hash, skip_bad=skip_bad)
    there = [shard for shard in range(len(wanted)) if shard in found]
    assert [file.path for file in found.files()] == [paths[shard] for shard in there]
    assert all(store.read_bytes(paths[shard]) == wanted[shard].encode() for shard in there)
    names = {f"{FOLDER}/{name}" for name in store.files(FOLDER)}
    assert {paths[shard] for shard in there} <= names <= set(paths)
    return "".join(wanted[i] if i in found else "." for i in range(len(wanted)))


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(str(tmp_path) if request.param == "disk" else f"memory://{tmp_path.name}")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("abcd", "abcd"),
        ("abcde", "abcd."),  # another count: all are renamed
        ("acd", "acd"),
        ("xacd", ".acd"),  # the same count, and each takes the name that the next one leaves
        ("bcdx", "bcd."),
        ("bacd", "..cd"),  # two that wait for each other's names are made anew
        ("wxyz", "...."),
    ],
)
@pytest.mark.parametrize("together", [False, True])
def test_shards_when_wanted_elsewhere_are_renamed(store: Store, wanted: str, found: str, together: bool) -> None:
    stand(store, {"a": 0, "b": 1, "c": 2, "d": 3}, of=4, together=together)
    assert standing(store, wanted) == found
    assert marked(store) == sorted(found.replace(".", ""))
    assert standing(store, wanted) == found
    assert marked(store) == sorted(found.replace(".", ""))


def test_a_shard_of_which_two_markers_speak_is_believed_by_its_content_alone(store: Store) -> None:
    """A stop amid renaming leaves the old marker beside the new one, and the old name may be another's by then."""
    stand(store, {"a": 0, "b": 1}, of=3, together=True)
    stand(store, {"a": 2}, of=3)  # it went there
    store.write_bytes(f"{FOLDER}/{part(0, 3)}", b"b")  # and another of its size came
    assert standing(store, "bxa", by_hash=False) == "b.."
    assert marked(store) == ["b"]


def test_markers_of_a_lot_are_changed_and_removed_one_by_one(store: Store) -> None:
    stand(store, {"a": 0, "b": 1, "c": 2}, of=3, together=True)
    before = {f"{FOLDER}/{part(k, 3)}" for k in range(3)}
    assert shard_files(store, "tokens") == before
    gone = f"{FOLDER}/{part(1, 3)}"
    change_markers(store, "tokens", lambda marker: None if marker.files[0].path == gone else marker)
    assert marked(store) == ["a", "c"]
    change_markers(store, "tokens", lambda marker: replace(marker, problem="changed"))
    told = read_told(store, "tokens", store.files("state/tokens/shards"))
    assert [marker.problem for markers in told.values() for marker in markers.values()] == ["changed", "changed"]
    assert len(store.files("state/tokens/shards")) == 1


def test_shards_when_damaged_or_skipped_do_not_stand(store: Store) -> None:
    stand(store, {"a": 0, "b": 1}, of=3)
    stand(store, {"c": 2}, of=3, problem="broken")
    store.write_bytes(f"{FOLDER}/{part(0, 3)}", b"x")
    assert standing(store, "abc", skip_bad=True) == ".bc"
    assert standing(store, "abc") == ".b."


def test_a_shard_when_renamed_and_not_yet_marked_is_made_anew(store: Store) -> None:
    stand(store, {"a": 0, "b": 1}, of=2)
    store.rename(f"{FOLDER}/{part(0, 2)}", f"{FOLDER}/{part(0, 3)}")
    assert standing(store, "abc") == ".b."


def test_files_when_not_named_as_shards_are_left(store: Store) -> None:
    stand(store, {"a": 0}, of=1)
    for name in ("mine.parquet", ".nfs0001", "part-00003-of-00002.parquet"):
        store.write_bytes(f"{FOLDER}/{name}", b"x")
    found = Shards(store, "tokens", ["a"], [f"{FOLDER}/{part(0, 1)}"]).standing(
        InlineExecutor(), by_hash=True, skip_bad=False
    )
    assert found.missing() == []
    assert len(store.files(FOLDER)) == 4


def test_keys_when_a_part_differs_differ() -> None:
    assert key_of("tokens", 1, {"a": 1, "b": 2}) == key_of("tokens", 1, {"b": 2, "a": 1})
    assert len({key_of("tokens", 1, "x"), key_of("tokens", 2, "x"), key_of("select", 1, "x")}) == 3
    assert names_of(["e", "f", "e", "e"]) == ["e-0", "f-0", "e-1", "e-2"]


def test_column_hash_when_rows_are_cut_otherwise_is_the_same() -> None:
    whole = pa.table({"keep": [True, None, False, True], "reasons": [["a"], [], ["b", "c"], []]})
    cut = pa.concat_tables([whole.slice(0, 1), whole.slice(1)])
    assert column_hash(cut) == column_hash(whole)
    assert column_hash(whole.slice(0, 3)) != column_hash(whole)
    assert column_hash(whole.rename_columns(["kept", "reasons"])) != column_hash(whole)
