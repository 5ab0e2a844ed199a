"""The caps of the balance, recounted: what each group, repository and mark gave to its pool.

Tokens are those that the ledger says are packed, which the promise `trace` counts in the packed shards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow.compute as pc

from pipeline.arrays.columns import joined, lists_with
from pipeline.arrays.names import name_hashes
from pipeline.arrays.runs import starts_run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.mix.pool import exact
from pipeline.reading.spread import Spread
from pipeline.reading.work import Span, Work, n_docs_of
from pipeline.schema import LEDGER, POOLS, QUALITY

_Name = tuple[str, str, str]  # group or mark, pool, name


@dataclass(frozen=True)
class _Caps:
    """The largest share of its pool, by pool and name; of a repository by pool."""

    groups: dict[str, dict[str, float]]
    marks: dict[str, dict[str, float]]
    repositories: dict[str, float]

    def __bool__(self) -> bool:
        return bool(self.repositories or any(of for kind in (self.groups, self.marks) for of in kind.values()))


def caps_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Whether no group, repository or mark gave more than its cap allows, and how near the nearest came."""
    caps = _caps(run)
    if not caps:
        return True, "no cap is set"
    spans = work.shards(run)
    repos = work.spread("repos", width=3, n_sources=len(spans), n_parts=work.n_parts(n_docs_of(run)))
    total, sums = Counter[str](), Counter[_Name]()
    for more, of_names in work.each(partial(_sums, run.tables, caps, repos), spans, name="verify.caps"):
        total.update(more)
        sums.update(of_names)
    found = [
        *_named("group", caps.groups, sums, total),
        *_repositories(run, work, caps, total, repos),
        *_named("mark", caps.marks, sums, total),
    ]
    crossed = [said for n, allowed, said in found if n > allowed]
    if crossed:
        return False, f"crossed: {'; '.join(crossed[:3])}"
    return True, "; ".join(said for _, _, said in found)


def _caps(run: RunFiles) -> _Caps:
    wanted = {"code": run.mixture.balance.code, "text": run.mixture.balance.text}
    return _Caps(
        {pool: dict(of.max_frac) for pool, of in wanted.items()},
        {pool: {str(mark): frac for mark, frac in of.max_mark_frac.items()} for pool, of in wanted.items()},
        {pool: of.max_repo_frac for pool, of in wanted.items() if of.max_repo_frac is not None},
    )


def _sums(tables: Tables, caps: _Caps, out: Spread, span: Span) -> tuple[Counter[str], Counter[_Name]]:
    """Packed tokens of some shards by pool, and by what has a cap; passes on those of each repository with one."""
    total, sums, of_repos = Counter[str](), Counter[_Name](), []
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["pool", "n_packed_tokens", "group", "repo"])
        marks = tables.read(QUALITY, shard, columns=["marks"])["marks"] if any(caps.marks.values()) else None
        for number, pool in enumerate(POOLS):
            mine = pc.equal(ledger["pool"], pool).to_numpy()
            n_tokens = np.where(mine, ledger["n_packed_tokens"].to_numpy(), 0)
            total[pool] += int(n_tokens.sum())
            for group in caps.groups[pool]:
                sums["group", pool, group] += int(n_tokens[np.asarray(pc.equal(ledger["group"], group))].sum())
            for mark in caps.marks[pool] if marks is not None else ():
                sums["mark", pool, mark] += int(n_tokens[lists_with(marks, mark)].sum())
            if pool in caps.repositories:
                repo = name_hashes(ledger["repo"])
                rows = (repo != 0) & (n_tokens > 0)
                of_repos.append((repo[rows], n_tokens[rows].astype(np.uint64), np.full(rows.sum(), number, np.uint64)))
    repo, tokens, numbers = joined(of_repos, n=3)
    out.write(span.number, repo, tokens, numbers, part=out.part_of(repo))
    return total, sums


def _named(
    kind: str, caps: dict[str, dict[str, float]], sums: Counter[_Name], total: Counter[str]
) -> Iterator[tuple[int, int, str]]:
    """For each group or mark with a cap its tokens, what is allowed, and a sentence."""
    for pool in POOLS:
        for name, frac in caps[pool].items():
            n, allowed = sums[kind, pool, name], int(exact(frac) * total[pool])
            yield n, allowed, f"{pool}: {name} {n:,} of {allowed:,} tokens allowed"


def _repositories(
    run: RunFiles, work: Work, caps: _Caps, total: Counter[str], repos: Spread
) -> Iterator[tuple[int, int, str]]:
    """For each pool with a cap the tokens of its largest repository, what is allowed, and a sentence."""
    largest: dict[str, tuple[int, int]] = {}
    for of_pool in work.each(partial(_largest, repos), work.parts(repos), name="verify.repos"):
        for pool, found in of_pool.items():
            largest[pool] = max(largest.get(pool, found), found, key=lambda one: one[0])  # of equal ones the first
    repos.drop()
    for pool, frac in caps.repositories.items():
        allowed = int(exact(frac) * total[pool])
        if pool not in largest:
            yield 0, allowed, f"{pool}: no document has a repository"
            continue
        most, repo = largest[pool]
        yield most, allowed, f"{pool}: repository {_name_of(run, work, repo)} {most:,} of {allowed:,} tokens allowed"


def _largest(repos: Spread, span: Span) -> dict[str, tuple[int, int]]:
    """Of one partition of the repositories, which rise by hash, the one that gave most to each pool: tokens, hash."""
    repo, tokens, number = repos.read(span.number)
    found = {}
    for which, pool in enumerate(POOLS):
        order = np.flatnonzero(number == which)
        order = order[np.argsort(repo[order], kind="stable")]
        if order.size:
            starts = np.flatnonzero(starts_run(repo[order]))
            sums = np.add.reduceat(tokens[order], starts)
            first = int(sums.argmax())
            found[pool] = int(sums[first]), int(repo[order][starts[first]])
    return found


def _name_of(run: RunFiles, work: Work, repo: int) -> str:
    for name in work.each(partial(_with_name, run.tables, repo), work.shards(run), name="verify.repo-name"):
        if name is not None:
            return name
    return "of unknown name"


def _with_name(tables: Tables, repo: int, span: Span) -> str | None:
    """The name of a repository, if some shards have it."""
    for shard in span.items:
        names = tables.read(LEDGER, shard, columns=["repo"])["repo"]
        found = np.flatnonzero(name_hashes(names) == np.uint64(repo))
        if found.size:
            return str(names[int(found[0])].as_py())
    return None
