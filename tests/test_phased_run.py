"""A mixture in phases from raw files to loaders and exports: what `verify` promises of it, and how it sees a breach."""

from __future__ import annotations

import copy
import json
import re
import shutil
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import digests
from rich.console import Console

from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import Progress
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError, StoreError
from pipeline.export import export_data
from pipeline.phased import of_phase
from pipeline.plt import BatchStream, SequenceStream
from pipeline.plt.data import open_packed
from pipeline.reading import verify_phases, verify_stream
from pipeline.reading.stream_files import StreamFiles
from pipeline.reading.verify import verify
from pipeline.reading.verify_epochs import LEAST_WORTH, PoolPlan
from pipeline.reading.work import working
from pipeline.recipe import curate
from pipeline.report.compute import compute
from pipeline.request.load import load_mixture
from pipeline.schema import LEDGER

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"
LENGTHS = [64, 64, 256]
NAMES = ["1-stable", "2-annealing", "3-long"]


def small(folder: Path) -> Path:
    """`mixture_configs/phases.yaml` on the small corpus: its phases, with fewer tokens in shorter sequences."""
    text = (DATA / "mixture.yaml").read_text(encoding="utf-8").split("\npack:")[0]
    for name in ("code", "vendored", "text", "benchmark", "records.jsonl"):
        text = re.sub(rf"path: {name}([,}}\n])", rf"path: {DATA / name}\1", text)
    shipped = (ROOT / "mixture_configs/phases.yaml").read_text(encoding="utf-8")
    wanted = "\nbalance:" + shipped.split("\nbalance:")[1]
    numbers = {"4_000_000": "8_000", "1_200_000": "1_800", "1_000_000": "2_600", "4_096": "300", "8_192": "256"}
    for was, now in (*numbers.items(), ("2048", "64"), (": 64 #", ": 8 #")):
        assert was in wanted
        wanted = wanted.replace(was, now)
    (folder / "mix.yaml").write_text(text + wanted, encoding="utf-8")
    return folder / "mix.yaml"


def run_of(mixture: Path, folder: Path) -> RunFiles:
    store = open_store(str(folder))
    curate(Run(store, load_mixture(mixture), InlineExecutor(), Progress(Console(), quiet=True)))
    return RunFiles(store)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("phases")
    run_of(small(made), made / "run")
    return made


@pytest.fixture
def run(folder: Path) -> RunFiles:
    return RunFiles(open_store(str(folder / "run")))


def changed(run: RunFiles, **of_phase_: Any) -> RunFiles:
    """The same run, whose manifest says something else of the last phase; `balance` is of the mixture."""
    manifest = copy.deepcopy(run.manifest)
    manifest["mixture"]["balance"] |= of_phase_.pop("balance", {})
    manifest["mixture"]["phases"][-1] |= of_phase_
    other = RunFiles(run.store)
    other.__dict__["manifest"] = manifest
    return other


def phases_hold(run: RunFiles) -> tuple[bool, str]:
    with working() as work:
        return verify_phases.phases_hold(run, work)


def balance_holds(run: RunFiles) -> tuple[bool, str]:
    with working() as work:
        return verify_stream.balance_holds(run, work)


def rows_of(run: RunFiles) -> list[dict[str, Any]]:
    return [row for table in run.packed() for row in table.to_pylist()]


def test_every_promise_holds(run: RunFiles) -> None:
    found = {f.promise: f for f in verify(run)}
    assert [f.promise for f in found.values() if f.kept is False] == []
    assert "stable 8,000 tokens" in found["phases"].detail
    assert "long: code 1,300 : text 1,300 tokens for 1:1" in found["balance"].detail
    assert "annealing: code 1,200 : text 600 tokens for 2:1" in found["balance"].detail


def test_the_same_is_found_in_tasks_of_a_shard_and_partitions_of_a_few_rows(run: RunFiles) -> None:
    with working(rows_per_part=9, rows_per_task=1) as work:
        assert list(verify(run, work=work)) == list(verify(run))


def test_the_ledger_holds_all_phases_together(run: RunFiles) -> None:
    packed = sum(row["n_packed_tokens"] for t in run.shards(LEDGER) for row in t.to_pylist())
    assert packed == 8_000 + 1_800 + 2_600 == sum(row["n_real"] for row in rows_of(run))


