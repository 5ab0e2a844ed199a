"""Notes of work and lost characters in bytes, against lines and text."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality import notes

PIECES = st.sampled_from(
    ["todo", "TODO", "tod", "FIXME", "fix", "Your Code Here", "your code", "#", "\n", " ", "é", "\ufffd", "x" * 61]
)
TEXTS = st.lists(PIECES, max_size=30).map("".join)


def pack(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    raw = [text.encode() for text in texts]
    return np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)]).astype(np.int64)


def asks(line: str) -> bool:
    return any(words in line.lower() for words in ("todo", "fixme", "your code here"))


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_counts_are_those_of_lines(texts: list[str]) -> None:
    wanted = [[len(t), sum(map(asks, t.split("\n"))), t.count("#")] for t in texts]
    assert notes.count(*pack(texts)).tolist() == wanted


@settings(max_examples=100, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_replacement_characters_are_counted_in_their_document(texts: list[str]) -> None:
    assert notes.replacements(*pack(texts)).tolist() == [t.count("\ufffd") for t in texts]


def test_a_note_cut_by_the_end_of_its_document_is_none() -> None:
    data, _ = pack(["to", "do", "\ufffd"])
    assert notes.count(data, np.array([0, 2, 4])).tolist() == [[2, 0, 0], [2, 0, 0]]
    assert notes.replacements(data, np.array([0, data.size - 1])).tolist() == [0]
