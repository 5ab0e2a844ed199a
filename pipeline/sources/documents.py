"""Ingest: read the sources once, cut them into the shards that every later table keeps."""

from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import Frozen, Mixture, Source
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
    max_document_bytes: int  # of `ingest`, whose other settings change no row
    slices: tuple[Slice, ...]


def ingest(job: Job, *, config: Inputs) -> list[Marker]:
    """Write table `documents`, one shard per slice. A file that cannot be read stops the run or is skipped."""
    sources = {s.name: s for s in config.sources}
    task = partial(_read_shard, job.tables, max_document_bytes=config.max_document_bytes, skip_bad=job.skip_bad)
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
        documents, problem = _without_bad_files(source, piece, error=error, max_document_bytes=max_document_bytes)
    entry = tables.write(DOCUMENTS, shard, data=documents)
    return Outcome((entry,), _counts(documents) | _taken_by_name(documents, source=source), problem)


def _without_bad_files(
    source: Source, piece: Slice, *, error: StoreError, max_document_bytes: int
) -> tuple[pa.Table, str]:
    """What the other files of a slice hold, and what is wrong with the bad ones. Files share a slice as they happen to
    lie, so one of them costs no other."""
    tables, problems = [DOCUMENTS.schema.empty_table()], []
    for file in piece.files if len(piece.files) > 1 else ():
        try:
            tables.append(read_slice(source, replace(piece, files=(file,)), max_document_bytes=max_document_bytes))
        except StoreError as found:
            problems.append(str(found))
    others = f" ({len(tables) - 1} other files of this shard were read)" if len(tables) > 1 else ""
    return pa.concat_tables(tables), "; ".join(problems or [str(error)]) + others


def _taken_by_name(documents: pa.Table, *, source: Source) -> dict[str, int]:
    """Documents whose path or language comes from a column of that name, which the mixture does not map."""
    if source.kind not in ("parquet", "jsonl", "huggingface"):
        return {}
    row = pc.cast(documents["input_row"], pa.string())
    own = pc.binary_join_element_wise(documents["input_file"], row, "#")
    found = {"path": pc.not_equal(documents["path"], own), "language": pc.is_valid(documents["language_label"])}
    counts = {f: int(pc.sum(mask).as_py() or 0) for f, mask in found.items() if getattr(source.columns, f) is None}
    return {f"n_default_{field} {source.name}": n for field, n in counts.items() if n}


def _counts(documents: pa.Table) -> dict[str, int]:
    lost = pc.value_counts(documents["lost_fields"].combine_chunks().flatten())
    return {
        "n_docs": documents.num_rows,
        "n_bytes": int(pc.sum(documents["n_bytes"]).as_py() or 0),
        **{f"n_lost_{one['values'].as_py()}": one["counts"].as_py() for one in lost},
    }
