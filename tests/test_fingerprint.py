"""A stage sees what it declares and nothing else, and its fingerprint covers exactly that."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from handmade import digests, documents, make_run, write_documents

from pipeline.config import Mixture, Privacy
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.manifest import read_manifest
from pipeline.engine.progress import silent
from pipeline.engine.run import Run, run_exchange, run_maps
from pipeline.engine.stage import ExchangeStage, Job, MapStage, Stage, fingerprint
from pipeline.engine.store import open_store
from pipeline.engine.tables import Tables
from pipeline.errors import StageError
from pipeline.fields import Frozen
from pipeline.recipe import curate, stages
from pipeline.request.load import load_mixture
from pipeline.schema import EXACT_DUPS, LANGUAGES, QUALITY, TABLES, TOKENS
from pipeline.sources.documents import plan
from pipeline.targets import Balance, PoolBalance

DATA = Path(__file__).parent / "data"
ORDER = ["documents", "exact_dups", "languages", "redacted", "quality", "judged", "overlaps", "signatures", "similar",
         "near_dups", "select", "tokens", "balance", "packed", "ledger"]  # fmt: skip


@pytest.fixture(scope="module")
def mixture() -> Mixture:
    return load_mixture(DATA / "mixture.yaml")


def marks_of(mixture: Mixture, *, change: Callable[[Stage], Stage] = lambda stage: stage) -> dict[str, str]:
    marks: dict[str, str] = {}
    for stage in stages(mixture, plan(mixture)):
        marks[stage.name] = fingerprint(change(stage), marks=marks)
    return marks


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    assert list(before) == list(after) == ORDER
    return [name for name in ORDER if before[name] != after[name]]


def readers_of(mixture: Mixture, name: str) -> list[str]:
    """The stage and all that read it, directly or not."""
    found = {name}
    for stage in stages(mixture, plan(mixture)):
        if {t.name for t in stage.reads} & found:
            found.add(stage.name)
    return [n for n in ORDER if n in found]


@pytest.mark.parametrize("name", ORDER)
def test_a_raised_version_redoes_the_stage_and_what_reads_it(mixture: Mixture, name: str) -> None:
    after = marks_of(mixture, change=lambda s: replace(s, version=s.version + 1) if s.name == name else s)
    assert changed(marks_of(mixture), after) == readers_of(mixture, name)


SETTINGS: dict[str, tuple[Callable[[Mixture], dict[str, Any]], str]] = {
    "seed": (lambda m: {"seed": m.seed + 1}, "balance packed"),
    "sources": (lambda m: {"sources": (*m.sources[1:], m.sources[0])}, "documents"),
    "ingest": (lambda m: {"ingest": m.ingest.model_copy(update={"max_document_bytes": 21_000})}, "documents"),
    "notebooks": (lambda m: {"ingest": m.ingest.model_copy(update={"notebooks": "keep"})}, "documents"),
    "exact_dups": (lambda m: {"exact_dups": m.exact_dups.model_copy(update={"n_partitions": 4})}, "exact_dups"),
    "classify": (lambda m: {"classify": m.classify.model_copy(update={"min_confidence": 0.5})}, "languages"),
    "quality": (lambda m: {"quality": m.quality.model_copy(update={"parse": "off"})}, "quality"),
    "rules": (lambda m: {"quality": m.quality.model_copy(update={"without": ("generated_content",)})}, "judged select"),
    "privacy": (lambda m: {"privacy": Privacy(policies={"email": "drop"})}, "redacted select"),
    "shingles": (lambda m: {"near_dups": m.near_dups.model_copy(update={"shingle_words": 6})}, "signatures similar"),
    "bands": (lambda m: {"near_dups": m.near_dups.model_copy(update={"n_bands": 20})}, "similar"),
    "threshold": (lambda m: {"near_dups": m.near_dups.model_copy(update={"min_similarity": 0.8})}, "near_dups select"),
    "benchmark": (lambda m: {"against": (m.against[0].model_copy(update={"ngram_words": 12}),)}, "overlaps"),
    "leak": (lambda m: {"against": (m.against[0].model_copy(update={"min_telling_words": 9}),)}, "select"),
    "share": (lambda m: {"against": (m.against[0].model_copy(update={"min_contained_frac": 0.9}),)}, "select"),
    "floor": (lambda m: {"against": (m.against[0].model_copy(update={"min_contained_frac": 0.1}),)}, "overlaps select"),
    "select": (lambda m: {"select": m.select.model_copy(update={"drop_unknown": False})}, "select"),
    "total": (lambda m: {"balance": Balance(total_tokens=900)}, "balance"),
    "ratio": (lambda m: {"balance": Balance(code=PoolBalance(parts=2))}, "balance packed"),
    "pack": (lambda m: {"pack": m.pack.model_copy(update={"seq_len": 64})}, "balance packed"),
    "name": (lambda m: {"name": "another"}, ""),
}  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_redoes_the_stages_that_it_decides_and_what_reads_them(mixture: Mixture, name: str) -> None:
    change, first = SETTINGS[name]
    after = marks_of(mixture.model_copy(update=change(mixture)))
    wanted = {reader for stage in first.split() for reader in readers_of(mixture, stage)}
    assert changed(marks_of(mixture), after) == [n for n in ORDER if n in wanted]


def test_every_part_of_a_stage_decides_its_fingerprint() -> None:
    class Setting(Frozen):
        limit: int

    stage = ExchangeStage("tokens", 1, lambda job, config: [], Setting(limit=1), (LANGUAGES,), seed=3)
    marks = {"languages": "a"}
    others = [
        (replace(stage, name="ledger"), marks),
        (replace(stage, version=2), marks),
        (replace(stage, config=Setting(limit=2)), marks),
        (replace(stage, seed=4), marks),
        (replace(stage, seed=None), marks),
        (replace(stage, reads=()), marks),
        (stage, {"languages": "b"}),
    ]
    found = {fingerprint(s, marks=m) for s, m in [(stage, marks), *others]}
    assert len(found) == 1 + len(others)
    assert fingerprint(stage, marks=marks | {"quality": "of no concern"}) == fingerprint(stage, marks=marks)


def test_a_stage_that_reads_what_it_does_not_declare_fails(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_documents(run, [documents(0, ["a"])])

    def read(job: Job, *, config: Frozen) -> list[Any]:
        job.tables.read(QUALITY, 0)
        return []

    with pytest.raises(
        StageError, match=r"exact_dups: uses table 'quality', which its line in recipe\.py does not declare"
    ):
        run_exchange(run, run.store, ExchangeStage("exact_dups", 1, read, Frozen(), TABLES[:1]), mark="m", n_shards=1)


def test_a_stage_that_writes_another_stages_table_fails(tmp_path: Path) -> None:
    tables = Tables(open_store(str(tmp_path)), 1, "quality", frozenset({"tokens"}))
    with pytest.raises(StageError, match="quality: writes table 'tokens', which is another stage's"):
        tables.write(TOKENS, 0, data=TOKENS.schema.empty_table())


def test_a_stage_that_draws_without_a_seed_fails(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    job = Job(run.workplace, Tables(run.store, 1), "balance", "m", None)
    with pytest.raises(StageError, match=r"balance: draws by a seed, which its line in recipe\.py does not declare"):
        job.key("balance")


def test_a_map_stage_gets_the_columns_it_declares_though_its_neighbour_reads_more(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_documents(run, [documents(0, ["a"])])
    seen: dict[str, list[str]] = {}

    def annotate(found: pa.Table, *, config: Frozen) -> pa.Table:
        seen[config.__class__.__name__] = found.column_names
        ids, n = found["doc_id"], found.num_rows
        return pa.table({"doc_id": ids, "group_position": pa.array([0] * n, pa.uint64()), "group_size": [1] * n,
                         "is_first": [True] * n}, schema=EXACT_DUPS.schema)  # fmt: skip

    class One(Frozen): ...

    class Two(Frozen): ...

    other = replace(EXACT_DUPS, name="other")
    block = [
        MapStage(EXACT_DUPS, 1, annotate, One(), ("doc_id",)),
        MapStage(other, 1, annotate, Two(), ("doc_id", "path")),
    ]
    run_maps(run, run.store, block, marks={"exact_dups": "m", "other": "m"}, rows=["r"])
    assert seen == {"One": ["doc_id"], "Two": ["doc_id", "path"]}


def test_a_map_stage_that_loses_a_row_fails(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    write_documents(run, [documents(0, ["a", "b"])])

    def lose(found: pa.Table, *, config: Frozen) -> pa.Table:
        return EXACT_DUPS.schema.empty_table()

    with pytest.raises(StageError, match="exact_dups: shard 0 has 0 rows, documents 2"):
        run_maps(
            run,
            run.store,
            [MapStage(EXACT_DUPS, 1, lose, Frozen(), ("doc_id",))],
            marks={"exact_dups": "m"},
            rows=["r"],
        )


# --- between two runs ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counting(InlineExecutor):
    """Works in process and remembers which stages did anything."""

    done: list[str] = field(default_factory=list)

    def map(self, task: Any, items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        self.done.extend(part for part in name.split(".")[0].split("+") if items and part not in self.done)
        return InlineExecutor.map(self, task, items, name=name)


def work(folder: Path, mixture: Mixture) -> list[str]:
    executor = Counting()
    curate(Run(open_store(str(folder)), mixture, executor, silent()))
    return executor.done


def test_a_changed_input_file_is_read_again_by_all_that_depend_on_it(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path / "data")
    mixture = load_mixture(tmp_path / "data" / "mixture.yaml")
    assert work(tmp_path / "run", mixture) == ORDER
    assert work(tmp_path / "run", mixture) == []
    file = tmp_path / "data/code/store/keep__ledger.py"
    stat = file.stat()
    file.write_text(file.read_text().replace("a", "b"), encoding="utf-8")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert work(tmp_path / "run", load_mixture(tmp_path / "data" / "mixture.yaml")) == ORDER
    work(tmp_path / "fresh", mixture)
    assert digests(tmp_path / "run/tables") == digests(tmp_path / "fresh/tables")
    assert digests(tmp_path / "run/packed") == digests(tmp_path / "fresh/packed")


def test_a_run_of_an_older_version_of_a_stage_is_redone_from_there(
    tmp_path: Path, mixture: Mixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def older(m: Mixture, slices: Any) -> list[Stage]:
        return [replace(s, version=s.version - 1) if s.name == "near_dups" else s for s in stages(m, slices)]

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.recipe.stages", older)
        work(tmp_path, mixture)
    assert work(tmp_path, mixture) == readers_of(mixture, "near_dups")
    versions = {s.name: s.version for s in stages(mixture, plan(mixture))}
    assert {n: e["version"] for n, e in read_manifest(open_store(str(tmp_path)))["stages"].items()} == versions
