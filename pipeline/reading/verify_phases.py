"""The promises of phases, recounted from the packed stream: who may enter, how much, and how often over all of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.engine.run_folder import RunFiles
from pipeline.phased import Phased
from pipeline.rules.judge import measured_values
from pipeline.rules.settings import columns_of
from pipeline.schema import LANGUAGES, POOLS, QUALITY, TOKENS, bounds_of_pieces

_MAX_NAMED = 3
_LARGE_FRAC = 1 / 16  # of an epoch: a document beyond it may fill what stands between two copies
_DOC = np.dtype([("high", "<u8"), ("low", "<u8")])


@dataclass(frozen=True)
class _Stands:
    """Where the documents of the run stand in one phase, int64 [n_docs] each, and its tokens, padding included."""

    n_tokens: np.ndarray
    copies: np.ndarray
    first: np.ndarray  # place of its first sequence in tokens from the start of all phases; -1: not there
    last: np.ndarray
    size: int


def phases_hold(run: RunFiles) -> tuple[bool, str]:
    """Whether each phase has its tokens, of documents that may enter it, and no document has more copies than allowed,
    nor two in neighbouring phases nearer than half an epoch of the shorter one.

    What stands in a phase is counted in its sequences and held against the plan, document by document.
    """
    every = np.concatenate([_docs(t) for t in run.shards(TOKENS, columns=["doc_id"])])
    order = np.argsort(every)
    broken: list[str] = []
    said: list[str] = []
    found: list[_Stands] = []
    for phase in run.phases:
        stands = _stands(run, phase, every, order, start=sum(before.size for before in found))
        found.append(stands)
        broken += _broken(run, phase, stands.n_tokens)
        said.append(
            f"{phase.name} {int(stands.n_tokens.sum()):,} tokens of {int((stands.copies > 0).sum()):,} documents"
        )
    n_copies = np.sum([stands.copies for stands in found], axis=0)
    if often := int((n_copies > _most_copies(run)).sum()):
        broken.append(f"{often:,} documents stand more often in all phases than they may")
    n_near, nearest = _near(run, found)
    if n_near:
        broken.append(f"{n_near:,} times two copies in neighbouring phases are less than half an epoch apart")
    if broken:
        return False, "; ".join(broken[:_MAX_NAMED])
    shared = f"no document stands more than {int(n_copies.max(initial=0))} times in all of them"
    apart = f", copies in two phases are at least {nearest:.2f} of an epoch apart" if nearest < np.inf else ""
    return True, f"{', '.join(said)}; {shared}{apart}"


def _stands(run: RunFiles, phase: Phased, every: np.ndarray, order: np.ndarray, *, start: int) -> _Stands:
    n, size = every.size, 0
    n_tokens, copies = np.zeros(n, np.int64), np.zeros(n, np.int64)
    first, last = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    for table in run.packed(phase):
        place, offset, length, sequence = _pieces(table, every[order])
        row = order[place]
        n_tokens += np.bincount(row, weights=length, minlength=n).astype(np.int64)
        copies += np.bincount(row[offset == 0], minlength=n)
        at = start + size + sequence * phase.seq_len
        new = first[row] < 0
        first[row[new][::-1]] = at[new][::-1]  # of equal rows the last one that is written stays: the first of them
        last[row] = at
        size += table.num_rows * phase.seq_len
    return _Stands(n_tokens, copies, first, last, size)


def _near(run: RunFiles, found: list[_Stands]) -> tuple[int, float]:
    """How many documents stand too near in neighbouring phases, and the least distance in epochs of the shorter one."""
    longest = max(phase.seq_len for phase in run.phases)
    length = np.concatenate([t["n_tokens"].to_numpy() for t in run.shards(TOKENS, columns=["n_tokens"])])
    n_near, nearest = 0, np.inf
    for before, after in pairwise(found):
        both = np.flatnonzero((before.copies > 0) & (after.copies > 0))
        apart = (after.first - before.last)[both]
        epoch = np.minimum(before.size / before.copies[both], after.size / after.copies[both])
        # As in `epochs`: no order could help a document that is a large part of one, and a sequence is no distance.
        small = length[both] <= _LARGE_FRAC * epoch
        n_near += int((small & (apart + longest < epoch / 2)).sum())
        nearest = min(nearest, float((apart / epoch)[small].min(initial=np.inf)))
    return n_near, nearest


def _docs(table: pa.Table) -> np.ndarray:
    """Ids as pairs of numbers that can be sorted."""
    out = np.empty(table.num_rows, _DOC)
    out["high"], out["low"] = doc_words(table)
    return out


def _pieces(table: pa.Table, known: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of each piece of a packed shard its document's place in `known`, which is sorted, its offset there, its length,
    and the row of its sequence."""
    cu = table[bounds_of_pieces(table.column_names)].combine_chunks()
    values, offsets = np.asarray(cu.flatten(), np.int64), np.asarray(cu.offsets, np.int64)
    length = np.delete(np.diff(values), offsets[1:-1] - 1) if values.size else values
    sequence = np.repeat(np.arange(table.num_rows), np.diff(offsets) - 1)
    docs = _docs(pa.table({"doc_id": table["doc_ids"].combine_chunks().flatten()}))
    offset = table["doc_offsets"].combine_chunks().flatten().to_numpy()
    return np.searchsorted(known, docs), offset, length, sequence


