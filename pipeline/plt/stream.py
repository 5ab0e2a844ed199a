"""The sequences of a run as a torch data set, for a trainer of your own: in order, divided among ranks, resumable.

Its state is a number of sequences and nothing else, so training goes on at any number of ranks and any batch size, and
no sequence is read twice or left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch.utils.data import IterableDataset, get_worker_info

from pipeline.errors import ConfigError
from pipeline.plt.data import PackedRun, open_packed, read_rows

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
        self.run: PackedRun = open_packed(Path(run))
        self.rank, self.n_ranks = rank, n_ranks
        self.n_sequences = start  # read by all ranks together

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """From where it stands to the end of the stream. The last round, if there is not one for each rank, is left."""
        worker = get_worker_info()
        if worker is not None and worker.num_workers > 1:
            raise ConfigError(f"{self.run.folder}: {worker.num_workers} workers would read the same sequences; use one")
        while self.n_sequences + self.n_ranks <= self.run.n_sequences:
            row = _row(self.run, self.n_sequences + self.rank)
            self.n_sequences += self.n_ranks
            yield row

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
