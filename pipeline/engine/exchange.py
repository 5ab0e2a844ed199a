"""Moving rows between shards through files: scatter writes one piece per partition, gather reads its own.

Each of `n_sources` scatter tasks writes one file whose piece k belongs to partition k; gather task k reads piece k of
every file, in file order. So arrival order cannot matter, and a kill costs only pieces not yet committed.

    RUN/work/<stage>/<fingerprint>/<name>/part-00000-of-00016.arrow

`pieces.py` says what a file is and what a gather believes: never a torn file, or one that another configuration wrote,
for its own. Sources times partitions is a number that no store serves: where there are more than FAN_IN sources, files
are merged first (`merging.py`), and a gather reads at most FAN_IN of those.
"""

import itertools
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import pyarrow as pa

from pipeline.arrays.runs import starts_run
from pipeline.engine.markers import WorkStep, read_marker
from pipeline.engine.pieces import ExchangeIndex, read_index, read_pieces, write_pieces
from pipeline.engine.store import FileEntry, Store, part
from pipeline.errors import StageError, StoreError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Files that one task reads at most. A constant, as all that decides files is: never a number of workers.
FAN_IN = 64
# Bands of partitions into which a merge cuts what it reads. Without them the last merges would be as few as the files
# that are left, each with a share of everything; so all merges are about as many as there are sources, and as large.
N_BANDS = 16
N_AT_ONCE = 16  # requests to a server


