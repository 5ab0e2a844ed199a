"""A keyed sample of each group's documents, read from the packed sequences: what a model is trained on, nothing else.

A document is put together again from its pieces, up to `MAX_TOKENS` tokens from its start. No table of the run is asked
for its text, so whatever happened to the packed shards is seen.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xxhash

from tokenizer.encode import END_NAMES
from tokenizer.tokens import token_bytes

Ints = npt.NDArray[np.int64]

# Of a document; more would not change any sign, and a run of books would cost as much as its bytes.
MAX_TOKENS = 2_048
# Of all groups together and of one: a hundredth of 400 is four documents, which are told from chance.
MAX_ALL_DOCS = 24_000
MIN_DOCS, MAX_DOCS = 200, 2_000


@dataclass(frozen=True)
class Spellings:
    """The bytes of every token id: token i is `data[starts[i]:starts[i + 1]]`; special tokens have none."""

    data: npt.NDArray[np.uint8]
    starts: Ints
    eos_id: int

    def join(self, ids: npt.NDArray[np.integer[Any]]) -> bytes:
        """The bytes that `ids` spell."""
        n = self.starts[ids.astype(np.int64) + 1] - self.starts[ids]
        ends = np.cumsum(n)
        if not len(ends):
            return b""
        places = np.arange(ends[-1]) - np.repeat(ends - n, n) + np.repeat(self.starts[ids], n)
        return bytes(self.data[places].tobytes())


def read_spellings(tokenizer: Path) -> Spellings:
    """The bytes of each id of a byte-level BPE's file, and the id that ends a document (-1: it names none)."""
    found = json.loads(tokenizer.read_text(encoding="utf-8"))
    special = {int(token["id"]): str(token["content"]) for token in found.get("added_tokens", ())}
    vocabulary = {int(number): spelling for spelling, number in found["model"]["vocab"].items()}
    size = 1 + max(*vocabulary, *special, 0)
    spelt = [b"" if i in special else token_bytes(vocabulary.get(i, "")) for i in range(size)]
    ids = {name: i for i, name in special.items()}
    eos_id = next((ids[name] for name in END_NAMES if name in ids), -1)  # as `Encoder` picks it
    starts = np.cumsum([0] + [len(token) for token in spelt])
    return Spellings(np.frombuffer(b"".join(spelt), np.uint8), starts, eos_id)


def utf8(text: bytes) -> bytes:
    """`text` without the bytes that are no UTF-8."""
    return text.decode("utf-8", "ignore").encode()


@dataclass(frozen=True)
class SampledDocument:
    """One sampled document. `text` is what its sampled tokens spell."""

    number: int  # in `PackedPieces.doc_ids`
    doc_id: str
    pool: str
    group: str
    ids: npt.NDArray[np.uint32]
    text: bytes
    ends: bool  # the end-of-document token was read: nothing of it is missing at the end

    @property
    def clean(self) -> bytes:
        """Its text as valid UTF-8, which tokenizers and classifier ask for: what is none is left out."""
        return utf8(self.text)


@dataclass(frozen=True)
class PackedPieces:
    """Every piece of the packed sequences, in stream order; columns of equal length."""

    doc: Ints  # number of the document, by first appearance
    group: Ints  # number of its (pool, group)
    block: Ints
    start: Ints  # first token, counted over the whole block
    length: Ints
    offset: Ints  # of its first token in the document
    doc_ids: list[str]
    groups: list[tuple[str, str]]

    @property
    def n_docs(self) -> int:
        return len(self.doc_ids)


