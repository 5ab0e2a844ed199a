"""Line rules of text against a plain implementation, and by hand."""

import numpy as np
import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prose_twin import prose_lines as twin
from prose_twin import words_of

from pipeline.quality import phrases, prose_lines, prose_markup, prose_scan, prose_words


def measure(*documents: str) -> list[dict[str, float]]:
    raw = [document.encode() for document in documents]
    data, offsets = np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)]).astype(np.int64)
    words, lines = prose_words.words(data, offsets), prose_scan.lines(data, offsets)
    found = prose_lines.measure(
        data,
        offsets,
        words=words,
        lines=lines,
        found=phrases.of_lines(data, lines.rows),
        is_prose=prose_markup.prose(data, lines),
    )
    return [{name: values[k].item() for name, values in found.items()} for k in range(len(documents))]


PARTS = st.sampled_from(
    ["the", "to be", "words", " ", "\n", "\n\n", "\r\n", "\r", "    ", "\t", ".", ". ", "...", "…", "!", '"', "?)",
     "Yes. No", "。", "你好", "#", "- ", "• ", "* ", "| a", "+--", "```", "~~~\n", "\n```\n", "----", "[1]", "[edit]",
     "[citation needed]", "[", "](", "://", "]", ": ", "Lorem ipsum", "JavaScript", "{", "terms of use",
     "privacy policy", "use of cookies", "x" * 1001, "é", "\u00a0"]
)  # fmt: skip
TEXT = st.lists(PARTS | st.characters(codec="utf-8"), max_size=60).map("".join)
REPEATED = st.tuples(TEXT, st.integers(1, 4)).map(lambda pair: (pair[0] + "\n") * pair[1])


@settings(max_examples=500, deadline=None)
@given(st.lists(TEXT | REPEATED, min_size=1, max_size=3))
@example(["a b c.[1][edit]\n```\nx\nx\n```\n\n    y\n\n    y\n"])
def test_numbers_equal_a_plain_count_when_given_anything(documents):
    assert measure(*documents) == [twin(document) for document in documents]


@settings(max_examples=200, deadline=None)
@given(TEXT)
def test_words_are_cut_as_a_plain_count_cuts_them(document):
    raw = document.encode()
    words = prose_words.words(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]))
    expected = words_of(document)
    assert words.chars.tolist() == [len(word) for word in expected]
    # Equal words have equal hashes, unequal ones unequal hashes.
    assert len(set(zip(words.hashes.tolist(), expected, strict=True))) == len(set(expected))
    assert len(set(words.hashes.tolist())) == len(set(expected))


def one(document: str) -> dict[str, float]:
    return measure(document)[0]


def test_stop_words_are_kinds_in_small_letters():
    assert one("the the be The TO of. and")["n_stop_word_kinds"] == 3


def test_lines_that_stop_are_those_that_end_in_any_script():
    assert one("One.\nTwo\nThree!\n四。\nपाँच।\nsix. \n")["stopped_line_frac"] == 4 / 6


def test_short_lines_have_thirty_characters_or_fewer():
    assert one("x" * 30 + "\n" + "y" * 31 + "\n\n")["short_line_frac"] == 1 / 2


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("One two three. Four five. Six", 0),  # no sign at its end
        ("One two three. Four five. Six!", 3),
        ("One two three...", 0),
        ("One two.", 0),  # two words
        ("One two three.[12]", 1),
        ("One two three. [12]", 0),  # what is left ends in a space
        ("Version 3.14 of e.g. this.", 1),
        ("Enable JavaScript to read this.", 0),
        ("We say so in our privacy policy.", 0),
        ("A word of " + "x" * 1000 + ".", 0),
        ("A word of " + "x" * 999 + ".", 1),
    ],
)
def test_sentences_are_those_of_the_lines_that_c4_keeps(document, expected):
    assert one(document)["c4_sentences"] == expected


def test_brackets_count_where_c4_has_not_cut_the_line_before():
    assert one("One two {three}.\n")["c4_curly_lines"] == 1
    assert one("{\n}\nint main() {\nUse JavaScript, say {this}.\n")["c4_curly_lines"] == 0
    assert one("This is Lorem Ipsum text.\nLorem ipsum\n")["c4_lorem_lines"] == 1


ROW = "The same words again, forty characters.\n"


@pytest.mark.parametrize(
    ("document", "is_prose"),
    [
        (ROW * 2, True),
        (f"```\n{ROW}{ROW}```\n", False),
        (f"~~~ python\n{ROW}```\n{ROW}~~~\n", False),
        (f"```\n{ROW}{ROW}", True),  # a fence that is never closed
        (f"Say:\n\n    {ROW}\n    {ROW}", False),
        (f"Say:\n    {ROW}    {ROW}", True),  # a paragraph that goes on
        (f"Say:\n\n\t{ROW}\t{ROW}", False),
        (f"| {ROW}| {ROW}", False),
        ("-" * 40 + "\n" + "-" * 40 + "\n", False),
    ],
)
def test_repeated_lines_count_where_they_are_prose(document, is_prose):
    assert (one(document)["repeated_prose_frac"] > 0) == is_prose


def test_a_document_of_open_fences_is_read_in_linear_time():
    assert one("```\n~~~ x\n" * 100_000)["repeated_prose_frac"] == 0


def test_every_phrase_is_found_in_either_case_and_only_its_own():
    for bit, group in phrases.PHRASES.items():
        for phrase in group:
            for text in (phrase, f"xx {phrase.upper()} yy"):
                raw = text.encode()
                lines = prose_scan.lines(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]))
                expected = 0
                for other, phrases_of_other in phrases.PHRASES.items():
                    expected |= other * any(p in text.lower() for p in phrases_of_other)
                assert expected & bit
                assert phrases.of_lines(np.frombuffer(raw, np.uint8), lines.rows).tolist() == [expected]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from([p[:k] for g in phrases.PHRASES.values() for p in g for k in (2, 5, len(p))]), max_size=8)
)
def test_phrases_are_found_when_they_overlap(parts):
    text = "".join(parts)
    raw = text.encode()
    lines = prose_scan.lines(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]))
    expected = sum(bit for bit, group in phrases.PHRASES.items() if any(p in text for p in group))
    assert phrases.of_lines(np.frombuffer(raw, np.uint8), lines.rows).tolist() == ([expected] if raw else [])


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_phrase_of_two_documents_stands_in_neither(cut):
    raw = b"read more"
    data = np.frombuffer(raw * 3, np.uint8)
    lines = prose_scan.lines(data, np.array([0, cut, len(raw), len(raw) + cut, 2 * len(raw)]))
    assert phrases.of_lines(data, lines.rows).tolist() == [0, 0, 0, 0]


def test_sentence_ends_are_unicodes():
    ends = prose_lines.sentence_ends()
    assert ends[[ord(c) for c in ".!?。؟।"]].all() and not ends[[ord(c) for c in ",;:…»\n "]].any()
    assert ends.sum() == len(regex.findall(r"\p{STerm}", "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))))
