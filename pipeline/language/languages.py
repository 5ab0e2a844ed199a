"""Classify: which language and pool each document belongs to, and which rule said so."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pyarrow as pa

from pipeline import schema
from pipeline.arrays.columns import bytes_of
from pipeline.config import Classify
from pipeline.language.override import Override, override_of
from pipeline.language.table import group_of
from pipeline.language.verdict import Options, Told, Verdict, classify_batch, language_named

COLUMNS = ("path", "source", "pool_hint", "language_label")


def classify(documents: pa.Table, *, config: Classify) -> pa.Table:
    """Table `languages`: one row per document, in order. Reads path, content and what the source says; opens nothing.

    Contents are looked at where they lie in Arrow's memory; a few kilobytes of each are copied. A document's verdict
    depends on that document alone.
    """
    options = Options(
        min_confidence=config.min_confidence,
        max_scan_bytes=config.max_scan_bytes,
        classifier=config.classifier,
        renamed={language_named(name): language_named(other) for name, other in config.merge.items()},
    )
    overrides = [Override(o.path, o.source, o.language, o.pool) for o in config.overrides]
    verdicts: list[Verdict] = []
    for batch in documents.select([*COLUMNS, "content"]).to_batches():
        told = list(_told(batch, overrides))
        paths = batch.column("path").to_pylist()
        verdicts += classify_batch(paths, _views(batch.column("content")), told=told, options=options)
    columns = list(zip(*verdicts, strict=True)) if verdicts else [()] * len(Verdict._fields)
    arrays = dict(zip(Verdict._fields, columns, strict=True)) | {"doc_id": documents.column("doc_id")}
    pairs = zip(verdicts, documents["source"].to_pylist(), strict=True)
    arrays["group"] = [group_of(v.language) if v.pool == "code" else source for v, source in pairs]
    table = pa.table({name: arrays[name] for name in schema.LANGUAGES.schema.names}, schema=schema.LANGUAGES.schema)
    return schema.check(table, schema.LANGUAGES.schema, name="languages")


def _told(batch: pa.RecordBatch, overrides: list[Override]) -> Iterator[Told]:
    """What mixture and source say of each document: an override beats a label."""
    for path, source, pool, label in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
        override = override_of(overrides, source=source, path=path) if overrides else None
        if override is not None:
            yield Told(override.pool or pool, override.language, "override")
        else:
            yield Told(pool, label or "", "label")


def _views(contents: pa.LargeBinaryArray) -> list[memoryview]:
    """One view per document into the array's own bytes."""
    data, offsets = bytes_of(contents)
    view: memoryview = data.data
    return [view[start:stop] for start, stop in pairwise(offsets.tolist())]
