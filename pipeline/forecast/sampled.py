"""What a run over a sample says of each of its documents, and what is known of the whole input beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, one_chunk
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import ConfigError
from pipeline.schema import DOCUMENTS, LANGUAGES, SELECT, TOKENS
from pipeline.sources.drawing import cells_of, units
from pipeline.sources.sampling import CELL_BYTES, CELL_DOCS, Sampling, of_cells, sampling_of

_NEAR = "near_duplicate"
# A document that loses its keeper to the sampling looks as if it stayed. How often that happens is one less its
# similarity; below this one the correction would rest on a few pairs at the edge of the threshold.
_MIN_SIMILARITY = 0.6

Group = tuple[str, str]  # pool and name


@dataclass(frozen=True)
class SampledInput:
    """The documents of a sample, arrays of shape [n], and the cells of the whole input, arrays of shape [n_cells]."""

    sampling: Sampling
    groups: Sequence[Group]
    n_input_docs: int
    n_input_bytes: int
    cells: Sequence[str]  # source/ending/size
    cell_docs: np.ndarray
    cell_bytes: np.ndarray
    unit: np.ndarray  # number of what was drawn as one
    cell: np.ndarray
    group: np.ndarray  # number in `groups`
    n_bytes: np.ndarray
    # Tokens it adds to its group: its own if it is kept; less than none where it is a near duplicate, for the others
    # like it whose keeper is not in the sample.
    n_tokens: np.ndarray
    is_kept: np.ndarray


def read_sample(run: RunFiles) -> SampledInput:
    """The sample of a finished run. ConfigError for a run over the whole of its input."""
    sampling = sampling_of(run.mixture)
    if sampling is None:
        raise ConfigError(f"{run.store.root}: is no run over a sample, so there is nothing to forecast")
    counts = run.manifest["stages"][DOCUMENTS.name]["counts"]
    known = {name: (n, of_cells(counts, CELL_BYTES)[name]) for name, n in of_cells(counts, CELL_DOCS).items()}
    return sample_of(rows_of(run), known, sampling=sampling)


def rows_of(run: RunFiles) -> pa.Table:
    """What a finished run says of each of its documents: unit, cell, pool, group, n_bytes, n_tokens, is_kept,
    similarity (to its keeper, of a document that would be kept but for a near one; else 0)."""
    return pa.concat_tables([_rows(run, shard) for shard in range(run.n_shards)])


def sample_of(rows: pa.Table, known: Mapping[str, tuple[int, int]], *, sampling: Sampling) -> SampledInput:
    """The sample that `rows` are, of an input with so many documents and bytes in each cell."""
    cells = sorted(known)
    number = {name: i for i, name in enumerate(cells)}
    pairs = list(zip(rows["pool"].to_pylist(), rows["group"].to_pylist(), strict=True))
    groups = sorted(set(pairs))
    place = {pair: i for i, pair in enumerate(groups)}
    n_bytes, n_tokens, unit, similarity = columns(rows, "n_bytes", "n_tokens", "unit", "similarity")
    is_kept = rows["is_kept"].to_numpy(zero_copy_only=False)
    # Of near duplicates of similarity s, a share of s is seen as such.
    unseen = np.where(similarity > 0, 1 / np.maximum(similarity, _MIN_SIMILARITY) - 1, 0.0)
    group = np.array([place[pair] for pair in pairs], np.int64)
    return SampledInput(
        sampling=sampling,
        groups=groups,
        n_input_docs=sum(n for n, _ in known.values()),
        n_input_bytes=sum(size for _, size in known.values()),
        cells=cells,
        cell_docs=np.array([known[name][0] for name in cells], np.int64),
        cell_bytes=np.array([known[name][1] for name in cells], np.int64),
        unit=np.unique(unit, return_inverse=True)[1],
        cell=np.array([number[name] for name in rows["cell"].to_pylist()], np.int64),
        group=group,
        n_bytes=n_bytes,
        n_tokens=_adds(n_bytes, n_tokens, is_kept, unseen, group),
        is_kept=is_kept,
    )


def _rows(run: RunFiles, shard: int) -> pa.Table:
    read = run.tables.read
    documents = read(DOCUMENTS, shard, columns=["doc_id", "source", "path", "language_label", "n_bytes", "content"])
    told = read(LANGUAGES, shard, columns=["pool", "group"])
    decided = read(SELECT, shard, columns=["keep", "reasons", "similarity"])
    reasons = one_chunk(decided["reasons"])
    alone = pc.equal(pc.list_value_length(reasons), 1)
    first = pc.if_else(alone, pc.list_element(pc.if_else(alone, reasons, pa.scalar([""], reasons.type)), 0), "")
    similarity = pc.if_else(pc.equal(first, _NEAR), one_chunk(decided["similarity"]), pa.scalar(None, pa.float64()))
    return pa.table(
        {
            "unit": units(documents),
            "cell": pa.array(cells_of(documents).tolist(), pa.string()),
            "pool": told["pool"],
            "group": told["group"],
            "n_bytes": documents["n_bytes"],
            "n_tokens": read(TOKENS, shard, columns=["n_tokens"])["n_tokens"],
            "is_kept": decided["keep"],
            # of a document that would be kept but for a near one; 0: of all others
            "similarity": pc.fill_null(similarity, 0.0),
        }
    )


def _adds(
    n_bytes: np.ndarray, n_tokens: np.ndarray, is_kept: np.ndarray, unseen: np.ndarray, group: np.ndarray
) -> np.ndarray:
    """What each document adds: a near duplicate takes off what those that it stands for seem to add."""
    n_groups = int(group.max(initial=0)) + 1
    kept = np.where(is_kept, n_tokens, 0).astype(np.float64)
    volume = np.bincount(group, np.where(is_kept, n_bytes, 0), minlength=n_groups)
    every = kept.sum() / max(1.0, volume.sum())
    rate = np.where(volume > 0, np.bincount(group, kept, minlength=n_groups) / np.maximum(volume, 1), every)
    added: np.ndarray = kept - unseen * rate[group] * n_bytes
    return added