BREACHES: dict[str, tuple[dict[str, Any], str]] = {
    "tokens": ({"tokens": 2_602}, "long: 2,600 tokens, 2,602 are asked for"),
    "short": ({"min_tokens": 100_000}, "documents have fewer than 100,000 tokens"),
    "low": ({"min_quality": {"code": {"alpha_frac": 0.99}, "text": {}}}, "documents are below min_quality"),
    "not measured": ({"min_quality": {"code": {"prose_confidence": -1.0}, "text": {}}}, "are below min_quality"),
    "copies": ({"balance": {"max_copies": 1}}, "documents stand more often in all phases than they may"),
}


@pytest.mark.parametrize("name", BREACHES)
def test_a_breach_is_seen(run: RunFiles, name: str) -> None:
    said, expected = BREACHES[name]
    kept, detail = phases_hold(changed(run, **said))
    assert not kept
    assert expected in detail
    assert phases_hold(run)[0]


@pytest.mark.parametrize(("place", "n_near"), [(5_500, 1), (6_500, 0)])
def test_copies_that_meet_at_the_border_of_two_phases_are_seen(place: int, n_near: int) -> None:
    def stands(at: int) -> verify_phases._Stands:
        one = np.array([1])
        return verify_phases._Stands(one, one, np.array([at]), np.array([at]))

    stream: Any = SimpleNamespace(phases=[SimpleNamespace(seq_len=8)], sizes=(5_000, 2_000))
    found, nearest = verify_phases._near(stream, [stands(5_000), stands(place)], np.array([10]))
    assert found == n_near
    assert nearest == (place - 5_000) / 2_000


@pytest.mark.parametrize(("n_docs", "kept"), [(LEAST_WORTH, False), (LEAST_WORTH - 1, True)])
def test_copies_that_meet_break_the_promise_unless_an_epoch_is_a_few_documents(
    run: RunFiles, monkeypatch: pytest.MonkeyPatch, n_docs: int, kept: bool
) -> None:
    monkeypatch.setattr(verify_phases, "_near", lambda *_: (1, 0.1))
    monkeypatch.setattr(verify_phases, "plans_of", lambda *_: [PoolPlan(1, 0, n_docs, n_docs), PoolPlan()])
    found, detail = phases_hold(run)
    assert found == kept
    assert ("two copies in neighbouring phases are less than half an epoch apart" in detail) != kept


