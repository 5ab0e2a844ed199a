"""Input rows of a finished run that could not be read, by source and by file, counted from table `documents`."""

from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.schema import DOCUMENTS

UNREAD = ("unreadable_row", "missing_object")  # rows without content; all others were looked at
_COLUMNS = ("source", "input_file", "problem")


@dataclass(frozen=True)
class Unread:
    """Rows of one source, or of one of its files, that could not be read."""

    source: str
    input_file: str | None  # null: the source as a whole
    n_docs: int
    n_unread_docs: int

    @property
    def frac(self) -> float:
        """Share of its rows."""
        return self.n_unread_docs / self.n_docs

    def __str__(self) -> str:
        where = f"source {self.source}" if self.input_file is None else f"{self.input_file} of source {self.source}"
        return f"{self.n_unread_docs:,} of {self.n_docs:,} rows of {where}"


def unread_of(run: RunFiles) -> tuple[Unread, ...]:
    """Sources and files of more than one row with a larger share of unread rows than the mixture takes for normal.

    The worst first. Only files that hold several rows are held in memory.
    """
    all_rows: Counter[tuple[str, str | None]] = Counter()
    unread: Counter[tuple[str, str | None]] = Counter()
    for shard in range(run.n_shards):
        table = run.tables.read(DOCUMENTS, shard, columns=_COLUMNS)
        is_unread = pc.is_in(table["problem"], value_set=pa.array(UNREAD))
        counted = pa.table({**{n: table[n] for n in _COLUMNS[:2]}, "unread": is_unread.cast(pa.int64())})
        groups = counted.group_by(["source", "input_file"], use_threads=False)
        for row in groups.aggregate([("unread", "sum"), ("unread", "count")]).to_pylist():
            source, file, n_bad, n = row["source"], row["input_file"], row["unread_sum"], row["unread_count"]
            for key in ((source, None), (source, file))[: 2 if n > 1 or n_bad else 1]:
                all_rows[key] += n
                unread[key] += n_bad
    found = [Unread(*key, n, unread[key]) for key, n in all_rows.items() if n > 1 or key[1] is None]
    found = [one for one in found if one.frac > run.mixture.ingest.max_unreadable_frac]
    return tuple(sorted(found, key=lambda one: (-one.frac, one.source, one.input_file or "")))
