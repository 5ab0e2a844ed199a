"""Input rows of a finished run that could not be read, by source and by file, counted from table `documents`."""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.work import Span, Work
from pipeline.schema import DOCUMENTS

UNREAD = ("unreadable_row", "missing_object")  # rows without content; all others were looked at
_Key = tuple[str, str | None]  # source, file; null: the source as a whole
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


def unread_of(run: RunFiles, work: Work) -> tuple[Unread, ...]:
    """Sources and files of more than one row with a larger share of unread rows than the mixture takes for normal.

    The worst first. Only files that hold several rows are held in memory.
    """
    all_rows, unread = Counter[_Key](), Counter[_Key]()
    for rows, bad in work.each(partial(_counts, run.tables), work.shards(run), name="verify.inputs"):
        all_rows.update(rows)
        unread.update(bad)
    found = [Unread(*key, n, unread[key]) for key, n in all_rows.items() if n > 1 or key[1] is None]
    found = [one for one in found if one.frac > run.mixture.ingest.max_unreadable_frac]
    return tuple(sorted(found, key=lambda one: (-one.frac, one.source, one.input_file or "")))


def _counts(tables: Tables, span: Span) -> tuple[Counter[_Key], Counter[_Key]]:
    """Rows and unread rows of some shards, by source and by each of its files that has several rows in one of them."""
    all_rows, unread = Counter[_Key](), Counter[_Key]()
    for shard in span.items:
        table = tables.read(DOCUMENTS, shard, columns=_COLUMNS)
        is_unread = pc.is_in(table["problem"], value_set=pa.array(UNREAD))
        counted = pa.table({**{n: table[n] for n in _COLUMNS[:2]}, "unread": is_unread.cast(pa.int64())})
        groups = counted.group_by(["source", "input_file"], use_threads=False)
        for row in groups.aggregate([("unread", "sum"), ("unread", "count")]).to_pylist():
            source, file, n_bad, n = row["source"], row["input_file"], row["unread_sum"], row["unread_count"]
            for key in ((source, None), (source, file))[: 2 if n > 1 or n_bad else 1]:
                all_rows[key] += n
                if n_bad:
                    unread[key] += n_bad
    return all_rows, unread