def list_pieces(blocks: Sequence[pa.RecordBatch]) -> PackedPieces:
    """All pieces of all blocks, from the metadata columns alone."""
    tables = []
    for number, block in enumerate(blocks):
        # Where files of a repository are joined, `cu_seqlens` bounds what attends to itself, and not the documents.
        bounds = block.column("piece_bounds" if "piece_bounds" in block.schema.names else "cu_seqlens")
        n_pieces = np.diff(bounds.offsets.to_numpy()) - 1
        flat = bounds.flatten().to_numpy().astype(np.int64)
        last = np.cumsum(n_pieces + 1) - 1
        starts, ends = np.delete(flat, last), np.delete(flat, last - n_pieces)
        row = np.repeat(np.arange(block.num_rows), n_pieces)
        seq_len = block.schema.field("token_ids").type.list_size
        pools = block.column("pool").take(pa.array(row))
        tables.append(
            pa.table(
                {
                    "doc": block.column("doc_ids").flatten(),
                    "pool": pools,
                    "group": block.column("groups").flatten(),
                    "block": np.full(len(row), number),
                    "start": starts + row * seq_len,
                    "length": ends - starts,
                    "offset": block.column("doc_offsets").flatten(),
                }
            )
        )
    whole = pa.concat_tables(tables)
    docs = whole["doc"].combine_chunks().dictionary_encode()
    names = [f"{pool}\0{group}" for pool, group in zip(*(whole[c].to_pylist() for c in ("pool", "group")), strict=True)]
    groups = pa.array(names).dictionary_encode()
    numbers = {c: whole[c].to_numpy().astype(np.int64) for c in ("block", "start", "length", "offset")}
    pairs = [(pool, group) for pool, _, group in (name.partition("\0") for name in groups.dictionary.to_pylist())]
    return PackedPieces(
        doc=docs.indices.to_numpy().astype(np.int64),
        group=groups.indices.to_numpy().astype(np.int64),
        doc_ids=docs.dictionary.to_pylist(),
        groups=pairs,
        **numbers,
    )


def draw(pieces: PackedPieces, *, seed: int, max_docs: int | None = None) -> Ints:
    """Numbers of the pieces of a keyed sample of documents, at most `max_docs` a group, by document and offset."""
    max_docs = max_docs or min(MAX_DOCS, max(MIN_DOCS, MAX_ALL_DOCS // len(pieces.groups)))
    first = np.full(pieces.n_docs, len(pieces.doc))
    np.minimum.at(first, pieces.doc, np.arange(len(pieces.doc)))
    group_of = pieces.group[first]
    keys = np.array([xxhash.xxh3_64_intdigest(d.encode(), seed=seed) for d in pieces.doc_ids], dtype=np.uint64)
    order = np.lexsort((keys, group_of))
    rank = np.arange(len(order)) - np.searchsorted(group_of[order], group_of[order])
    chosen = np.zeros(pieces.n_docs, dtype=bool)
    chosen[order[rank < max_docs]] = True
    wanted = np.flatnonzero(chosen[pieces.doc])
    return wanted[np.lexsort((pieces.offset[wanted], pieces.doc[wanted], group_of[pieces.doc[wanted]]))]


def read_documents(
    blocks: Sequence[pa.RecordBatch], pieces: PackedPieces, wanted: Ints, *, spellings: Spellings
) -> list[SampledDocument]:
    """The documents of the pieces `wanted`, which stand together by document and rise by offset."""
    flat = [block.column("token_ids").flatten().to_numpy() for block in blocks]
    found = []
    cuts = np.flatnonzero(np.diff(pieces.doc[wanted], prepend=-1))
    for start, stop in zip(cuts, [*cuts[1:], len(wanted)], strict=True):
        parts, n = [], 0
        for piece in wanted[start:stop]:
            begin = pieces.start[piece]
            length = min(pieces.length[piece], MAX_TOKENS - n)
            parts.append(flat[pieces.block[piece]][begin : begin + length])
            n += length
            if n == MAX_TOKENS:
                break
        ids = np.concatenate(parts)
        ends = bool(len(ids)) and int(ids[-1]) == spellings.eos_id
        piece = wanted[start]
        pool, group = pieces.groups[pieces.group[piece]]
        number = int(pieces.doc[piece])
        text = spellings.join(ids)
        found.append(SampledDocument(number, pieces.doc_ids[number], pool, group, ids, text, ends))
    return found
