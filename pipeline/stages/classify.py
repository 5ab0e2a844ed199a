"""Classify: which language and pool each document belongs to, and which rule said so."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa

from pipeline import schema
from pipeline.columns import bytes_of
from pipeline.config import Classify
from pipeline.language.verdict import Verdict, classify_batch


def classify(documents: pa.Table, *, config: Classify) -> pa.Table:
    """Table `languages`: one row per document, in order. Reads path, content and pool_hint, and opens nothing.

    Contents are looked at where they lie in Arrow's memory; only the first `max_scan_bytes` are copied, and only of
    documents whose path does not decide. A document's verdict depends on that document alone.
    """
    verdicts: list[Verdict] = []
    for batch in documents.select(["path", "content", "pool_hint"]).to_batches():
        verdicts += classify_batch(
            batch.column("path").to_pylist(),
            _views(batch.column("content")),
            pool_hints=batch.column("pool_hint").to_pylist(),
            min_confidence=config.min_confidence,
            max_scan_bytes=config.max_scan_bytes,
        )
    pools, languages, confidences, decided_by = zip(*verdicts, strict=True) if verdicts else ((), (), (), ())
    table = pa.table(
        {
            "doc_id": documents.column("doc_id"),
            "pool": pa.array(pools, pa.string()),
            "language": pa.array(languages, pa.string()),
            "confidence": pa.array(confidences, pa.float64()),
            "decided_by": pa.array(decided_by, pa.string()),
            "runner_up": pa.nulls(len(verdicts), pa.string()),
            "runner_up_confidence": pa.nulls(len(verdicts), pa.float64()),
            "content_kind": pa.array(["code"] * len(verdicts), pa.string()),
        },
        schema=schema.LANGUAGES,
    )
    return schema.check(table, schema.LANGUAGES, name="languages")


def _views(contents: pa.LargeBinaryArray) -> list[memoryview]:
    """One view per document into the array's own bytes."""
    data, offsets = bytes_of(contents)
    view: memoryview = data.data
    return [view[start:stop] for start, stop in pairwise(offsets.tolist())]
