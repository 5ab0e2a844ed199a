"""Blocks of LZ4 in which bytes are blanked, and which keep their length: what comes out is told by Arrow's reader."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest

from pipeline.arrays import lz4_block
from pipeline.arrays.lz4_blank import blanked

WORDS = ("int value return const char static width height depth", "index buffer length offset while for if else")


def text(seed: int, n_words: int = 400) -> bytes:
    rng = random.Random(seed)
    return " ".join(rng.choice(" ".join(WORDS).split()) + str(rng.randint(0, 30)) for _ in range(n_words)).encode()


def packed(plain: bytes) -> np.ndarray:
    return np.frombuffer(pa.compress(plain, codec="lz4_raw", asbytes=True), np.uint8)


def unpacked(block: np.ndarray, n: int) -> bytes:
    found: bytes = pa.decompress(block.tobytes(), n, codec="lz4_raw", asbytes=True)
    return found


def versions(docs: list[bytes], gone: set[int], n: int = 3) -> tuple[np.ndarray, bytes, list[np.ndarray]]:
    plain = b"".join(docs)
    wanted = b"".join(bytes(len(d)) if i in gone else d for i, d in enumerate(docs))
    block = packed(plain)
    found = []
    for version in blanked(block, np.frombuffer(wanted, np.uint8)):
        found.append(version)
        if len(found) == n:
            break
    return block, wanted, found


def test_the_sequences_of_a_block_tile_what_comes_out() -> None:
    plain = text(1, 3_000)
    rows = lz4_block.sequences(packed(plain), len(plain))
    assert rows[0, lz4_block.OUT] == 0
    ends = rows[:, lz4_block.OUT] + rows[:, lz4_block.LITERALS] + rows[:, lz4_block.MATCH]
    assert (ends[:-1] == rows[1:, lz4_block.OUT]).all()
    assert ends[-1] == len(plain)
    assert not lz4_block.wrong(rows, packed(plain), np.frombuffer(plain, np.uint8)).any()


@pytest.mark.parametrize("cut", [1, 7, 60])
def test_what_is_no_block_has_no_sequences(cut: int) -> None:
    plain = text(2)
    block = packed(plain)
    assert not len(lz4_block.sequences(block[:-cut], len(plain)))
    assert not len(lz4_block.sequences(block, len(plain) + cut))
    assert not list(blanked(block[:-cut], np.frombuffer(plain, np.uint8)))


@pytest.mark.parametrize("seed", range(40))
def test_blanked_documents_come_out_as_zeros_and_all_others_as_they_were(seed: int) -> None:
    rng = random.Random(seed)
    docs = [text(rng.randint(0, 25), rng.randint(5, 900)) for _ in range(rng.randint(2, 60))]  # some are equal
    gone = set(rng.sample(range(len(docs)), rng.choice([1, 1, 2, len(docs)])))
    block, wanted, found = versions(docs, gone)
    assert found
    for version in found:
        assert version.size == block.size
        assert unpacked(version, len(wanted)) == wanted


def test_an_equal_document_behind_the_blanked_one_keeps_its_text() -> None:
    docs = [text(5), text(9, 50), text(5), text(5)]
    _, wanted, found = versions(docs, {0})
    assert len(packed(b"".join(docs))) < 1.3 * len(packed(b"".join(docs[:2])))  # they were copies of the first
    assert unpacked(found[0], len(wanted)) == wanted
    assert text(5)[:60] not in wanted[: len(docs[0])]


def test_little_is_written_far_from_what_is_blanked() -> None:
    docs = [text(i, 2_000) for i in range(40)]
    block, _, found = versions(docs, {20})
    assert (found[0] != block).sum() < 0.2 * block.size


def test_places_far_apart_are_mended_each_for_itself() -> None:
    docs = [text(i, 2_000) for i in range(40)]
    block, wanted, found = versions(docs, {3, 33})
    assert unpacked(found[0], len(wanted)) == wanted
    changed = np.flatnonzero(found[0] != block)
    assert np.diff(changed).max() > 0.3 * block.size


def test_nothing_to_blank_leaves_the_block_alone() -> None:
    block, _, found = versions([text(1), text(2)], set())
    assert len(found) == 1
    assert (found[0] == block).all()


def test_a_few_bytes_of_what_cannot_be_compressed_are_blanked_in_their_place() -> None:
    plain = bytes(random.Random(1).randbytes(4_000))
    wanted = np.frombuffer(plain, np.uint8).copy()
    wanted[2_000:2_003] = 0
    found = next(blanked(packed(plain), wanted))
    assert unpacked(found, 4_000) == wanted.tobytes()
    assert (found != packed(plain)).sum() <= 3


def test_what_needs_more_bytes_than_there_are_is_not_blanked() -> None:
    rng = random.Random(1)
    own = rng.randbytes(12)
    plain = own + b"".join(rng.randbytes(40) + own for _ in range(6)) + rng.randbytes(40)
    wanted = np.frombuffer(plain, np.uint8).copy()
    for k in range(6):  # all but the last copy of the same bytes: it has nothing left to be copied from
        wanted[52 * k : 52 * k + 4] = 0
    assert not list(blanked(packed(plain), wanted))
