"""Tokens: ids of every kept document, the end-of-document token included, in the form that it shall have."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from pipeline.arrays.trained import texts_of
from pipeline.forms.fim import Filler
from pipeline.mix.encoder import expected_encoder
from pipeline.mix.settings import Encoding, Filling
from pipeline.schema import TOKENS
from tokenizer import Encoder


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
    """The same, with documents that are filled in where `forms` says so."""
    keep = decisions["keep"].to_numpy()
    encoder = expected_encoder(config.path, config.file_hash)
    rows, form = np.flatnonzero(keep), np.array(forms["form"].to_pylist(), object)
    filler = _filler(encoder, config)
    ids: list[np.ndarray] = []
    texts = texts_of(documents, redacted, rows=rows)
    for row, text in zip(rows.tolist(), texts, strict=True):
        if form[row] == "plain":
            ids.append(encoder.encode_batch([text])[1])
            continue
        doc_id, language = documents["doc_id"][row].as_py(), languages["language"][row].as_py()
        ids.append(filler.fill(text, doc_id=doc_id, language=language, spm=form[row] == "spm"))
    flat = np.concatenate(ids) if ids else np.zeros(0, np.uint32)
    return _table(documents["doc_id"], keep, np.array([one.size for one in ids], np.int64), flat)


def _filler(encoder: Encoder, config: Filling) -> Filler:
    def encode(texts: Sequence[bytes]) -> list[np.ndarray]:
        offsets, ids = encoder.encode_batch(texts)
        return [ids[a : b - 1] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]

    sizes = np.array([len(token) for token in encoder.vocabulary], np.int64)
    return Filler(encode, sizes, config.sentinels(encoder), **dict(config.fim))


def _table(doc_id: pa.ChunkedArray, keep: np.ndarray, sizes: np.ndarray, ids: np.ndarray) -> pa.Table:
    n_tokens = np.zeros(keep.size, np.int64)
    n_tokens[keep] = sizes
    ends = np.concatenate(([0], np.cumsum(n_tokens)))
    lists = pa.LargeListArray.from_arrays(
        pa.array(ends), pa.array(ids), type=TOKENS.schema.field("token_ids").type, mask=pa.array(~keep)
    )
    return pa.table({"doc_id": doc_id, "token_ids": lists, "n_tokens": n_tokens}, schema=TOKENS.schema)
