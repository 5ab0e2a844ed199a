"""Which caps each document falls under, and which repositories are large enough to cross theirs.

There may be millions of repositories. Their tokens are summed in partitions of their hashes, and only those get a cap
of their own that could cross it: the others are too small whatever else enters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import lists_with
from pipeline.arrays.names import name_hashes
from pipeline.engine.exchange import Channel, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.mix.caps import Cap
from pipeline.mix.kept import pools_of, read_kept
from pipeline.mix.pool import exact
from pipeline.schema import DOCUMENTS, POOLS, QUALITY
from pipeline.targets import PoolBalance

# A gather holds the repositories of one partition: at a hundred million of them some 40 MB, and a run of one shard
# writes no more than 64 empty batches.
N_PARTITIONS = 64
NONE = -1  # the number of the cap of a document whose repository has none


@dataclass(frozen=True)
class Capping:
    """The caps of each pool in one order: those on the repositories of `large` (sorted hashes), then those on marks.

    A pool that is not named has none.
    """

    wanted: Mapping[str, PoolBalance]
    large: Mapping[str, np.ndarray]

    def caps(self, pool: str) -> list[Cap]:
        """The caps of a pool; a cap's number is its place."""
        if pool not in self.wanted:
            return []
        wanted = self.wanted[pool]
        repo_frac = exact(wanted.max_repo_frac or 1.0)
        caps = [Cap("max_repo_frac", repo_frac, repo) for repo in self.large[pool].tolist()]
        return caps + [Cap(f"max_mark_frac.{m}", exact(f)) for m, f in sorted(wanted.max_mark_frac.items())]

    def under(self, tables: Tables, shard: int, pools: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For each document the number of its repository's cap or NONE, and its capped marks as bits, int64 [n] each.

        Bit i of a pool stands for the i-th mark with a cap.
        """
        repo, marks = np.full(pools.size, NONE, np.int64), np.zeros(pools.size, np.int64)
        if any(hashes.size for hashes in self.large.values()):
            found = name_hashes(tables.read(DOCUMENTS, shard, columns=["repo"])["repo"])
            for pool, hashes in self.large.items():
                place = np.minimum(np.searchsorted(hashes, found), max(0, hashes.size - 1))
                mine = (pools == pool) & (hashes[place] == found) if hashes.size else np.zeros(pools.size, bool)
                repo[mine] = place[mine]
        if any(wanted.max_mark_frac for wanted in self.wanted.values()):
            lists = tables.read(QUALITY, shard, columns=["marks"])["marks"]
            for pool, wanted in self.wanted.items():
                for bit, mark in enumerate(sorted(wanted.max_mark_frac)):
                    marks[(pools == pool) & lists_with(lists, mark)] |= 1 << bit
        return repo, marks

    def numbers(self, pool: str, *, repo: int, marks: int) -> tuple[int, ...]:
        """The numbers of the caps of one kind of documents."""
        if pool not in self.wanted:
            return ()
        n_repos, n_marks = self.large[pool].size, len(self.wanted[pool].max_mark_frac)
        own = () if repo == NONE else (repo,)
        return own + tuple(n_repos + bit for bit in range(n_marks) if marks >> bit & 1)


def is_capped(wanted: Mapping[str, PoolBalance]) -> bool:
    """Whether the mixture sets any cap."""
    return any(pool.max_repo_frac is not None or pool.max_mark_frac for pool in wanted.values())


def over_caps(
    capping: Capping, ceilings: Mapping[str, np.ndarray], *, pools: np.ndarray, repo: np.ndarray, marks: np.ndarray,
    bucket: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """The key of the cap that keeps each document out, its repository's first; None where none does. Object [n]."""
    over = np.full(pools.size, None, object)
    for pool in capping.wanted:
        caps, mine = capping.caps(pool), pools == pool
        n_repos = capping.large[pool].size
        for number in range(len(caps) - 1, n_repos - 1, -1):  # the first mark is written last, so it is the one said
            held = mine & (marks >> (number - n_repos) & 1 == 1) & (bucket >= ceilings[pool][number])
            over[held] = caps[number].key
        rows = np.flatnonzero(mine & (repo != NONE))
        over[rows[bucket[rows] >= ceilings[pool][repo[rows]]]] = "max_repo_frac"
    return over


def sum_repositories(job: Job, *, wanted: Mapping[str, PoolBalance]) -> Channel:
    """The tokens of each repository in each pool that caps them, shard by shard, by partitions of the hash."""
    name, n_shards = "repositories", job.tables.n_shards
    totals = job.channel(name, n_sources=n_shards, n_partitions=N_PARTITIONS)
    capped = tuple(pool for pool in wanted if wanted[pool].max_repo_frac is not None)
    job.step(name, partial(_sum, job.tables, totals, capped), items=n_shards)
    return totals


def _sum(tables: Tables, out: Channel, capped: tuple[str, ...], shard: int, _: None) -> Outcome:
    table = read_kept(tables, shard)
    repo = name_hashes(tables.read(DOCUMENTS, shard, columns=["repo"])["repo"])
    counted = table["group"].is_valid().to_numpy() & (repo != 0) & np.isin(pools_of(table), capped)
    table = table.select(["pool", "n_tokens"]).append_column("repo", pa.array(repo)).filter(pa.array(counted))
    sums = _summed(table, "n_tokens")
    return Outcome((out.scatter(shard, sums, partition=spread(sums["repo"].to_numpy(), out.n_partitions)),), {})


def _summed(table: pa.Table, name: str) -> pa.Table:
    """Tokens of each pool and repository, in the order of both."""
    sums = table.group_by(["pool", "repo"], use_threads=False).aggregate([(name, "sum")])
    return sums.rename_columns(["pool", "repo", "n_tokens"]).sort_by([("pool", "ascending"), ("repo", "ascending")])


def find_large(job: Job, totals: Channel, *, floors: Mapping[str, int], turn: int) -> dict[str, np.ndarray]:
    """Sorted hashes of the repositories that hold more than `floors[pool]` tokens of a pool."""
    name = f"large-{turn}"
    listed = job.channel(name, n_sources=N_PARTITIONS, n_partitions=1)
    job.step(name, partial(_large, totals, listed, dict(floors)), items=N_PARTITIONS)
    found = listed.everything()
    pools, repo = found["pool"].to_numpy(zero_copy_only=False), found["repo"].to_numpy()
    return {pool: np.sort(repo[pools == pool]) for pool in POOLS}


def _large(totals: Channel, out: Channel, floors: dict[str, int], partition: int, _: None) -> Outcome:
    sums = _summed(totals.gather(partition), "n_tokens")
    floor = np.array([floors[pool] for pool in sums["pool"].to_pylist()], np.int64)
    large = sums.filter(pa.array(sums["n_tokens"].to_numpy() > floor)).select(["pool", "repo"])
    entry = out.scatter(partition, large, partition=np.zeros(large.num_rows, np.int64))
    return Outcome((entry,), {"n_repositories": sums.num_rows})
