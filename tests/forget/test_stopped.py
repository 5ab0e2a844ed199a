"""A forget that is cut off at any point, and runs that go on after one."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import xxhash
from forget_runs import ledger, mixture_in, opened, program, take_back, work

from pipeline.engine import lease
from pipeline.engine.forgotten import Forgotten, read_forgotten, write_forgotten
from pipeline.engine.lease import hold
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import StageError, StoreError
from pipeline.forget.forget import forget
from pipeline.forget.listing import read_entries
from pipeline.forget.prints import n_found, prints_of
from pipeline.forget.proof import look_for
from pipeline.reading.verify import verify
from pipeline.schema import DOCUMENTS, LEDGER, TOKENS

TAKEN = ("path:m0.py", "repo:owner/r3", "t7.txt")


def broken(run: Path) -> list[str]:
    return [f"{f.promise}: {f.detail}" for f in verify(opened(run)) if f.kept is False]


def tables(run: Path) -> dict[str, bytes]:
    """All that a reader sees; the manifest but for times and for what was written."""
    found = {p.relative_to(run).as_posix(): p.read_bytes() for p in sorted(run.rglob("part-*")) if p.is_file()}
    manifest = json.loads((run / "manifest.json").read_bytes())
    del manifest["seal"]
    for said in manifest.get("forgotten", []):
        for name in ("when", "bytes_written", "bytes_by_table"):
            del said[name]
    return found | {"manifest": json.dumps(manifest, sort_keys=True).encode()}


class Stop(BaseException):
    """As a signal that kills."""


def stopping(monkeypatch: pytest.MonkeyPatch, name: str, at: int, *, torn: bool = False) -> Callable[[], int]:
    """Let the `at`-th call of os.`name` be the last one; returns how often it was called."""
    real, calls = getattr(os, name), [0]

    def call(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            if torn:
                real(args[0], args[1][: len(args[1]) // 2], args[2])
            raise Stop
        if calls[0] > at:
            return None if name == "fsync" else len(args[1])
        return real(*args)

    monkeypatch.setattr(os, name, call)
    return lambda: calls[0]


@pytest.mark.parametrize("step", [40, pytest.param(3, marks=pytest.mark.slow)])
def test_a_forget_that_was_cut_off_anywhere_is_completed_by_the_same_line(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(lease, "BEAT_SECONDS", 3600.0)  # a heartbeat is an fsync too, and would move what is counted
    whole, before = tmp_path / "whole", tables(made / "run")
    shutil.copytree(made / "run", whole)
    with monkeypatch.context() as patched:
        n_fsyncs = stopping(patched, "fsync", 10**9)
        n_writes = stopping(patched, "pwrite", 10**9)
        take_back(whole, *TAKEN)
        points = [("fsync", at, False) for at in range(1, n_fsyncs() + 1, max(1, step // 2))]
        points += [("pwrite", at, True) for at in range(1, n_writes() + 1, step)]
    after, n_refused = tables(whole), 0
    for name, at, torn in points:
        run = tmp_path / f"{name}{at}"
        shutil.copytree(made / "run", run)
        with monkeypatch.context() as patched:
            stopping(patched, name, at, torn=torn)
            with pytest.raises(Stop):
                take_back(run, *TAKEN)
        (run / "lease.json").unlink(missing_ok=True)
        try:
            _ = opened(run).manifest
            assert tables(run) in (before, after), (name, at)  # nothing has begun, or all is done
        except StoreError as error:
            assert "forget` works on this run, or was cut off" in str(error)
            n_refused += 1
            with pytest.raises(StoreError, match="was cut off"):
                work(run, mixture_in(made))
        take_back(run, *TAKEN)
        assert tables(run) == after, (name, at)
        assert not list((run / "state").glob("forget*"))
        shutil.rmtree(run)
    assert n_refused > len(points) // 2
    assert broken(whole) == []


def test_another_list_completes_the_forget_that_was_cut_off_and_then_does_its_own(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        stopping(patched, "pwrite", 12)
        with pytest.raises(Stop):
            take_back(run, *TAKEN)
    done = take_back(run, "path:m5.py")
    assert done.completed is not None
    assert (done.completed["documents"], done.summary["documents"]) == (14, 1)
    assert broken(run) == []


def test_the_same_mixture_finds_everything_standing(run: Path, made: Path) -> None:
    take_back(run, *TAKEN)
    before = tables(run)
    for check in ("hash", "size"):
        work(run, mixture_in(made), check=check)
        assert tables(run) == before
    assert broken(run) == []


@pytest.mark.parametrize(
    "more",
    [
        {"pack": {"seq_len": 128}},
        {"near_dups": {"min_similarity": 0.75}},
        {"seed": 5},
        {"ingest": {"shard_bytes": 40_000}},
    ],
)
def test_another_setting_brings_nothing_back(run: Path, made: Path, more: dict[str, Any]) -> None:
    take_back(run, *TAKEN)
    gone = {r["doc_id"] for r in ledger(run) if "forgotten" in r["reasons"]}
    work(run, mixture_in(made, **more))
    assert broken(run) == []
    rows = {r["doc_id"]: r for r in ledger(run)}
    assert all(rows[i]["fate"] == "dropped" and "forgotten" in rows[i]["reasons"] for i in gone)
    assert len(gone) == 14


@pytest.mark.parametrize("table", ["documents", "redacted", "select", "tokens", "balance", "ledger", "packed"])
def test_a_damaged_shard_is_made_anew_and_brings_nothing_back(run: Path, made: Path, table: str) -> None:
    take_back(run, *TAKEN)
    folder = run / "packed" if table == "packed" else run / "tables" / table
    for path in sorted(folder.iterdir())[:3]:
        path.unlink()
    work(run, mixture_in(made))
    assert broken(run) == []
    assert sum("forgotten" in r["reasons"] for r in ledger(run)) == 14


def test_new_input_with_equal_bytes_stays_out(tmp_path: Path, made: Path) -> None:
    for name in ("code.jsonl", "prose.jsonl"):
        shutil.copy(made / name, tmp_path / name)
    shutil.copytree(made / "run", tmp_path / "run")
    work(tmp_path / "run", mixture_in(tmp_path))
    take_back(tmp_path / "run", "path:m5.py")
    with (tmp_path / "code.jsonl").open("a", encoding="utf-8") as file:
        for path, text in (("again.py", program(5)), ("other.py", program(500))):
            file.write(json.dumps({"path": path, "repo": "new", "content": text}) + "\n")
    work(tmp_path / "run", mixture_in(tmp_path))
    assert broken(tmp_path / "run") == []
    rows = {r["path"]: r["reasons"] for r in ledger(tmp_path / "run")}
    assert (rows["m5.py"], rows["again.py"], rows["other.py"]) == (["forgotten"], ["forgotten"], [])


def test_a_run_that_is_replaced_keeps_its_list(run: Path, made: Path) -> None:
    take_back(run, *TAKEN)
    work(run, mixture_in(made), replace=True)
    assert sum("forgotten" in r["reasons"] for r in ledger(run)) == 14
    assert broken(run) == []


def test_a_damaged_list_lets_nothing_in(run: Path, made: Path) -> None:
    take_back(run, *TAKEN)
    (run / "forgotten.json").write_bytes(b'{"format": 1, "doc_ids": [')
    with pytest.raises(StoreError, match=r"forgotten\.json: is damaged"):
        work(run, mixture_in(made, ingest={"shard_bytes": 40_000}))


def test_a_list_that_is_lost_lets_nothing_in_but_by_replace(run: Path, made: Path) -> None:
    take_back(run, *TAKEN)
    (run / "forgotten.json").unlink()
    with pytest.raises(StoreError, match=r"forgotten\.json: is missing, .* put it back from a copy.* say --replace"):
        work(run, mixture_in(made, ingest={"shard_bytes": 40_000}))
    (run / "forgotten.json").mkdir()
    with pytest.raises(StoreError, match=r"forgotten\.json: cannot be read: .*; put it back from a copy, as it says"):
        work(run, mixture_in(made, ingest={"shard_bytes": 40_000}))
    (run / "forgotten.json").rmdir()
    work(run, mixture_in(made), replace=True)
    assert not any("forgotten" in r["reasons"] for r in ledger(run))


def test_a_run_without_a_list_has_the_bytes_that_it_always_had(tmp_path: Path, made: Path) -> None:
    for name in ("code.jsonl", "prose.jsonl"):
        shutil.copy(made / name, tmp_path / name)
    run = tmp_path / "run"
    run.mkdir()
    write_forgotten(open_store(str(run)), Forgotten(frozenset({"0" * 32}), frozenset({"1" * 32})))
    work(run, mixture_in(tmp_path))

    def parts(folder: Path) -> dict[str, bytes]:
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("part-*"))}

    assert parts(run) == parts(made / "run")
    assert read_forgotten(open_store(str(run)))


def _rewrite(run: Path, table: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    found = opened(run)
    for shard in range(found.n_shards):
        rows = found.tables.read(table, shard).to_pylist()
        new = type(found.tables.read(table, shard)).from_pylist([change(r) for r in rows], schema=table.schema)
        found.tables.write(table, shard, data=new)


@pytest.mark.parametrize(
    ("table", "new", "said"),
    [
        (DOCUMENTS, {"content": b"back"}, "1 have a text"),
        (TOKENS, {"token_ids": [1, 2]}, "1 token ids"),
        (TOKENS, {"n_tokens": 7}, "1 token ids"),
        (LEDGER, {"reasons": ["empty"]}, "1 a row that keeps them"),
        (DOCUMENTS, {"problem": None}, "1 more are listed and not forgotten"),
    ],
)
def test_verify_sees_what_came_back(run: Path, table: Any, new: dict[str, Any], said: str) -> None:
    take_back(run, "path:m5.py")
    (doc_id,) = [r["doc_id"] for r in ledger(run) if r["path"] == "m5.py"]
    _rewrite(run, table, lambda row: row | new if row["doc_id"] == doc_id else row)
    (found,) = [f for f in verify(opened(run)) if f.promise == "forgotten"]
    assert not found.kept
    assert said in found.detail


def test_a_piece_that_is_left_is_found(run: Path) -> None:
    """The proof against a run in which tables say that a document is gone, and a sequence holds it."""
    (row,) = [r for r in ledger(run) if r["path"] == "t7.txt"]
    assert row["n_packed_tokens"]
    _rewrite(run, DOCUMENTS, lambda r: r | {"problem": "forgotten"} if r["path"] == "t7.txt" else r)
    assert look_for(opened(run)).n_sequences > 0


def test_the_proof_stops_a_forget_that_leaves_tokens(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.forget.writing.refill_packed", lambda *_: 0)
    with pytest.raises(StageError, match=r"sequences hold a piece; .* \d+ of \d+ passages are still there"):
        take_back(run, *TAKEN)
    with pytest.raises(StoreError, match="was cut off"):
        _ = opened(run).manifest
    monkeypatch.undo()
    take_back(run, *TAKEN)
    assert broken(run) == []


def test_passages_are_those_that_only_what_goes_holds(run: Path) -> None:
    found = opened(run)
    paths = {shard: t["path"].to_pylist() for shard, t in enumerate(found.shards(DOCUMENTS, columns=["path"]))}
    gone = {s: np.array([i for i, p in enumerate(of) if p in ("t7.txt", "m7.py", "s3.js")]) for s, of in paths.items()}
    gone = {shard: rows for shard, rows in gone.items() if rows.size}
    stay: set[tuple[int, ...]] = set()  # every 32 tokens that follow each other in a document that stays
    own: set[tuple[int, ...]] = set()
    for shard, tokens in enumerate(found.shards(TOKENS)):
        for row, ids in enumerate(tokens["token_ids"].to_pylist()):
            if row in gone.get(shard, ()):
                own |= {tuple(ids[k : k + 32]) for k in range(0, len(ids) - 31, 32)}
            else:
                stay |= {tuple(ids[k : k + 32]) for k in range(len(ids or ()) - 31)}
    prints = prints_of(found, gone)
    assert prints.size == len(own - stay) > 8
    assert n_found(found, prints)[0] == prints.size  # before anything is forgotten they are all there
    assert 0 < n_found(found, prints)[1] <= prints.size


def test_two_drivers_do_not_work_on_one_run(run: Path) -> None:
    with hold(open_store(str(run))), pytest.raises(StoreError, match="works on it"):
        take_back(run, *TAKEN)
    take_back(run, *TAKEN)  # it is free again


def test_on_object_storage_files_are_written_as_wholes(made: Path) -> None:
    disk = fsspec.filesystem("memory")
    for path in sorted((made / "run").rglob("*")):
        if path.is_file():
            disk.pipe_file(f"/forget-run/{path.relative_to(made / 'run').as_posix()}", path.read_bytes())
    store = open_store("memory://forget-run")
    entries = read_entries(TAKEN, where="list")
    assert forget(store, entries, say=lambda _: None).summary["documents"] == 14
    assert [f.detail for f in verify(RunFiles(store)) if f.kept is False] == []
    assert forget(store, entries, say=lambda _: None).summary == {}
    disk.rm("/forget-run", recursive=True)


def test_a_compressed_file_that_is_read_again_brings_nothing_back(tmp_path: Path, made: Path) -> None:
    shutil.copy(made / "prose.jsonl", tmp_path / "prose.jsonl")
    (tmp_path / "code.jsonl.gz").write_bytes(gzip.compress((made / "code.jsonl").read_bytes(), mtime=0))
    code = {"name": "code", "kind": "jsonl", "path": "code.jsonl.gz", "pool": "code", "columns": {"repo": "repo"}}
    prose = {"name": "prose", "kind": "jsonl", "path": "prose.jsonl", "pool": "text"}
    write_forgotten(
        open_store(str(tmp_path / "run")),
        Forgotten(content_hashes=frozenset({xxhash.xxh3_128_hexdigest(program(5).encode())})),
    )
    work(tmp_path / "run", mixture_in(tmp_path, sources=[code, prose]))
    assert {r["path"] for r in ledger(tmp_path / "run") if "forgotten" in r["reasons"]} == {"m5.py"}
