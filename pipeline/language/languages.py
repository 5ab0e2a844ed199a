"""Classify: which language and pool each document belongs to, and which rule said so."""

from collections.abc import Iterator
from itertools import pairwise

import pyarrow as pa

from pipeline import schema
from pipeline.arrays.columns import bytes_of
from pipeline.config import Classify
from pipeline.globs import matcher
from pipeline.language.decide import Classification, Declared, classify_batch
from pipeline.language.kinds import FEW, kinds_in
from pipeline.language.table import group_of
from pipeline.language.visible import format_of

COLUMNS = ("path", "source", "pool_hint", "language_label")


def classify(documents: pa.Table, *, config: Classify) -> pa.Table:
    """Table `languages`: one row per document, in order. Reads path, content and what the source says; opens nothing.

    Contents are looked at where they lie in Arrow's memory; a few kilobytes of each are copied. A document's verdict
    depends on that document alone.
    """
    found: list[Classification] = []
    for batch in documents.select([*COLUMNS, "content"]).to_batches():
        declared = list(_declared(batch, config=config))
        paths = batch.column("path").to_pylist()
        data, offsets = bytes_of(batch.column("content"))
        looks = kinds_in(data, offsets) if len(paths) > FEW else None
        views = _views(data.data, offsets.tolist())
        verdicts = classify_batch(paths, views, declared=declared, looks=looks, config=config)
        found += [_moved(one, other.pool, config=config) for one, other in zip(verdicts, declared, strict=True)]
    columns = list(zip(*found, strict=True)) if found else [()] * len(Classification._fields)
    arrays = dict(zip(Classification._fields, columns, strict=True)) | {"doc_id": documents.column("doc_id")}
    pairs = zip(found, documents["source"].to_pylist(), strict=True)
    # The unit that balance fills: code is balanced by language, text by where it comes from.
    arrays["group"] = [_group(one, config=config) if one.pool == "code" else source for one, source in pairs]
    table = pa.table({name: arrays[name] for name in schema.LANGUAGES.schema.names}, schema=schema.LANGUAGES.schema)
    return schema.check(table, schema.LANGUAGES.schema, name="languages")


def _prose_in(found: Classification, config: Classify) -> str:
    """What the mixture wants of prose in this document's format; "keep" for all that is none."""
    if found.content_kind != "prose" or not config.prose_in:
        return "keep"
    inside = format_of(found.language)
    return next((what for name, what in config.prose_in.items() if name == inside), "keep")


def _moved(found: Classification, pool: str, *, config: Classify) -> Classification:
    """Prose in markup goes to the text pool where the mixture says so, unless the source insists on its `pool`."""
    moves = pool == "auto" and found.pool == "code" and _prose_in(found, config) == "text"
    return found._replace(pool="text") if moves else found


def _group(found: Classification, *, config: Classify) -> str:
    if _prose_in(found, config) == "apart":
        return schema.PROSE_GROUP.format(format_of(found.language))
    return group_of(found.language)


def _declared(batch: pa.RecordBatch, *, config: Classify) -> Iterator[Declared]:
    """What mixture and source say of each document: an override beats a label, the first that fits the others."""
    overrides = [(override, matcher((override.path,))) for override in config.overrides]
    for path, source, pool, label in zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True):
        override = (
            next((o for o, fits in overrides if o.source in (None, source) and fits(path)), None) if overrides else None
        )
        if override:
            yield Declared(override.pool or pool, override.language, "override")
        else:
            yield Declared(pool, label or "")


def _views(data: memoryview, offsets: list[int]) -> list[memoryview]:
    """One view per document into the array's own bytes."""
    return [data[start:stop] for start, stop in pairwise(offsets)]
