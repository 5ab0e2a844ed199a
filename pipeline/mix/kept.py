"""What the balance chooses from: the kept documents of a shard, and their places in the keyed order."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.arrays.keys import keyed_hash
from pipeline.engine.tables import Tables
from pipeline.mix.quota import BUCKET_BITS
from pipeline.schema import LANGUAGES, SELECT, TOKENS


def read_kept(tables: Tables, shard: int) -> pa.Table:
    """doc_id, pool, group, n_tokens of each document of a shard; group is null where it was dropped."""
    languages = tables.read(LANGUAGES, shard, columns=["doc_id", "pool", "group"])
    keep = tables.read(SELECT, shard, columns=["keep"])["keep"]
    group = pc.if_else(keep, languages["group"], pa.scalar(None, pa.string()))
    n_tokens = tables.read(TOKENS, shard, columns=["n_tokens"])["n_tokens"]
    return languages.set_column(2, "group", group).append_column("n_tokens", n_tokens)


def pools_of(kept: pa.Table) -> np.ndarray:
    """The pool of each document, object [n]."""
    return np.array(kept["pool"].to_pylist(), object)


def keys_of(kept: pa.Table, *, key: np.uint64) -> np.ndarray:
    """The place of each document in the keyed order, uint64 [n]."""
    return keyed_hash(key, *doc_words(kept))


def buckets_of(keys: np.ndarray) -> np.ndarray:
    """The bucket of each key, int64 [n]: its first bits."""
    return (keys >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)
