"""From the kinds of single documents to findings about groups: shares that no healthy corpus has."""

import math
from collections import Counter
from collections.abc import Sequence

from pipeline.results import RUIN, RuinFinding, Status
from pipeline.ruin.healthy import SLACK, Healthy
from pipeline.ruin.kinds import Kind

ALPHA = 0.01  # chance that a healthy run gets any finding by the luck of its sample
# Documents that make a share. Of kinds that a habit of one author explains too, more are asked: those with much slack.
MIN_FOUND, MIN_FOUND_WEAK = 3, 10
_WEAK = 0.005  # slack from which a kind is such a one
FAIL_SHARE = 0.1  # of a group's documents beyond the healthy share: so much ruin fails a mixture, less is a warning
_N_EXAMPLES = 10


def tail_chance(k: int, n: int, p: float) -> float:
    """Chance of at least `k` of `n` where each comes with probability `p`."""
    if k <= 0:
        return 1.0
    if p <= 0.0 or p >= 1.0:
        return float(p >= 1.0)
    logs = [
        math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) + i * math.log(p) + (n - i) * math.log1p(-p)
        for i in range(k, n + 1)
    ]
    top = max(logs)
    return min(1.0, math.exp(top) * sum(math.exp(x - top) for x in logs))


def find(
    labels: Sequence[tuple[str, str]], kinds: Sequence[tuple[Kind, ...]], doc_ids: Sequence[str], *, healthy: Healthy
) -> list[RuinFinding]:
    """Findings, surest first. `labels` are (pool, group) of the sampled documents."""
    sizes = Counter(labels)
    seen = Counter((label, kind) for label, of in zip(labels, kinds, strict=True) for kind in of)
    n_tests = len(sizes) * len(SLACK)
    found = []
    for (label, kind), n in seen.items():
        if n < (MIN_FOUND_WEAK if SLACK[kind] >= _WEAK else MIN_FOUND):
            continue
        chance = tail_chance(n, sizes[label], healthy.limit(*label, kind))
        if chance * n_tests <= ALPHA:
            examples = [d for d, own, k in zip(doc_ids, labels, kinds, strict=True) if own == label and kind in k]
            expected = healthy.expected(*label, kind)
            found.append(_finding(label, kind, n, sizes[label], expected=expected, chance=chance, examples=examples))
    return sorted(found, key=lambda f: (f.chance, f.pool, f.group, f.kind))


def _finding(
    label: tuple[str, str], kind: str, n: int, n_docs: int, *, expected: float, chance: float, examples: list[str]
) -> RuinFinding:
    message = f"{n} of {n_docs} documents: {RUIN[kind]}; healthy ones show {expected:.1%}"
    status: Status = "fail" if n / n_docs - expected >= FAIL_SHARE else "warn"
    return RuinFinding(*label, kind, status, message, n, n_docs, expected, chance, tuple(examples[:_N_EXAMPLES]))
