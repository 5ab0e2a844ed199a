"""Moving rows between shards through files: scatter writes one piece per partition, gather reads its own.

Each of `n_sources` scatter tasks writes one file whose piece k belongs to partition k; gather task k reads piece k of
every file, in file order. So arrival order cannot matter, and a kill costs only pieces not yet committed.

    RUN/work/<stage>/<fingerprint>/<attempt>-<name>/part-00000-of-00016.arrow

`pieces.py` says what a file is and what a gather believes: never a torn file, or one that another configuration wrote,
for its own. Sources times partitions is a number that no store serves: where there are more than FAN_IN sources, files
are merged first (`merging.py`), and a gather reads at most FAN_IN of those.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TypeVar

import numpy as np
import pyarrow as pa

from pipeline.arrays.runs import starts_run
from pipeline.engine.held import Pieces, held
from pipeline.engine.lots import Lots
from pipeline.engine.markers import Marker, WorkStep, read_lot
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
    lots: Lots | None = None  # of what scatter writes: the items that a file is of

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
        items = range(number, number + 1) if self.lots is None else self.lots[number]
        markers = read_lot(store, self.step, items)
        if not markers:
            raise StoreError(
                f"{store.root}: item {number} of {self.step.label} is not done; run the same command again"
            )
        path = self.file(number)
        for entry in markers[0].files:
            if entry.path == path and len(entry.blocks) == 1:
                return read_index(store, entry, n_partitions=self.n_partitions)
        raise StoreError(f"{store.full(path)}: no marker of {self.step.label} names it; run the same command again")


@dataclass(frozen=True)
class Channel:
    """One exchange folder of a run: `n_sources` files of `n_partitions` pieces; item i of `step` writes file i.

    Where it is read `by_source`, one source at a time, files are never merged. Where sources are `cut` into lots, each
    file is of one lot; read by source it holds them as its pieces.
    """

    store: Store
    step: WorkStep
    name: str
    n_sources: int
    n_partitions: int
    by_source: bool = False
    fan_in: int = FAN_IN
    cut: Lots | None = None
    told: dict[str, FileEntry] = field(default_factory=dict, compare=False)  # of files that are few: what markers say

    @property
    def lots(self) -> Lots:
        """The sources of each file that scatter writes."""
        return self.cut or Lots(self.n_sources)

    @property
    def _pieces_are_sources(self) -> bool:
        return self.by_source and len(self.lots) < self.n_sources

    @cached_property
    def layers(self) -> tuple[ExchangeLayer, ...]:
        """What scatter writes, and what each round of merges makes of it; the last is what a gather reads."""
        inside, n = work_folder(self.step.stage, self.step.mark), self.n_partitions
        if self._pieces_are_sources:
            assert n == 1, n
            n = self.n_sources
        folder = f"{inside}/{self.step.own(self.name)}"
        made = [ExchangeLayer(self.step, folder, len(self.lots), 1, n, self.lots)]
        while made[-1].n_groups > self.fan_in and not self.by_source:
            last, name = made[-1], f"{self.name}-merge-{len(made)}"
            n_groups, n_bands = -(-last.n_groups // self.fan_in), min(n, last.n_bands * N_BANDS)
            made.append(ExchangeLayer(self.step.named(name), f"{inside}/{self.step.own(name)}", n_groups, n_bands, n))
        return tuple(made)

    def scatter(self, source: int, table: pa.Table, *, partition: np.ndarray) -> FileEntry:
        """Write `table` as file `source`, row r into piece partition[r]; rows of a piece keep their order.

        Of one source of a lot the file is written with the others'; its entry is then a name and no more.
        """
        assert not partition.size or (partition.min() >= 0 and partition.max() < self.n_partitions), partition
        if (here := held()) is not None:
            return here.scatter(self, source, table, partition)
        return self.write_lot(self.layers[0].file(self.lots.of(source)), [(source, table, partition)])

    def write_lot(self, path: str, rows: Sequence[tuple[int, pa.Table, np.ndarray]]) -> FileEntry:
        """Write a file of (source, its rows, the partition of each), in the order of sources."""
        layer = self.layers[0]
        if self._pieces_are_sources:
            rows = [(source, table, np.full(table.num_rows, source)) for source, table, _ in rows]
        table = pa.concat_tables(table for _, table, _ in rows) if len(rows) > 1 else rows[0][1]
        partition = np.concatenate([one for _, _, one in rows]) if len(rows) > 1 else rows[0][2]
        if (partition[1:] < partition[:-1]).any():  # bulky tables come sorted, to save the copy
            order = np.argsort(partition, kind="stable")
            table, partition = table.take(pa.array(order)), partition[order]
        starts = np.flatnonzero(starts_run(partition))
        bounds, numbers = [*starts.tolist(), partition.size], partition[starts].tolist()
        pieces = ((k, table.slice(a, b - a)) for k, (a, b) in zip(numbers, itertools.pairwise(bounds), strict=True))
        return write_pieces(self.store, path, pieces, schema=table.schema, n_partitions=layer.n_partitions)

    def tell(self, markers: Iterable[Marker]) -> None:
        """Take note of what markers say of the files, so that who gathers them need not ask."""
        folder = self.layers[0].folder
        self.told.update({f.path: f for one in markers for f in one.files if f.path.rpartition("/")[0] == folder})

    def gather(self, partition: int) -> pa.Table:
        """Piece `partition` of all files, one behind the other in file order."""
        layer = self.layers[-1]
        band = layer.band_of(partition)
        return self._read((group * layer.n_bands + band for group in range(layer.n_groups)), partition)

    def everything(self) -> pa.Table:
        """All rows, partition by partition."""
        return pa.concat_tables(self.gather(partition) for partition in range(self.n_partitions))

    def gather_each(self, partition: int) -> list[pa.Table]:
        """Piece `partition` of each source."""
        if self._pieces_are_sources:
            return list(self.each_source(0, self.n_sources))
        return [self.gather_from(source, partition) for source in range(self.n_sources)]

    def gather_from(self, source: int, partition: int) -> pa.Table:
        """Piece `partition` of source `source`."""
        if not self.by_source:
            raise StageError(f"{self.step.label}: {self.name} is read file by file and does not say so (by_source)")
        return self._read([self.lots.of(source)], source if self._pieces_are_sources else partition)

    def each_source(self, first: int, last: int) -> Iterator[pa.Table]:
        """The rows of sources from `first` to before `last`, one source after the other; all are in one partition."""
        if not self._pieces_are_sources:
            yield from (self.gather_from(source, 0) for source in range(first, last))
            return
        for number in range(self.lots.of(first), self.lots.of(last - 1) + 1):
            mine = range(max(first, self.lots[number].start), min(last, self.lots[number].stop))
            pieces = self._fetch(mine, number)
            yield from (_joined([pieces], source) for source in mine)

    def _read(self, numbers: Iterable[int], partition: int) -> pa.Table:
        """Piece `partition` of some files; for a lot what its items ask for is fetched with what the first asks."""
        layer, here, files = self.layers[-1], held(), list(numbers)
        if here is None:
            return _joined(at_once(self.store, partial(self._fetch, range(partition, partition + 1)), files), partition)
        window = here.window(partition, of=layer.partitions(layer.band_of(partition)))
        missing = [number for number in files if here.known(layer.file(number), partition) is None]
        fetched = at_once(self.store, partial(self._fetch, window), missing)
        for number, pieces in zip(missing, fetched, strict=True):
            here.keep(layer.file(number), window, pieces)
        known = (here.known(layer.file(number), partition) for number in files)
        return _joined([pieces for pieces in known if pieces is not None], partition)

    def _fetch(self, window: range, number: int) -> Pieces:
        """The pieces of some partitions in file `number`."""
        layer, pieces = self.layers[-1], dict[int, list[pa.RecordBatch]]()
        if (entry := self.told.get(layer.file(number))) is not None:
            index = read_index(self.store, entry, n_partitions=layer.n_partitions)
        else:
            index = layer.index(self.store, number)
        for partition, batch in read_pieces(self.store, index, window.start, window.stop):
            pieces.setdefault(partition, []).append(batch)
        return index.schema, pieces


def _joined(files: Sequence[Pieces], partition: int) -> pa.Table:
    """The rows of a partition in all files, in their order."""
    batches = [batch for _, pieces in files for batch in pieces.get(partition, ())]
    return pa.Table.from_batches(batches) if batches else files[0][0].empty_table()


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
