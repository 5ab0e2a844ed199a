"""The compiled pass against a plain implementation, and worked examples that people can count by hand."""

import re
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.quality import features, scan
from pipeline.quality.features import Features


def pack(documents):
    """Documents as an Arrow-like buffer and its offsets."""
    offsets = np.cumsum([0, *(len(d) for d in documents)]).astype(np.int64)
    return np.frombuffer(b"".join(documents), np.uint8), offsets


def measure(*documents: bytes | str) -> Features:
    data, offsets = pack([d.encode() if isinstance(d, str) else d for d in documents])
    return features.measure(data, offsets)


def one(document: bytes | str) -> dict[str, float]:
    measured = measure(document)
    return {f.name: getattr(measured, f.name)[0].item() for f in fields(measured)}


# ---------------------------------------------------------------- the reference


def is_unspaced(char: str) -> bool:
    return char.isalpha() and any(first <= ord(char) <= last for first, last in scan.UNSPACED_BLOCKS)


def pieces_of(text: str) -> list[str]:
    """Runs without spaces, cut at unspaced letters; punctuation beside such a letter is no piece."""
    pieces = []
    for run in text.split():
        parts = [""]
        for char in run:
            if is_unspaced(char):
                parts += [char, ""]
            else:
                parts[-1] += char
        pieces += [p for p in parts if p and (len(parts) == 1 or any(c.isalpha() or c.isdecimal() for c in p))]
    return pieces


def is_hashtag(text: str, k: int) -> bool:
    """A hash sign at the start of a piece, and neither a space nor another one behind it."""
    starts = k == 0 or text[k - 1].isspace() or is_unspaced(text[k - 1])
    return text[k] == "#" and starts and text[k + 1 : k + 2] > " " and text[k + 1] != "#"


def lines_of(text: str) -> list[str]:
    lines = re.split(r"\r\n|\r|\n", text)
    return lines[:-1] if lines[-1] == "" else lines


BASE64_RUN = re.compile(r"[A-Za-z0-9+/=]{32,}(?:[ \t]*[\r\n][ \t\r\n]*[A-Za-z0-9+/=]{32,}(?![A-Za-z0-9+/=]))*")
BYTE_RUN = re.compile(r"""(?:(?:\\x[0-9a-fA-F]{2}|0x[0-9a-fA-F]{2}(?![A-Za-z0-9+/=]))[ \t\r\n,'"]*){8,}""")
WIDE_RUN = re.compile(r"(?:\\u[0-9a-fA-F]{4}){8,}")


def encoded_runs(text: str) -> list[int]:
    runs = [len(m.group().rstrip(" \t\r\n,'\"")) for m in BYTE_RUN.finditer(text)]
    runs += [len(m.group()) for m in WIDE_RUN.finditer(text)]
    for match in BASE64_RUN.finditer(text):
        run = match.group()
        letters, digits = len(re.findall("[A-Za-z]", run)), len(re.findall("[0-9]", run))
        if len(run) >= 64 and letters and digits and 8 * len(re.findall("[+/=]", run)) <= len(run):
            runs.append(len(run))
    return runs


def ratio(part, whole):
    return part / whole if whole else 0.0


def reference(document: bytes) -> dict[str, float]:
    text = document.decode("utf-8", "replace")
    lines, pieces, encoded = lines_of(text), pieces_of(text), encoded_runs(text)
    words = [p for p in pieces if any(c.isalpha() or c.isdecimal() for c in p)]
    filled = [line for line in lines if line.strip()]
    repeated = [line for k, line in enumerate(filled) if line in filled[:k]]
    letters, digits = sum(c.isalpha() for c in text), sum(c.isdecimal() for c in text)
    n_visible = sum(not c.isspace() for c in text)
    n_hashtags = sum(is_hashtag(text, k) for k in range(len(text)))
    head = re.match(rb"(?:[^\r\n]*(?>\r\n|\r|\n)){5}", document)
    ellipses = len(re.findall(r"\.{3,}", text)) + text.count("…")
    stop_words = [w for w in words if re.sub("[A-Z]", lambda m: m.group().lower(), w) in scan.STOP_WORDS]
    return {
        "n_chars": len(text),
        "n_lines": len(lines),
        "max_line_chars": max(map(len, lines), default=0),
        "long_line_frac": ratio(sum(len(line) for line in lines if len(line) > 1000), sum(map(len, lines))),
        "mean_line_chars": ratio(sum(map(len, lines)), len(lines)),
        "alpha_frac": ratio(letters, n_visible),
        "alnum_frac": ratio(letters + digits, n_visible),
        "digit_frac": ratio(digits, n_visible),
        "space_frac": ratio(sum(c.isspace() for c in text), len(text)),
        "unspaced_frac": ratio(sum(map(is_unspaced, text)), letters),
        "duplicate_line_frac": ratio(sum(map(len, repeated)), sum(map(len, filled))),
        "encoded_frac": ratio(sum(encoded), len(text)),
        "max_encoded_run_chars": max(encoded, default=0),
        "n_words": len(words),
        "mean_word_chars": ratio(sum(map(len, words)), len(words)),
        "alpha_word_frac": ratio(sum(any(c.isalpha() for c in p) for p in pieces), len(pieces)),
        "stop_word_frac": ratio(len(stop_words), len(words)),
        "symbol_word_frac": ratio(max(n_hashtags, ellipses), len(pieces)),
        "bullet_line_frac": ratio(sum(line.lstrip()[:1] in tuple("-*•") for line in lines), len(lines)),
        "ellipsis_line_frac": ratio(sum(line.rstrip().endswith(("...", "…")) for line in lines), len(lines)),
        "head_bytes": head.end() if head else len(document),
        "is_blank": not text.strip(),
    }


