"""Entries that nothing needs, found in a vocabulary made by hand."""

import json

import numpy as np
import pytest

from tokenizer import load, load_bytes
from tokenizer.encode import Encoder
from tokenizer.entries import Uses, steps, unreachable
from tokenizer.tokens import byte_chars

CHARS = byte_chars()
HALF = CHARS[0xE4] + CHARS[0xB8]  # two thirds of a Chinese character
SPACE = CHARS[0x20]
# "ab" is merged before "bc", so text never gives "abc"; the split cuts "a " behind the letter.
MERGES = [["a", "b"], ["b", "c"], ["a", "bc"], ["a", SPACE], [CHARS[0xE4], CHARS[0xB8]], ["ab", "d"], ["abd", "ab"]]


@pytest.fixture(scope="module")
def made() -> Encoder:
    config = json.loads(load("builtin").data)
    entries = ["<|endoftext|>", *CHARS, *(left + right for left, right in MERGES)]
    config["model"] |= {"vocab": {entry: i for i, entry in enumerate(entries)}, "merges": MERGES}
    config["added_tokens"] = [token for token in config["added_tokens"] if token["id"] == 0]
    return load_bytes(json.dumps(config).encode(), where="made by hand")


def ids_of(encoder: Encoder, *entries: str) -> list[int]:
    vocabulary = json.loads(encoder.data)["model"]["vocab"]
    return [vocabulary[entry] for entry in entries]


def test_unreachable_entries_are_those_that_merges_or_the_split_keep_away(made: Encoder) -> None:
    assert unreachable(made) == sorted(ids_of(made, "abc", "a" + SPACE))


def test_steps_are_part_of_exactly_one_longer_entry(made: Encoder) -> None:
    found = np.flatnonzero(steps(made)).tolist()
    once = ids_of(made, "c", "d", SPACE, CHARS[0xE4], CHARS[0xB8], "bc", "abd")
    assert found == sorted(once), "a and b are part of several, ab of two, the longest of none"


def test_uses_remember_how_often_and_whether_by_one_origin_only() -> None:
    uses = Uses.none(5)
    uses.add(np.array([1, 1, 2], dtype=np.uint32), origin=0)
    uses.add(np.array([2, 3], dtype=np.uint32), origin=1)
    uses.add(np.array([1], dtype=np.uint32), origin=0)
    assert uses.counts.tolist() == [0, 3, 2, 1, 0]
    assert uses.is_shared.tolist() == [False, False, True, False, False]
