"""MosaicML Streaming's shards: `index.json` and `shard.00000.mds`, a sample for each sequence.

A shard is uint32 number of samples, uint32 offset of each sample and of the end, the columns as JSON, then the samples;
a sample is the uint32 sizes of its columns without a fixed size, then all columns in the order of their names.
"""

import json
import struct
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from typing import Any

import numpy as np

from pipeline.engine.sink import HashingFile
from pipeline.engine.store import FileEntry, Store
from pipeline.export.finished import Finished
from pipeline.schema import PIECE_BOUNDS
from pipeline.sequences import Rows

Sample = tuple[bytes, memoryview]  # all but the ids, and the ids: they stay in the map until they are written
_SHARD_BYTES = 1 << 26  # Streaming's own default; offsets have 32 bits
_VERSION = 2


def write(source: Finished, out: Store) -> list[FileEntry]:
    """Write the shards and their index."""
    columns = _columns(source)
    described = json.dumps(columns, sort_keys=True).encode()
    made: list[FileEntry] = []
    index = []
    for samples in _shards(source, fixed=len(described) + 8):
        entry = _write_shard(out, f"shard.{len(made):05d}.mds", samples, described=described)
        raw = {"basename": entry.path, "bytes": entry.n_bytes, "hashes": {"sha256": entry.sha256}}
        index.append({**columns, "raw_data": raw, "samples": len(samples), "zip_data": None})
        made.append(entry)
    text = json.dumps({"shards": index, "version": _VERSION}, sort_keys=True)
    return [*made, out.write_bytes("index.json", text.encode())]


def _columns(source: Finished) -> dict[str, Any]:
    """How the samples of a shard are laid out. Ids have a fixed size; lists of pieces have one length each."""
    ids = np.dtype(source.id_type)
    encodings = {
        "cu_seqlens": ("ndarray:int32", None),
        "doc_ids": ("json", None),
        "doc_offsets": ("ndarray:int64", None),
        "groups": ("json", None),
        "n_real": ("int", 8),
        **({PIECE_BOUNDS: ("ndarray:int32", None)} if source.run.joined else {}),
        "pool": ("str", None),
        "tokens": (f"ndarray:{ids.name}:{source.seq_len}", ids.itemsize * source.seq_len),
    }
    return {
        "column_encodings": [encoding for encoding, _ in encodings.values()],
        "column_names": list(encodings),
        "column_sizes": [size for _, size in encodings.values()],
        "compression": None,
        "format": "mds",
        "hashes": ["sha256"],
        "size_limit": _SHARD_BYTES,
        "version": _VERSION,
    }


def _shards(source: Finished, *, fixed: int) -> Iterator[list[Sample]]:
    """The samples of one shard after another. `fixed`: bytes of a shard without any."""
    samples: list[Sample] = []
    n_bytes = fixed
    for rows in source.rows():
        for sample in _samples(rows, kind=np.dtype(source.id_type)):
            size = _size(sample) + 4  # and its offset
            if samples and n_bytes + size > _SHARD_BYTES:
                yield samples
                samples, n_bytes = [], fixed
            samples.append(sample)
            n_bytes += size
    if samples:
        yield samples


def _size(sample: Sample) -> int:
    head, ids = sample
    return len(head) + ids.nbytes


def _write_shard(out: Store, name: str, samples: list[Sample], *, described: bytes) -> FileEntry:
    lengths = np.fromiter(map(_size, samples), np.int64, len(samples))
    begin = 4 + 4 * (len(samples) + 1) + len(described)
    offsets = np.concatenate(([0], np.cumsum(lengths))) + begin

    def fill(file: HashingFile) -> None:
        file.write(struct.pack("<I", len(samples)))
        file.write(offsets.astype("<u4").data)
        file.write(described)
        for head, ids in samples:
            file.write(head)
            file.write(ids)

    return out.write_stream(name, fill)


def _samples(rows: Rows, *, kind: np.dtype[Any]) -> Iterator[Sample]:
    ids = rows.token_ids.astype(kind, copy=False)
    block = rows.block
    bounds, offsets = (block.column(name).flatten().to_numpy() for name in ("cu_seqlens", "doc_offsets"))
    doc_ids, groups = (block.column(name).to_pylist() for name in ("doc_ids", "groups"))
    joined = PIECE_BOUNDS in block.schema.names
    inner = block.column(PIECE_BOUNDS).flatten().to_numpy() if joined else bounds
    n_spans = rows.n_spans.tolist()
    piece = span = 0
    for row, (n_real, n_pieces) in enumerate(zip(rows.n_real.tolist(), rows.n_pieces.tolist(), strict=True)):
        more = (_array(inner[piece + row : piece + row + n_pieces + 1].astype("<i4")),) if joined else ()
        parts = (
            _array(bounds[span + row : span + row + n_spans[row] + 1].astype("<i4")),
            _json(doc_ids[row]),
            _array(offsets[piece : piece + n_pieces].astype("<i8")),
            _json(groups[row]),
            *more,
            rows.pools[row].encode(),
        )
        listed, rest = parts[:4], parts[4:]
        sizes = struct.pack(f"<{len(parts)}I", *map(len, parts))
        yield b"".join((sizes, *listed, struct.pack("<q", n_real), *rest)), ids[row].data
        piece += n_pieces
        span += n_spans[row]


def _json(names: list[str]) -> bytes:
    """What `json.dumps` gives, which takes four times as long for a short list."""
    return f"[{', '.join(map(encode_basestring_ascii, names))}]".encode()


def _array(values: np.ndarray) -> bytes:
    """An array of one axis, preceded by its length in the fewest bytes and a byte that says how many these are."""
    exponent = 0 if values.size < 1 << 8 else 1 if values.size < 1 << 16 else 2
    return bytes([1 << 2 | exponent]) + values.size.to_bytes(1 << exponent, "little") + values.tobytes()
