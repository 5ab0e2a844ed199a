"""What is read when the number of processes or the size of a step changes: every sequence once, in its order."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
from plt_ranks import TRAIN_MODULE, on_ranks, train_on_ranks
from plt_runs import make_run, tiny_config

from pipeline.plt import Noted, load, train
from pipeline.plt.checkpoint import newest_checkpoint, read_counters
from pipeline.plt.config import TrainConfig
from pipeline.plt.data import open_packed, read_rows, read_sequences, split_run
from pipeline.plt.distributed import Ranks
from pipeline.plt.loader import StepBatch, read_step, rows_of_rank, token_counts
from pipeline.plt.prepare import idle_rows, rows_of

SIZES = (1, 2, 3, 8)
FIRST, SECOND = 5, 3  # sequences of a step in the first life of a run and in its second
# The same by number of ranks: all pairs of numbers of ranks together have all pairs of sizes.
FIRST_SIZES, SECOND_SIZES = dict(zip(SIZES, (3, 8, 1, 2), strict=True)), dict(zip(SIZES, (2, 1, 8, 3), strict=True))
N_ROWS = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("ranks") / "run", seq_len=16, n_rows=N_ROWS)


def _config(*, n_steps: int, size: int, **run: Any) -> TrainConfig:
    return tiny_config(model={"n_layers": 1}, n_steps=n_steps, run=run, sequences_per_step=size, grad_accumulation=1)


def _real_rows(batch: StepBatch) -> list[list[int]]:
    """Token ids of the rows that stand for a sequence."""
    return [
        tokens.tolist()
        for part in batch.parts
        for tokens, n_real in zip(part.tokens_BT, part.n_real, strict=True)
        if n_real
    ]


@pytest.mark.parametrize("n_ranks", SIZES)
@pytest.mark.parametrize("n_sequences", [1, 2, 3, 4, 7, 8, 12])
@pytest.mark.parametrize("n_passes", [1, 2, 3])
def test_step_when_divided_among_ranks_is_whole_and_has_equally_many_passes(run, n_ranks, n_sequences, n_passes):
    split = split_run(open_packed(run), n_held_out=6)
    config = _config(n_steps=1, size=n_sequences).model_copy()
    config = config.model_copy(update={"data": config.data.model_copy(update={"grad_accumulation": n_passes})})
    ranks = [Ranks(rank, n_ranks) for rank in range(n_ranks)]
    n_rows = rows_of(config, ranks=ranks[0])
    assert [row for r in ranks for row in rows_of_rank(n_sequences, ranks=r)] == list(range(n_sequences))
    steps = [read_step(split, start=31, n_sequences=n_sequences, n_rows=n_rows, ranks=r) for r in ranks]
    whole = read_step(split, start=31, n_sequences=n_sequences, n_rows=n_sequences)
    assert [row for step in steps for row in _real_rows(step)] == _real_rows(whole)
    assert len({len(step.parts) for step in steps}) == 1 and len(steps[0].parts) <= n_passes
    assert all(1 <= len(part.pools) <= n_rows for step in steps for part in step.parts)
    assert idle_rows(config, ranks=ranks[0]) == n_ranks * -(-n_sequences // n_ranks) - n_sequences
    assert {step.n_targets for step in steps} == {whole.n_targets}


@pytest.fixture(scope="module")
def first_lives(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each number of ranks a model folder after two steps."""
    folder = tmp_path_factory.mktemp("lives")
    with pytest.MonkeyPatch.context() as patch:
        for n in SIZES:
            train_on_ranks(n, _config(n_steps=2, size=FIRST), monkeypatch=patch, data=run, out=folder / str(n))
    return folder


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("ranks") / "run", seq_len=16, n_rows=2 * N_ROWS)