# Pieces that meet each other in all the ways that the pass must tell apart.
FRAGMENTS = st.sampled_from(
    ["the", "The ", "be\n", "word", " ", "\t", "\n", "\r", "\r\n", "...", "..", "…", "#", "- ", "* ", "•", "é", "ß",
     "你", "好、", "かな", "กา", "\u3000", "\u00a0", "\u2028", "\x00", "\x01the", "😀", "٣", "²", "0x41, ", "0x41\n",
     "\\x41", '"\\x4f', "\\u4e2d", "\\u00", "0x4", "0x411", "AbC1" * 8, "ab12" * 16, "A" * 31, "=" * 64, "/x1" * 24]
)  # fmt: skip
TEXT = st.lists(FRAGMENTS | st.characters(), max_size=60).map(
    lambda parts: "".join(parts).encode("utf-8", "surrogatepass")
)
REPEATED = st.tuples(TEXT, st.integers(1, 9)).map(lambda pair: pair[0] * pair[1])


def assert_equal_to_reference(documents):
    measured = measure(*documents)
    for k, document in enumerate(documents):
        expected = reference(document)
        seen = {name: getattr(measured, name)[k].item() for name in expected}
        assert seen == expected, document


@settings(max_examples=300, deadline=None)
@given(st.lists(TEXT | REPEATED | st.binary(max_size=60), min_size=1, max_size=4))
def test_measure_equals_reference_when_given_anything(documents):
    assert_equal_to_reference(documents)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from([b"\xe4", b"\xbd", b"\xa0", b"\xed", b"\xf0", b"\x9f", b"\xc3", b"\xff", b"a", b" ", b"\n"])
    )
)
def test_measure_equals_reference_when_utf8_is_broken(parts):
    assert_equal_to_reference([b"".join(parts)])


@pytest.mark.parametrize("n_before", range(58, 66))
def test_measure_equals_reference_when_anything_stands_across_the_blocks_of_the_walk(n_before):
    pieces = [
        "\r\n",
        "好、word",
        "\u3000the",
        "...",
        "-- ",
        "#tag",
        "• x\r\r\n",
        "\xff",
        "é" * 70,
        "\\x41" * 9,
        ",0x41" * 9,
    ]
    pieces += ["+" * 130, "ab12" * 16 + "\n  " + "cd34" * 16, "x" * 70 + "\n" + "x" * 70, "of", "A" * 31 + "1" * 33]
    fills = ["a", " ", "-", "你", "\n", "a\n"]
    assert_equal_to_reference(
        [
            "".join([fill * n_before])[:n_before].encode()
            + piece.encode("latin-1" if piece == "\xff" else "utf-8")
            + after
            for fill in fills
            for piece in pieces
            for after in (b"", b" end\n", b"...", "、".encode())
        ]
    )


def test_lines_of_one_beginning_and_one_end_are_no_duplicates():
    lines = [first + " " * n + last for first in " #ab" for n in range(30) for last in ("x", "esac", ";;", "z\u00e9")]
    assert one("\n".join(lines))["duplicate_line_frac"] == 0.0


def test_every_feature_is_in_the_reference():
    assert {f.name for f in fields(Features)} == reference(b"").keys()


def test_measure_gives_nothing_when_there_are_no_documents():
    assert measure().n_chars.tolist() == []


