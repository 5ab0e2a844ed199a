"""Both ways to find places give equal finds, whatever the bytes; and neither is slow on any of them."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from privacy.fragments import FRAGMENT, LITERALS, VALUES

from pipeline.privacy.by_hyperscan import hyperscan_places
from pipeline.privacy.find import find
from pipeline.privacy.places import literal_places, literals

needs_hyperscan = pytest.mark.skipif(hyperscan_places() is None, reason="no wheel of hyperscan for this machine")


def rows(documents: list[bytes], *, places=None) -> list[tuple[int, int, int, str]]:
    offsets = np.cumsum([0, *(len(d) for d in documents)])
    data = np.frombuffer(b"".join(documents), np.uint8)
    unquoted = np.arange(len(documents)) % 2 == 0
    finds = find(data, offsets, unquoted=unquoted, places=places)
    return list(zip(finds.document.tolist(), finds.start.tolist(), finds.end.tolist(), finds.kind, strict=True))


@needs_hyperscan
@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(FRAGMENT, max_size=8).map(b"".join), min_size=1, max_size=3))
def test_hyperscan_and_the_compiled_pass_find_the_same(documents):
    data = np.frombuffer(b"".join(documents), np.uint8)
    assert [a.tolist() for a in hyperscan_places()(data)] == [a.tolist() for a in literal_places(data)]
    assert rows(documents, places=hyperscan_places()) == rows(documents, places=literal_places)


@settings(max_examples=100, deadline=None)
@given(st.lists(FRAGMENT, max_size=8).map(b"".join), st.lists(FRAGMENT, max_size=8).map(b"".join))
def test_what_is_found_in_a_document_depends_on_it_alone(one, two):
    alone = rows([one], places=literal_places)
    assert [r for r in rows([one, two], places=literal_places) if r[0] == 0] == alone


def test_the_compiled_pass_finds_what_a_plain_search_finds():
    draw = random.Random(4)
    raw = b" ".join(draw.choice([*LITERALS, *VALUES]) for _ in range(400))
    table, expected = literals(), []
    for k in range(table.kind.size):
        text = table.text[table.starts[k] : table.starts[k + 1]].tobytes()
        head, need = table.heads[table.row[k]], int(table.need[k])
        at = raw.find(text)
        while at >= 0:
            after = raw[at + len(text) : at + len(text) + need]
            if len(after) == need and all(head[byte] for byte in after):
                expected.append((at, k))
            at = raw.find(text, at + 1)
    places, numbers = literal_places(np.frombuffer(raw, np.uint8))
    assert list(zip(places.tolist(), numbers.tolist(), strict=True)) == sorted(expected)


@pytest.mark.parametrize(
    "piece",
    [
        *(
            b"-----BEGIN PRIVATE KEY-----",
            b"-----BEGIN PRIVATE KEY-----\nA: b\n",
            b"eyJ",
            b"eyJaaaaaaaaaa.",
            b"Bearer a",
        ),
        *(b"a:b@", b"token=", b'"==secret', b"1.1", b"2a01:", b"a@a.", b"://a:b", b'password "', b"sk-a", b"MTA"),
        b"T3BlbkFJ" + b"a" * 20,
    ],
)
def test_confirming_looks_at_each_byte_a_bounded_number_of_times(piece):
    """By count, not by clock: the bytes that patterns are given are at most so many for each byte of the document."""
    document = piece * (120_000 // len(piece))
    assert isinstance(rows([document]), list)  # quadratic work would take minutes on this
