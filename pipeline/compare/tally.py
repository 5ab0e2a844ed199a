"""Tables of a comparison out of the sums over documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np

from pipeline.compare.found import ABSENT, FATES, KINDS, FateFlow, LanguageMove, ReasonChange, ShareChange
from pipeline.compare.meet import Met
from pipeline.compare.rows import What
from pipeline.schema import POOLS

_N_WORDS = 7  # of a row of `Met.what`: documents, then bytes, kept tokens and packed tokens, of A and of B each
_DOCS, _KEPT_TOKENS, _PACKED = 0, 3, 5


def counts(met: Met) -> dict[str, int]:
    """Documents of each kind of change, those of which there are none too."""
    return {kind: met.counts[kind] for kind in KINDS}


def flows(met: Met) -> tuple[FateFlow, ...]:
    """Documents by their fate in both runs, in the order of fates."""
    sums: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(_N_WORDS, np.int64))
    for (a, b), row in met.what.items():
        sums[_fate(met, a), _fate(met, b)] += row
    found = []
    for (one, other), row in sums.items():
        n_docs, bytes_a, bytes_b, _, _, packed_a, packed_b = row.tolist()
        found.append(FateFlow(one, other, n_docs, bytes_b if one == ABSENT else bytes_a, packed_a, packed_b))
    return tuple(sorted(found, key=lambda flow: (FATES.index(flow.fate_a), FATES.index(flow.fate_b))))


def _fate(met: Met, key: int) -> str:
    return met.names.what[key].fate if key else ABSENT


def groups(met: Met) -> tuple[ShareChange, ...]:
    """Languages of code and sources of text, as the balance counts them; pool by pool, most tokens first."""
    found = _shares(met, lambda what: (what.pool, what.group))
    return tuple(sorted(found, key=lambda one: (POOLS.index(one.pool), *_by_size(one))))


def sources(met: Met) -> tuple[ShareChange, ...]:
    """Every source of the mixtures, both pools together, most tokens first."""
    return tuple(sorted(_shares(met, lambda what: ("", what.source)), key=_by_size))


def _by_size(one: ShareChange) -> tuple[int, int, str]:
    return -max(one.n_tokens_a, one.n_tokens_b), -max(one.n_docs_a, one.n_docs_b), one.name


def _shares(met: Met, key_of: Callable[[What], tuple[str, str]]) -> list[ShareChange]:
    """Documents and tokens by a key of what they are, on each side by what they are there."""
    sides: list[dict[tuple[str, str], np.ndarray]] = [
        defaultdict(lambda: np.zeros(4, np.int64)),
        defaultdict(lambda: np.zeros(4, np.int64)),
    ]
    for pair, row in met.what.items():
        for side, key in enumerate(pair):
            if not key:
                continue
            what = met.names.what[key]
            n_kept = row[_DOCS] if what.fate != "dropped" else 0
            mine = (row[_DOCS], n_kept, row[_KEPT_TOKENS + side], row[_PACKED + side])
            sides[side][key_of(what)] += np.array(mine, np.int64)
    of_pool = [_by_pool(side) for side in sides]
    found = []
    for pool, name in sides[0].keys() | sides[1].keys():
        pairs = zip(*(side[pool, name].tolist() for side in sides), strict=True)
        numbers = [n for pair in pairs for n in pair]
        fracs = (n / max(1, whole.get(pool, 0)) for n, whole in zip(numbers[-2:], of_pool, strict=True))
        found.append(ShareChange(pool, name, *numbers, *fracs))
    return found


def _by_pool(side: Mapping[tuple[str, str], np.ndarray]) -> dict[str, int]:
    tokens: dict[str, int] = defaultdict(int)
    for (pool, _), row in side.items():
        tokens[pool] += int(row[-1])
    return tokens


def reasons(met: Met, settings: Mapping[str, tuple[str, ...]]) -> tuple[ReasonChange, ...]:
    """Every reason that was given in a run: those with most documents that changed sides first."""
    sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(6, np.int64))
    dropped = FATES.index("dropped")
    for (fate_a, why_a, fate_b, why_b), (n,) in met.why.items():
        mine, others = (met.names.why.get(why, ()) if fate else () for fate, why in ((fate_a, why_a), (fate_b, why_b)))
        left, entered = fate_a > dropped and fate_b == dropped, fate_b > dropped and fate_a == dropped
        for reason in mine:
            sums[reason] += (n, 0, 0, 0, n * entered, n * (entered and len(mine) == 1))
        for reason in others:
            sums[reason] += (0, n, n * left, n * (left and len(others) == 1), 0, 0)
    found = []
    for reason, row in sums.items():
        n_a, n_b, left, left_alone, entered, entered_alone = row.tolist()
        differ = settings.get(reason, ())
        found.append(ReasonChange(reason, n_a, n_b, left, left_alone, entered, entered_alone, differ))
    return tuple(sorted(found, key=lambda one: (-one.n_left - one.n_entered, -one.n_docs_a - one.n_docs_b, one.reason)))


def moves(met: Met) -> tuple[LanguageMove, ...]:
    """Documents that another language or pool was decided for, most first."""
    sums: dict[tuple[str, str, str, str], int] = defaultdict(int)
    for (a, b), row in met.what.items():
        if a and b:
            one, other = met.names.what[a], met.names.what[b]
            if (one.pool, one.language) != (other.pool, other.language):
                sums[one.pool, one.language, other.pool, other.language] += int(row[_DOCS])
    found = [LanguageMove(*key, n) for key, n in sums.items()]
    return tuple(sorted(found, key=lambda move: (-move.n_docs, move.language_a, move.language_b)))
