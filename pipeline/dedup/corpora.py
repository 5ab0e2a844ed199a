"""The documents that near dedup compares: this run's, and those that earlier runs kept.

Shards of earlier runs are numbered after this run's own, so a position names a document of any of them, and every
position of an own document is smaller than every one of theirs.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import lists_with, one_chunk
from pipeline.arrays.trained import trained_rows
from pipeline.engine.exchange import first_position
from pipeline.engine.tables import Tables
from pipeline.schema import DOCUMENTS, LANGUAGES, REDACTED, SELECT, SIGNATURES


@dataclass(frozen=True)
class Corpora:
    """This run's tables and those of finished runs whose kept documents count as kept here."""

    own: Tables
    earlier: tuple[Tables, ...] = ()

    @property
    def n_shards(self) -> int:
        """Shards of all runs together."""
        return self.own.n_shards + sum(t.n_shards for t in self.earlier)

    @property
    def first_earlier(self) -> np.uint64:
        """The smallest position of a document of an earlier run."""
        return first_position(self.own.n_shards)

    def _locate(self, shard: int) -> tuple[Tables, int]:
        for tables in (self.own, *self.earlier):
            if shard < tables.n_shards:
                return tables, shard
            shard -= tables.n_shards
        raise AssertionError(shard)

    def signatures(self, shard: int, *columns: str) -> pa.Table:
        """Columns of `signatures`; documents of earlier runs that were not kept look unsigned."""
        tables, local = self._locate(shard)
        table = tables.read(SIGNATURES, local, columns=list(columns))
        if shard < self.own.n_shards:
            return table
        stays = self._kept_ids(shard).is_valid()
        for place, name in enumerate(table.column_names):
            column = table[name]
            blank = pa.scalar(None if pa.types.is_list(column.type) else 0, column.type)
            table = table.set_column(place, name, pc.if_else(stays, column, blank))
        return table

    def doc_ids(self, shard: int) -> pa.Array:
        """The ids by which the shard's documents are named; null for those of earlier runs that were not kept."""
        if shard >= self.own.n_shards:
            return self._kept_ids(shard)
        return one_chunk(self.own.read(DOCUMENTS, shard, columns=["doc_id"])["doc_id"])

    def contents(self, shard: int, rows: np.ndarray) -> tuple[pa.LargeBinaryArray, np.ndarray]:
        """The bytes of some documents, and whether each is in the code pool."""
        tables, local = self._locate(shard)
        texts = (tables.read(table, local, columns=["content"]) for table in (DOCUMENTS, REDACTED))
        pool = tables.read(LANGUAGES, local, columns=["pool"])["pool"]
        return trained_rows(*texts, rows=rows), np.asarray(pc.equal(pool, "code"))[rows]

    def _kept_ids(self, shard: int) -> pa.Array:
        """For each document its id if it was kept, its equal's if that was kept instead, else null.

        Signatures stand at the first of a group of equal documents, which need not be the one that was kept.
        """
        tables, local = self._locate(shard)
        table = tables.read(SELECT, local, columns=["doc_id", "keep", "reasons", "keeper_id"])
        is_equal = np.asarray(pc.is_valid(table["keeper_id"])) & ~lists_with(table["reasons"], "near_duplicate")
        equal = pc.if_else(pa.array(is_equal), one_chunk(table["keeper_id"]), pa.scalar(None, pa.string()))
        return pc.if_else(one_chunk(table["keep"]), one_chunk(table["doc_id"]), equal)
