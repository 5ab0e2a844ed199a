import random
import re
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.headers import skip_headers
from pipeline.dedup.jaccard import compare_pairs, distinct
from pipeline.dedup.shingles import digests, shingle

HAN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
THAI = re.compile(r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")


def buffers(documents: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offsets = np.concatenate(([0], np.cumsum([len(r) for r in documents]))).astype(np.int64)
    return np.frombuffer(b"".join(documents), np.uint8), offsets[:-1], offsets[1:]


def shingles_of(*documents: str | bytes, n_words: int = 5, **options: object) -> list[np.ndarray]:
    raw = [d.encode() if isinstance(d, str) else d for d in documents]
    hashes, ends = shingle(*buffers(raw), n_words=n_words, **options)  # type: ignore[arg-type]
    return [hashes[a:b] for a, b in pairwise(ends)]


def identifiers(document: str, *, fold_case: bool) -> list[str]:
    return re.findall("[A-Za-z0-9_]+", document.lower() if fold_case and document.isascii() else document)


def cut_after(before: int, letter: int) -> int:
    """The hash of two neighbouring characters whose low bits cut unspaced scripts."""
    h = (before * 0x9E3779B1 + letter * 0x85EBCA77) % 2**32
    h = (h ^ (h >> 15)) * 0x2C1B3C6D % 2**32
    return (h ^ (h >> 12)) >> 8


def unicode_words(document: str, *, fold_case: bool) -> list[str]:
    """The documented definition, spelt out on strings."""
    words: list[str] = []
    here, before, last = "", 0, ""
    for c in document:
        is_word = unicodedata.category(c)[0] in "LMN" or c == "_"
        kind = "" if not is_word else "han" if HAN.match(c) else "thai" if THAI.match(c) else "word"
        if kind != last:
            words, here, before, last = words + [here] * bool(here), "", 0, kind
        if kind:
            here += c.lower() if fold_case and len(c.lower()) == 1 else c
        if kind in ("han", "thai"):
            if cut_after(before, ord(c)) & {"han": 1, "thai": 3}[kind] == 0:
                words, here = [*words, here], ""
            before = ord(c)
    return words + [here] * bool(here)


def windows(words: list[str], n: int = 5) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + n]) for i in range(max(1, len(words) - n + 1))} if words else set()


def test_shingles_ignore_separators_and_tell_capitals_unless_folded() -> None:
    one, two, three = shingles_of(
        "def Add(a, b):\n    return a + b", "def Add a b return a b", "def add a b return a b"
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


alphabet = st.sampled_from(list("aAbZ09_ .\n-éЖ漢字、。😀กา가"))


@given(st.lists(st.text(alphabet, max_size=40), min_size=1, max_size=6), st.integers(1, 6), st.booleans())
def test_shingles_equal_where_the_windows_of_words_equal(documents: list[str], n_words: int, fold: bool) -> None:
    for kind, words_of in (("identifiers", identifiers), ("unicode", unicode_words)):
        if kind == "identifiers" and fold and not all(d.isascii() for d in documents):
            continue
        by_hash: dict[int, tuple[str, ...]] = {}
        found = shingles_of(*documents, n_words=n_words, kind=kind, fold_case=fold)
        for document, hashes in zip(documents, found, strict=True):
            words = words_of(document, fold_case=fold)
            lists = [tuple(words[i : i + n_words]) for i in range(max(1, len(words) - n_words + 1))] if words else []
            assert hashes.size == len(lists)
            for h, window in zip(hashes.tolist(), lists, strict=True):
                assert by_hash.setdefault(h, window) == window
        assert len(set(by_hash.values())) == len(by_hash)


@given(st.lists(st.text(st.sampled_from("ab "), max_size=60), min_size=2, max_size=2), st.sampled_from([0.0, 0.5]))
def test_jaccard_and_containment_equal_those_of_python_sets(documents: list[str], floor: float) -> None:
    a, b = (windows(d.split()) for d in documents)
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


@pytest.mark.parametrize(
    ("header", "rest"),
    [
        ("# Copyright 2020 Somebody\n# All rights reserved.\n\n", "import os\n"),
        ("/*\n * Licensed under some terms.\n   more words\n */\n", "int x;\n"),
        ("// SPDX-License-Identifier: MIT\n", "#include <x.h>\n"),
        ("#!/bin/sh\n# the licence of this file\n", "echo hello\n"),
        ("-- COPYRIGHT by me\n", "select 1;\n"),
        ("", "# a comment that speaks of nothing\nx = 1\n"),
        ("", "x = 1  # copyright\n"),
        ("", ""),
    ],
)
def test_a_licence_header_is_skipped_and_another_comment_is_not(header: str, rest: str) -> None:
    data, starts, stops = buffers([(header + rest).encode()])
    assert skip_headers(data, starts, stops).tolist() == [len(header)]