def _broken(run: RunFiles, phase: Phased, n_packed: np.ndarray) -> Iterator[str]:
    """What a phase does not keep; `n_packed` are the tokens of each document of the run in it."""
    wanted = phase.wanted
    assert wanted is not None
    parts = phase.code_parts + phase.text_parts
    n = int(n_packed.sum())
    if wanted.tokens is not None and n != wanted.tokens // parts * parts:
        yield f"{phase.said}{n:,} tokens, {wanted.tokens:,} are asked for"
    n_other = n_short = n_low = 0
    first = 0
    for shard, plan in enumerate(run.plan(phase)):
        mine = n_packed[first : first + plan.num_rows]
        first += plan.num_rows
        n_tokens, n_copies, cut = (plan[c].to_numpy() for c in ("n_tokens", "n_copies", "cut_tokens"))
        n_other += int((mine != n_copies * n_tokens + cut).sum())
        n_short += int(((mine > 0) & (n_tokens < (wanted.min_tokens or 0))).sum())
        n_low += int(((mine > 0) & _is_low(run, phase, shard)).sum())
    if n_other:
        yield f"{phase.said}{n_other:,} documents are not packed as planned"
    if n_short:
        yield f"{phase.said}{n_short:,} documents have fewer than {wanted.min_tokens:,} tokens"
    if n_low:
        yield f"{phase.said}{n_low:,} documents are below min_quality"


def _is_low(run: RunFiles, phase: Phased, shard: int) -> np.ndarray:
    """The documents of a shard that a least value of the phase keeps out; one that was not measured too."""
    assert phase.wanted is not None
    least = phase.wanted.min_quality
    pool = run.tables.read(LANGUAGES, shard, columns=["pool"])["pool"]
    names = {name for of in POOLS for name in least.of(of)}
    quality = run.tables.read(QUALITY, shard, columns=["doc_id", *columns_of(names)])
    low = np.zeros(len(pool), bool)
    for of in POOLS:
        for name, limit in least.of(of).items():
            low |= pc.equal(pool, of).to_numpy() & ~(measured_values(quality, name) >= limit)
    return low


def _most_copies(run: RunFiles) -> np.ndarray:
    """How often each document may stand in the whole stream."""
    balance = run.mixture.balance
    code, text = (balance.copies_of(pool) for pool in (balance.code, balance.text))
    is_code = [pc.equal(t["pool"], "code").to_numpy() for t in run.shards(LANGUAGES, columns=["pool"])]
    return np.where(np.concatenate(is_code), code, text)
