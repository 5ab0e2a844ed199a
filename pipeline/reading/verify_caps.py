"""The caps of the balance, recounted: what each group, repository and mark gave to its pool.

Tokens are those that the ledger says are packed, which the promise `trace` counts in the packed shards.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import lists_with
from pipeline.arrays.hash_sums import HashSums
from pipeline.arrays.names import name_hashes
from pipeline.engine.run_folder import RunFiles
from pipeline.mix.pool import exact
from pipeline.schema import LEDGER, POOLS, QUALITY


def caps_hold(run: RunFiles) -> tuple[bool, str]:
    """Whether no group, repository or mark gave more than its cap allows, and how near the nearest came."""
    total = dict.fromkeys(POOLS, 0)
    for pool, _, n_tokens in _packed(run):
        total[pool] += int(n_tokens.sum())
    found = [*_groups(run, total), *_repositories(run, total), *_marks(run, total)]
    if not found:
        return True, "no cap is set"
    crossed = [said for n, allowed, said in found if n > allowed]
    if crossed:
        return False, f"crossed: {'; '.join(crossed[:3])}"
    return True, "; ".join(said for _, _, said in found)


def _packed(run: RunFiles) -> Iterator[tuple[str, int, np.ndarray]]:
    """For each shard and pool: pool, shard, packed tokens of the shard's documents, 0 for those of the other pool."""
    for shard in range(run.n_shards):
        ledger = run.tables.read(LEDGER, shard, columns=["pool", "n_packed_tokens"])
        for pool in POOLS:
            mine = pc.equal(ledger["pool"], pool).to_numpy()
            yield pool, shard, np.where(mine, ledger["n_packed_tokens"].to_numpy(), 0)


def _groups(run: RunFiles, total: dict[str, int]) -> Iterator[tuple[int, int, str]]:
    """For each group with a cap its tokens, what is allowed, and a sentence."""
    caps = {"code": run.mixture.balance.code.max_frac, "text": run.mixture.balance.text.max_frac}

    def rows_of(shard: int) -> Callable[[str], np.ndarray]:
        groups = run.tables.read(LEDGER, shard, columns=["group"])["group"]
        return lambda group: np.asarray(pc.equal(groups, group))

    return _named(run, total, caps, rows_of)


def _marks(run: RunFiles, total: dict[str, int]) -> Iterator[tuple[int, int, str]]:
    """The same for each mark with a cap."""
    wanted = {"code": run.mixture.balance.code, "text": run.mixture.balance.text}
    caps = {pool: {str(mark): frac for mark, frac in of.max_mark_frac.items()} for pool, of in wanted.items()}

    def rows_of(shard: int) -> Callable[[str], np.ndarray]:
        marks = run.tables.read(QUALITY, shard, columns=["marks"])["marks"]
        return lambda mark: lists_with(marks, mark)

    return _named(run, total, caps, rows_of)


def _named(
    run: RunFiles,
    total: dict[str, int],
    caps: Mapping[str, Mapping[str, float]],
    rows_of: Callable[[int], Callable[[str], np.ndarray]],
) -> Iterator[tuple[int, int, str]]:
    """For each pool and name with a cap; `rows_of` a shard tells which of its documents a name stands for."""
    sums = {(pool, name): 0 for pool in POOLS for name in caps[pool]}
    for pool, shard, n_tokens in _packed(run) if sums else ():
        found = rows_of(shard)
        for name in caps[pool]:
            sums[pool, name] += int(n_tokens[found(name)].sum())
    for (pool, name), n in sums.items():
        allowed = int(exact(caps[pool][name]) * total[pool])
        yield n, allowed, f"{pool}: {name} {n:,} of {allowed:,} tokens allowed"


def _repositories(run: RunFiles, total: dict[str, int]) -> Iterator[tuple[int, int, str]]:
    """For each pool with a cap the tokens of its largest repository, what is allowed, and a sentence."""
    wanted = {"code": run.mixture.balance.code, "text": run.mixture.balance.text}
    caps = {pool: of.max_repo_frac for pool, of in wanted.items() if of.max_repo_frac is not None}
    sums = {pool: HashSums(n_values=1) for pool in caps}
    for pool, shard, n_tokens in _packed(run) if sums else ():
        if pool in sums:
            repo = name_hashes(run.tables.read(LEDGER, shard, columns=["repo"])["repo"])
            rows = (repo != 0) & (n_tokens > 0)
            sums[pool].add(repo[rows], n_tokens[rows])
    for pool, of_pool in sums.items():
        repos, tokens = of_pool.total()
        allowed = int(exact(caps[pool]) * total[pool])
        if not repos.size:
            yield 0, allowed, f"{pool}: no document has a repository"
            continue
        most, name = int(tokens.max()), _name_of(run, int(repos[tokens[:, 0].argmax()]))
        yield most, allowed, f"{pool}: repository {name} {most:,} of {allowed:,} tokens allowed"


def _name_of(run: RunFiles, repo: int) -> str:
    for ledger in run.shards(LEDGER, columns=["repo"]):
        found = np.flatnonzero(name_hashes(ledger["repo"]) == np.uint64(repo))
        if found.size:
            return str(ledger["repo"][int(found[0])].as_py())
    return "of unknown name"
