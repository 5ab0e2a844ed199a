"""Count by source and language, by length and by copies: one pass over the ledger. And how evenly repositories give."""

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, joined
from pipeline.arrays.names import name_hashes
from pipeline.arrays.runs import starts_run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work, n_docs_of
from pipeline.report.count_documents import Sums, from_row
from pipeline.report.signing import (
    CopyBin,
    LargestRepository,
    LengthBin,
    RepositorySpread,
    SigningCounts,
    SourceLanguage,
)
from pipeline.schema import LEDGER, POOLS

N_REPOSITORIES = 50  # of each pool: beyond it each gives little
_LEDGER = ["source", "language", "pool", "n_bytes", "fate", "n_tokens", "n_copies", "n_packed_tokens"]
_KEYS = {"languages": ("source", "language"), "lengths": ("pool", "step"), "copies": ("pool", "n_copies")}


def count_signing(run: RunFiles, work: Work) -> SigningCounts:
    """All of it."""
    sums = {name: Sums(keys) for name, keys in _KEYS.items()}
    for found in work.each(partial(_count, run.tables), work.shards(run), name="report.signing"):
        for name, table in found.items():
            sums[name].add(table)
    rows = {name: one.total().to_pylist() for name, one in sums.items()}
    order = {source.name: n for n, source in enumerate(run.mixture.sources)}
    languages = [from_row(SourceLanguage, row) for row in rows["languages"]]
    languages.sort(key=lambda one: (order.get(one.source, len(order)), one.source, -one.n_bytes, one.language))
    spreads, repositories = _repositories(run, work)
    return SigningCounts(
        source_languages=tuple(languages),
        lengths=tuple(from_row(LengthBin, row, **_bounds(row["step"])) for row in rows["lengths"]),
        copies=tuple(from_row(CopyBin, row) for row in rows["copies"] if row["n_docs"]),
        spreads=spreads,
        repositories=repositories,
    )


def _bounds(step: int) -> dict[str, int]:
    """Bytes of a step: none, 1, 2 to 3, 4 to 7 and so on."""
    return {"low": 2 ** (step - 1) if step else 0, "high": 2**step - 1}


def _count(tables: Tables, span: Span) -> dict[str, pa.Table]:
    sums = {name: Sums(keys) for name, keys in _KEYS.items()}
    for shard in span.items:
        for name, table in _counted(tables.read(LEDGER, shard, columns=_LEDGER)).items():
            sums[name].add(table)
    return {name: one.total() for name, one in sums.items()}


def _counted(ledger: pa.Table) -> dict[str, pa.Table]:
    """What each document adds."""
    n_bytes, n_tokens, n_copies, n_packed = columns(ledger, "n_bytes", "n_tokens", "n_copies", "n_packed_tokens")
    fate = np.asarray(ledger["fate"])
    keep, packed = fate != "dropped", np.isin(fate, ["packed", "cut"])
    cut = n_packed > n_copies * n_tokens

    def table(keys: Mapping[str, Any], counts: Mapping[str, np.ndarray]) -> pa.Table:
        return pa.table({**keys, **{name: np.asarray(one).astype(np.int64) for name, one in counts.items()}})

    docs = {"n_docs": np.ones(fate.size), "n_bytes": n_bytes, "n_packed_docs": packed}
    return {
        "languages": table(
            {"source": ledger["source"], "language": ledger["language"]},
            docs | {"n_kept_docs": keep, "n_packed_tokens": n_packed},
        ),
        # The number of binary digits, exact for all sizes below 2**53.
        "lengths": table(
            {"pool": ledger["pool"], "step": np.frexp(n_bytes.astype(np.float64))[1].astype(np.int64)},
            docs | {"n_packed_bytes": n_bytes * packed},
        ),
        "copies": table(
            {"pool": ledger["pool"], "n_copies": n_copies},
            {"n_docs": keep, "n_cut_docs": cut & keep, "n_packed_tokens": n_packed},
        ),
    }


# --- repositories -----------------------------------------------------------------------------------------------------


def _repositories(run: RunFiles, work: Work) -> tuple[tuple[RepositorySpread, ...], tuple[LargestRepository, ...]]:
    """Sum by a hash of each repository's name in partitions; the names of the largest are read in a second pass."""
    spans = work.shards(run)
    sums = work.spread("repositories", width=4, n_sources=len(spans), n_parts=work.n_parts(n_docs_of(run)))
    total = Counter[str]()
    for found in work.each(partial(_sum, run.tables, sums), spans, name="report.repositories"):
        total.update(found)
    sizes: list[Counter[int]] = [Counter() for _ in POOLS]
    large: list[list[tuple[int, int, int]]] = [[] for _ in POOLS]  # tokens, hash, documents
    for part in work.each(partial(_of_part, sums), work.parts(sums), name="report.repository-sizes"):
        for k, (of_sizes, of_large) in enumerate(part):
            sizes[k].update(of_sizes)
            large[k] = sorted([*large[k], *of_large], key=_largest_first)[:N_REPOSITORIES]
    sums.drop()
    names = _names(run, work, [[one[1] for one in mine] for mine in large])
    spreads = tuple(spread_of(pool, sizes[k]) for k, pool in enumerate(POOLS))
    return spreads, tuple(
        LargestRepository(pool, names[k, key], n_docs, n_tokens, n_tokens / max(1, total[pool]))
        for k, pool in enumerate(POOLS)
        for n_tokens, key, n_docs in large[k]
    )


