"""Words, lines and the bits of blocks against plain Python, at every place in a block and in memory."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prose_twin import lines_of, words_of

from pipeline.arrays.bits import BLOCK, bits_within, count_ones, eight, lowest
from pipeline.arrays.compiled import compiled
from pipeline.quality import prose_scan, prose_words

PIECES = st.sampled_from(
    ["word", "of", "the", " ", "\n", "\r\n", "\r", "\x1c", "\u2028", "...", "..", "…", "://", ":", "](", "]", "#", "é",
     "ещё", "你", "\U0001f600", "\ufffd", "0", "-", "x" * 63, "y" * 64]
)  # fmt: skip
TEXT = st.lists(PIECES | st.characters(codec="utf-8"), max_size=80).map("".join).map(str.encode)
DAMAGED = st.lists(TEXT | st.binary(max_size=4), max_size=6).map(b"".join)


@compiled
def _looked_up(data: np.ndarray, i: int) -> tuple[np.uint64, np.uint64, int, int]:
    found = bits_within(data, i, 48, 57)
    return found, eight(data, i), lowest(found), count_ones(found)


@given(st.binary(min_size=BLOCK, max_size=2 * BLOCK), st.data())
def test_bits_of_blocks_are_those_of_their_bytes(raw, data):
    at = data.draw(st.integers(0, len(raw) - BLOCK))
    bits, eight, first, n = _looked_up(np.frombuffer(raw, np.uint8), at)
    digits = [48 <= byte <= 57 for byte in raw[at : at + BLOCK]]
    assert int(bits) == sum(digit << k for k, digit in enumerate(digits))
    assert int(eight) == int.from_bytes(raw[at : at + 8], "little")
    assert n == sum(digits) and first == (digits.index(True) if n else BLOCK)


@pytest.mark.parametrize("taken_apart", [prose_words.words, prose_scan.lines])
@settings(max_examples=150, deadline=None)
@given(DAMAGED, st.integers(0, 70), st.integers(0, 70))
@example(b"a" * 64, 0, 0)
def test_a_document_is_taken_apart_alike_wherever_it_lies_in_memory(taken_apart, document, before, behind):
    """At any place in a block, between bytes that would go on with its words, and at the end of all bytes."""
    data = np.frombuffer(b"x" * before + document + b"x." * behind, np.uint8)
    here = taken_apart(data, np.array([before, before + len(document)]))
    alone = taken_apart(np.frombuffer(document, np.uint8), np.array([0, len(document)]))
    assert here.hashes.tolist() == alone.hashes.tolist()
    if taken_apart is prose_words.words:
        assert here.chars.tolist() == alone.chars.tolist() and here.counts.tolist() == alone.counts.tolist()
    else:
        places = [prose_scan.START, prose_scan.END, prose_scan.FIRST_AT, prose_scan.LAST_AT]
        alone.rows[:, places] += before
        assert here.rows.tolist() == alone.rows.tolist()


@settings(max_examples=300, deadline=None)
@given(DAMAGED)
@example(b"\xef\xbf\xbd \xef\xbf\n\xf0\x9f\x98\n\xed\xa0\x80 a b")
def test_lines_are_those_of_the_text_that_python_decodes(document):
    lines = prose_scan.lines(np.frombuffer(document, np.uint8), np.array([0, len(document)]))
    expected = lines_of(document.decode("utf-8", "replace")) if document else []
    assert len(lines.rows) == len(expected)
    for row, line in zip(lines.rows, expected, strict=True):
        seen = line.strip()
        assert row[prose_scan.CHARS] == len(line)
        assert row[prose_scan.RUNS] == min(len(line.split()), prose_scan.MAX_RUNS)
        assert row[prose_scan.FIRST] == (ord(seen[0]) if seen else -1)
        assert row[prose_scan.LAST] == (ord(line[-1]) if line else -1)
        assert row[prose_scan.HAS_ALNUM] == any(c.isalpha() or c.isdecimal() for c in line)
        raw = document[row[prose_scan.START] : row[prose_scan.END]]
        at, last = row[prose_scan.FIRST_AT] - row[prose_scan.START], row[prose_scan.LAST_AT] - row[prose_scan.START]
        assert not raw[:at].decode("utf-8", "replace").strip()
        if seen:
            assert raw[at:].decode("utf-8", "replace")[0] == seen[0]
            assert raw[last:].decode("utf-8", "replace").rstrip() == seen[-1]


@settings(max_examples=300, deadline=None)
@given(DAMAGED)
def test_equal_lines_and_no_others_have_equal_hashes(document):
    lines = prose_scan.lines(np.frombuffer(document, np.uint8), np.array([0, len(document)]))
    raw = [document[row[prose_scan.START] : row[prose_scan.END]] for row in lines.rows]
    assert len(set(lines.hashes.tolist())) == len(set(raw)) == len(set(zip(lines.hashes.tolist(), raw, strict=True)))


@settings(max_examples=300, deadline=None)
@given(DAMAGED)
@example(b"a" * 64)  # the last word ends with its block and the document
@example(b"..." * 30)
@example(b"x" * 63 + b"...y")
@example(b"y" * 63 + b"://z")
def test_words_and_their_counts_are_those_of_the_text_that_python_decodes(document):
    found = prose_words.words(np.frombuffer(document, np.uint8), np.array([0, len(document)]))
    text = document.decode("utf-8", "replace")
    words = words_of(text)
    named = [word for word in words if any(c.isalpha() or c.isdecimal() for c in word)]
    plain = [word for word in named if "://" not in word and "](" not in word]
    assert found.chars.tolist() == list(map(len, words))
    counts = found.counts[0]
    assert counts[prose_words.N_HASH_SIGNS] == text.count("#")
    assert counts[prose_words.N_ELLIPSES] == text.count("...") + text.count("…")
    assert counts[prose_words.N_NAMED] == len(named)
    assert counts[prose_words.N_LETTERED] == sum(any(c.isalpha() for c in word) for word in named)
    assert counts[prose_words.N_PLAIN] == len(plain)
    assert counts[prose_words.PLAIN_CHARS] == sum(map(len, plain))