def test_documents_of_another_phase_are_not_as_planned(run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.engine.run_folder.of_phase", lambda plan, number: of_phase(plan, 2 - number))
    kept, detail = phases_hold(run)
    assert not kept
    assert "documents are not packed as planned" in detail


def test_each_phase_is_held_to_its_own_ratio_and_prefix(run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, detail = balance_holds(changed(run, ratio={"code": 2, "text": 1}))
    assert not kept
    assert "long: code 1,300 : text 1,300 tokens for 2:1" in detail
    # The same sequences, all of one pool first: exact, and broken in its prefixes.
    sort = [("pool", "ascending")]
    original = StreamFiles.read

    def code_first(self: StreamFiles, number: int, *columns: str) -> pa.Table:
        whole = pa.concat_tables([original(self, k, *columns) for k in range(len(self.paths))]).sort_by(sort)
        return whole if number == 0 else whole.slice(0, 0)

    monkeypatch.setattr(StreamFiles, "read", code_first)
    assert not balance_holds(run)[0]


def test_a_shard_of_a_phase_that_is_not_there_any_more_is_seen(folder: Path, run: RunFiles) -> None:
    strange = folder / "run" / "packed" / "4-more"
    strange.mkdir()
    (strange / "part-00000-of-00001.arrow").write_bytes(b"")
    try:
        (files,) = [f for f in verify(run, quick=True) if f.promise == "files"]
        assert files.kept is False
        with pytest.raises(StoreError, match="4-more"):
            open_packed(folder / "run", walks=True)
    finally:
        (strange / "part-00000-of-00001.arrow").unlink()
        strange.rmdir()


def test_the_report_tells_phases_apart(run: RunFiles) -> None:
    numbers = compute(run)
    assert [(p.name, p.packing.seq_len) for p in numbers.phases] == list(
        zip(["stable", "annealing", "long"], LENGTHS, strict=True)
    )
    assert all(p.balance.is_kept for p in numbers.phases)
    assert [n.message for n in numbers.notices if n.level == "fail"] == []
    assert numbers.balance.n_code_tokens == 4_000 + 1_200 + 1_300
    broken = compute(changed(run, ratio={"code": 2, "text": 1}))
    assert any(n.message.startswith("Phase long: Balance is broken") for n in broken.notices if n.level == "fail")


# --- loaders ---------------------------------------------------------------------------------------------------------


def test_one_stream_walks_through_all_phases(folder: Path, run: RunFiles) -> None:
    stream = SequenceStream(folder / "run")
    found = list(stream)
    assert [row["token_ids"].tolist() for row in found] == [row["token_ids"] for row in rows_of(run)]
    assert list(dict.fromkeys(len(row["token_ids"]) for row in found)) == [64, 256]


@pytest.mark.parametrize("n_ranks", [1, 2])
def test_batches_hold_as_many_tokens_in_every_phase_and_never_two_phases(
    folder: Path, run: RunFiles, n_ranks: int
) -> None:
    every = rows_of(run)
    ranks = [BatchStream(folder / "run", tokens_per_batch=512, rank=r, n_ranks=n_ranks) for r in range(n_ranks)]
    steps = list(zip(*ranks, strict=True))
    read = [row["token_ids"].tolist() for step in steps for batch in step for row in batch]
    for step in steps:
        lengths = {len(row["token_ids"]) for batch in step for row in batch}
        assert len(lengths) == 1
        assert sum(len(row["token_ids"]) for batch in step for row in batch) == 512
    expected: list[list[int]] = []
    for phase in run.phases:
        mine = [row["token_ids"] for table in run.packed(phase) for row in table.to_pylist()]
        n = 512 // phase.seq_len
        expected += mine[: len(mine) // n * n]
    assert read == expected
    assert len(read) < len(every) or all(len(every) % n == 0 for n in (2, 8))


def test_batches_go_on_where_they_stopped_with_other_ranks(folder: Path) -> None:
    whole = list(BatchStream(folder / "run", tokens_per_batch=512))
    for stop in range(len(whole) + 1):
        one = BatchStream(folder / "run", tokens_per_batch=512)
        taken = list(islice(one, stop))
        two = [BatchStream(folder / "run", tokens_per_batch=512, rank=r, n_ranks=2) for r in range(2)]
        for stream in two:
            stream.load_state_dict(one.state_dict())
        rest = [[row for batch in step for row in batch] for step in zip(*two, strict=True)]
        ids = [[row["token_ids"].tolist() for row in batch] for batch in [*taken, *rest]]
        assert ids == [[row["token_ids"].tolist() for row in batch] for batch in whole]


def test_batches_that_do_not_divide_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"tokens_per_batch 320 .* sequences of 256 tokens of phase long"):
        BatchStream(folder / "run", tokens_per_batch=320)


def test_commands_that_do_not_walk_say_so(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"several lengths \(stable of 64, annealing of 64, long of 256\)"):
        open_packed(folder / "run")


def test_phases_copied_without_their_manifest_are_read_whole_or_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "run" / "packed", tmp_path / "packed")
    alone, found = open_packed(tmp_path, walks=True), open_packed(folder / "run", walks=True)
    assert not alone.in_manifest
    assert alone.hashes == found.hashes
    assert alone.phases == found.phases
    assert [(phase.folder, phase.seq_len) for phase in found.phases] == list(zip(NAMES, LENGTHS, strict=True))
    first = tmp_path / "packed" / NAMES[0]
    (first / "part-00001-of-00002.arrow").write_bytes((first / "part-00000-of-00001.arrow").read_bytes())
    with pytest.raises(StoreError, match="not one complete set"):
        open_packed(tmp_path, walks=True)


# --- exports ---------------------------------------------------------------------------------------------------------


def test_each_phase_is_exported_into_a_folder_of_its_own(tmp_path: Path, run: RunFiles) -> None:
    made = export_data(run, to="parquet", out=tmp_path / "out")
    assert [phase["folder"] for phase in made.record["phases"]] == NAMES
    assert [phase["seq_len"] for phase in made.record["phases"]] == LENGTHS
    assert made.record["n_sequences"] == len(rows_of(run))
    for phase, name in zip(run.phases, NAMES, strict=True):
        rows = [
            row for f in sorted((tmp_path / "out" / name).glob("*.parquet")) for row in pq.read_table(f).to_pylist()
        ]
        assert rows == [row for table in run.packed(phase) for row in table.to_pylist()]


def test_documents_beside_a_phase_are_those_of_the_phase(tmp_path: Path, run: RunFiles) -> None:
    export_data(run, to="huggingface", out=tmp_path / "out")
    for phase, name in zip(run.phases, NAMES, strict=True):
        documents = pq.read_table(tmp_path / "out" / name / "documents/train-00000.parquet").to_pylist()
        held = {d for table in run.packed(phase) for ids in table["doc_ids"].to_pylist() for d in ids}
        assert {row["doc_id"] for row in documents} == held
        assert sum(row["n_packed_tokens"] for row in documents) == sum(
            n for table in run.packed(phase) for n in table["n_real"].to_pylist()
        )


def test_the_front_matter_names_every_phase(folder: Path) -> None:
    text = (folder / "run" / "README.md").read_text(encoding="utf-8")
    assert [line for line in text.split("\n") if "data_files" in line] == [
        f"  data_files: packed/{name}/*.arrow" for name in NAMES
    ]


# --- going on, and back ----------------------------------------------------------------------------------------------


def test_a_run_goes_from_phases_to_none_and_back(folder: Path, tmp_path: Path) -> None:
    """What stood before is gone, and equal mixtures give equal bytes."""
    with_phases = load_mixture(folder / "mix.yaml")
    without = with_phases.model_copy(update={"phases": ()})
    store = open_store(str(tmp_path / "run"))
    for mixture in (with_phases, without, with_phases):
        curate(Run(store, mixture, InlineExecutor(), Progress(Console(), quiet=True)))
        names = sorted(p.name for p in (tmp_path / "run" / "packed").rglob("*.arrow"))
        manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
        assert len(names) == len(manifest["stages"]["packed"]["files"])
    for part in ("packed", "tables/balance"):
        assert digests(tmp_path / "run" / part) == digests(folder / "run" / part)


def test_a_start_that_was_refused_leaves_no_phase_that_nobody_knows(folder: Path, tmp_path: Path) -> None:
    """It asks for more than there is, and says so after the run has dropped its old phases."""
    mixture = load_mixture(folder / "mix.yaml")
    store = open_store(str(tmp_path / "run"))
    curate(Run(store, mixture, InlineExecutor(), Progress(Console(), quiet=True)))
    first = mixture.phases[0].model_copy(update={"tokens": 10**9})
    with pytest.raises(ConfigError):
        asked = mixture.model_copy(update={"phases": (first, *mixture.phases[1:])})
        curate(Run(store, asked, InlineExecutor(), Progress(Console(), quiet=True)))
    for phases in ((mixture.phases[0],), ()):
        fewer = mixture.model_copy(update={"phases": phases})
        curate(Run(store, fewer, InlineExecutor(), Progress(Console(), quiet=True)))
        assert [f for f in verify(RunFiles(store)) if f.kept is False] == []


def test_filled_in_documents_are_whole_in_every_phase(folder: Path, tmp_path: Path) -> None:
    text = (folder / "mix.yaml").read_text(encoding="utf-8")
    (tmp_path / "mix.yaml").write_text(text + "\nforms: {fim: {rate: 0.5}}\n", encoding="utf-8")
    found = {f.promise: f for f in verify(run_of(tmp_path / "mix.yaml", tmp_path / "run"))}
    assert [(f.promise, f.detail) for f in found.values() if f.kept is False] == []
    assert "are filled in" in found["forms"].detail
    (tmp_path / "mix.yaml").write_text(
        text.replace("seq_len: 256", "seq_len: 32") + "\nforms: {fim: {rate: 0.5}}\n", encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"forms\.fim fits pieces to pack\.seq_len 64"):
        load_mixture(tmp_path / "mix.yaml")


MISTAKES = {
    "two of a name": ("name: annealing", "name: stable", "two phases share a name"),
    "a total": ("max_copies: 2", "total_tokens: 100", "take balance.total_tokens out"),
    "no feature": ("comment_frac", "beauty", "'beauty' is no feature"),
    "of the other pool": ("comment_frac", "stopped_line_frac", "is measured of text alone"),
    "no scorer": ("comment_frac", "extra.beauty", "no scorer of that name"),
    "a batch of parts": ("seq_len: 256", "seq_len: 300", "are no whole number of those of phase long"),
    "a cap": ("max_copies: 2", "code: {max_repo_frac: 0.5}", "cannot be held over several phases"),
    "a total and a cap": (
        "max_copies: 2",
        "total_tokens: 100\n  code: {max_repo_frac: 0.5}",
        "take balance.total_tokens out; balance.code.max_repo_frac cannot be held over several phases",
    ),
    "two without tokens": ("tokens: 8_000", "tokens: null", ""),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_said_before_any_work(folder: Path, tmp_path: Path, name: str) -> None:
    was, now, message = MISTAKES[name]
    text = (folder / "mix.yaml").read_text(encoding="utf-8")
    assert was in text
    changed_ = text.replace(was, now)
    if not message:
        changed_, message = changed_.replace("tokens: 1_800", "tokens: null"), "2 phases have no `tokens`"
    (tmp_path / "mix.yaml").write_text(changed_, encoding="utf-8")
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_mixture(tmp_path / "mix.yaml")
