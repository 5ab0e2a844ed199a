"""A manifest that lists its files in parts says the same as one that lists them itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hand_run import hand_run

from pipeline.engine import manifest as manifest_module
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.manifest import (
    FORMAT,
    IN_PARTS,
    MANIFEST,
    damaged_files,
    drop_old_parts,
    file_of,
    files_of,
    put_files,
    read_manifest,
    write_manifest,
)
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FENCED, Store, open_store
from pipeline.errors import StoreError
from pipeline.listed import PARTS, each_file, n_bytes_of, n_files_of
from pipeline.reading.verify import verify
from pipeline.sealed import COPY


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[RunFiles, RunFiles]:
    """The same run with a manifest of one piece and, a file in a part, in parts."""
    whole = hand_run(tmp_path / "whole")
    monkeypatch.setattr(manifest_module, "N_FILES", 1)
    return whole, hand_run(tmp_path / "parted")


def entries(run: RunFiles) -> dict[str, Any]:
    return dict(run.manifest["stages"])


def test_a_manifest_in_parts_names_the_same_files(runs: tuple[RunFiles, RunFiles]) -> None:
    whole, parted = runs
    assert (whole.manifest["format"], parted.manifest["format"]) == (FORMAT, IN_PARTS)
    n_parted = 0
    for stage in whole.stages:
        one, other = entries(whole)[stage], entries(parted)[stage]
        assert "files" in one
        n_parted += "files_in" in other
        assert (n_files_of(one), n_bytes_of(one)) == (n_files_of(other), n_bytes_of(other))
        assert list(files_of(whole.store, one)) == list(files_of(parted.store, other))
        for shard in range(n_files_of(one)):
            assert file_of(parted.store, other, shard=shard) == file_of(whole.store, one, shard=shard)
    assert n_parted > 5
    assert whole.n_shards == parted.n_shards
    assert whole.near_dups().equals(parted.near_dups())
    assert [t.num_rows for t in whole.packed()] == [t.num_rows for t in parted.packed()]


def test_verify_of_a_manifest_in_parts_finds_what_it_finds_of_a_whole_one(runs: tuple[RunFiles, RunFiles]) -> None:
    first, second = ([(f.promise, f.kept, f.detail.replace(r.store.root, "")) for f in verify(r)] for r in runs)
    assert first == second


def test_who_asks_for_one_shard_reads_one_part(
    runs: tuple[RunFiles, RunFiles], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = entries(runs[1])["tokens"]
    read, asked = Store.read_bytes, list[str]()
    monkeypatch.setattr(Store, "read_bytes", lambda self, path: asked.append(path) or read(self, path))
    file_of(runs[1].store, entry, shard=1)
    assert asked == [entry["files_in"]["parts"][1]["path"]]


def test_a_part_that_is_damaged_or_another_is_refused(runs: tuple[RunFiles, RunFiles]) -> None:
    store, entry = runs[1].store, entries(runs[1])["tokens"]
    first, second = (Path(store.full(part["path"])) for part in entry["files_in"]["parts"])
    for data in (first.read_bytes().replace(b"tokens", b"Tokens"), second.read_bytes(), b""):
        first.write_bytes(data)
        with pytest.raises(StoreError, match=rf"manifest\.json: its part manifest/{first.name} is damaged"):
            list(files_of(store, entry))
    first.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        list(files_of(store, entry))


def test_damaged_files_are_found_through_parts(runs: tuple[RunFiles, RunFiles]) -> None:
    store, entry = runs[1].store, entries(runs[1])["tokens"]
    assert damaged_files(InlineExecutor(), store, entry, by_hash=True, name="tokens") == []
    path = file_of(store, entry, shard=1).path
    data = bytearray(store.read_bytes(path))
    data[-1] ^= 1
    Path(store.full(path)).write_bytes(data)
    assert damaged_files(InlineExecutor(), store, entry, by_hash=False, name="tokens") == []
    assert damaged_files(InlineExecutor(), store, entry, by_hash=True, name="tokens") == [path]


def test_parts_that_nobody_names_any_more_go(runs: tuple[RunFiles, RunFiles]) -> None:
    store = runs[1].store
    before = set(store.files(PARTS))
    manifest = read_manifest(store)
    entry = manifest["stages"]["tokens"]
    named = {Path(part["path"]).name for part in entry["files_in"]["parts"]}
    entry.pop("files_in")
    entry["files"] = []
    write_manifest(store, manifest)
    drop_old_parts(store)
    assert set(store.files(PARTS)) == before - named


@pytest.mark.parametrize(
    ("path", "said"), [("../manifest/x", "leads out of the run"), ("tables/x", "is no file of manifest/")]
)
def test_a_part_elsewhere_is_refused(runs: tuple[RunFiles, RunFiles], path: str, said: str) -> None:
    manifest = read_manifest(runs[1].store)
    manifest["stages"]["tokens"]["files_in"]["parts"][0]["path"] = path
    write_manifest(runs[1].store, manifest)
    with pytest.raises(StoreError, match=rf"stages\.tokens\.files_in\.parts\.0\.path: .*{said}"):
        read_manifest(runs[1].store)


def test_numbers_of_files_that_do_not_add_up_are_refused(runs: tuple[RunFiles, RunFiles]) -> None:
    manifest = read_manifest(runs[1].store)
    manifest["stages"]["tokens"]["files_in"]["n_files"] += 1
    write_manifest(runs[1].store, manifest)
    with pytest.raises(StoreError, match=r"n_files is 3, of its parts 2"):
        read_manifest(runs[1].store)


def test_few_files_are_listed_as_ever(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    entry = store.write_bytes("tables/tokens/x", b"1")
    assert put_files(store, [entry], n_files=1) == {"files": [entry.summary()]}
    assert not store.exists(PARTS)


def test_a_training_takes_its_shards_from_parts(runs: tuple[RunFiles, RunFiles]) -> None:
    pytest.importorskip("torch")
    from pipeline.plt.distributed import Ranks
    from pipeline.plt.shards import open_shards

    folders = [Path(run.store.root) for run in runs]
    found = [open_shards(folder, ranks=Ranks(0, 1)).hashes for folder in folders]
    assert found[0] == found[1]
    assert found[0]


def test_only_the_holder_of_the_lease_writes_what_readers_believe() -> None:
    assert all(f"{path}x".startswith(FENCED) for path in (MANIFEST, COPY, f"{PARTS}/"))


def test_a_listing_is_read_part_by_part(runs: tuple[RunFiles, RunFiles]) -> None:
    """What is held is one part, so nothing behind it is read before it is asked for."""
    store, entry = runs[1].store, entries(runs[1])["tokens"]
    asked = list[str]()
    files = each_file(entry, lambda path: asked.append(path) or store.read_bytes(path), where="")
    next(files)
    assert len(asked) == 1
    assert json.loads(json.dumps(entry)) == entry
