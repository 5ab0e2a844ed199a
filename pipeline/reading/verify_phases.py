"""The promises of phases, recounted from the packed stream: who may enter, how much, and how often over all of them."""

from collections.abc import Iterator

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
_DOC = np.dtype([("high", "<u8"), ("low", "<u8")])


def phases_hold(run: RunFiles) -> tuple[bool, str]:
    """Whether each phase has its tokens, of documents that may enter it, and no document has more copies than allowed.

    What stands in a phase is counted in its sequences and held against the plan, document by document.
    """
    every = np.concatenate([_docs(t) for t in run.shards(TOKENS, columns=["doc_id"])])
    order = np.argsort(every)
    broken: list[str] = []
    said: list[str] = []
    begins = np.zeros(every.size, np.int64)
    for phase in run.phases:
        place, offset, length = _pieces(run, phase, every[order])
        row = order[place]
        n_packed = np.bincount(row, weights=length, minlength=every.size).astype(np.int64)
        begins += np.bincount(row[offset == 0], minlength=every.size)
        broken += _broken(run, phase, n_packed)
        said.append(f"{phase.name} {int(n_packed.sum()):,} tokens of {int((n_packed > 0).sum()):,} documents")
    most = _most_copies(run)
    often = int((begins > most).sum())
    if often:
        broken.append(f"{often:,} documents stand more often in all phases than they may")
    if broken:
        return False, "; ".join(broken[:_MAX_NAMED])
    shared = f"no document stands more than {int(begins.max(initial=0))} times in all of them"
    return True, f"{', '.join(said)}; {shared}"


def _docs(table: pa.Table) -> np.ndarray:
    """Ids as pairs of numbers that can be sorted."""
    out = np.empty(table.num_rows, _DOC)
    out["high"], out["low"] = doc_words(table)
    return out


def _pieces(run: RunFiles, phase: Phased, known: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of each piece of a phase its document's place in `known`, which is sorted, its offset there and its length."""
    found = []
    for table in run.packed(phase):
        cu = table[bounds_of_pieces(table.column_names)].combine_chunks()
        values, offsets = np.asarray(cu.flatten(), np.int64), np.asarray(cu.offsets, np.int64)
        length = np.delete(np.diff(values), offsets[1:-1] - 1) if values.size else values
        docs = _docs(pa.table({"doc_id": table["doc_ids"].combine_chunks().flatten()}))
        found.append((np.searchsorted(known, docs), table["doc_offsets"].combine_chunks().flatten().to_numpy(), length))
    place, offset, length = (np.concatenate(c) for c in zip(*found, strict=True))
    return place, offset, length


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