@pytest.fixture(scope="module")
def sized_lives(long_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with steps of another size for each number."""
    folder = tmp_path_factory.mktemp("sized")
    with pytest.MonkeyPatch.context() as patch:
        for n, size in FIRST_SIZES.items():
            train_on_ranks(n, _config(n_steps=2, size=size), monkeypatch=patch, data=long_run, out=folder / str(n))
    return folder


@pytest.mark.parametrize("second", SIZES)
@pytest.mark.parametrize("first", SIZES)
def test_training_when_ranks_and_step_size_change_reads_each_sequence_once(
    long_run, sized_lives, tmp_path, monkeypatch, first, second
):
    out, events = Path(copytree(sized_lives / str(first), tmp_path / "model")), []
    size, then = FIRST_SIZES[first], SECOND_SIZES[second]
    read: list[tuple[int, int, list[list[int]]]] = []

    def watch(split, *, start, ranks, **options):
        batch = read_step(split, start=start, ranks=ranks, **options)
        read.append((start, ranks.rank, _real_rows(batch)))
        return batch

    monkeypatch.setattr(TRAIN_MODULE, "read_step", watch)
    config = _config(n_steps=4, size=then)
    records = train_on_ranks(second, config, monkeypatch=monkeypatch, data=long_run, out=out, on_event=events.append)
    rows = [row for *_, of_rank in sorted(read, key=lambda r: r[:2]) for row in of_rank]
    n_first, n_all = 2 * size, 2 * size + 2 * then
    packed = open_packed(long_run)
    assert rows == [ids.tolist() for r in read_rows(packed, n_first, stop=n_all) for ids in r.token_ids]
    newest = newest_checkpoint(out)
    assert newest is not None and read_counters(newest).progress.n_sequences == n_all
    n_real = sum(int(r.n_real.sum()) for r in read_rows(packed, 0, stop=n_all))
    assert {sum(r.record.n_tokens.values()) for r in records} == {n_real}
    assert records[0].record.n_epochs == pytest.approx(n_all / (2 * N_ROWS - 6))
    said = [e.message for e in events if isinstance(e, Noted)]
    told = any(f"{size} -> {then}: step 3 goes on behind the {n_first} sequences" in message for message in said)
    assert told == (size != then)
    assert any("is no multiple of" in message for message in said) == bool(then % second)


def test_training_when_ranks_change_has_the_weights_of_one_process(run, first_lives, tmp_path, monkeypatch):
    models = {}
    for first, second in ((1, 1), (8, 3), (3, 2), (2, 8)):
        out = Path(copytree(first_lives / str(first), tmp_path / f"{first}-{second}"))
        train_on_ranks(second, _config(n_steps=5, size=SECOND), monkeypatch=monkeypatch, data=run, out=out)
        models[first, second] = load(out).state_dict()
    for found in models.values():
        for name, tensor in models[1, 1].items():
            torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)


def test_training_when_a_step_has_another_size_masks_what_both_sizes_read(run, tmp_path, monkeypatch):
    """The held-out score leaves out documents that training reads: ten sequences before, then those still to come."""
    asked: list[int] = []

    def watch(packed, *, n_read, **options):
        asked.append(n_read)
        return split_run(packed, n_read=n_read, **options)

    monkeypatch.setattr("pipeline.plt.begin.split_run", watch)
    train(_config(n_steps=2, size=FIRST), data=run, out=tmp_path / "model")
    train(_config(n_steps=5, size=SECOND), data=run, out=tmp_path / "model")
    assert asked == [10, 15, 19]


@pytest.mark.parametrize("n_ranks", SIZES[1:])
def test_counts_and_documents_when_ranks_share_the_reading_are_those_of_one(run, monkeypatch, n_ranks):
    monkeypatch.setattr("pipeline.plt.loader._COUNTED", 3)
    read: list[int] = []
    packed = open_packed(run)

    def watch(of_run, numbers):
        read.extend(numbers)
        return read_sequences(of_run, numbers)

    for n_read in (7, 29, None):
        alone = split_run(packed, n_held_out=6, n_read=n_read)
        assert alone.seen or n_read == 7
        shared = on_ranks(n_ranks, lambda ranks, n=n_read: split_run(packed, n_held_out=6, n_read=n, ranks=ranks))
        assert [s.seen for s in shared] == [alone.seen] * n_ranks
    counts = token_counts(alone, n_sequences=29, vocab_size=260)
    monkeypatch.setattr("pipeline.plt.loader.read_sequences", watch)
    for found in on_ranks(n_ranks, lambda ranks: token_counts(alone, n_sequences=29, vocab_size=260, ranks=ranks)):
        assert all((found[pool] == counts[pool]).all() for pool in counts)
    assert sorted(read) == list(range(29)), "each sequence is counted by one rank"