def _largest_first(one: tuple[int, int, int]) -> tuple[int, int]:
    return -one[0], one[1]


def _rows(tables: Tables, span: Span) -> Iterator[tuple[int, str, pa.Table, np.ndarray]]:
    """Of each shard and pool the packed documents of repositories, and the hashes of these; and all packed tokens."""
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["pool", "repo", "n_packed_tokens"])
        ledger = ledger.filter(pc.greater(ledger["n_packed_tokens"], 0))
        for k, pool in enumerate(POOLS):
            mine = ledger.filter(pc.equal(ledger["pool"], pool))
            yield k, pool, mine, name_hashes(mine["repo"])


def _sum(tables: Tables, out: Spread, span: Span) -> Counter[str]:
    total, words = Counter[str](), []
    for k, pool, mine, keys in _rows(tables, span):
        n_tokens = mine["n_packed_tokens"].to_numpy()
        total[pool] += int(n_tokens.sum())
        has = keys != 0
        pools = np.full(has.sum(), k, np.uint64)
        words.append([pools, keys[has], np.ones(has.sum(), np.uint64), n_tokens[has].astype(np.uint64)])
    rows = _added(*joined(words, n=4))
    out.write(span.number, *rows, part=out.part_of(rows[1]))
    return total


def _added(pools: np.ndarray, keys: np.ndarray, n_docs: np.ndarray, n_tokens: np.ndarray) -> list[np.ndarray]:
    """One row for each pool and repository."""
    order = np.lexsort((keys, pools))
    pools, keys, n_docs, n_tokens = (column[order] for column in (pools, keys, n_docs, n_tokens))
    starts = np.flatnonzero(starts_run(pools, keys))
    if not starts.size:
        return [pools, keys, n_docs, n_tokens]
    return [pools[starts], keys[starts], np.add.reduceat(n_docs, starts), np.add.reduceat(n_tokens, starts)]


def _of_part(sums: Spread, span: Span) -> list[tuple[dict[int, int], list[tuple[int, int, int]]]]:
    """Of each pool how many repositories of a partition give so many tokens, and its largest."""
    pools, keys, n_docs, n_tokens = _added(*sums.read(span.number))
    found = []
    for k in range(len(POOLS)):
        mine = pools == k
        values, counts = np.unique(n_tokens[mine], return_counts=True)
        rows = zip(n_tokens[mine].tolist(), keys[mine].tolist(), n_docs[mine].tolist(), strict=True)
        sizes = dict(zip(values.tolist(), counts.tolist(), strict=True))
        found.append((sizes, sorted(rows, key=_largest_first)[:N_REPOSITORIES]))
    return found


def spread_of(pool: str, sizes: Mapping[int, int]) -> RepositorySpread:
    """`sizes`: how many repositories give so many tokens. In whole numbers up to the last division.

    Gini is the sum over repositories, smallest first, of (2 i - n - 1) x_i, over n times the sum of x_i.
    """
    n, total = sum(sizes.values()), sum(size * count for size, count in sizes.items())
    above, before = 0, 0
    for size, count in sorted(sizes.items()):
        above += size * count * (2 * before + count - n)  # the sum of 2 i - n - 1 over the i of these
        before += count
    half, given = 0, 0
    for size, count in sorted(sizes.items(), reverse=True):
        if 2 * given >= total:
            break
        missing = -(-(total - 2 * given) // (2 * size))
        half, given = half + min(count, missing), given + size * min(count, missing)
    return RepositorySpread(pool, n, total, above / (n * total) if total else None, half)


def _names(run: RunFiles, work: Work, large: list[list[int]]) -> dict[tuple[int, int], str]:
    """The names behind some hashes, by pool."""
    found: dict[tuple[int, int], str] = {}
    for here in work.each(partial(_named, run.tables, large), work.shards(run), name="report.repository-names"):
        found |= here
        if len(found) == sum(map(len, large)):
            break
    return found


def _named(tables: Tables, large: list[list[int]], span: Span) -> dict[tuple[int, int], str]:
    found: dict[tuple[int, int], str] = {}
    for k, _, mine, keys in _rows(tables, span):
        rows = np.flatnonzero(np.isin(keys, np.array(large[k], np.uint64)))
        names = mine["repo"].take(pa.array(rows)).to_pylist()
        found |= {(k, int(key)): name for key, name in zip(keys[rows], names, strict=True)}
    return found
