"""Tokenize: token ids of every kept document, the end-of-document token included."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow as pa

import tokenizer
from pipeline.config import Tokenizer
from pipeline.errors import ConfigError
from pipeline.schema import TOKENS


@lru_cache(maxsize=2)
def load_encoder(path: str) -> tokenizer.Encoder:
    """The encoder of a tokenizer file, or of `builtin`; kept between the shards of one process. Raises ConfigError."""
    try:
        return tokenizer.load(path)
    except tokenizer.TokenizerError as error:
        raise ConfigError(f"tokenizer.path: {error}") from error


def tokenizer_hash(config: Tokenizer) -> str:
    """SHA-256 of the tokenizer file; part of the fingerprint."""
    return load_encoder(config.path).file_hash


def end_of_document(config: Tokenizer) -> int:
    """The id that ends each document and fills what is left of a sequence."""
    return load_encoder(config.path).eos_id


def tokenize(documents: pa.Table, decisions: pa.Table, *, config: Tokenizer) -> pa.Table:
    """Table `tokens` of one shard; a dropped document has null ids and no tokens."""
    keep = decisions["keep"].to_numpy()
    encoder = load_encoder(config.path)
    kept = documents["content"].filter(pa.array(keep)).to_pylist()
    offsets, ids = encoder.encode_batch(kept)
    n_tokens = np.zeros(documents.num_rows, np.int64)
    n_tokens[keep] = np.diff(offsets)
    ends = np.concatenate(([0], np.cumsum(n_tokens)))
    lists = pa.LargeListArray.from_arrays(
        pa.array(ends), pa.array(ids), type=TOKENS.schema.field("token_ids").type, mask=pa.array(~keep)
    )
    return pa.table({"doc_id": documents["doc_id"], "token_ids": lists, "n_tokens": n_tokens}, schema=TOKENS.schema)
