"""Shards that stay: keys, renaming in rounds, and what is removed."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.engine.executor import InlineExecutor
from pipeline.engine.markers import Marker
from pipeline.engine.shards import Shards, column_hash, key_of, names_of, write_shard_marker
from pipeline.engine.store import Store, open_store, part

FOLDER = "tables/tokens"


def stand(store: Store, names: dict[str, int], *, of: int, problem: str | None = None) -> None:
    """A file and a marker for each key."""
    for key, number in names.items():
        entry = store.write_bytes(f"{FOLDER}/{part(number, of)}", key.encode())
        write_shard_marker(store, "tokens", key, marker=Marker((entry,), {}, problem, 0.0))


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
def test_shards_when_wanted_elsewhere_are_renamed(store: Store, wanted: str, found: str) -> None:
    stand(store, {"a": 0, "b": 1, "c": 2, "d": 3}, of=4)
    assert standing(store, wanted) == found
    assert standing(store, wanted) == found
    assert len(store.files("state/tokens/shards")) == len(found.replace(".", ""))


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
