"""Every piece of a packed run as columns of numbers: what it is of, and where its tokens stand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.arrays.keys import id_words
from pipeline.errors import SchemaError
from pipeline.plt.data import PackedRun, read_rows

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class PieceTable:
    """Columns of the distinct pieces, [n_pieces] each: copies of a document count once here."""

    names: tuple[tuple[str, str], ...]  # (pool, group), sorted
    n_packed: Ints  # tokens of each of `names` in the stream, copies counted
    doc_ids: pa.StringArray  # of each document
    words: tuple[Words, Words]  # the same ids as two words each
    document: Ints  # of each piece, its place in `doc_ids`
    offset: Ints  # its first token's place in the document
    group: Ints  # its place in `names`
    sequence: Ints
    start: Ints  # its first token's place in the sequence
    length: Ints


def read_pieces(run: PackedRun) -> PieceTable:
    """Read the metadata of every row; tokens stay where they are. Raises SchemaError for impossible rows."""
    ids, groups, columns = [], [], []
    first = 0
    for rows in read_rows(run, 0, stop=run.n_sequences):
        n_rows = len(rows.pools)
        sequence = np.repeat(np.arange(first, first + n_rows), rows.n_pieces)
        offset = rows.block.column("doc_offsets").flatten().to_numpy()
        columns.append(np.stack([sequence, rows.starts, rows.ends - rows.starts, offset]))
        ids.append(rows.block.column("doc_ids").flatten())
        groups.append(_pool_and_group(rows.pools, rows.n_pieces, rows.block.column("groups").flatten()))
        first += n_rows
    sequence, start, length, offset = np.concatenate(columns, axis=1)
    documents, of_group = pa.concat_arrays(ids).dictionary_encode(), pa.concat_arrays(groups).dictionary_encode()
    document, found = (codes.indices.to_numpy().astype(np.int64) for codes in (documents, of_group))
    spelled = np.array(of_group.dictionary.to_pylist())
    order = np.argsort(spelled)
    group = np.argsort(order)[found]
    names = tuple((pool, name) for pool, _, name in (text.partition("/") for text in spelled[order].tolist()))
    n_packed = np.bincount(group, weights=length, minlength=len(names)).astype(np.int64)
    # Copies of a document are cut at the same places; the last piece of one that the budget cut is the shorter one.
    by_place = np.lexsort((-length, offset, document))
    again = (np.diff(document[by_place]) == 0) & (np.diff(offset[by_place]) == 0)
    keep = np.sort(by_place[np.concatenate(([True], ~again))])
    kept = (column[keep] for column in (document, offset, group, sequence, start, length))
    return PieceTable(names, n_packed, documents.dictionary, _words(documents.dictionary, run=run), *kept)


def _pool_and_group(pools: tuple[str, ...], n_pieces: Ints, groups: pa.StringArray) -> pa.StringArray:
    """`pool/group` of each piece; a pool's name holds no slash."""
    spelled = np.repeat(np.array(pools), n_pieces)
    return pa.array([f"{pool}/{group}" for pool, group in zip(spelled.tolist(), groups.to_pylist(), strict=True)])


def _words(doc_ids: pa.StringArray, *, run: PackedRun) -> tuple[Words, Words]:
    try:
        return id_words("".join(doc_ids.to_pylist()).encode())
    except ValueError as error:
        raise SchemaError(f"{run.folder}: column doc_ids: {error}; run `loopmix curate` again") from error
