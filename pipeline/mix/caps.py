"""Caps: how much one repository, or the documents of one mark, may give to a pool, and which of theirs stay out.

Each cap has a *ceiling*: of the documents that it is about, those from that bucket of the key on stay out, whole. The
budgets take documents up the same keyed order, so a ceiling keeps out what would have come last, and what no budget
reaches costs its cap nothing: a repository that would have given less than its cap loses no document.

What a cap allows is a share of what is finally packed, which depends on what the caps leave. So ceilings start open and
only fall, each to the last bucket at which its cap holds, until all hold at once. That ends, because a ceiling has
4,096 places; and it is conservative: a cap is never crossed, and is met to the tokens of one bucket of the key (of a
repository of a few thousand documents: to one of them).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from pipeline.mix.budget import allocate, most_of, pool_budgets
from pipeline.mix.pool import Pool
from pipeline.mix.quota import N_BUCKETS, Quota, quota
from pipeline.schema import POOLS


@dataclass(frozen=True)
class Cap:
    """At most `frac` of a pool's packed tokens come from the documents of one repository, or of one mark."""

    key: str  # below balance.code or balance.text: max_repo_frac, max_mark_frac.vendored
    frac: Fraction
    repo: int = 0  # hash of its name; 0: the cap is on a mark

    def allows(self, budget: int) -> int:
        """Whole tokens of a pool of `budget` tokens."""
        return int(self.frac * budget)


