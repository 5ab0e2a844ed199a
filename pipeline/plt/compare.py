"""Is one setting better than another? Paired over seeds and over held-out documents, corrected for the number of lines.

Two things move a mean difference by chance. Seeds: another one has other first weights, another order and another
sample of documents; their variance is taken over pairs of trainings with equal seeds. Documents: other ones could have
been held out; their variance is that of a bootstrap that draws whole documents. Both are added, and Student's t with
the degrees of freedom of the sum (Welch and Satterthwaite) gives interval and probability. Holm's correction over all
lines of the page decides what is claimed: where nothing differs, one page of twenty claims something at most.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipeline.plt.evaluate import Floats
from pipeline.plt.keyed import draw
from pipeline.plt.student import quantile, two_sided_p
from pipeline.results import Comparison, DocumentLoss

LEVEL = 0.05  # of the page: how often it may claim a difference where there is none
# Draws of the bootstrap. The error of a variance from 1,000 is 4 %, of the interval 2 %.
_N_DRAWS = 1_000
_Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Compared:
    """The trainings of one mixture with one number of loops, by seed; each has scored the documents of each tail."""

    name: str
    mixture: str
    losses: dict[int, dict[str, tuple[DocumentLoss, ...]]]  # seed -> tail -> documents
    read_frac: float  # part of the run that a training reads


def compare_settings(pairs: Iterable[tuple[Compared, Compared]], *, min_tokens: int) -> tuple[Comparison, ...]:
    """Every line of the page: both settings of a pair on each tail that both were scored on, all, pools and groups.

    Groups with fewer than `min_tokens` there are left out, and where only loops differ all of them are.
    """
    lines = [line for first, second in pairs for line in _lines(first, second, min_tokens=min_tokens)]
    return _corrected(lines)


def _lines(first: Compared, second: Compared, *, min_tokens: int) -> Iterable[Comparison]:
    seeds = sorted(first.losses.keys() & second.losses.keys())
    for tail in first.losses[seeds[0]]:
        if tail not in second.losses[seeds[0]]:
            continue
        documents = first.losses[seeds[0]][tail]
        units = _units(documents)
        nats = [np.array([[d.nats for d in of.losses[s][tail]] for s in seeds]) for of in (first, second)]
        for pool, group, mask in _parts(documents, min_tokens=min_tokens, groups=first.mixture != second.mixture):
            yield _compare(
                first, second, tail=tail, part=(pool, group), units=units[mask], nats=[n[:, mask] for n in nats]
            )


def _units(documents: tuple[DocumentLoss, ...]) -> Floats:
    """What each document's nats are divided by: its bits in bytes, or its tokens where bytes are unknown."""
    if any(d.n_bytes for d in documents):
        return np.array([d.n_bytes for d in documents]) * math.log(2)
    return np.array([d.n_tokens for d in documents], dtype=np.float64)


def _parts(documents: tuple[DocumentLoss, ...], *, min_tokens: int, groups: bool) -> Iterable[tuple[str, str, _Mask]]:
    pools, names = np.array([d.pool for d in documents]), np.array([d.group for d in documents])
    n_tokens = np.array([d.n_tokens for d in documents])
    yield "all", "", np.ones(len(documents), dtype=bool)
    for pool in sorted(set(pools.tolist())):
        yield pool, "", pools == pool
    for pool, group in sorted(set(zip(pools.tolist(), names.tolist(), strict=True))) if groups else ():
        mask = (pools == pool) & (names == group)
        if n_tokens[mask].sum() >= min_tokens:
            yield pool, group, mask


def _compare(
    first: Compared, second: Compared, *, tail: str, part: tuple[str, str], units: Floats, nats: list[Floats]
) -> Comparison:
    """One line. `nats` are [seed, document] of both."""
    scores = [of.sum(axis=1) / units.sum() for of in nats]
    deltas = scores[1] - scores[0]
    line = Comparison(
        first=first.name,
        second=second.name,
        tail=tail,
        pool=part[0],
        group=part[1],
        first_score=float(scores[0].mean()),
        second_score=float(scores[1].mean()),
        difference=float(deltas.mean()),
        half_width=None,
        n_seeds=len(deltas),
        n_documents=len(units),
        message="",
    )
    if not np.isfinite(deltas).all():
        return replace(line, message="a loss is not a finite number: no claim")
    if len(deltas) < 2:
        return replace(line, message="one seed: no spread, so no claim")
    # How many documents of equal size would weigh as much; a mean that hangs on one of them says nothing.
    n_equal = float(units.sum() ** 2 / (units**2).sum())
    if n_equal < 2:
        return replace(line, message="hardly more than one document: no claim")
    of_seeds = float(deltas.var(ddof=1)) / len(deltas) * _other_samples(first, second, n_seeds=len(deltas))
    mean_delta = (nats[1] - nats[0]).mean(axis=0)
    of_documents = bootstrap_variance(mean_delta, units, key=f"{tail}/{part[0]}/{part[1]}")
    return _judged(line, of_seeds=of_seeds, of_documents=of_documents, n_equal=n_equal)


def _other_samples(first: Compared, second: Compared, *, n_seeds: int) -> float:
    """By what the variance over seeds falls short of that over mixtures, where two mixtures are compared.

    Each is a sample of what its recipe could have made. Seeds that read a part f of the same run see samples that
    overlap, so the variance of their means is (1 - f) s / n_seeds, while a mean over another run of that size would
    move by f s more: together 1 + n_seeds f / (1 - f) times what the seeds show.
    """
    if first.mixture == second.mixture:
        return 1.0
    read = max(first.read_frac, second.read_frac)
    return 1 + n_seeds * read / (1 - read)


def bootstrap_variance(values: Floats, units: Floats, *, key: str) -> float:
    """Variance of sum(values) / sum(units) when as many documents are drawn again, by `key`."""
    n = len(values)
    drawn = (draw(key, np.arange(_N_DRAWS * n)) % np.uint64(n)).astype(np.int64).reshape(_N_DRAWS, n)
    ratios = values[drawn].sum(axis=1) / units[drawn].sum(axis=1)
    return float(ratios.var()) * n / (n - 1)  # a sample's own spread is too small by that, as a deviation's is


def _judged(line: Comparison, *, of_seeds: float, of_documents: float, n_equal: float) -> Comparison:
    variance = of_seeds + of_documents
    if variance == 0:
        return replace(line, half_width=0.0, p_value=1.0 if line.difference == 0 else 0.0)
    freedom = variance**2 / (of_seeds**2 / (line.n_seeds - 1) + of_documents**2 / (n_equal - 1))
    error = math.sqrt(variance)
    return replace(
        line,
        half_width=quantile(0.05, freedom=freedom) * error,
        p_value=two_sided_p(line.difference / error, freedom=freedom),
    )


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down correction: each is the level of the whole family at which it would be claimed."""
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def _corrected(lines: list[Comparison]) -> tuple[Comparison, ...]:
    places = [i for i, line in enumerate(lines) if line.p_value is not None]
    corrected = holm([lines[i].p_value or 0.0 for i in places])
    for i, p in zip(places, corrected, strict=True):
        line = lines[i]
        better = line.second if line.difference < 0 else line.first
        message = f"{better} is better, beyond what seeds and documents explain"
        if p > LEVEL:
            message = "no difference can be claimed: chance in seeds and documents explains it"
        lines[i] = replace(line, corrected_p=p, claimed=p <= LEVEL, message=message)
    return tuple(lines)
