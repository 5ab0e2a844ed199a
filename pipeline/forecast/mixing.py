"""What the balance would make of possible token counts, by its own code: the total, the pool that limits it, epochs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.forecast.sampled import Group
from pipeline.mix.balance import pools_of_counts
from pipeline.mix.budget import allocate, most_of, pool_budgets
from pipeline.mix.capping import NONE, Capping
from pipeline.mix.caps import CappedPool
from pipeline.schema import POOLS
from pipeline.targets import Balance


@dataclass(frozen=True)
class Mixed:
    """What the balance makes of each draw; arrays of shape [n_draws], NaN where it makes nothing."""

    total: np.ndarray  # tokens of the mixture
    epochs: Mapping[Group, np.ndarray]
    limits: Mapping[str, float]  # pool -> share of the draws in which it ends the mixture's growth
    unmet_frac: float  # of the draws: what is asked is more than there is
    problem: str | None  # why nothing can be made, in the draws where that is so


def mix_draws(groups: Sequence[Group], drawn: np.ndarray, config: Balance) -> Mixed:
    """Balance each row of `drawn`, tokens [n_draws, n_groups]. Caps on repositories and marks are left out."""
    total = np.full(len(drawn), np.nan)
    epochs = {group: np.full(len(drawn), np.nan) for group in groups}
    limits, problems = Counter[str](), Counter[str]()
    for i, row in enumerate(drawn.astype(np.int64)):
        tokens = {group: n for group, n in zip(groups, row.tolist(), strict=True) if n > 0}
        try:
            made, which, is_short = _mixed(tokens, config)
        except ConfigError as error:
            problems[str(error)] += 1
            continue
        total[i] = sum(made.values())
        for group, n in tokens.items():
            epochs[group][i] = made.get(group, 0) / n
        limits[which] += 1
        limits["short"] += is_short
    n_made = max(1, len(drawn) - problems.total())
    first = problems.most_common(1)
    return Mixed(
        total,
        epochs,
        {pool: limits[pool] / n_made for pool in (*POOLS, "total_tokens")},
        (limits["short"] + problems.total()) / len(drawn),
        first[0][0] if first else None,
    )


def _mixed(tokens: Mapping[Group, int], config: Balance) -> tuple[dict[Group, int], str, bool]:
    """Tokens of each group in the mixture, what ends its growth, and whether less is made than was asked."""
    pools = {name: pool.pool(pool.open(), natural=None) for name, pool in _pools(tokens, config).items()}
    code, text = pools["code"], pools["text"]
    most = most_of(code, text) if all(pool.capacity() for pool in pools.values()) else 0
    asked = config.total_tokens
    total = asked if asked is None or most == 0 else min(asked, most)
    budgets = dict(zip(("code", "text"), pool_budgets(code, text, total=total), strict=True))
    made = {(name, group): n for name, pool in pools.items() for group, n in allocate(pool, budgets[name]).items()}
    if asked is not None and asked <= most:
        return made, "total_tokens", False
    scarce = min(POOLS, key=lambda name: pools[name].total / pools[name].parts)
    return made, scarce, asked is not None


def _pools(tokens: Mapping[Group, int], config: Balance) -> dict[str, CappedPool]:
    n = len(tokens)
    counted = pa.table(
        {
            "pool": [pool for pool, _ in tokens],
            "group": [group for _, group in tokens],
            "repo": np.full(n, NONE, np.int64),
            "marks": np.zeros(n, np.int64),
            "bucket": np.zeros(n, np.int64),
            "n_tokens": np.array(list(tokens.values()), np.int64),
        }
    )
    return pools_of_counts(counted, config=config, capping=Capping({}, {}))
