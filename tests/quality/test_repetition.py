"""Gopher's repetition against a plain implementation, and by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prose_twin import repetition as twin

from pipeline.quality import prose_scan, repetition


def measure(*documents: str) -> list[dict[str, float]]:
    raw = [document.encode() for document in documents]
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int64)
    found = repetition.measure(np.frombuffer(b"".join(raw), np.uint8), offsets)
    return [{name: values[k].item() for name, values in found.items()} for k in range(len(documents))]


# Few words, so that n-grams of every length repeat, touch and overlap.
WORDS = st.sampled_from(
    ["a", "b", "cd", "é", "你", "好、", "--", ".", "\n", "\n\n", " ", "\r\n", "\r", "\t", "  \n", " a b"]
)
TEXT = st.lists(WORDS, max_size=80).map(" ".join) | st.lists(WORDS | st.characters(codec="utf-8"), max_size=40).map(
    "".join
)


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXT | st.tuples(TEXT, st.integers(2, 5)).map(lambda p: p[0] * p[1]), min_size=1, max_size=3))
def test_shares_equal_a_plain_count_when_given_anything(documents):
    assert measure(*documents) == [twin(document) for document in documents]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 400))
def test_shares_equal_a_plain_count_when_texts_are_long(seed, n_kinds):
    """Long enough that the tables grow, and short sentences return as a whole."""
    draw = np.random.default_rng(seed)
    sentences = [" ".join(f"w{n}" for n in draw.integers(0, n_kinds, draw.integers(1, 15))) for _ in range(60)]
    text = "\n".join(sentences[n] for n in draw.integers(0, 60, 300))
    assert measure(text) == [twin(text)]


def test_the_commonest_n_grams_are_weighed_by_their_characters():
    found = measure("to be or not to be")[0]  # 18 characters
    assert found["top_2_gram_frac"] == 2 * len("to be") / 18
    assert found["top_3_gram_frac"] == len("to be or") / 18  # none repeats: the first one, once


def test_n_grams_seen_before_are_passed_over_as_a_whole():
    five = "one two three four five "
    found = measure(five * 3)[0]
    # The second and the third time all five words were seen; without spaces they are 19 characters.
    assert found["duplicate_5_gram_frac"] == 2 * 19 / len(five * 3)
    # The ten words from the sixth on are the first ten again, though they overlap.
    assert found["duplicate_10_gram_frac"] == 2 * 19 / len(five * 3)
    assert found["duplicate_9_gram_frac"] == (19 + len("onetwothreefour")) / len(five * 3)


def test_lines_and_paragraphs_are_counted_beside_their_characters():
    found = measure("abc\nabc\n\nde\n\nabc\nabc\n\nde")[0]  # 25 characters
    assert found["repeated_line_frac"] == 4 / 6
    assert found["repeated_line_char_frac"] == (3 * 3 + 2) / 24
    assert found["repeated_paragraph_frac"] == 2 / 4
    assert found["repeated_paragraph_char_frac"] == (7 + 2) / 24


def test_line_ends_count_alike():
    unix, windows = measure("ab\ncd\nab\n\nab\ncd", "ab\r\ncd\r\nab\r\n\r\nab\r\ncd")
    assert unix["repeated_line_frac"] == windows["repeated_line_frac"] == 3 / 5


@pytest.mark.parametrize("document", ["", "a", "\n", " \n ", "\r\n\r\n", "a\n", "\na\n"])
def test_tiny_documents_are_counted_as_the_plain_count_has_them(document):
    assert measure(document) == [twin(document)]


def test_documents_are_measured_alike_when_they_fall_into_several_batches(monkeypatch):
    documents = ["word " * n + "end\n" * n for n in range(1, 60)]
    whole = measure(*documents)
    monkeypatch.setattr(prose_scan, "BATCH_BYTES", 100)
    assert measure(*documents) == whole


def test_a_text_of_one_word_a_million_times_is_counted():
    found = measure("ab " * 1_000_000)[0]
    assert found["top_2_gram_frac"] == 5 * 999_999 / 3_000_000
    assert found["duplicate_10_gram_frac"] == pytest.approx(2 / 3, abs=1e-4)
