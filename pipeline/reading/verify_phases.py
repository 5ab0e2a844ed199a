"""The promises of phases, recounted from the packed stream: who may enter, how much, and how often over all of them.

What stands in a phase is counted in its sequences and held against the plan, document by document, partition for
partition of the documents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words, joined
from pipeline.config import Mixture
from pipeline.engine.exchange import positions, row_of, shard_of
from pipeline.engine.run_folder import RunFiles, plan_of
from pipeline.engine.tables import Tables
from pipeline.errors import LoopmixError
from pipeline.phased import Phased
from pipeline.reading.matched import found_in
from pipeline.reading.spread import Spread
from pipeline.reading.stream_files import PIECES, StreamFiles, pieces_of, stream_files
from pipeline.reading.verify_epochs import LEAST_WORTH, plans_of
from pipeline.reading.work import Span, Work, n_docs_of, n_pieces_of
from pipeline.rules.judge import measured_values
from pipeline.rules.settings import columns_of
from pipeline.schema import LANGUAGES, POOLS, QUALITY, TOKENS

_MAX_NAMED = 3
_LARGE_FRAC = 1 / 16  # of an epoch: a document beyond it may fill what stands between two copies
# Words of a document on its way: its id, its tokens by `tokens` and by the plan, copies that it may have; then one for
# each phase, the planned tokens in the upper bits, and whether a least value keeps it out in the lowest.
_HEAD = 5
_WORDS = 4  # of a row of a usual spread, by which partitions are sized


@dataclass(frozen=True)
class _Stands:
    """Where documents stand in one phase, int64 [n_docs] each."""

    n_tokens: np.ndarray
    copies: np.ndarray
    first: np.ndarray  # place of its first sequence in tokens from the start of all phases; -1: not there
    last: np.ndarray


@dataclass(frozen=True)
class _AllPhases:
    """The packed shards of all phases."""

    phases: tuple[Phased, ...]
    phase: np.ndarray  # of each shard
    begin: np.ndarray  # place of its first token, from the start of all phases
    sizes: tuple[int, ...]  # tokens of each phase, padding included


@dataclass
class _Count:
    """What was counted of some documents."""

    tokens: np.ndarray  # of each phase; as the next ones
    docs: np.ndarray
    other: np.ndarray  # documents that are not packed as planned
    short: np.ndarray  # below min_tokens
    low: np.ndarray  # below min_quality
    often: int = 0
    most: int = 0  # copies of a document in all phases
    near: int = 0
    nearest: float = np.inf


def phases_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Whether each phase has its tokens, of documents that may enter it, and no document has more copies than allowed,
    nor two in neighbouring phases nearer than half an epoch of the shorter one."""
    files, of_docs = stream_files(run), work.shards(run)
    of_pieces, width = files.spans(work, run), _HEAD + len(run.phases)
    n_parts = work.n_parts(n_docs_of(run) * width // _WORDS + n_pieces_of(run))
    docs = work.spread("docs", width=width, n_sources=len(of_docs), n_parts=n_parts)
    pieces = work.spread("pieces", width=5, n_sources=len(of_pieces), n_parts=n_parts)
    list(work.each(partial(_docs, run.tables, run.mixture, run.phases, docs), of_docs, name="verify.plans"))
    lengths = [n for of in work.each(partial(_pieces, files, pieces), of_pieces, name="verify.stands") for n in of]
    stream = _stream(run.phases, files, lengths)
    found = list(work.each(partial(_count, stream, docs, pieces), work.parts(docs), name="verify.phases"))
    docs.drop()
    pieces.drop()
    tokens, n_docs = (np.sum([getattr(one, name) for one in found], axis=0) for name in ("tokens", "docs"))
    broken = [line for number in range(len(run.phases)) for line in _broken(run.phases[number], number, found)]
    if often := sum(one.often for one in found):
        broken.append(f"{often:,} documents stand more often in all phases than they may")
    near = sum(one.near for one in found)
    if near and min(plan.worth for phase in run.phases for plan in plans_of(run, phase, work)) >= LEAST_WORTH:
        broken.append(f"{near:,} times two copies in neighbouring phases are less than half an epoch apart")
    if broken:
        return False, "; ".join(broken[:_MAX_NAMED])
    said = [f"{p.name} {n:,} tokens of {d:,} documents" for p, n, d in zip(run.phases, tokens, n_docs, strict=True)]
    most, nearest = max(one.most for one in found), min(one.nearest for one in found)
    shared = f"no document stands more than {most} times in all of them"
    apart = f", copies in two phases are at least {nearest:.2f} of an epoch apart" if nearest < np.inf else ""
    return True, f"{', '.join(said)}; {shared}{apart}"


def _stream(phases: tuple[Phased, ...], files: StreamFiles, lengths: Sequence[int]) -> _AllPhases:
    """`lengths`: sequences of each packed shard."""
    folders = [phase.folder for phase in phases]
    of_shard = np.array([folders.index(path.rpartition("/")[0]) for path in files.paths], np.int64)
    tokens = np.array(lengths, np.int64) * np.array([phases[k].seq_len for k in of_shard], np.int64)
    sizes = [int(tokens[of_shard == k].sum()) for k in range(len(phases))]
    begin = np.zeros(tokens.size, np.int64)
    for k in range(len(phases)):
        mine = of_shard == k
        begin[mine] = sum(sizes[:k]) + np.cumsum(tokens[mine]) - tokens[mine]
    return _AllPhases(phases, of_shard, begin, tuple(sizes))


def _docs(tables: Tables, mixture: Mixture, phases: tuple[Phased, ...], out: Spread, span: Span) -> None:
    """Pass on what is planned and allowed of each document of some shards."""
    words, balance = [], mixture.balance
    code, text = (balance.copies_of(pool) for pool in (balance.code, balance.text))
    for shard in span.items:
        tokens = tables.read(TOKENS, shard, columns=["doc_id", "n_tokens"])
        is_code = pc.equal(tables.read(LANGUAGES, shard, columns=["pool"])["pool"], "code").to_numpy()
        planned, n_tokens = [], np.zeros(0, np.int64)
        for phase in phases:
            plan = plan_of(tables, phase, shard)
            n_tokens, n_copies, cut = (plan[c].to_numpy() for c in ("n_tokens", "n_copies", "cut_tokens"))
            planned.append((n_copies * n_tokens + cut) * 2 + _is_low(tables, phase, shard))
        most = np.where(is_code, code, text)
        words.append((*doc_words(tokens), tokens["n_tokens"].to_numpy(), n_tokens, most, *planned))
    columns = joined([[word.astype(np.uint64) for word in of] for of in words], n=out.width)
    out.write(span.number, *columns, part=out.part_of(columns[0]))


def _is_low(tables: Tables, phase: Phased, shard: int) -> np.ndarray:
    """The documents of a shard that a least value of the phase keeps out; one that was not measured too."""
    assert phase.wanted is not None
    least = phase.wanted.min_quality
    pool = tables.read(LANGUAGES, shard, columns=["pool"])["pool"]
    names = {name for of in POOLS for name in least.of(of)}
    quality = tables.read(QUALITY, shard, columns=["doc_id", *columns_of(names)])
    low = np.zeros(len(pool), bool)
    for of in POOLS:
        for name, limit in least.of(of).items():
            low |= pc.equal(pool, of).to_numpy() & ~(measured_values(quality, name) >= limit)
    return low


def _pieces(files: StreamFiles, out: Spread, span: Span) -> list[int]:
    """Pass on the pieces of some packed shards; how many sequences each shard has."""
    words, lengths = [], []
    for number in span.items:
        table = files.read_sound(number, *PIECES)
        found = pieces_of(table, files.bounds)
        begins = (found.offset == 0).astype(np.uint64)
        words.append((found.high, found.low, begins, found.length.view(np.uint64), positions(number, found.row)))
        lengths.append(table.num_rows)
    columns = joined(words, n=5)
    out.write(span.number, *columns, part=out.part_of(columns[0]))
    return lengths


def _count(stream: _AllPhases, docs: Spread, pieces: Spread, span: Span) -> _Count:
    """Hold the pieces of one partition of the documents against what is planned and allowed of them."""
    doc_high, doc_low, length, n_tokens, most, *planned = (word.view(np.int64) for word in docs.read(span.number))
    high, low, begins, size, place = pieces.read(span.number)
    row = found_in((doc_high.view(np.uint64), doc_low.view(np.uint64)), high, low)
    if (row < 0).any():
        raise LoopmixError("packed: a sequence names a document that is not in `documents`")
    shard = shard_of(place)
    seq_len = np.array([phase.seq_len for phase in stream.phases], np.int64)
    at = stream.begin[shard] + row_of(place) * seq_len[stream.phase[shard]]
    of_piece = stream.phase[shard]
    stands = [
        _stands(doc_high.size, *(column[of_piece == k] for column in (row, begins, size.view(np.int64), at)))
        for k in range(len(stream.phases))
    ]
    tokens, n_docs, other, short, out = np.zeros((5, len(stands)), np.int64)
    count = _Count(tokens, n_docs, other, short, out)
    for k, (phase, here) in enumerate(zip(stream.phases, stands, strict=True)):
        assert phase.wanted is not None
        count.tokens[k], count.docs[k] = here.n_tokens.sum(), (here.copies > 0).sum()
        count.other[k] = (here.n_tokens != planned[k] >> 1).sum()
        count.short[k] = ((here.n_tokens > 0) & (n_tokens < (phase.wanted.min_tokens or 0))).sum()
        count.low[k] = ((here.n_tokens > 0) & (planned[k] & 1 > 0)).sum()
    n_copies = np.sum([here.copies for here in stands], axis=0)
    count.often, count.most = int((n_copies > most).sum()), int(n_copies.max(initial=0))
    count.near, count.nearest = _near(stream, stands, length)
    return count


def _stands(n: int, row: np.ndarray, begins: np.ndarray, length: np.ndarray, at: np.ndarray) -> _Stands:
    """Of `n` documents where they stand in one phase, by its pieces."""
    n_tokens = np.zeros(n, np.int64)
    np.add.at(n_tokens, row, length)
    first, last = np.full(n, np.iinfo(np.int64).max), np.full(n, -1, np.int64)
    np.minimum.at(first, row, at)
    np.maximum.at(last, row, at)
    return _Stands(n_tokens, np.bincount(row[begins == 1], minlength=n), np.where(last < 0, -1, first), last)


def _near(stream: _AllPhases, found: list[_Stands], length: np.ndarray) -> tuple[int, float]:
    """How many documents stand too near in neighbouring phases, and the least distance in epochs of the shorter one."""
    longest = max(phase.seq_len for phase in stream.phases)
    n_near, nearest = 0, np.inf
    for (before, after), sizes in zip(pairwise(found), pairwise(stream.sizes), strict=True):
        both = np.flatnonzero((before.copies > 0) & (after.copies > 0))
        apart = (after.first - before.last)[both]
        epoch = np.minimum(sizes[0] / before.copies[both], sizes[1] / after.copies[both])
        # No order could help a document that is a large part of an epoch, and a sequence is no distance.
        small = length[both] <= _LARGE_FRAC * epoch
        n_near += int((small & (apart + longest < epoch / 2)).sum())
        nearest = min(nearest, float((apart / epoch)[small].min(initial=np.inf)))
    return n_near, nearest


def _broken(phase: Phased, number: int, found: Sequence[_Count]) -> Iterator[str]:
    """What a phase does not keep."""
    wanted = phase.wanted
    assert wanted is not None
    n, n_other, n_short, n_low = (
        int(sum(getattr(one, name)[number] for one in found)) for name in ("tokens", "other", "short", "low")
    )
    parts = phase.code_parts + phase.text_parts
    if wanted.tokens is not None and n != wanted.tokens // parts * parts:
        yield f"{phase.said}{n:,} tokens, {wanted.tokens:,} are asked for"
    if n_other:
        yield f"{phase.said}{n_other:,} documents are not packed as planned"
    if n_short:
        yield f"{phase.said}{n_short:,} documents have fewer than {wanted.min_tokens:,} tokens"
    if n_low:
        yield f"{phase.said}{n_low:,} documents are below min_quality"
