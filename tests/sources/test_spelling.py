"""What letters cost, against a plain look-up of every entry."""

from __future__ import annotations

import math
import random
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.spelling import (
    BACK_TO_BIGRAM,
    BACK_TO_UNIGRAM,
    BIGRAM,
    COST_STEPS,
    LANGUAGES,
    TRIGRAM,
    UNIGRAM,
    costs_of,
    key_of,
    model,
    nothing_known,
)

UNSEEN = 14.0
LOWER = 0.2  # a word of small letters, in every language
KNOWN = nothing_known()  # of all examples: what one has left behind must not cost another anything


@cache
def entries() -> dict[int, int]:
    return dict(zip(model().keys.tolist(), model().costs.tolist(), strict=True))


def cost_of_word(word: str, language: int) -> float:
    """Of a word of small letters, by an interpolated model of trigrams that falls back on shorter ones."""

    def cost(kind: int, *letters: int) -> float | None:
        found = entries().get(int(key_of(language, kind, *letters)))
        return None if found is None else found / COST_STEPS

    def letter(a: int, b: int, c: int) -> float:
        if (found := cost(TRIGRAM, a, b, c)) is not None:
            return found
        back = cost(BACK_TO_BIGRAM, 0, a, b) or 0.0
        if (found := cost(BIGRAM, 0, b, c)) is not None:
            return back + found
        back += cost(BACK_TO_UNIGRAM, 0, 0, b) or 0.0
        found = cost(UNIGRAM, 0, 0, c)
        return UNSEEN if found is None else min(UNSEEN, back + found)

    codes = [0, 0, *map(ord, word), 0]
    return sum(letter(*codes[i : i + 3]) for i in range(len(word) + 1))


def cost_in(word: str, language: int) -> float:
    """That a word is of the language or, one in ten, of any of the two that are asked; an ASCII word may be English in
    any language."""
    english, own = (math.exp(-cost_of_word(word, one)) for one in (0, language))
    if word.isascii():
        own = (own + english) / 2
    return LOWER - math.log(0.9 * own + 0.1 * (own + english) / 2)


@given(st.text(st.sampled_from("etaoinqzj\u00e9\u00f8\u00df"), min_size=2, max_size=9), st.integers(0, 20))
def test_a_word_costs_what_its_letters_cost(word: str, language: int) -> None:
    (found,) = costs_of(word, languages=[language], limit=math.inf, known=KNOWN).tolist()
    assert math.isclose(found, cost_in(word, language), abs_tol=1e-6)


def test_what_is_known_of_other_texts_and_languages_changes_no_cost() -> None:
    drawn = random.Random(0)
    samples = ["Größe früher später", "déjà élève", "привет мир", "ΓΔ λόγος", "字符 文件", "the same words in each"]
    texts = [drawn.choice(samples) + " " + drawn.choice(samples).encode("utf-8").decode("latin-1") for _ in range(40)]
    for text in texts:
        languages = drawn.sample(range(len(LANGUAGES)), 5)
        alone = costs_of(text, languages=languages, limit=math.inf)
        assert costs_of(text, languages=languages, limit=math.inf, known=KNOWN).tolist() == alone.tolist()
    assert KNOWN.keys.any()
