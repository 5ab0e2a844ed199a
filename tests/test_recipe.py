"""The whole path on the small corpus: equal bytes however it runs, is cut short, damaged or changed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from handmade import ShuffledExecutor, digests

from pipeline.config import Mixture
from pipeline.engine.executor import Executor, InlineExecutor, connect
from pipeline.engine.manifest import read_manifest
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import STAGES, RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import StoreError
from pipeline.reading.verify import verify
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.sealed import sealed

MIXTURE = Path(__file__).parent / "data" / "mixture.yaml"


class StoppedError(Exception):
    """Stands for a kill: not one of our errors, raised between two commits."""


@dataclass
class StoppingExecutor:
    """Works in process and dies before the item that follows `n_items` done ones."""

    n_items: int

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            if self.n_items == 0:
                raise StoppedError(name)
            self.n_items -= 1
            yield item, task(item)

    def describe(self) -> str:
        return "until stopped"


@dataclass
class CountingExecutor:
    """Works in process and remembers what was done."""

    done: list[str]

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            self.done.append(name)
            yield item, task(item)

    def describe(self) -> str:
        return "counted"


def run_to(folder: Path, executor: Executor | None = None, mixture: Mixture | None = None, **options: Any) -> Run:
    run = Run(
        open_store(str(folder)), mixture or load_mixture(MIXTURE), executor or InlineExecutor(), silent(), **options
    )
    curate(run)
    return run


def shards(folder: Path) -> dict[str, bytes]:
    return digests(folder / "tables") | digests(folder / "packed")


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    run_to(folder)
    return folder


def test_every_promise_holds(reference: Path) -> None:
    findings = list(verify(RunFiles(open_store(str(reference)))))
    assert len(findings) == 15
    assert not [f for f in findings if not f.kept]


def test_nothing_but_results_is_left(reference: Path) -> None:
    there = sorted(p.name for p in reference.iterdir())
    assert there == ["README.md", "manifest.json", "packed", "state", "tables", "tokenizer.json"]
    made = set(read_manifest(open_store(str(reference)))["stages"])
    assert made == set(STAGES)
    assert {p.name for p in (reference / "state").iterdir()} == made | {"attempts.json", "manifest.json"}


@pytest.mark.parametrize("seed", [1, 2])
def test_bytes_are_equal_when_work_completes_in_any_order(reference: Path, tmp_path: Path, seed: int) -> None:
    run_to(tmp_path, ShuffledExecutor(seed))
    assert shards(tmp_path) == shards(reference)


@pytest.mark.ray
def test_bytes_are_equal_on_ray(reference: Path, tmp_path: Path) -> None:
    with connect("local") as executor:
        run_to(tmp_path, executor)
    assert shards(tmp_path) == shards(reference)


def test_bytes_are_equal_on_another_filesystem(reference: Path, tmp_path: Path) -> None:
    store = open_store(f"memory://{tmp_path.name}")
    for _ in range(2):
        curate(Run(store, load_mixture(MIXTURE), InlineExecutor(), silent()))
    made = {
        f"{folder}/{name}": store.read_bytes(f"{folder}/{name}")
        for folder in ["packed", *(f"tables/{table}" for table in store.folders("tables"))]
        for name in store.files(folder)
    }
    assert made == {
        str(p.relative_to(reference)): p.read_bytes()
        for folder in ("tables", "packed")
        for p in sorted((reference / folder).rglob("*"))
        if p.is_file()
    }
    assert all(f.kept for f in verify(RunFiles(store)))


@pytest.mark.parametrize("n_items", [0, 2, 5, 9, 14, 20, 27, 35, 44, 54])
def test_bytes_are_equal_after_a_stop_and_a_second_stop(reference: Path, tmp_path: Path, n_items: int) -> None:
    for n in (n_items, 7):
        with pytest.raises(StoppedError):
            run_to(tmp_path, StoppingExecutor(n))
    run_to(tmp_path)
    assert shards(tmp_path) == shards(reference)


@pytest.mark.slow
def test_bytes_are_equal_after_the_process_is_killed(reference: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "curate", str(MIXTURE), "--out", str(tmp_path), "--quiet"]
    for seconds in (1.5, 2.5, 3.5):
        process = subprocess.Popen([*command, "--executor", "inline"], start_new_session=True)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    run_to(tmp_path)
    assert shards(tmp_path) == shards(reference)


def test_a_second_run_does_nothing(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    before = (tmp_path / "run/manifest.json").read_bytes()
    executor = CountingExecutor([])
    run_to(tmp_path / "run", executor)
    assert executor.done == []
    assert (tmp_path / "run/manifest.json").read_bytes() == before


@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
@pytest.mark.parametrize("table", ["documents", "languages", "near_dups", "tokens", "packed"])
def test_damaged_shards_are_made_again(reference: Path, tmp_path: Path, table: str, damage: str) -> None:
    shutil.copytree(reference, tmp_path / "run")
    folder = tmp_path / "run" / ("packed" if table == "packed" else f"tables/{table}")
    victim = sorted(folder.iterdir())[0]
    good = victim.read_bytes()
    if damage == "remove":
        victim.unlink()
    else:
        victim.write_bytes(good[:-9] if damage == "cut" else bytes([good[0] ^ 1]) + good[1:])
    executor = CountingExecutor([])
    run_to(tmp_path / "run", executor)
    assert shards(tmp_path / "run") == shards(reference)
    assert executor.done
    assert all(table in name for name in executor.done)


def test_a_changed_setting_redoes_only_what_depends_on_it(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    mixture = load_mixture(MIXTURE)
    shorter = mixture.model_copy(update={"pack": mixture.pack.model_copy(update={"seq_len": 64})})
    with pytest.raises(StoppedError):
        run_to(tmp_path / "run", StoppingExecutor(1), shorter)
    assert not (tmp_path / "run/README.md").exists()  # with it, half a run would load
    executor = CountingExecutor([])
    run_to(tmp_path / "run", executor, shorter)
    assert "sequences of 64 token ids" in (tmp_path / "run/README.md").read_text()
    assert {name.split(".")[0] for name in executor.done} >= {"balance", "packed"}
    run_to(tmp_path / "fresh", mixture=shorter)
    assert shards(tmp_path / "run") == shards(tmp_path / "fresh")
    assert all(f.kept for f in verify(RunFiles(open_store(str(tmp_path / "run")))))


def test_another_seed_mixes_other_documents(reference: Path, tmp_path: Path) -> None:
    run_to(tmp_path, mixture=load_mixture(MIXTURE).model_copy(update={"seed": 1}))
    assert digests(tmp_path / "tables/select") == digests(reference / "tables/select")
    assert digests(tmp_path / "packed") != digests(reference / "packed")


def test_foreign_files_are_refused(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    (tmp_path / "run/tables/tokens/mine.parquet").write_bytes(b"precious")
    with pytest.raises(StoreError, match=r"mine\.parquet: was not written by this run"):
        run_to(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other/letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="holds files but no run"):
        run_to(tmp_path / "other")


def test_hidden_files_of_others_are_left_alone_and_our_own_are_swept(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    for name in ("packed/.nfs0001", "tables/tokens/.DS_Store", ".manifest.json.7-ab.tmp", "packed/.part.7-ab.tmp"):
        (tmp_path / "run" / name).write_bytes(b"x")
    run_to(tmp_path / "run")
    left = {p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob(".*")}
    assert left == {"packed/.nfs0001", "tables/tokens/.DS_Store"}
    assert all(f.kept for f in verify(RunFiles(open_store(str(tmp_path / "run")))))


STAGE = {"fingerprint": "f", "version": 1, "files": [], "counts": {}, "problems": {}, "seconds": 0.0}
ENTRIES = [1, None, STAGE | {"files": None}, STAGE | {"files": [1]}, {k: v for k, v in STAGE.items() if k != "counts"},
           STAGE | {"counts": {"n_docs": "many"}}, STAGE | {"problems": []}]  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_manifest_that_is_none_is_refused(reference: Path, tmp_path: Path, entry: object) -> None:
    manifest = json.loads((reference / "manifest.json").read_text())
    manifest["stages"]["tokens"] = entry
    (tmp_path / "manifest.json").write_text(json.dumps(sealed(manifest)))
    with pytest.raises(StoreError, match=r"manifest\.json: is damaged: .*; remove it and run again"):
        read_manifest(open_store(str(tmp_path)))


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"format": 1, "stages": {}}')
    with pytest.raises(StoreError, match="has format 1, expected 2 or 3: another version of loopmix made this run"):
        read_manifest(open_store(str(tmp_path)))


def test_a_path_in_the_manifest_cannot_lead_out_of_the_run(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    manifest = json.loads((reference / "manifest.json").read_text())
    manifest["stages"]["tokens"]["files"][0]["path"] = "../../etc/passwd"
    (tmp_path / "run/manifest.json").write_text(json.dumps(sealed(manifest)))
    with pytest.raises(StoreError, match=r"is damaged: stages\.tokens\.files\.0\.path: .*leads out of the run"):
        list(verify(RunFiles(open_store(str(tmp_path / "run")))))


@pytest.mark.parametrize("marker", [b"null", b"\xff{", b'{"files":[1],"counts":3}', b"{}"])
def test_work_whose_marker_is_none_is_done_again(reference: Path, tmp_path: Path, marker: bytes) -> None:
    shutil.copytree(reference, tmp_path / "run")
    for file in (tmp_path / "run/state").rglob("*.json"):
        file.write_bytes(marker)
    run_to(tmp_path / "run")
    assert shards(tmp_path / "run") == shards(reference)


def test_an_unreadable_shard_stops_the_run_or_is_skipped_and_listed(tmp_path: Path) -> None:
    mixture = load_mixture(MIXTURE)
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(b"\x1f\x8b\x08\x00 this is no gzip stream")
    extra = mixture.sources[0].model_copy(update={"name": "broken", "kind": "jsonl", "path": str(broken)})
    mixture = mixture.model_copy(update={"sources": (*mixture.sources, extra)})
    with pytest.raises(StoreError, match=r"source 'broken': .*broken\.jsonl\.gz.*--on-bad-shard skip"):
        run_to(tmp_path / "run", mixture=mixture)
    run = run_to(tmp_path / "run", mixture=mixture, on_bad_shard="skip")
    problems = read_manifest(run.store)["stages"]["documents"]["problems"]
    assert list(problems) == [str(RunFiles(run.store).n_shards - 1)]
    assert "broken.jsonl.gz" in next(iter(problems.values()))
    findings = {f.promise: f for f in verify(RunFiles(run.store))}
    assert all(f.kept for f in findings.values())
    assert findings["inputs"].look
    assert "1 input shards were skipped" in findings["inputs"].detail
    assert "broken.jsonl.gz" in findings["inputs"].detail
    executor = CountingExecutor([])
    run_to(tmp_path / "run", executor, mixture, on_bad_shard="skip")
    assert executor.done == []
    with pytest.raises(StoreError, match=r"broken\.jsonl\.gz"):  # what was skipped is not done for who does not skip
        run_to(tmp_path / "run", mixture=mixture)


def test_verify_finds_what_was_tampered_with(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    victim = sorted((tmp_path / "run/packed").iterdir())[0]
    data = bytearray(victim.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    victim.write_bytes(data)
    broken = {f.promise for f in verify(RunFiles(open_store(str(tmp_path / "run")))) if not f.kept}
    assert "files" in broken
    assert "trace" in broken


def test_a_finished_stage_is_believed_by_size_when_told_so(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    executor = CountingExecutor([])
    curate(replace(run_to(tmp_path / "run", executor, check="size"), executor=executor))
    assert executor.done == []
