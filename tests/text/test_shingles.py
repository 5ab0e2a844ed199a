import re
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.text.shingles import jaccard_pairs, shingle


def shingles_of(*documents: str, n_words: int = 5) -> list[np.ndarray]:
    raw = [d.encode() for d in documents]
    offsets = np.concatenate(([0], np.cumsum([len(r) for r in raw]))).astype(np.int64)
    hashes, ends = shingle(np.frombuffer(b"".join(raw), np.uint8), offsets, n_words=n_words)
    return [hashes[a:b] for a, b in pairwise(ends)]


def words_of(document: str) -> list[str]:
    """The documented definition, spelt out on strings."""
    word = re.compile(r"[\u3000-\ufeff\uff00-\uffef\U00010000-\U0010ffff]|[A-Za-z0-9_\u0080-\u2fff]+")
    found = word.findall(document)
    return [w.translate({c: c + 32 for c in range(65, 91)}) for w in found if not "\u3000" <= w <= "\u303f"]


def test_shingles_ignore_case_and_separators() -> None:
    one, two = shingles_of("def Add(a, b):\n    return a + b", "DEF add a b return A b")
    assert np.array_equal(one, two)
    assert one.size == 3


def test_shingles_are_one_when_document_is_short() -> None:
    short, empty, blank = shingles_of("just three words", "", " \n\t.;")
    assert (short.size, empty.size, blank.size) == (1, 0, 0)


def test_shingles_differ_when_words_swap() -> None:
    one, two = shingles_of("a b c d e", "a b c e d")
    assert one[0] != two[0]


def test_each_ideograph_is_a_word_and_its_punctuation_is_not() -> None:
    one, two = shingles_of("天地玄黃宇宙洪荒", "天地玄黃。宇宙洪荒")
    assert one.size == 4
    assert np.array_equal(one, two)


alphabet = st.sampled_from(list("aAbZ09_ .\n-é漢字、。😀"))


@given(st.lists(st.text(alphabet, max_size=40), max_size=6), st.integers(1, 6))
def test_number_of_shingles_follows_the_definition(documents: list[str], n_words: int) -> None:
    for document, found in zip(documents, shingles_of(*documents, n_words=n_words) if documents else [], strict=True):
        n = len(words_of(document))
        assert found.size == (max(1, n - n_words + 1) if n else 0)


@given(st.lists(st.text(st.sampled_from("ab "), max_size=60), min_size=2, max_size=2))
def test_jaccard_equals_that_of_python_sets(documents: list[str]) -> None:
    def windows(document: str) -> set[tuple[str, ...]]:
        words = document.split()
        return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))} if words else set()

    a, b = (windows(d) for d in documents)
    sets = [np.unique(s) for s in shingles_of(*documents)]
    ends = np.concatenate(([0], np.cumsum([s.size for s in sets]))).astype(np.int64)
    found = jaccard_pairs(np.concatenate(sets), ends, np.array([0]), np.array([1]))
    assert found[0] == (len(a & b) / len(a | b) if a | b else 0.0)
