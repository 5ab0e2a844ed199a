"""A finished run with sequences of every kind, made by hand, and what an export of it must give back."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hand_run import SHARDS, Doc, hand_run
from handmade import doc_id, done_of

from pipeline.engine.manifest import hold_tokenizer, record
from pipeline.engine.markers import Marker
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store, part
from pipeline.mix import arrowfile
from pipeline.schema import POOLS, packed_schema
from pipeline.targets import Pack
from tokenizer.tokens import byte_chars

SEQ_LEN = 16
EOS = 256
NARROW, WIDE = 300, 70_000  # entries of vocabularies whose ids fit two bytes, and do not
# A shard without any sequence in between: a short run has such.
SHARD_ROWS = (5, 0, 8)


@dataclass(frozen=True)
class Truth:
    """What the run holds: a dict for each sequence, in stream order."""

    run: RunFiles
    rows: list[dict[str, Any]]
    vocab_size: int

    @property
    def pieces(self) -> list[list[int]]:
        """The ids of each piece, in stream order."""
        return [row["token_ids"][start:end] for row in self.rows for start, end in pairwise(row["cu_seqlens"])]

    @property
    def stream(self) -> list[int]:
        return [i for piece in self.pieces for i in piece]


def export_run(
    folder: Path,
    *,
    vocab_size: int = NARROW,
    seq_len: int = SEQ_LEN,
    shard_rows: tuple[int, ...] = SHARD_ROWS,
    docs: tuple[tuple[Doc, ...], ...] = SHARDS,
    seed: int = 0,
) -> Truth:
    """The run of `hand_run` with `docs`, but other sequences and a tokenizer of `vocab_size` entries."""
    made = hand_run(folder, shards=docs)
    rng = np.random.default_rng(seed)
    shards = [[_row(rng, seq_len=seq_len, vocab_size=vocab_size) for _ in range(n)] for n in shard_rows]
    schema = packed_schema(seq_len)
    markers = []
    for number, rows in enumerate(shards):
        batch = pa.RecordBatch.from_pylist(rows, schema=schema)
        entry = made.store.write_stream(
            f"packed/{part(number, len(shards), suffix='arrow')}",
            lambda file, batch=batch: arrowfile.write(file, [batch], schema=schema),
        )
        markers.append(Marker((entry,), {}, None, 0.5, 0.25))
    mixture = made.mixture.model_copy(update={"pack": Pack(seq_len=seq_len, n_shards=len(shards))})
    record(made.store, mixture, "packed", mark="m", version=1, done=done_of(markers))
    hold_tokenizer(made.store, tokenizer_bytes(vocab_size), by_hash=True)
    _forget(made.store, n_shards=len(shards))
    return Truth(RunFiles(made.store), [row for rows in shards for row in rows], vocab_size)


def _forget(store: Store, *, n_shards: int) -> None:
    """Remove what `hand_run` packed."""
    for name in store.files("packed"):
        if f"-of-{n_shards:05d}" not in name:
            store.remove(f"packed/{name}")


def _row(rng: np.random.Generator, *, seq_len: int, vocab_size: int) -> dict[str, Any]:
    """One sequence: some full and some not, of one piece or many, cut documents without their end among them."""
    n_real = seq_len if rng.random() < 0.5 else int(rng.integers(1, seq_len + 1))
    inner = rng.permutation(np.arange(1, n_real))[: int(rng.integers(0, 5))]
    bounds = [0, *sorted(inner.tolist()), n_real]
    ids = rng.integers(0, vocab_size, seq_len)
    ids[rng.random(seq_len) < 0.2] = vocab_size - 1
    for end in bounds[1:]:
        if rng.random() < 0.7:
            ids[end - 1] = EOS
    ids[n_real:] = EOS
    n_pieces = len(bounds) - 1
    return {
        "token_ids": ids.tolist(),
        "n_real": n_real,
        "cu_seqlens": bounds,
        "doc_ids": [doc_id(int(rng.integers(2)), int(rng.integers(4))) for _ in range(n_pieces)],
        "doc_offsets": rng.integers(0, 2**40, n_pieces).tolist(),
        "pool": POOLS[int(rng.integers(2))],
        "groups": [("Python", "C++", "PL/SQL", "prose, of a kind")[int(rng.integers(4))] for _ in range(n_pieces)],
    }


def tokenizer_bytes(vocab_size: int) -> bytes:
    """A byte-level vocabulary without merges; its largest id is `vocab_size` - 1."""
    spelled = {letter: number for number, letter in enumerate(byte_chars())}
    special = {"<|endoftext|>": EOS, "<|last|>": vocab_size - 1}
    added = [{"id": number, "content": name, "special": True} | _PLAIN for name, number in special.items()]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    config = {
        "version": "1.0",
        "added_tokens": added,
        "pre_tokenizer": level,
        "decoder": level,
        "model": {"type": "BPE", "vocab": spelled | special, "merges": []},
    }
    return json.dumps(config).encode()


_PLAIN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}


def with_license(license_: str, *, name: str = "a") -> tuple[tuple[Doc, ...], ...]:
    """SHARDS with another licence for one document."""
    return tuple(
        tuple(replace(d, license=license_) if d.path.startswith(f"src/{name}") else d for d in docs) for docs in SHARDS
    )
