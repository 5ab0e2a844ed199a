"""Bytes and CPU seconds of the whole run, from what the run over the sample took.

Both have a part that grows with the input and one that does not: a parquet file has a frame however few rows it holds,
and a task has a beginning. In a sample of a hundredth the frames are most of it, so they are measured and set apart.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.forecast.sampled import SampledInput
from pipeline.listed import n_bytes_of, n_files_of
from pipeline.schema import DOCUMENTS, PACKED, TOKENS

# How far a compressed column's size per row is off in larger files, and how far CPU time is off from one start to the
# next on a machine with other work on it; standard deviations of the logarithm. Plain guesses: docs/forecast.md.
DISK_ERROR = 0.05
CPU_ERROR = 0.25
# What stands beside tables, packed shards and tokenizer: report, samples, papers, manifest, logs. Samples
# are some of each group, so this hardly grows: around the least and most of four runs, docs/forecast.md.
BESIDE_BYTES = (700_000, 3_000_000)
_SECONDS_AN_HOUR = 3600


@dataclass(frozen=True)
class Timed:
    """CPU seconds of one run by what they are for."""

    n_bytes: int  # of its documents
    n_shards: int
    reading: float  # stage documents
    rest: float


def disk_draws(run: RunFiles, sample: SampledInput, *, tokens: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Bytes of the whole run's folder, [n_draws], for its kept and its packed tokens in each draw."""
    stages = run.manifest["stages"]
    n_docs, n_bytes = len(sample.n_bytes), int(sample.n_bytes.sum())
    n_kept = int(sample.n_tokens[sample.is_kept].sum())
    n_packed = stages[PACKED]["counts"]["n_tokens"]
    frames = {table.name: _frame(run, table.name) for table in run.aligned if not table.mapped}
    # Spread over the draws, whose order has nothing to do with what is drawn; the tokenizer is that of the whole run.
    found = np.linspace(*BESIDE_BYTES, len(tokens)) + tokenizer_of(run.store, run.manifest).n_bytes
    for name, made in stages.items():
        stored = n_bytes_of(made)
        frame = min(stored, frames.get(name, 0) * n_files_of(made))
        by_docs = sample.n_input_docs / max(1, n_docs)
        by_bytes = sample.n_input_bytes / max(1, n_bytes)
        grows = {DOCUMENTS.name: by_bytes, TOKENS.name: tokens / max(1, n_kept), PACKED: total / max(1, n_packed)}
        found = found + frame + (stored - frame) * grows.get(name, by_docs)
    return found


def _frame(run: RunFiles, table: str) -> int:
    """Bytes of a parquet file of this table with a single row."""
    tables = {one.name: one for one in run.aligned}
    for shard in range(run.n_shards):
        rows = run.tables.read(tables[table], shard)
        if rows.num_rows:
            sink = io.BytesIO()
            pq.write_table(rows.slice(0, 1), sink, compression="lz4", write_page_checksum=True)
            return sink.tell()
    return 0


def timed(manifest: Mapping[str, Any]) -> Timed:
    """What a finished run took."""
    stages = manifest["stages"]
    reading = stages[DOCUMENTS.name]
    rest = sum(made["cpu_seconds"] or made["seconds"] for name, made in stages.items() if name != DOCUMENTS.name)
    read_seconds = reading["cpu_seconds"] or reading["seconds"]
    return Timed(reading["counts"]["n_bytes"], n_files_of(reading), read_seconds, rest)


def cpu_hours(first: Timed, again: Timed, part: Timed, *, n_bytes: int) -> float:
    """CPU-hours of a run over `n_bytes`.

    `first` has read the whole input and worked on the sample. `again` and `part` have worked on the sample and on a
    part of it in a process that had done so before, so what they differ by grows with the input, and the rest is the
    price of their shards.
    """
    grown = max(1, again.n_bytes - part.n_bytes)
    slope = max(0.0, again.rest - part.rest) / grown
    a_shard = max(0.0, again.rest - slope * again.n_bytes) / max(1, again.n_shards)
    storing = max(0.0, again.reading - part.reading) / grown  # reading it as parquet is the smaller half of that
    beginning = max(0.0, first.rest - again.rest)  # loading kernels and models, once in each worker
    read = first.reading + storing * max(0, n_bytes - first.n_bytes) / 2
    return (read + slope * n_bytes + a_shard * first.n_shards + beginning) / _SECONDS_AN_HOUR
