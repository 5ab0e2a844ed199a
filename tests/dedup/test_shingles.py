import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_words import FEWEST, carries_meaning, windows, words_of

from pipeline.dedup.jaccard import compare_pairs, distinct
from pipeline.dedup.shingles import digests, shingle


def buffers(documents: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offsets = np.concatenate(([0], np.cumsum([len(r) for r in documents]))).astype(np.int64)
    return np.frombuffer(b"".join(documents), np.uint8), offsets[:-1], offsets[1:]


def shingles_of(*documents: str | bytes, n_words: int = 5, **options: object) -> list[np.ndarray]:
    raw = [d.encode() if isinstance(d, str) else d for d in documents]
    hashes, ends = shingle(*buffers(raw), n_words=n_words, **options)  # type: ignore[arg-type]
    return [hashes[a:b] for a, b in pairwise(ends)]


def test_shingles_ignore_separators_and_tell_capitals_unless_folded() -> None:
    one, two, three = shingles_of(
        "def Add(a, b);\n    return a + b", "def Add a b return a+b", "def add a b return a + b"
    )
    assert np.array_equal(one, two)
    assert one.size == 3
    assert one[0] != three[0]
    one, three = shingles_of("Def ADD_x(a, B)", "def add_X a b", fold_case=True)
    assert np.array_equal(one, three)


def test_shingles_are_one_when_document_is_short() -> None:
    short, empty, blank = shingles_of("just three words", "", " \n\t.;")
    assert (short.size, empty.size, blank.size) == (1, 0, 0)


def test_shingles_differ_when_words_swap_or_long_words_differ_in_one_byte() -> None:
    one, two = shingles_of("a b c d e", "a b c e d")
    assert one[0] != two[0]
    long = "x" * 8 + "y" * 8 + "z"
    same, other, longer = shingles_of(long, long.replace("y", "q", 1), long + "z")
    assert len({int(s[0]) for s in (same, other, longer)}) == 3


def test_unspaced_scripts_are_cut_into_words_of_a_few_characters() -> None:
    rng = random.Random(2)
    for first, last, low, high in ((0x4E00, 0x9FFF, 1.8, 2.2), (0x0E01, 0x0E2E, 3.4, 4.6)):
        text = "".join(chr(rng.randint(first, last)) for _ in range(4_000))
        (found,) = shingles_of(text, n_words=1, kind="unicode")
        assert low < 4_000 / found.size < high


def test_an_edit_in_an_unspaced_script_changes_only_shingles_beside_it() -> None:
    rng = random.Random(3)
    text = "".join(chr(rng.randint(0x4E00, 0x9FFF)) for _ in range(600))
    one, two = shingles_of(text, text[:300] + "変更" + text[300:], kind="unicode")
    assert len(set(one.tolist()) ^ set(two.tolist())) < 20
    first, second = shingles_of("天地玄黃宇宙洪荒", "天地玄黃。宇宙洪荒", kind="unicode", n_words=1)
    assert first.size <= second.size <= first.size + 2


def test_ascii_words_hash_alike_under_both_definitions() -> None:
    text = "an ASCII_text of some words, 12 in all; and_one_word_that_is_quite_long here"
    (one,), (two,) = shingles_of(text), shingles_of(text, kind="unicode")
    assert np.array_equal(one, two)


def test_small_and_capital_letters_of_any_script_fold() -> None:
    one, two = shingles_of("Ünïcode ΣΊΣΥΦΟΣ Война и МИР", "ünïcode σίσυφοσ ВОЙНА И мир", kind="unicode", fold_case=True)
    assert np.array_equal(one, two)


def test_damaged_utf8_separates_words() -> None:
    one, two = shingles_of(b"one\xfftwo\xc3(three\xe4\xb8", b"one two three", kind="unicode")
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("a\u0323\u0301 b c d e", "a\u0301\u0323 b c d e"),  # marks in either order
        ("\u4e3d b c d e", "\U0002f800 b c d e"),  # a compatibility ideograph
        ("a b c d e", "a \ufffd b c d e"),  # what nobody knows is no operator
    ],
)
def test_shingles_are_the_same_where_the_text_says_the_same(one: str, two: str) -> None:
    first, second = shingles_of(one, two)
    assert np.array_equal(first, second)


