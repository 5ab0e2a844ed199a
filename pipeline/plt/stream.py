"""The sequences of a run as a torch data set, for a trainer of your own: in order, divided among ranks, resumable.

Its state is a number of sequences and nothing else, so training goes on at any number of ranks and any batch size, and
no sequence is read twice or left out. A run with phases is one stream, phase after phase, each with sequences of its
own length. No round of the ranks and no batch holds sequences of two phases, so what is left of one is left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from pipeline.errors import ConfigError
from pipeline.plt.data import PackedPhase, PackedRun, open_packed, read_rows

_STATE = "n_sequences"


class SequenceStream(IterableDataset[dict[str, Any]]):
    """Rows of `RUN/packed` as dicts of numpy arrays and lists, every `n_ranks`-th one; `flatten` makes a batch of them.

    Rank r of n reads the sequences start + r, start + r + n, ...; so after any number of batches of all ranks, what
    they have read together is a prefix of the stream. A plain DataLoader must read it in its own process, where the
    state is; torchdata's stateful one may use one worker. Opening verifies every shard by its hash.

    Raises ConfigError, and StoreError as `open_packed` does.
    """

    def __init__(self, run: str | Path, *, rank: int = 0, n_ranks: int = 1, start: int = 0) -> None:
        super().__init__()
        if not 0 <= rank < n_ranks or start < 0:
            raise ConfigError(
                f"rank {rank} of {n_ranks} from sequence {start}: expected 0 <= rank < n_ranks, start >= 0"
            )
        self.run: PackedRun = open_packed(Path(run), walks=True)
        self.rank, self.n_ranks = rank, n_ranks
        self.n_sequences = start  # read by all ranks together

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """From where it stands to the end of the stream. The last round of a phase, if there is not one for each rank,
        is left."""
        _refuse_workers(self.run)
        for phase in self.run.phases:
            while phase.start <= self.n_sequences and self.n_sequences + self.n_ranks <= phase.stop:
                row = _row(self.run, self.n_sequences + self.rank)
                self.n_sequences += self.n_ranks
                yield row
            self.n_sequences = _past(self.run, phase, self.n_sequences)

    def state_dict(self) -> dict[str, int]:
        """How many sequences all ranks have read; the same in all of them."""
        return {_STATE: self.n_sequences}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on behind them, at this number of ranks."""
        found = state.get(_STATE)
        if not isinstance(found, int) or not 0 <= found <= self.run.n_sequences:
            raise ConfigError(
                f"{self.run.folder}: the state says {_STATE} = {found!r}, expected 0 to {self.run.n_sequences}: it is "
                "of another run"
            )
        self.n_sequences = found


class BatchStream(IterableDataset[list[dict[str, Any]]]):
    """The same as whole batches of a constant number of tokens: lists of rows, for a DataLoader with `batch_size=None`.

    A batch of all ranks together is `tokens_per_batch` tokens, padding included, in every phase: fewer sequences where
    they are longer. Rank r of n gets its r-th part of each batch. ConfigError where they do not divide so.
    """

    def __init__(
        self, run: str | Path, *, tokens_per_batch: int, rank: int = 0, n_ranks: int = 1, start: int = 0
    ) -> None:
        super().__init__()
        self.rows = SequenceStream(run, rank=rank, n_ranks=n_ranks, start=start)
        for phase in self.rows.run.phases:
            if tokens_per_batch < 1 or tokens_per_batch % (phase.seq_len * n_ranks):
                raise ConfigError(
                    f"tokens_per_batch {tokens_per_batch:,} is no multiple of {n_ranks} ranks with sequences of "
                    f"{phase.seq_len:,} tokens{f' of phase {phase.name}' if phase.folder else ''}"
                )
        self.tokens_per_batch = tokens_per_batch

    def __iter__(self) -> Iterator[list[dict[str, Any]]]:
        """From where it stands to the end. What is left of a phase and is no whole batch is left out."""
        rows, run = self.rows, self.rows.run
        _refuse_workers(run)
        for phase in run.phases:
            n = self.tokens_per_batch // phase.seq_len
            own = n // rows.n_ranks
            while phase.start <= rows.n_sequences and rows.n_sequences + n <= phase.stop:
                first = rows.n_sequences + rows.rank * own
                batch = [_row(run, number) for number in range(first, first + own)]
                rows.n_sequences += n
                yield batch
            rows.n_sequences = _past(run, phase, rows.n_sequences)

    def state_dict(self) -> dict[str, int]:
        """How many sequences all ranks have read or left out; the same in all of them."""
        return self.rows.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on behind them, at this number of ranks and tokens."""
        self.rows.load_state_dict(state)


def _past(run: PackedRun, phase: PackedPhase, place: int) -> int:
    """Where the stream goes on when nothing more of a phase is read: what is left of the last one stays unread."""
    is_last = phase is run.phases[-1]
    return place if is_last or place < phase.start else max(place, phase.stop)


def _refuse_workers(run: PackedRun) -> None:
    worker = get_worker_info()
    if worker is not None and worker.num_workers > 1:
        raise ConfigError(f"{run.folder}: {worker.num_workers} workers would read the same sequences; use one")


def _row(run: PackedRun, number: int) -> dict[str, Any]:
    (rows,) = read_rows(run, number, stop=number + 1)
    return {
        "token_ids": rows.token_ids[0],
        "n_real": int(rows.n_real[0]),
        "cu_seqlens": [0, *rows.span_ends.tolist()],
        "doc_ids": rows.doc_ids,
        "groups": [group for _, group in rows.groups],
        "pool": rows.pools[0],
    }
