"""Tokens: ids of every kept document, the end-of-document token included, in the form that it shall have."""

import numpy as np
import pyarrow as pa

from pipeline.arrays.trained import texts_of
from pipeline.mix.encoder import expected_encoder
from pipeline.mix.settings import Encoding, Filling
from pipeline.mix.writer import Unwritten, writer_of
from pipeline.schema import TOKENS


def tokenize(documents: pa.Table, decisions: pa.Table, redacted: pa.Table, *, config: Encoding) -> pa.Table:
    """Table `tokens` of one shard, each document from its start to its end; a dropped one has null ids and no tokens.

    ConfigError if the tokenizer's file is not the one that the run began with: two would share one table of ids.
    """
    keep = decisions["keep"].to_numpy()
    encoder = expected_encoder(config.path, config.file_hash)
    offsets, ids = encoder.encode_batch(texts_of(documents, redacted, rows=np.flatnonzero(keep)))
    return _table(documents["doc_id"], keep, np.diff(offsets), ids)


def tokenize_forms(
    documents: pa.Table,
    decisions: pa.Table,
    redacted: pa.Table,
    languages: pa.Table,
    forms: pa.Table,
    *,
    config: Filling,
) -> pa.Table:
    """The same, with documents that are filled in, and files of repositories, where `forms` says so."""
    keep = decisions["keep"].to_numpy()
    rows, form = np.flatnonzero(keep), forms["form"].to_pylist()
    places, sizes = (forms[name].to_pylist() for name in ("repo_place", "repo_size"))
    writer = writer_of(expected_encoder(config.path, config.file_hash), config)
    ids: list[np.ndarray] = []
    for row, text in zip(rows.tolist(), texts_of(documents, redacted, rows=rows), strict=True):
        doc_id, language, repo, path = (
            table[name][row].as_py()
            for table, name in (
                (documents, "doc_id"),
                (languages, "language"),
                (documents, "repo"),
                (documents, "path"),
            )
        )
        document = Unwritten(text, doc_id, language, form[row])
        if places[row] is None:
            ids.append(writer.alone(document))
        else:
            is_last = places[row] + 1 == sizes[row]
            ids.append(writer.file(document, repo=None if places[row] else repo, path=path, is_last=is_last))
    flat = np.concatenate(ids) if ids else np.zeros(0, np.uint32)
    return _table(documents["doc_id"], keep, np.array([one.size for one in ids], np.int64), flat)


def _table(doc_id: pa.ChunkedArray, keep: np.ndarray, sizes: np.ndarray, ids: np.ndarray) -> pa.Table:
    n_tokens = np.zeros(keep.size, np.int64)
    n_tokens[keep] = sizes
    ends = np.concatenate(([0], np.cumsum(n_tokens)))
    lists = pa.LargeListArray.from_arrays(
        pa.array(ends), pa.array(ids), type=TOKENS.schema.field("token_ids").type, mask=pa.array(~keep)
    )
    return pa.table({"doc_id": doc_id, "token_ids": lists, "n_tokens": n_tokens}, schema=TOKENS.schema)
