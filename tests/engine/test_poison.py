"""A document that ends every process which works on it costs itself, by name, and nothing else."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import deadly
import pytest
from handmade import digests, documents, make_run, write_documents
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.config import Mixture, Source
from pipeline.engine import poison
from pipeline.engine.executor import Executor, InlineExecutor, connect, number_of
from pipeline.engine.poison import Poisonous, find_poisonous, list_poisonous, poisonous_rows, read_poisonous
from pipeline.engine.progress import Progress
from pipeline.engine.run import Run, run_maps
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.stage import MapStage, Stage
from pipeline.engine.store import open_store
from pipeline.errors import StageError, StoreError, WorkerDied
from pipeline.fields import Frozen
from pipeline.reading.verify import verify
from pipeline.recipe import curate, stages
from pipeline.request.load import load_mixture
from pipeline.schema import DOCUMENTS, LANGUAGES, LEDGER
from pipeline.sources import plan_slices
from pipeline.sources.documents import Limits, Reading
from pipeline.sources.raw import RowPlace

DATA = Path(__file__).parent.parent / "data"


@given(st.integers(0, 40), st.sets(st.integers(0, 39)))
def test_poisonous_rows_are_those_that_do_not_survive_alone(n_rows: int, bad: set[int]) -> None:
    trials = 0

    def survives(first: int, last: int) -> bool:
        nonlocal trials
        assert 0 <= first < last <= n_rows
        trials += 1
        return not any(first <= row < last for row in bad)

    found = poisonous_rows(n_rows, survives=survives)
    assert found == sorted(row for row in bad if row < n_rows)
    assert trials <= 1 + len(found) * (2 + n_rows.bit_length())


def test_no_row_is_blamed_where_only_several_together_do_not_survive() -> None:
    assert poisonous_rows(16, survives=lambda first, last: last - first < 5) == []


def test_a_death_and_its_item_come_back_from_another_process() -> None:
    death = pickle.loads(pickle.dumps(WorkerDied("died", item=(3, {"a": "b"}))))
    assert (str(death), death.item) == ("died", (3, {"a": "b"}))


def _dies(item: Any, *, of: Callable[[Any], Any], results: Any) -> None:
    results.put(of(item))


@dataclass(frozen=True)
class Mortal(InlineExecutor):
    """Fused map steps in processes of their own, as on Ray."""

    def map(self, task: Any, items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        if "languages" not in name or name.endswith(".inputs"):
            yield from InlineExecutor.map(self, task, items, name=name)
            return
        context = multiprocessing.get_context("fork")
        for item in items:
            results = context.SimpleQueue()
            process = context.Process(target=partial(_dies, of=task, results=results), args=(item,))
            process.start()
            process.join()
            if process.exitcode:
                raise WorkerDied(f"{name} failed on item {number_of(item)}", item=item)
            yield item, results.get()


def _mixture(folder: Path, *, deadly_names: Sequence[str]) -> Mixture:
    shutil.copytree(DATA, folder)
    for name in deadly_names:
        (folder / "code/store" / name).write_bytes(b"# " + deadly.MARK + b"\nx = 1\n")
    return load_mixture(folder / "mixture.yaml")


def _with_deadly_stage(m: Mixture, slices: Any) -> list[Stage]:
    found = stages(m, slices)
    return [replace(s, annotate=deadly.classify_or_die) if isinstance(s, MapStage) and s.name == "languages" else s
            for s in found]  # fmt: skip


def _check(tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    mixture = _mixture(tmp_path / "data", deadly_names=("aa_deadly.py", "zz_deadly.py"))
    monkeypatch.setattr("pipeline.recipe.stages", _with_deadly_stage)
    with (tmp_path / "said").open("w") as said:
        progress = Progress(Console(file=said, width=500))
        curate(Run(open_store(str(tmp_path / "run")), mixture, executor, progress))
    warned = [line for line in (tmp_path / "said").read_text().splitlines() if "crashed_worker" in line]
    assert any("aa_deadly.py of source" in line for line in warned)
    assert any("zz_deadly.py of source" in line for line in warned)
    opened = RunFiles(open_store(str(tmp_path / "run")))
    rows = [row for s in range(opened.tables.n_shards) for row in opened.tables.read(LEDGER, s).to_pylist()]
    crashed = {row["path"].rpartition("/")[2]: row for row in rows if "crashed_worker" in row["reasons"]}
    assert sorted(crashed) == ["aa_deadly.py", "zz_deadly.py"]
    assert all(
        (row["keep"], row["reasons"], row["n_bytes"]) == (False, ["crashed_worker"], 0) for row in crashed.values()
    )
    assert sum(row["keep"] for row in rows) > 10
    assert [finding for finding in verify(opened) if finding.kept is False] == []
    # A run that knows them from its start makes the same bytes.
    curate(Run(open_store(str(tmp_path / "run")), mixture, executor, Progress(Console(quiet=True), quiet=True)))
    second = open_store(str(tmp_path / "second"))
    second.write_bytes("state/poisonous.json", (tmp_path / "run/state/poisonous.json").read_bytes())
    curate(Run(second, mixture, InlineExecutor(), Progress(Console(quiet=True), quiet=True)))
    for part in ("tables", "packed"):
        assert digests(tmp_path / "run" / part) == digests(tmp_path / "second" / part)


def _spared(stages: poison.Stages, shard: int, first: int, last: int, *, blank: bool = False) -> bool:
    columns = stages[0][1].read(DOCUMENTS, shard, columns=["content"])
    return blank or not deadly.is_deadly(columns.slice(first, last - first))


def test_documents_that_end_their_worker_cost_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poison, "_ends_well", _spared)
    _check(tmp_path, Mortal(), monkeypatch)


def test_a_process_that_dies_of_rows_is_told_from_one_that_does_not(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    tables = write_documents(run, [documents(0, ["a", deadly.MARK.decode(), "c"])])
    stages_ = ((MapStage(LANGUAGES, 1, deadly.refuse_or_die, Frozen(), ("content",)), tables),)
    found = find_poisonous(stages_, 0, step="languages", lacking=("languages",))
    assert [(one.path, one.step) for one in found] == [("0/1.txt", "languages")]


@pytest.mark.parametrize("texts", [["a", "b", "c"], ["a"], []])
def test_no_document_is_blamed_where_the_process_ends_without_their_text_too(tmp_path: Path, texts: list[str]) -> None:
    run = make_run(tmp_path)
    tables = write_documents(run, [documents(0, texts)])
    stages_ = ((MapStage(LANGUAGES, 1, deadly.die, Frozen(), ("content",)), tables),)
    with pytest.raises(StageError, match="languages: its process ends on documents without text too"):
        find_poisonous(stages_, 0, step="languages", lacking=("languages",))


def test_one_document_that_ends_its_process_whatever_its_text_is_blamed(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    tables = write_documents(run, [documents(0, ["a", "b", "c"])])
    stages_ = ((MapStage(LANGUAGES, 1, deadly.die_of_the_last, Frozen(), ("content", "path")), tables),)
    found = find_poisonous(stages_, 0, step="languages", lacking=("languages",))
    assert [(one.path, one.step) for one in found] == [("0/2.txt", "languages")]


@pytest.mark.ray
@pytest.mark.slow
def test_documents_that_end_their_worker_on_ray_cost_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parent.parent}:{Path(poison.__file__).parent.parent.parent}")
    with connect("local") as executor:
        _check(tmp_path, executor, monkeypatch)


def test_a_death_that_no_document_explains_names_its_shard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, executor=Mortal())
    write_documents(run, [documents(0, [deadly.MARK.decode(), "b"])])
    monkeypatch.setattr(poison, "_ends_well", lambda *_, blank=False: True)
    stage = MapStage(LANGUAGES, 1, deadly.classify_or_die, Frozen(), ("content",))
    with pytest.raises(WorkerDied, match="languages failed on item 0"):
        run_maps(run, run.store, [stage], marks={"languages": "m"}, rows=["r"])
    assert read_poisonous(run.store) == ()


def test_a_list_that_is_damaged_or_does_not_help_is_said(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    one = Poisonous("s", "a.py", 0, "a.py", "languages")
    assert str(list_poisonous(store, [one])).startswith("languages: a.py of source s ended every process")
    assert read_poisonous(store) == (one,)
    with pytest.raises(StageError, match="ends its worker without its text too; exclude it"):
        raise list_poisonous(store, [one])
    store.write_bytes("state/poisonous.json", json.dumps({"format": 2}).encode())
    with pytest.raises(StoreError, match=r"poisonous\.json: is damaged: .*remove it and run again"):
        read_poisonous(store)


def test_only_the_shard_of_a_poisonous_document_is_another(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_bytes(b"x" * 2_000)
    source = Source(name="s", kind="directory", path=str(tmp_path))
    first, second = plan_slices(source, shard_bytes=2_048)
    clean = Reading({"s": source}, Limits(1_000, 0.7, "script"), 1)
    for place, changed in (
        (RowPlace("s", "b.py", 0), [False, True]),
        (RowPlace("t", "b.py", 0), [False, False]),
        (RowPlace("s", "c.py", 0), [False, False]),
    ):
        listed = replace(clean, limits=clean.limits._replace(poisonous=(place,)))
        assert [listed.key(piece) != clean.key(piece) for piece in (first, second)] == changed


def test_a_death_while_reading_names_the_file(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Dead(InlineExecutor):
        step: str = ""

        def map(self, task: Any, items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
            if name == self.step and items:
                raise WorkerDied("it died", item=items[0])
            return InlineExecutor.map(self, task, items, name=name)

    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.jsonl").write_bytes(b'{"content": "a"}\n')
    (tmp_path / "d" / "b.jsonl.gz").write_bytes(__import__("gzip").compress(b'{"content": "a"}\n'))
    mixture = Mixture(name="m", sources=(Source(name="s", kind="jsonl", path=str(tmp_path / "d")),))
    for step, file in (("documents.cut", r"b\.jsonl\.gz"), ("documents", r"a\.jsonl")):
        run = Run(open_store(str(tmp_path / step)), mixture, Dead(step), Progress(Console(quiet=True), quiet=True))
        with pytest.raises(WorkerDied, match=rf"source 's': reading {file} ended its worker: it died; .*`exclude`"):
            curate(run)