@dataclass(frozen=True)
class ExchangeLayer:
    """The files of a channel after some merges, written by the items of `step`.

    Each holds one of `n_groups` groups of sources, in their order, and one of `n_bands` bands of partitions: file
    group * n_bands + band. What scatter writes is a layer too, of one source and all partitions a file.
    """

    step: WorkStep
    folder: str
    n_groups: int
    n_bands: int
    n_partitions: int

    @property
    def n_files(self) -> int:
        return self.n_groups * self.n_bands

    def file(self, number: int) -> str:
        """The path of a file inside the run."""
        return f"{self.folder}/{part(number, self.n_files, suffix='arrow')}"

    def band_of(self, partition: int) -> int:
        """Which band a partition stands in. Bands of a later layer are parts of one band of those before."""
        return partition * self.n_bands // self.n_partitions

    def partitions(self, band: int) -> tuple[int, int]:
        """The first partition of a band and the one behind its last."""
        first, last = (-(-b * self.n_partitions // self.n_bands) for b in (band, band + 1))
        return first, last

    def index(self, store: Store, number: int) -> ExchangeIndex:
        """The index of a file. StoreError if no marker vouches for it."""
        marker = read_marker(store, self.step, number)
        if marker is None:
            raise StoreError(
                f"{store.root}: item {number} of {self.step.label} is not done; run the same command again"
            )
        path = self.file(number)
        for entry in marker.files:
            if entry.path == path and len(entry.blocks) == 1:
                return read_index(store, entry, n_partitions=self.n_partitions)
        raise StoreError(f"{store.full(path)}: no marker of {self.step.label} names it; run the same command again")


@dataclass(frozen=True)
class Channel:
    """One exchange folder of a run: `n_sources` files of `n_partitions` pieces; item i of `step` writes file i.

    Where it is read `by_source`, file by file, files are never merged.
    """

    store: Store
    step: WorkStep
    name: str
    n_sources: int
    n_partitions: int
    by_source: bool = False
    fan_in: int = FAN_IN

    @cached_property
    def layers(self) -> tuple[ExchangeLayer, ...]:
        """What scatter writes, and what each round of merges makes of it; the last is what a gather reads."""
        stage, mark, n = self.step.stage, self.step.mark, self.n_partitions
        folder = f"{work_folder(stage, mark)}/{self.name}"
        made = [ExchangeLayer(self.step, folder, self.n_sources, 1, n)]
        while made[-1].n_groups > self.fan_in and not self.by_source:
            last, name = made[-1], f"{self.name}-merge-{len(made)}"
            n_groups, n_bands = -(-last.n_groups // self.fan_in), min(n, last.n_bands * N_BANDS)
            folder = f"{work_folder(stage, mark)}/{name}"
            made.append(ExchangeLayer(WorkStep(stage, mark, name), folder, n_groups, n_bands, n))
        return tuple(made)

    def scatter(self, source: int, table: pa.Table, *, partition: np.ndarray) -> FileEntry:
        """Write `table` as file `source`, row r into piece partition[r]; rows of a piece keep their order."""
        if (partition[1:] < partition[:-1]).any():  # bulky tables come sorted, to save the copy
            order = np.argsort(partition, kind="stable")
            table, partition = table.take(pa.array(order)), partition[order]
        starts = np.flatnonzero(starts_run(partition))
        bounds, numbers = [*starts.tolist(), partition.size], partition[starts].tolist()
        assert not numbers or (numbers[0] >= 0 and numbers[-1] < self.n_partitions), numbers
        pieces = ((k, table.slice(a, b - a)) for k, (a, b) in zip(numbers, itertools.pairwise(bounds), strict=True))
        path = self.layers[0].file(source)
        return write_pieces(self.store, path, pieces, schema=table.schema, n_partitions=self.n_partitions)

    def gather(self, partition: int) -> pa.Table:
        """Piece `partition` of all files, one behind the other in file order."""
        layer = self.layers[-1]
        band = layer.band_of(partition)
        return self._read((group * layer.n_bands + band for group in range(layer.n_groups)), partition)

    def everything(self) -> pa.Table:
        """All rows, partition by partition."""
        return pa.concat_tables(self.gather(partition) for partition in range(self.n_partitions))

    def gather_each(self, partition: int) -> list[pa.Table]:
        """Piece `partition` of each file."""
        return [self.gather_from(source, partition) for source in range(self.n_sources)]

    def gather_from(self, source: int, partition: int) -> pa.Table:
        """Piece `partition` of file `source`."""
        if not self.by_source:
            raise StageError(f"{self.step.label}: {self.name} is read file by file and does not say so (by_source)")
        return self._read([source], partition)

    def _read(self, numbers: Iterable[int], partition: int) -> pa.Table:
        layer, store = self.layers[-1], self.store

        def read(number: int) -> tuple[pa.Schema, list[pa.RecordBatch]]:
            index = layer.index(store, number)
            return index.schema, [batch for _, batch in read_pieces(store, index, partition, partition + 1)]

        found = at_once(store, read, numbers)
        batches = [batch for _, some in found for batch in some]
        return pa.Table.from_batches(batches) if batches else found[0][0].empty_table()


def at_once(store: Store, read: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """The results of all items in their order. A server is asked for some of them at a time: it answers slowly."""
    if store.is_local:
        return [read(item) for item in items]
    with ThreadPoolExecutor(N_AT_ONCE) as pool:
        return list(pool.map(read, items))


def work_folder(stage: str, mark: str) -> str:
    """Where the exchange files of a stage stand inside the run."""
    return f"work/{stage}/{mark}"


def positions(shard: int, rows: np.ndarray) -> np.ndarray:
    """Positions (shard * 2**32 + row) of rows of one shard, uint64."""
    return (np.uint64(shard) << np.uint64(32)) | rows.astype(np.uint64)


def first_position(shard: int) -> np.uint64:
    """The smallest position of a shard.

    Shards of other runs are numbered after a run's own (`dedup/corpora.py`), so that of shard `n_shards` tells own
    documents from theirs.
    """
    return np.uint64(shard) << np.uint64(32)


def shard_of(position: np.ndarray) -> np.ndarray:
    """The shard numbers of positions, int64."""
    return (position >> np.uint64(32)).astype(np.int64)


def row_of(position: np.ndarray) -> np.ndarray:
    """The rows inside their shards, int64."""
    return (position & np.uint64(0xFFFFFFFF)).astype(np.int64)


def spread(keys: np.ndarray, n_partitions: int) -> np.ndarray:
    """Partition numbers of well-mixed 64-bit keys, from their high bits, int64; equal keys meet."""
    return ((keys >> np.uint64(32)) * np.uint64(n_partitions) >> np.uint64(32)).astype(np.int64)
