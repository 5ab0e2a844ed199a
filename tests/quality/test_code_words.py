"""OpenCoder's words and n-grams against counting with a dictionary."""

import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality import code_words


def pack(documents: list[str]) -> tuple[np.ndarray, np.ndarray]:
    raw = [d.encode() for d in documents]
    return np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)]).astype(np.int64)


def words_of(text: str) -> list[str]:
    text = text.lower().replace("\u200b", " ").replace("\x00", "").replace("。", " ").replace("\uff41", "a")
    text = "".join(" " if c in string.punctuation or c == "\uff08" else c for c in text)
    return re.findall(r"\w+|[^\w\s]+", text)


def reference(text: str) -> list[int]:
    words = words_of(text)
    row = [len(words), sum(map(len, words)), len(set(words))]
    for n in (2, 3, 4):
        grams = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
        gram, count = grams.most_common(1)[0] if grams else ((), 0)
        row.append(count * sum(map(len, gram)) if count > 1 else 0)
    for n in range(5, 11):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        counts = Counter(grams)
        again = {i + k for i, gram in enumerate(grams) if counts[gram] > 1 for k in range(n)}
        row.append(sum(len(words[i]) for i in again))
    return row


WORDS = st.sampled_from(
    ["a", "b", "ab", "B", "a.b", "x_y", "é", "你好", "→", "→→a", "\x00", "\u200b", "。", "\uff08", "1", "x" * 9]
)
# A letter beyond ASCII that is equal to one of it, a sign of one byte, words longer than eight bytes and than a block.
ODD_WORDS = st.sampled_from(["\uff41b", "ab", "\x1b", "aB1" * 3, "Ab1" * 40, "ab1" * 40, "ab1" * 39 + "é"])
TEXTS = st.lists(st.tuples(WORDS | ODD_WORDS, st.sampled_from([" ", "\n", "", ", "])), max_size=60).map(
    lambda pairs: "".join(a + b for a, b in pairs)
)


@settings(max_examples=200, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_counts_are_those_of_a_dictionary(texts: list[str]) -> None:
    assert code_words.count(*pack(texts)).tolist() == [reference(text) for text in texts]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=10, max_size=300).map(" ".join))
def test_counts_of_texts_of_few_words(text: str) -> None:
    assert code_words.count(*pack([text])).tolist() == [reference(text)]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(["ab", "c d ab c e", "c d ab c f", "ab ab"]), max_size=40).map(" ".join),
    st.integers(0, 70),
)
def test_counts_of_texts_that_go_on_differently(text: str, n: int) -> None:
    text = " " * n + text  # wherever blocks of bytes end
    assert code_words.count(*pack([text])).tolist() == [reference(text)]


def test_a_document_of_one_byte_words_has_room() -> None:
    text = "a\x1b" * 2_000
    assert code_words.count(*pack([text])).tolist() == [reference(text)]


@pytest.mark.parametrize("n", range(1, 20))
def test_capitals_are_small_letters_and_nothing_else_is_folded(n: int) -> None:
    table = code_words.character_table()
    letters = [chr(code) for code in range(1, 0x180) if table[code] & 3 in (1, 2)]
    row = code_words.count(*pack([" ".join(letter * n for letter in letters)]))[0]
    assert row[code_words.N_UNIQUE] == len({table[ord(letter)] for letter in letters})


def test_words_worked_out_by_hand() -> None:
    row = code_words.count(*pack(["If (x_1 == 0x1F) RETURN a→b;"]))[0]
    assert row[: code_words.TOP_2].tolist() == [8, len("ifx10x1freturna→b"), 8]


@pytest.mark.parametrize(
    ("text", "column", "value"),
    [
        ("a b a b c", code_words.TOP_2, 4),
        ("a b c", code_words.TOP_2, 0),  # once is no repetition
        ("aa b aa b c d c d", code_words.TOP_2, 6),  # the first among equals
        ("c d c d aa b aa b", code_words.TOP_2, 4),
        ("a b c d e a b c d e", code_words.DUPLICATE_5, 10),
        ("a b c d e x a b c d e", code_words.DUPLICATE_5, 10),
        ("a b c d x a b c d y", code_words.DUPLICATE_5, 0),
        ("a " * 12, code_words.DUPLICATE_5 + 5, 12),
        ("a " * 10, code_words.DUPLICATE_5 + 5, 0),
    ],
)
def test_repetition_worked_out_by_hand(text: str, column: int, value: int) -> None:
    assert code_words.count(*pack([text]))[0, column] == value


def test_bytes_that_are_no_text_are_signs() -> None:
    data = np.frombuffer(b"a \xff\xfe b \xe4\xbd", np.uint8)
    assert code_words.count(data, np.array([0, data.size]))[0, :3].tolist() == [4, 6, 3]