@dataclass(frozen=True)
class CappedCounts:
    """Kept tokens of one pool by group, kind and bucket of the key; arrays of shape [n].

    A kind is a set of caps that the same documents fall under; `under[k]` are the numbers of those of kind k.
    """

    groups: Sequence[str]
    caps: Sequence[Cap]
    under: Sequence[tuple[int, ...]]
    group: np.ndarray  # number of the group
    kind: np.ndarray
    bucket: np.ndarray
    n_tokens: np.ndarray

    def enters(self, ceilings: np.ndarray) -> np.ndarray:
        """The rows below all ceilings that they fall under, bool [n]."""
        lowest = [min((int(ceilings[cap]) for cap in caps), default=N_BUCKETS) for caps in self.under]
        below: np.ndarray = self.bucket < np.array(lowest, np.int64)[self.kind]
        return below

    def by_bucket(self, tokens: np.ndarray) -> np.ndarray:
        """The tokens of each group and bucket, int64 [n_groups, N_BUCKETS]."""
        sums = np.zeros((len(self.groups), N_BUCKETS), np.int64)
        np.add.at(sums, (self.group, self.bucket), tokens)
        return sums

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Each row beside each cap that it falls under, sorted by cap and bucket: (row, cap), int64 [n_pairs] each."""
        n_caps = np.array([len(caps) for caps in self.under], np.int64)
        flat = np.array([cap for caps in self.under for cap in caps], np.int64)
        n_own = n_caps[self.kind]
        row = np.repeat(np.arange(self.kind.size), n_own)
        within = np.arange(row.size) - np.repeat(np.cumsum(n_own) - n_own, n_own)
        cap = flat[(np.cumsum(n_caps) - n_caps)[self.kind[row]] + within]
        order = np.lexsort((self.bucket[row], cap))
        return row[order], cap[order]

    def fallen(self, ceilings: np.ndarray, *, taken: np.ndarray, budget: int) -> np.ndarray:
        """The ceilings, those lowered whose caps the tokens `taken` of each row cross in a pool of `budget` tokens."""
        row, cap = self.pairs
        used = np.cumsum(taken[row])
        first = np.searchsorted(cap, np.arange(len(self.caps)))
        used -= np.concatenate(([0], used))[first][cap]
        allowed = np.array([c.allows(budget) for c in self.caps], np.int64)
        crossed = np.flatnonzero(used > allowed[cap])
        mine, at = np.unique(cap[crossed], return_index=True)
        lowered = ceilings.copy()
        # What stands above its ceiling already is not taken, so the first bucket that crosses is below it.
        lowered[mine] = self.bucket[row[crossed[at]]]
        return lowered


@dataclass(frozen=True)
class CappedPool:
    """One pool: what it holds, and how it shall be shared."""

    counts: CappedCounts
    shares: Mapping[str, float]
    max_frac: Mapping[str, float]
    max_copies: int
    parts: int
    exponent: float = 1.0
    copies_key: str = "balance.max_copies"

    def open(self) -> np.ndarray:
        """Ceilings that keep nothing out."""
        return np.full(len(self.counts.caps), N_BUCKETS, np.int64)

    def pool(self, ceilings: np.ndarray, *, natural: Mapping[str, int] | None) -> Pool:
        """What the ceilings leave; `natural` are the tokens that natural shares follow."""
        tokens = np.where(self.counts.enters(ceilings), self.counts.n_tokens, 0)
        sums = np.zeros(len(self.counts.groups), np.int64)
        np.add.at(sums, self.counts.group, tokens)
        available = dict(zip(self.counts.groups, sums.tolist(), strict=True))
        said = self.shares, self.max_frac, self.max_copies, self.parts
        return Pool(available, *said, natural, self.exponent, self.copies_key)

    def quotas(self, ceilings: np.ndarray, *, tokens: Mapping[str, int]) -> dict[str, Quota]:
        """Where the budget of each group ends among the documents below the ceilings."""
        sums = self.counts.by_bucket(np.where(self.counts.enters(ceilings), self.counts.n_tokens, 0))
        held = dict(zip(self.counts.groups, sums, strict=True))
        places = {group: np.flatnonzero(held[group]).tolist() for group in tokens}
        return {g: quota(g, n, counts={b: int(held[g][b]) for b in places[g]}) for g, n in tokens.items()}

    def taken(self, ceilings: np.ndarray, *, quotas: Mapping[str, Quota]) -> np.ndarray:
        """The most that each row may give under these quotas, int64 [n]: a bucket that holds a cut counts whole."""
        none = Quota("", 0, -1, 0)
        found = [quotas.get(group, none) for group in self.counts.groups]
        whole, end = (np.array([getattr(q, field) for q in found], np.int64) for field in ("whole", "bucket"))
        copies = whole[self.counts.group] + (self.counts.bucket <= end[self.counts.group])
        return np.where(self.counts.enters(ceilings), copies * self.counts.n_tokens, 0)


@dataclass(frozen=True)
class Fit:
    """A mixture that can be made: for each pool its tokens, the quotas of its groups and the ceilings of its caps.

    `held` are the pools as the ceilings leave them, `tokens` what each group gives.
    """

    budgets: Mapping[str, int]
    quotas: Mapping[tuple[str, str], Quota]
    ceilings: Mapping[str, np.ndarray]
    held: Mapping[str, Pool]
    tokens: Mapping[str, Mapping[str, int]]


def fit(pools: Mapping[str, CappedPool], *, total: int | None, seq_len: int | None = None) -> Fit:
    """The largest mixture found under all caps, of at most `total` tokens. ConfigError if a pool holds nothing.

    Without a total it fills whole sequences of `seq_len` tokens.

    Natural shares follow what the pool would hold if all of it were packed, under the same caps: so a repository that
    is held down leaves its language as large as the rest of it is, and does not crowd out the rest.
    """
    ceilings = {name: _of_everything(pool) for name, pool in pools.items()}
    natural = {name: pool.pool(ceilings[name], natural=None).available for name, pool in pools.items()}
    while True:
        held = {name: pool.pool(ceilings[name], natural=natural[name]) for name, pool in pools.items()}
        total = None if total is None else min(total, most_of(held["code"], held["text"]))
        budgets = dict(zip(POOLS, pool_budgets(held["code"], held["text"], total=total, seq_len=seq_len), strict=True))
        quotas: dict[tuple[str, str], Quota] = {}
        tokens = {name: allocate(held[name], budgets[name]) for name in pools}
        fallen = {}
        for name, pool in pools.items():
            mine = pool.quotas(ceilings[name], tokens=tokens[name])
            taken = pool.taken(ceilings[name], quotas=mine)
            fallen[name] = pool.counts.fallen(ceilings[name], taken=taken, budget=budgets[name])
            quotas |= {(name, group): q for group, q in mine.items()}
        if all(np.array_equal(fallen[name], ceilings[name]) for name in pools):
            return Fit(budgets, quotas, ceilings, held, tokens)
        ceilings = fallen


def _of_everything(pool: CappedPool) -> np.ndarray:
    """The ceilings with which all that may enter, once each, holds every cap."""
    counts = pool.counts
    ceilings = pool.open()
    may = pool.pool(ceilings, natural=None).wanted
    wanted = np.array([group in may for group in counts.groups], bool)[counts.group]
    while True:
        taken = np.where(wanted & counts.enters(ceilings), counts.n_tokens, 0)
        fallen = counts.fallen(ceilings, taken=taken, budget=int(taken.sum()))
        if np.array_equal(fallen, ceilings):
            return ceilings
        ceilings = fallen


def nearest(pools: Mapping[str, CappedPool], made: Fit) -> int:
    """A total that can be asked for, at or below that of a fit whose total had to fall on the way."""
    total = sum(made.budgets.values())
    while (found := sum(fit(pools, total=total).budgets.values())) < total:
        total = found
    return total
