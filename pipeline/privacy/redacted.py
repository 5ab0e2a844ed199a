"""Redact: where secrets and personal data stand in each document, and its content with placeholders in their place."""

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import bytes_of, one_chunk
from pipeline.config import Privacy
from pipeline.privacy.assigned import UNQUOTED
from pipeline.privacy.find import find
from pipeline.privacy.replace import Span, replaced, spans_of
from pipeline.schema import REDACTED


def redact(documents: pa.Table, languages: pa.Table, *, config: Privacy) -> pa.Table:
    """Table `redacted` of one shard: documents needs doc_id and content, languages the language."""
    data, offsets = bytes_of(one_chunk(documents["content"]))
    unquoted = unquoted_in(languages["language"])
    found = spans_of(find(data, offsets, unquoted=unquoted))
    rows = sorted(found)
    contents = [data[offsets[row] : offsets[row + 1]].tobytes() for row in rows]
    written = replaced(
        contents, [found[row] for row in rows], unquoted=unquoted[rows].tolist(), policies=config.policies
    )
    texts: list[bytes | None] = [None] * documents.num_rows
    spans: list[list[Span]] = [[] for _ in texts]
    for row, (text, mine) in zip(rows, written, strict=True):
        texts[row], spans[row] = text, mine
    return pa.table(
        {
            "doc_id": documents["doc_id"],
            "findings": [[{"kind": k, "start": a, "end": b} for a, b, k in mine] for mine in spans],
            "content": pa.array(texts, pa.large_binary()),
        },
        schema=REDACTED.schema,
    )


def unquoted_in(languages: pa.ChunkedArray) -> np.ndarray:
    """Of each document whether values stand without quotes in its language, as booleans."""
    return np.array([language in UNQUOTED for language in languages.to_pylist()], bool)
