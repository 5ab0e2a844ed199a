"""Documents of a run as rows of 64-bit words: what of them decides whether two runs agree, and nothing else.

Texts of a few kinds (a language, a set of reasons) become hashes, and a task returns which hash stands for which; so a
run of any size is compared in arrays of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.arrays.columns import columns, doc_words, hash_words, one_chunk
from pipeline.arrays.keys import id_words, mix
from pipeline.compare.found import FATES
from pipeline.engine.exchange import positions
from pipeline.engine.tables import Tables
from pipeline.errors import SchemaError
from pipeline.schema import DOCUMENTS, LEDGER

_BETWEEN = "\0"  # stands in no name of a source, language or reason
_NO_ID = "0" * 32
_TEXTS = pa.list_(pa.string())  # a list whose items cannot be null has no join
_LEDGER = ["doc_id", "source", "repo", "path", "pool", "language", "group", "n_bytes", "fate", "reasons", "keeper_id"]
_LEDGER += ["n_tokens", "n_packed_tokens"]


class What(NamedTuple):
    """What a document is in its run."""

    source: str
    pool: str
    language: str
    group: str
    fate: str


@dataclass(frozen=True)
class DocumentRows:
    """Documents, one column for each word, uint64 [n] each."""

    high: np.ndarray  # both halves of the doc_id
    low: np.ndarray
    what: np.ndarray  # hash of What
    why: np.ndarray  # hash of the reasons
    language: np.ndarray  # hash of pool and language
    fate: np.ndarray  # its place in FATES
    content: np.ndarray  # half of the hash of its bytes; 0: not known
    place: np.ndarray  # hash of repository, path and bytes; 0: not known
    keeper: np.ndarray  # half of the keeper's id; 0: none
    n_bytes: np.ndarray
    n_tokens: np.ndarray  # 0 where it is dropped
    n_packed: np.ndarray
    position: np.ndarray

    @property
    def columns(self) -> Sequence[np.ndarray]:
        """All of them, in their order."""
        return [getattr(self, f.name) for f in fields(self)]

    def take(self, rows: np.ndarray) -> DocumentRows:
        """Some of the documents."""
        return DocumentRows(*(column[rows] for column in self.columns))

    def __len__(self) -> int:
        return int(self.high.size)


WIDTH = len(fields(DocumentRows))


@dataclass
class HashNames:
    """What the hashes of rows stand for."""

    what: dict[int, What] = field(default_factory=dict)
    why: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def update(self, other: HashNames) -> None:
        """Add what another task has met."""
        self.what.update(other.what)
        self.why.update(other.why)


def rows_of(tables: Tables, shard: int, names: HashNames) -> DocumentRows:
    """The documents of one shard, in their order; what their hashes stand for is put into `names`.

    SchemaError for a ledger of another version.
    """
    try:
        ledger = tables.read(LEDGER, shard, columns=_LEDGER)
    except SchemaError as error:
        raise SchemaError(f"{tables.store.root}: another version of loopmix made it: {error}") from error
    what, kinds = _named(*(ledger[name] for name in What._fields))
    why, reasons = _named(pc.binary_join(one_chunk(ledger["reasons"]).cast(_TEXTS), _BETWEEN))
    names.what.update({key: What(*parts) for key, parts in kinds.items()})
    names.why.update({key: tuple(part for part in parts if part) for key, parts in reasons.items()})
    language, _ = _named(ledger["pool"], ledger["language"])
    content = _contents(tables, shard, len(what))
    keeper, _ = id_words("".join(pc.fill_null(ledger["keeper_id"], _NO_ID).to_pylist()).encode())
    fate = pc.index_in(ledger["fate"], value_set=pa.array(FATES))
    n_bytes, n_tokens, n_packed = columns(ledger, "n_bytes", "n_tokens", "n_packed_tokens")
    high, low = doc_words(ledger)
    return DocumentRows(
        high,
        low,
        what,
        why,
        language,
        np.asarray(fate).astype(np.uint64),
        content,
        _places(ledger, content),
        keeper,
        n_bytes.astype(np.uint64),
        n_tokens.astype(np.uint64),
        n_packed.astype(np.uint64),
        positions(shard, np.arange(len(what))),
    )


def _named(*parts: pa.ChunkedArray | pa.Array) -> tuple[np.ndarray, dict[int, list[str]]]:
    """A hash for each row of texts, of which few differ, and the texts behind each hash."""
    text = parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, _BETWEEN)
    coded = (one_chunk(text) if isinstance(text, pa.ChunkedArray) else text).dictionary_encode()
    found = coded.dictionary.to_pylist()
    hashes = [xxhash.xxh3_64_intdigest(one.encode()) for one in found]
    behind = dict(zip(hashes, (one.split(_BETWEEN) for one in found), strict=True))
    of_rows: np.ndarray = np.array(hashes, np.uint64)[np.asarray(coded.indices)]
    return of_rows, behind


def _contents(tables: Tables, shard: int, n: int) -> np.ndarray:
    """Of each document half of the hash of its bytes, 0 where the run holds texts no longer."""
    if not tables.store.exists(tables.path(DOCUMENTS, shard)):
        return np.zeros(n, np.uint64)
    first, _ = hash_words(tables.read(DOCUMENTS, shard, columns=["content_hash"])["content_hash"])
    known: np.ndarray = np.maximum(first, np.uint64(1))
    return known


def _places(ledger: pa.Table, content: np.ndarray) -> np.ndarray:
    where = pc.binary_join_element_wise(pc.fill_null(ledger["repo"], ""), ledger["path"], _BETWEEN)
    hashes = np.array([xxhash.xxh3_64_intdigest(one.encode()) for one in where.to_pylist()], np.uint64)
    return np.where(content == 0, np.uint64(0), np.maximum(mix(hashes ^ mix(content)), np.uint64(1)))
