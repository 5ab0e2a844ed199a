"""Copies of a document: each in its part of the stream, far from the others, never two in a sequence or a batch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_packed import packed, stream

from pipeline.errors import ConfigError
from pipeline.mix.epochs import SEGMENTS, n_segments, segment_of
from pipeline.targets import Balance, Pack, PoolBalance, UniMax

words = st.integers(0, 2**64 - 1)


@given(words, st.integers(1, 6), st.integers(0, 40))
def test_copy_c_of_n_stands_in_part_c_and_a_part_from_the_others(key: int, n: int, more: int) -> None:
    of = n * (SEGMENTS + more)
    found = segment_of(np.full(n, key, np.uint64), np.arange(n), np.full(n, n), of=of).tolist()
    assert [segment // (of // n) for segment in found] == list(range(n))
    assert all(b - a == of // n for a, b in pairwise(found))


def test_copies_are_spread_evenly() -> None:
    keys = np.random.default_rng(5).integers(0, 2**64, 20_000, np.uint64)
    found = np.concatenate([segment_of(keys, np.full(keys.size, c), np.full(keys.size, 3), of=24) for c in range(3)])
    held = np.bincount(found, minlength=24)
    assert abs(held / held.mean() - 1).max() < 0.1


def test_a_document_that_stands_once_may_stand_anywhere() -> None:
    keys = np.array([0, 2**63, 2**64 - 1], np.uint64)
    assert segment_of(keys, np.zeros(3, np.int64), np.ones(3, np.int64), of=10).tolist() == [0, 5, 9]
    assert segment_of(keys[2:], np.array([5]), np.array([6]), of=48).tolist() == [47]
    assert n_segments(3, 1) == 3
    assert n_segments(3, 4) == 4 * SEGMENTS
    assert n_segments(500, 4) == 500


def places(folder: Path) -> Iterator[tuple[str, int, list[int]]]:
    """Each piece of the stream by document and offset: the numbers of its sequences."""
    found: dict[tuple[str, int], list[int]] = {}
    for number, row in enumerate(stream(folder).to_pylist()):
        for piece in zip(row["doc_ids"], row["doc_offsets"], strict=True):
            found.setdefault(piece, []).append(number)
    for (doc, offset), numbers in found.items():
        yield doc, offset, numbers


CASES = {
    "four epochs": Balance(max_copies=4, total_tokens=5_000),
    "unequal": Balance(code=PoolBalance(parts=3), max_copies=5, total_tokens=7_000),
    "unimax": Balance(code=PoolBalance(parts=5, unimax=UniMax(max_epochs=6)), max_copies=2),
    "few": Balance(max_copies=7),
}


@pytest.mark.parametrize("seq_len", [16, 64])
@pytest.mark.parametrize("name", CASES)
def test_copies_are_half_an_epoch_apart(tmp_path: Path, name: str, seq_len: int) -> None:
    packed(tmp_path, config=Pack(seq_len=seq_len, n_shards=2, n_partitions=1), ratio=CASES[name], scale=50)
    n_sequences = stream(tmp_path).num_rows
    repeated = [numbers for _, _, numbers in places(tmp_path) if len(numbers) > 1]
    assert len(repeated) > 10
    assert max(map(len, repeated)) <= max(CASES[name].copies_of(pool) for pool in (CASES[name].code, CASES[name].text))
    assert name != "unimax" or max(map(len, repeated)) > CASES[name].max_copies
    for numbers in repeated:
        assert min(np.diff(numbers)) >= max(1, n_sequences // (2 * len(numbers)))


def test_no_sequence_holds_a_document_twice_though_one_could_hold_all(tmp_path: Path) -> None:
    packed(tmp_path, config=Pack(seq_len=32_768, n_shards=1, n_partitions=1), ratio=Balance(max_copies=4))
    for row in stream(tmp_path).to_pylist():
        assert len(set(row["doc_ids"])) == len(row["doc_ids"])
    assert max(len(numbers) for _, _, numbers in places(tmp_path)) > 1


def test_a_global_batch_that_could_hold_a_document_twice_is_refused_with_the_largest_that_cannot(
    tmp_path: Path,
) -> None:
    config = Pack(seq_len=16, n_shards=1, n_partitions=1)
    with pytest.raises(ConfigError, match=r"pack\.global_batch: 10,000 sequences could hold") as caught:
        packed(tmp_path / "a", config=config.model_copy(update={"global_batch": 10_000}), ratio=CASES["four epochs"])
    largest = int(str(caught.value).split("copies are ")[1].split()[0].replace(",", ""))
    with pytest.raises(ConfigError, match="could hold a document twice"):
        more = config.model_copy(update={"global_batch": largest + 1})
        packed(tmp_path / "d", config=more, ratio=CASES["four epochs"])
    fits = config.model_copy(update={"global_batch": largest})
    packed(tmp_path / "b", config=fits, ratio=CASES["four epochs"])
    for _, _, numbers in places(tmp_path / "b"):
        assert len({number // largest for number in numbers}) == len(numbers)
    packed(tmp_path / "c", config=config.model_copy(update={"global_batch": 10_000}), ratio=Balance())


def test_the_stream_stays_the_same_whatever_the_shards(tmp_path: Path) -> None:
    found = []
    for n_shards in (1, 5):
        folder = tmp_path / str(n_shards)
        packed(folder, config=Pack(seq_len=32, n_shards=n_shards, n_partitions=1), ratio=CASES["four epochs"])
        found.append(stream(folder))
    assert isinstance(found[0], pa.Table)
    assert found[0].to_pylist() == found[1].to_pylist()


def test_copies_that_are_allowed_and_not_needed_change_nothing(tmp_path: Path) -> None:
    config = Pack(seq_len=64, n_shards=1, n_partitions=1)
    for copies in (1, 9):
        packed(tmp_path / str(copies), config=config, ratio=Balance(max_copies=copies, total_tokens=600))
    assert stream(tmp_path / "1").to_pylist() == stream(tmp_path / "9").to_pylist()
    assert stream(tmp_path / "9").num_rows <= 2 * (300 // 64 + 2)
