"""The data set for trainers of one's own: resumed at another number of ranks and another batch size."""

from __future__ import annotations

from itertools import islice, product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from plt_runs import make_run
from torch.utils.data import DataLoader

from pipeline.errors import ConfigError
from pipeline.plt import SequenceStream

COUNTS = (1, 2, 3, 8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"), seq_len=16, n_rows=200)


@pytest.fixture(scope="module")
def streams(run: Path) -> dict[int, list[SequenceStream]]:
    """All ranks, by their number: opened once, because that reads every shard."""
    return {n: [SequenceStream(run, rank=rank, n_ranks=n) for rank in range(n)] for n in COUNTS}


def expected(run: Path) -> list[list[int]]:
    tables = [pa.ipc.open_file(pa.memory_map(str(f))).read_all() for f in sorted((run / "packed").iterdir())]
    return [row["token_ids"] for table in tables for row in table.to_pylist()]


def read(ranks: list[SequenceStream], *, state: dict[str, int], batch_size: int, n_steps: int) -> tuple[list, dict]:
    """What `n_steps` batches of all ranks hold, in the order of the stream, and where they leave it."""
    for stream in ranks:
        stream.load_state_dict(state)
    loaders = [iter(DataLoader(stream, batch_size=batch_size, collate_fn=list)) for stream in ranks]
    steps = [[next(loader) for loader in loaders] for _ in range(n_steps)]
    states = [stream.state_dict() for stream in ranks]
    assert all(found == states[0] for found in states)
    rounds = [batch[i] for batches in steps for i in range(batch_size) for batch in batches]
    return [row["token_ids"].tolist() for row in rounds], states[0]


@pytest.mark.parametrize(("before", "after"), list(product(COUNTS, COUNTS)))
def test_no_sequence_is_read_twice_or_left_out_at_another_number_of_ranks_and_batch_size(
    run: Path, streams: dict[int, list[SequenceStream]], before: int, after: int
) -> None:
    stream, new = expected(run), {"n_sequences": 0}
    for size, then in product(COUNTS, COUNTS):
        found, state = read(streams[before], state=new, batch_size=size, n_steps=2)
        assert state == {"n_sequences": 2 * before * size}
        rest, state = read(streams[after], state=state, batch_size=then, n_steps=1)
        assert found + rest == stream[: 2 * before * size + after * then]
        assert state["n_sequences"] == len(found + rest)


def test_it_ends_when_the_ranks_cannot_all_read_one_more(run: Path) -> None:
    n = len(expected(run))
    assert [len(list(SequenceStream(run, rank=r, n_ranks=n // 2 + 1))) for r in (0, n // 2)] == [1, 1]
    assert len(list(SequenceStream(run, start=n - 3))) == 3
    stream = SequenceStream(run, n_ranks=2)
    assert len(list(islice(stream, 2))) == 2
    assert stream.state_dict() == {"n_sequences": 4}


def test_rows_are_those_of_the_shards(run: Path) -> None:
    tables = [pa.ipc.open_file(pa.memory_map(str(f))).read_all() for f in sorted((run / "packed").iterdir())]
    rows = [row for table in tables for row in table.to_pylist()]
    for found, row in zip(SequenceStream(run), rows, strict=True):
        assert np.array_equal(found.pop("token_ids"), row.pop("token_ids"))
        assert found == {name: value for name, value in row.items() if name != "doc_offsets"}


@pytest.mark.parametrize(("rank", "n_ranks", "start"), [(2, 2, 0), (-1, 2, 0), (0, 1, -1)])
def test_ranks_that_cannot_be_are_refused(run: Path, rank: int, n_ranks: int, start: int) -> None:
    with pytest.raises(ConfigError, match="expected 0 <= rank < n_ranks"):
        SequenceStream(run, rank=rank, n_ranks=n_ranks, start=start)


@pytest.mark.parametrize("state", [{}, {"n_sequences": -1}, {"n_sequences": 10**9}, {"n_sequences": "3"}])
def test_a_state_of_another_run_is_refused(run: Path, state: dict) -> None:
    with pytest.raises(ConfigError, match="it is of another run"):
        SequenceStream(run).load_state_dict(state)


def test_several_workers_are_refused(run: Path) -> None:
    loader = DataLoader(SequenceStream(run), batch_size=2, collate_fn=list, num_workers=2)
    with pytest.raises(ConfigError, match="2 workers would read the same sequences; use one"):
        next(iter(loader))
