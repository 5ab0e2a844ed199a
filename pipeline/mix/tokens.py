"""Tokens: ids of every kept document, the end-of-document token included."""

import numpy as np
import pyarrow as pa

from pipeline.arrays.trained import texts_of
from pipeline.errors import ConfigError
from pipeline.mix.encoder import load_encoder
from pipeline.mix.settings import Encoding
from pipeline.schema import TOKENS


def tokenize(documents: pa.Table, decisions: pa.Table, redacted: pa.Table, *, config: Encoding) -> pa.Table:
    """Table `tokens` of one shard; a dropped document has null ids and no tokens.

    ConfigError if the tokenizer's file is not the one that the run began with: two would share one table of ids.
    """
    keep = decisions["keep"].to_numpy()
    encoder = load_encoder(config.path)
    if encoder.file_hash != config.file_hash:
        raise ConfigError(
            f"tokenizer.path: {config.path} has SHA-256 {encoder.file_hash}, at the start it had {config.file_hash}: "
            "it changed while the run was made, or differs between machines; run the same command again"
        )
    offsets, ids = encoder.encode_batch(texts_of(documents, redacted, rows=np.flatnonzero(keep)))
    n_tokens = np.zeros(documents.num_rows, np.int64)
    n_tokens[keep] = np.diff(offsets)
    ends = np.concatenate(([0], np.cumsum(n_tokens)))
    lists = pa.LargeListArray.from_arrays(
        pa.array(ends), pa.array(ids), type=TOKENS.schema.field("token_ids").type, mask=pa.array(~keep)
    )
    return pa.table({"doc_id": documents["doc_id"], "token_ids": lists, "n_tokens": n_tokens}, schema=TOKENS.schema)
