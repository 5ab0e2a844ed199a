"""How often each sign occurs in healthy documents, by group: what a share in another run is compared with.

The table was counted on the mixture that the reference model was trained on (`jobs/train_reference.py`); its documents
are real, so it holds the junk that real corpora have.
"""

import json
import math
import statistics
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

TABLE_FILE = "healthy.json"
# Documents that the mean of a pool counts for beside a group's own: a group's share of 1 in 400 is known only roughly.
_PRIOR_DOCS = 200
# What another healthy corpus may have beside the table's share: shares twice as large, and so much more. Signs that
# lie in the form of a whole document hardly occur in any corpus; labels, ends and the order of lines vary with habits.
_FACTOR = 2.0
_LINES_FACTOR = 1.4  # common in any corpus, so its share varies less by its own measure
SLACK = {
    "noise": 1e-4, "encoded": 2e-4, "mojibake": 1e-4, "repetition": 2e-4, "reversed": 1e-4, "shuffled_tokens": 5e-4,
    "template": 0.01, "copied": 0.01, "wrong_pool": 0.01, "wrong_language": 0.01, "truncated": 0.01,
    "shuffled_lines": 0.05,
}  # fmt: skip


@dataclass(frozen=True)
class Healthy:
    """Counts of documents and of each sign, by (pool, group)."""

    n_docs: dict[tuple[str, str], int]
    counts: dict[tuple[str, str], dict[str, int]]
    orders: dict[tuple[str, str], tuple[float, float]]  # mean and deviation of the order score
    gaps: dict[tuple[str, str], tuple[float, float]]  # of the reference model's permutation gap

    def expected(self, pool: str, group: str, kind: str) -> float:
        """The share of a group's documents that show `kind` in the table, drawn towards its pool's mean."""
        members = [key for key in self.n_docs if key[0] == pool]
        shares = [self.counts[key].get(kind, 0) / self.n_docs[key] for key in members]
        mean = sum(shares) / len(shares) if shares else 0.0
        own, n = self.counts.get((pool, group), {}).get(kind, 0), self.n_docs.get((pool, group), 0)
        # A group that the table does not know is taken for the worst of its pool in text, where sources differ most.
        if not n and pool == "text" and shares:
            mean = max(shares)
        return (own + _PRIOR_DOCS * mean) / (n + _PRIOR_DOCS)

    def limit(self, pool: str, group: str, kind: str) -> float:
        """The largest share that a healthy corpus is believed to have."""
        factor = _LINES_FACTOR if kind == "shuffled_lines" else _FACTOR
        return min(1.0, factor * self.expected(pool, group, kind) + SLACK[kind])

    def order(self, pool: str, group: str) -> tuple[float, float]:
        """Mean and deviation over documents of the order score; of the pool for a group that is not in the table."""
        own = self.orders.get((pool, group))
        if own:
            return own
        means, deviations = zip(*(of for key, of in self.orders.items() if key[0] == pool), strict=True)
        # The spread between groups is part of what an unknown group may have.
        return statistics.fmean(means), math.hypot(statistics.fmean(deviations), statistics.pstdev(means))

    def order_z(self, pool: str, group: str, score: float) -> float:
        """Deviations by which a document's order is poorer than its group's mean."""
        mean, deviation = self.order(pool, group)
        return (mean - score) / max(deviation, 0.1)

    def gap(self, pool: str, group: str) -> tuple[float, float]:
        """Mean and deviation over documents of the reference model's permutation gap, in nats per token."""
        own = self.gaps.get((pool, group))
        if own:
            return own
        means, deviations = zip(*(of for key, of in self.gaps.items() if key[0] == pool), strict=True)
        return statistics.fmean(means), math.hypot(statistics.fmean(deviations), statistics.pstdev(means))


def from_json(text: str) -> Healthy:
    rows = json.loads(text)["groups"]
    keys = [(row["pool"], row["group"]) for row in rows]
    return Healthy(
        {key: row["n_docs"] for key, row in zip(keys, rows, strict=True)},
        {key: row["signs"] for key, row in zip(keys, rows, strict=True)},
        {key: tuple(row["order"]) for key, row in zip(keys, rows, strict=True) if "order" in row},
        {key: tuple(row["gap"]) for key, row in zip(keys, rows, strict=True) if "gap" in row},
    )


@lru_cache(maxsize=1)
def packaged() -> Healthy:
    """The table that ships."""
    return from_json((files("pipeline.ruin") / "data" / TABLE_FILE).read_text("utf-8"))
