"""Caps on repositories and marks: never crossed, met to one bucket, of no effect where they would not be crossed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.mix.budget import allocate, most_of, pool_budgets
from pipeline.mix.caps import Cap, CappedCounts, CappedPool, Fit, fit, nearest
from pipeline.mix.pool import Pool
from pipeline.mix.quota import N_BUCKETS, quota
from pipeline.mix.why_capped import why_nothing_left, why_under_caps


@dataclass(frozen=True)
class Doc:
    group: str
    caps: tuple[int, ...]
    bucket: int
    n_tokens: int


def capped(
    docs: Sequence[Doc], fracs: Sequence[str] = (), *, shares: dict[str, float] | None = None, copies: int = 1
) -> CappedPool:
    """Each document is a row of its own; every cap is one on a repository."""
    groups = sorted({d.group for d in docs})
    kinds = sorted({d.caps for d in docs})
    counts = CappedCounts(
        groups=groups,
        caps=[Cap("max_repo_frac", Fraction(f), repo=i + 1) for i, f in enumerate(fracs)],
        under=kinds,
        group=np.array([groups.index(d.group) for d in docs], np.int64),
        kind=np.array([kinds.index(d.caps) for d in docs], np.int64),
        bucket=np.array([d.bucket for d in docs], np.int64),
        n_tokens=np.array([d.n_tokens for d in docs], np.int64),
    )
    return CappedPool(counts, shares or {}, {}, copies, 1)


def text(n_tokens: int) -> CappedPool:
    return capped([Doc("books", (), 0, n_tokens)])


def packed(docs: Sequence[Doc], made: Fit, *, pool: str = "code") -> list[int]:
    """Walk the documents up the buckets and give each what the quota of its group has left for it."""
    ceilings = made.ceilings[pool]
    enter = [all(d.bucket < ceilings[c] for c in d.caps) for d in docs]
    out = [0] * len(docs)
    for (name, group), q in made.quotas.items():
        mine = [i for i, d in enumerate(docs) if name == pool and d.group == group and enter[i]]
        left = q.left
        for i in sorted(mine, key=lambda i: docs[i].bucket):
            out[i] = q.whole * docs[i].n_tokens
            if docs[i].bucket < q.bucket:
                out[i] += docs[i].n_tokens
            elif docs[i].bucket == q.bucket:
                more = min(left, docs[i].n_tokens)
                out[i], left = out[i] + more, left - more
    return out


def of_cap(docs: Sequence[Doc], tokens: Sequence[int], cap: int) -> int:
    return sum(n for d, n in zip(docs, tokens, strict=True) if cap in d.caps)


ONE_REPO = [Doc("C", (0,), b, 10) for b in range(0, 500, 10)] + [Doc("C", (), b, 10) for b in range(5, 505, 10)]


def test_a_repository_is_held_to_its_share_of_what_is_packed() -> None:
    made = fit({"code": capped(ONE_REPO, ["0.1"]), "text": text(10_000)}, total=None)
    tokens = packed(ONE_REPO, made)
    # 500 tokens lie outside; x of them and the repository's make x <= (500 + x) / 10, so x is 55, five documents
    assert of_cap(ONE_REPO, tokens, 0) == 50
    assert sum(tokens) == made.budgets["code"] == made.budgets["text"] == 550


def test_what_no_budget_reaches_costs_a_cap_nothing() -> None:
    """A tenth of the pool is asked for, of which the repository would give a half and may give 0.6."""
    pools = {"code": capped(ONE_REPO, ["0.6"]), "text": text(10_000)}
    made = fit(pools, total=200)
    assert made.ceilings["code"].tolist() == [N_BUCKETS]
    assert made.quotas == fit({"code": capped(ONE_REPO, ["1"]), "text": text(10_000)}, total=200).quotas
    assert of_cap(ONE_REPO, packed(ONE_REPO, made), 0) == 50


def test_a_language_that_one_repository_fills_does_not_lose_the_rest_of_it() -> None:
    """Assembly is 29 parts of one repository and 1 of others; under the cap those others enter like any other language.

    Were natural shares taken from what the cap leaves of a tenth of the pool, the repository would fill them alone.
    """
    docs = [Doc("Assembly", (0,), 3 * b, 290) for b in range(1_000)]
    docs += [Doc("Assembly", (), 3 * b + 1, 10) for b in range(1_000)]
    docs += [Doc("C", (), 3 * b + 2, 970) for b in range(1_000)]
    total = 2 * 300_000
    made = fit({"code": capped(docs, ["0.02"]), "text": text(10**7)}, total=total)
    tokens = packed(docs, made)
    assert of_cap(docs, tokens, 0) == 20 * 290  # of 6,000
    others = sum(n for d, n in zip(docs, tokens, strict=True) if d.group == "Assembly" and not d.caps)
    c = sum(n for d, n in zip(docs, tokens, strict=True) if d.group == "C")
    assert others / 10_000 == pytest.approx(c / 970_000, rel=0.15)


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[list[Doc], list[str], dict[str, float] | None, int]:
    n_caps = draw(st.integers(1, 4))
    n_docs = draw(st.integers(1, 25))
    buckets = draw(st.lists(st.integers(0, 60), min_size=n_docs, max_size=n_docs, unique=True))
    docs = [
        Doc(
            draw(st.sampled_from("ABC")),
            tuple(sorted(draw(st.sets(st.integers(0, n_caps - 1), max_size=2)))),
            bucket,
            draw(st.integers(1, 12)),
        )
        for bucket in buckets
    ]
    fracs = [draw(st.sampled_from(["0.05", "0.1", "0.25", "0.3333", "0.5", "0.9", "1"])) for _ in range(n_caps)]
    shares = draw(st.sampled_from([None, {"A": 3.0, "others": 1.0}, {"A": 1.0, "B": 1.0, "C": 5.0}]))
    return docs, fracs, shares, draw(st.sampled_from([1, 1, 3]))


def slow_fit(
    docs: list[Doc], fracs: list[str], shares: dict[str, float] | None, copies: int, n_text: int, total: int | None
) -> tuple[int, list[int], dict[str, int]]:
    """Document by document, as the head of caps.py says it: (code tokens, ceilings, tokens of each group)."""
    names = sorted({d.group for d in docs})
    wanted = {g for g in names if not shares or "others" in shares or g in shares}

    def enters(doc: Doc, tops: list[int]) -> bool:
        return all(doc.bucket < tops[c] for c in doc.caps)

    def available(tops: list[int]) -> dict[str, int]:
        return {g: sum(d.n_tokens for d in docs if d.group == g and enters(d, tops)) for g in names}

    def lowered(tops: list[int], taken: dict[Doc, int], budget: int) -> list[int]:
        out = []
        for cap, top in enumerate(tops):
            mine = sorted((d for d in docs if cap in d.caps and enters(d, tops)), key=lambda d: d.bucket)
            used = 0
            for doc in mine:
                used += taken.get(doc, 0)
                if used > int(Fraction(fracs[cap]) * budget):
                    top = doc.bucket
                    break
            out.append(top)
        return out

    tops = [N_BUCKETS] * len(fracs)
    while True:
        taken = {d: d.n_tokens for d in docs if d.group in wanted and enters(d, tops)}
        if (lower := lowered(tops, taken, sum(taken.values()))) == tops:
            break
        tops = lower
    natural = available(tops)
    while True:
        code = Pool(available(tops), shares or {}, {}, copies, 1, natural)
        books = Pool({"books": n_text}, {}, {}, 1, 1)
        if total is not None:
            total = min(total, most_of(code, books))
        budget, _ = pool_budgets(code, books, total=total)
        tokens, taken = allocate(code, budget), {}
        for group, n in tokens.items():
            counts = {d.bucket: d.n_tokens for d in docs if d.group == group and enters(d, tops)}
            q = quota(group, n, counts=counts)
            mine = [d for d in docs if d.group == group and enters(d, tops)]
            taken |= {d: (q.whole + (d.bucket <= q.bucket)) * d.n_tokens for d in mine}
        if (lower := lowered(tops, taken, budget)) == tops:
            return budget, tops, tokens
        tops = lower


@settings(max_examples=150, deadline=None)
@given(mixtures(), st.integers(1, 200), st.one_of(st.none(), st.integers(2, 200)))
def test_equal_to_working_document_by_document_and_no_cap_is_crossed(
    mixture: tuple[list[Doc], list[str], dict[str, float] | None, int], n_text: int, total: int | None
) -> None:
    docs, fracs, shares, copies = mixture
    pools = {"code": capped(docs, fracs, shares=shares, copies=copies), "text": text(n_text)}
    try:
        budget, tops, _ = slow_fit(docs, fracs, shares, copies, n_text, total)
    except ConfigError:
        with pytest.raises(ConfigError):
            fit(pools, total=total)
        assert "the caps leave no mixture" in why_nothing_left(pools, total=total)
        return
    made = fit(pools, total=total)
    assert made.ceilings["code"].tolist() == tops
    tokens = packed(docs, made)
    assert sum(tokens) == budget == made.budgets["code"] == made.budgets["text"]
    for cap, frac in enumerate(fracs):
        assert of_cap(docs, tokens, cap) <= Fraction(frac) * budget


@settings(max_examples=100, deadline=None)
@given(mixtures(), st.integers(2, 200))
def test_the_nearest_total_can_be_asked_for(
    mixture: tuple[list[Doc], list[str], dict[str, float] | None, int], total: int
) -> None:
    docs, fracs, shares, copies = mixture
    pools = {"code": capped(docs, fracs, shares=shares, copies=copies), "text": text(1_000)}
    try:
        made = fit(pools, total=total)
    except ConfigError:
        assume(False)
    found = nearest(pools, made)
    assert sum(fit(pools, total=found).budgets.values()) == found > 0
    assert f"write balance.total_tokens: {found} or raise a cap" in why_under_caps(
        pools, made, total=total, found=found
    )


def test_caps_that_leave_nothing_say_how_far_to_raise_them() -> None:
    """Ten repositories of equal size, and nothing else: each must be allowed a tenth."""
    docs = [Doc("C", (b % 10,), b, 7) for b in range(200)]
    pools = {"code": capped(docs, ["0.05"] * 10), "text": text(1_000)}
    with pytest.raises(ConfigError):
        fit(pools, total=None)
    said = why_nothing_left(pools, total=None)
    assert "balance.code has max_repo_frac 0.05 on 10 repositories; times 2 each they leave some" in said
    assert fit({"code": capped(docs, ["0.1"] * 10), "text": text(10_000)}, total=None).budgets["code"] == 200 * 7