def test_measure_reads_a_slice_when_offsets_do_not_begin_at_zero():
    data, offsets = pack([b"one two\n", b"three\nfour five\n", b"six"])
    whole, part = features.measure(data, offsets), features.measure(data, offsets[1:])
    for field in fields(Features):
        assert getattr(whole, field.name)[1:].tolist() == getattr(part, field.name).tolist()


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("document", "n_lines", "longest"),
    [
        ("", 0, 0),
        ("\n", 1, 0),
        ("a", 1, 1),
        ("a\n", 1, 1),
        ("a\r\nbb\r\n", 2, 2),
        ("a\rbb\r", 2, 2),
        ("a\n\rbb", 3, 2),
        ("a\r\n\r\nbbb", 3, 3),
        ("a\x0bb\u2028c", 1, 5),  # only CR and LF end a line
        ("äöü\nß", 2, 3),
    ],
)
def test_lines_are_counted_when_they_end_in_any_way(document, n_lines, longest):
    assert (one(document)["n_lines"], one(document)["max_line_chars"]) == (n_lines, longest)


def test_words_are_counted_when_spaces_stand_between_them():
    seen = one("The cat -- sat, on 2 mats.")
    assert (seen["n_words"], seen["mean_word_chars"]) == (6, 18 / 6)
    assert seen["alpha_word_frac"] == 5 / 7
    assert seen["stop_word_frac"] == 1 / 6


def test_words_are_letters_when_the_script_has_no_spaces():
    seen = one("《你好》、world。再见。")
    assert seen["n_words"] == 5
    assert seen["alpha_word_frac"] == 1
    assert seen["unspaced_frac"] == 4 / 9


def test_hash_signs_are_counted_when_they_begin_a_hashtag():
    assert one("#one and #two of C# ## in (#three)\n# Title\n")["symbol_word_frac"] == 2 / 10


def test_hangul_words_are_split_at_spaces_when_measured():
    assert one("안녕 세계")["n_words"] == 2


def test_duplicate_lines_are_weighed_by_characters_when_lines_repeat():
    assert one("abcd\n\n\nxy\nabcd\n  \n")["duplicate_line_frac"] == 4 / 10


def test_long_lines_are_those_of_more_than_a_thousand_characters():
    assert one("x" * 1001 + "\n" + "y" * 1000 + "\nab\n")["long_line_frac"] == 1001 / 2003


def test_dots_that_lead_to_a_page_number_are_one_ellipsis():
    assert one("One .......... 7\nTwo ... 9\n")["symbol_word_frac"] == 2 / 6


def test_head_ends_when_five_lines_are_over():
    assert one("1\n2\r\n3\r4\n5\n6\n")["head_bytes"] == 11
    assert one("1\n2\n")["head_bytes"] == 4


@pytest.mark.parametrize(
    ("document", "n_encoded"),
    [
        ("x " + "aB3x" * 16 + " y", 64),
        ("x " + "aB3x" * 15 + "aB3 y", 0),  # 63 characters
        ("-" + "=" * 80 + "/" * 80, 0),  # banners
        ("usr/share/doc/lib1/" * 6, 0),  # a path
        ("Identifier" * 8, 0),  # no digit
        ("ab12" * 10 + "\n  " + "ab12" * 10 + "\n", 83),  # two lines of one block
        ("ab12" * 10 + "\n" + "ab12" * 5, 0),  # the second line is too short to go on
        ("{0x00,0x01, 0x02,\n 0x03,0x04,0x05,0x06,0xff}", 8 * 4 + 7 + 3),
        ("{0x00,0x01,0x02,0x03,0x04,0x05,0x06}", 0),  # seven
        ("{" + "0x1234, " * 20 + "}", 0),  # no bytes
        ('"' + "\\x7f" * 8 + '"', 32),
        ('"' + "\\u4e2d" * 8 + '"', 48),
        ('"' + "\\u4e2d " * 8 + '"', 0),
    ],
)
def test_encoded_characters_are_counted_when_a_run_is_long_enough(document, n_encoded):
    seen = one(document)
    assert round(seen["encoded_frac"] * seen["n_chars"]) == n_encoded
    assert seen["max_encoded_run_chars"] == n_encoded


def test_measure_is_right_when_a_line_has_ten_million_characters():
    seen = one("ä" * 5_000_000 + "\n" + "b" * 10_000_000)
    assert (seen["n_chars"], seen["n_lines"], seen["max_line_chars"]) == (15_000_001, 2, 10_000_000)
    assert (seen["alpha_frac"], seen["space_frac"]) == (1, 1 / 15_000_001)


def test_measure_is_right_when_a_document_has_a_million_equal_lines():
    seen = one("ab\n" * 1_000_000)
    assert seen["n_lines"] == 1_000_000
    assert seen["duplicate_line_frac"] == 999_999 / 1_000_000
