"""What the balance chooses from: the kept documents of a shard, and their places in the keyed order."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.arrays.keys import keyed_hash
from pipeline.engine.tables import Tables
from pipeline.forms.beside import beside, parts_and_places
from pipeline.mix.quota import BUCKET_BITS
from pipeline.schema import FORMS, LANGUAGES, SELECT, TOKENS

_BESIDE = ("repo_part", "repo_place")


def read_kept(tables: Tables, shard: int) -> pa.Table:
    """doc_id, pool, group, n_tokens of each document of a shard; group is null where it was dropped.

    A stage that declares table `forms` gets its columns repo_part and repo_place too.
    """
    languages = tables.read(LANGUAGES, shard, columns=["doc_id", "pool", "group"])
    keep = tables.read(SELECT, shard, columns=["keep"])["keep"]
    group = pc.if_else(keep, languages["group"], pa.scalar(None, pa.string()))
    n_tokens = tables.read(TOKENS, shard, columns=["n_tokens"])["n_tokens"]
    kept = languages.set_column(2, "group", group).append_column("n_tokens", n_tokens)
    if FORMS.name in (tables.declared or ()):
        forms = tables.read(FORMS, shard, columns=list(_BESIDE))
        for name in _BESIDE:
            kept = kept.append_column(name, forms[name])
    return kept


def pools_of(kept: pa.Table) -> np.ndarray:
    """The pool of each document, object [n]."""
    return np.array(kept["pool"].to_pylist(), object)


def keys_of(kept: pa.Table, *, key: np.uint64) -> np.ndarray:
    """The place of each document in the keyed order, uint64 [n]; files of repository documents lie together there."""
    keys = keyed_hash(key, *doc_words(kept))
    if not set(_BESIDE) <= set(kept.column_names):
        return keys
    return beside(keys, key, *parts_and_places({name: kept[name] for name in _BESIDE}))


def buckets_of(keys: np.ndarray) -> np.ndarray:
    """The bucket of each key, int64 [n]: its first bits."""
    return (keys >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)