def test_words_among_many_symbols_do_not_speak_for_a_document() -> None:
    words = " ".join("abcdefghijklmno")
    some, many = shingles_of(words + " (" * 30, words + " (" * 31, min_words=FEWEST)
    assert (some.size, many.size) == (11, 0)


alphabet = st.sampled_from(
    [*"aAbZ09_ .\n-+=(<éЖß漢字、。😀กา가क्षि५٣בּ\u00d7∑\ufffd\u0640\u200d\ufe0f\u00ad\u0301\u0327", "\u1100", "\u1161"]
)


@given(st.lists(st.text(alphabet, max_size=40), min_size=1, max_size=6), st.integers(1, 6), st.booleans())
def test_shingles_equal_where_the_windows_of_words_equal(documents: list[str], n_words: int, fold: bool) -> None:
    for kind in ("identifiers", "unicode"):
        by_hash: dict[int, tuple[Any, ...]] = {}
        found = shingles_of(*documents, n_words=n_words, kind=kind, fold_case=fold)
        for document, hashes in zip(documents, found, strict=True):
            words = words_of(document, fold_case=fold, is_code=kind == "identifiers")
            lists = [tuple(words[i : i + n_words]) for i in range(max(1, len(words) - n_words + 1))] if words else []
            assert hashes.size == len(lists)
            for h, window in zip(hashes.tolist(), lists, strict=True):
                assert by_hash.setdefault(h, window) == window
        assert len(set(by_hash.values())) == len(by_hash)


@given(st.text(alphabet, max_size=80), st.text(alphabet, max_size=80))
def test_a_document_has_shingles_where_its_words_speak_for_it(head: str, tail: str) -> None:
    for text in (head, head + " a b c d e f g h i j k l m n o " + tail):
        (found,) = shingles_of(text, min_words=FEWEST)
        assert bool(found.size) == carries_meaning(text)


@pytest.mark.parametrize("size", [63, 64, 65, 127, 128, 129])
def test_a_word_goes_on_across_the_blocks_that_are_read_at_once(size: int) -> None:
    for shift in range(4):
        text = "a" * (size + shift) + " + " + "b" * size + "-c"
        one, two = shingles_of(text, "x " + text, n_words=1)
        assert one.tolist() == two[1:].tolist()
        assert one.size == 3


@given(st.lists(st.text(st.sampled_from("ab "), max_size=60), min_size=2, max_size=2), st.sampled_from([0.0, 0.5]))
def test_jaccard_and_containment_equal_those_of_python_sets(documents: list[str], floor: float) -> None:
    a, b = (windows(d) for d in documents)
    hashes, ends = distinct(*shingle(*buffers([d.encode() for d in documents]), n_words=5))
    assert np.diff(ends).tolist() == [len(a), len(b)]
    found, inside = compare_pairs(hashes, ends[:-1], np.diff(ends), np.array([0]), np.array([1]), floor=floor)
    true = len(a & b) / len(a | b) if a | b else 0.0
    contained = len(a & b) / min(len(a), len(b)) if a and b else 0.0
    is_compared = min(len(a), len(b)) >= floor * max(len(a), len(b))
    assert (found[0], inside[0]) == ((true, np.float32(contained)) if is_compared else (0.0, 0.0))
    assert found[0] == true or true < floor


def test_digests_are_equal_exactly_where_all_words_are() -> None:
    texts = ["a b c d e f", "a, b, c;\nd e f", "a b c d e g", "a b c", "a b c d e f a b c d e f"]
    found = digests(*shingle(*buffers([t.encode() for t in texts]), n_words=5))
    assert np.array_equal(found[0], found[1])
    assert len({tuple(row) for row in found.tolist()}) == 4
