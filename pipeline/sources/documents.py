"""Ingest: read the sources once, cut them into the shards that every later table keeps."""

from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import Frozen, Ingest, Mixture, Source
from pipeline.engine.markers import Marker, Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.errors import StoreError
from pipeline.schema import DOCUMENTS
from pipeline.sources import Slice, plan_slices, read_slice


def plan(mixture: Mixture) -> list[Slice]:
    """What each shard of `documents` will hold, in order."""
    return [s for source in mixture.sources for s in plan_slices(source, shard_bytes=mixture.ingest.shard_bytes)]


class Inputs(Frozen):
    """All that decides `documents`. The slices name every input file with its size and version."""

    sources: tuple[Source, ...]
    ingest: Ingest
    slices: tuple[Slice, ...]


def ingest(job: Job, *, config: Inputs) -> list[Marker]:
    """Write table `documents`, one shard per slice. A slice that cannot be read stops the run or is skipped whole."""
    sources = {s.name: s for s in config.sources}
    task = partial(_read_shard, job.tables, max_document_bytes=config.ingest.max_document_bytes, skip_bad=job.skip_bad)
    return job.step("", task, items=[(sources[s.source], s) for s in config.slices])


def _read_shard(
    tables: Tables, shard: int, payload: tuple[Source, Slice], *, max_document_bytes: int, skip_bad: bool
) -> Outcome:
    source, piece = payload
    problem = None
    try:
        documents = read_slice(source, piece, max_document_bytes=max_document_bytes)
    except StoreError as error:
        if not skip_bad:
            raise StoreError(
                f"source {source.name!r}, shard {shard}: {error}; repair it, or go on without it: --on-bad-shard skip"
            ) from error
        documents, problem = DOCUMENTS.schema.empty_table(), str(error)
    entry = tables.write(DOCUMENTS, shard, data=documents)
    return Outcome((entry,), _counts(documents), problem)


def _counts(documents: pa.Table) -> dict[str, int]:
    return {"n_docs": documents.num_rows, "n_bytes": int(pc.sum(documents["n_bytes"]).as_py() or 0)}
