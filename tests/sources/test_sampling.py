"""A sample draws content keys: equal documents together, near duplicates as often as they are alike."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from handmade import documents

from pipeline.arrays.columns import read_only
from pipeline.sources.content_keys import RUN_BYTES, content_keys
from pipeline.sources.drawing import cells_of, drawn, sampled, units
from pipeline.sources.sampling import CELL_BYTES, CELL_DOCS, N_BYTES, N_DOCS, Sampling, of_cells

HEADER = "# Permission is hereby granted, free of charge, to any person obtaining a copy of this software.\n"


def keys_of(texts: Sequence[bytes]) -> list[int]:
    data = np.frombuffer(b"".join(texts), np.uint8)
    ends = np.cumsum([0, *map(len, texts)]).astype(np.int64)
    return content_keys(read_only(data), read_only(ends)).tolist()


def words(seed: int, n: int = 400) -> list[str]:
    rng = random.Random(seed)
    return [f"{rng.choice('abcdefgh')}{rng.randrange(10**6)}" for _ in range(n)]


def by_hand(text: bytes) -> int:
    """The key of text without comments, as its definition says."""
    signs = [b + 1 for b in text if b > 32]
    runs = [signs[i : i + RUN_BYTES] for i in range(max(1, len(signs) - RUN_BYTES + 1))]
    found = []
    for run in runs:
        rolled = 0
        for value in run:
            rolled = (rolled * 0x100000001B3 + value) % 2**64
        mixed = (rolled ^ rolled >> 29) * 0xBF58476D1CE4E5B9 % 2**64
        found.append(mixed ^ mixed >> 32)
    return min(found)


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 64, 65, 1000])
def test_key_is_the_least_hash_of_all_runs(n: int) -> None:
    text = random.Random(n).randbytes(n).replace(b"\n", b"x").lstrip(b"#/*;-<%\"({'")
    assert keys_of([text]) == [by_hand(text)]


def test_white_space_and_comments_in_front_do_not_count() -> None:
    body = " ".join(words(1))
    spaced = body.replace(" ", "\n\t ")
    assert len({*keys_of([s.encode() for s in (body, spaced, HEADER * 9 + body, f"\n  {HEADER}\n\n{spaced}")])}) == 1
    assert len({*keys_of([HEADER.encode(), (HEADER * 2).encode(), b"# x\n"])}) > 1  # a text of comments alone counts


def test_key_of_a_document_does_not_depend_on_its_neighbours() -> None:
    texts = [" ".join(words(i)).encode() for i in range(5)]
    assert keys_of(texts) == [keys_of([text])[0] for text in texts]


def test_near_duplicates_share_their_key_about_as_often_as_they_are_alike() -> None:
    pairs = []
    for seed in range(300):
        mine = words(seed)
        other = mine[:150] + words(seed + 1000, 40) + mine[190:]  # a tenth is other words
        pairs += [" ".join(mine).encode(), " ".join(other).encode()]
    found = keys_of(pairs)
    same = sum(a == b for a, b in zip(found[::2], found[1::2], strict=True))
    assert 0.75 < same / 300 < 0.89  # Jaccard .82 of the runs; ten times the rate would keep a pair with .01


def table(n: int, **columns: Sequence[object]) -> pa.Table:
    return documents(0, [" ".join(words(i, 30)) for i in range(n)], **columns)


def test_sample_is_of_its_rate_and_a_smaller_one_is_a_part_of_it() -> None:
    unit = np.random.default_rng(0).integers(0, 2**63, 100_000, dtype=np.uint64)
    large, small = (drawn(unit, Sampling(rate=rate, key=9)) for rate in (0.1, 0.01))
    assert abs(large.mean() - 0.1) < 0.003 and abs(small.mean() - 0.01) < 0.001
    assert not (small & ~large).any()
    other = drawn(unit, Sampling(rate=0.1, key=10))
    assert abs((other & large).mean() - 0.01) < 0.002  # keys draw independently


def test_equal_documents_are_in_or_out_together_wherever_they_lie() -> None:
    contents = [" ".join(words(i, 30)) for i in range(200)]
    sampling = Sampling(rate=0.3, key=4)
    first, again = (
        sampled(documents(shard, order), sampling)[0] for shard, order in enumerate((contents, contents[::-1]))
    )
    assert sorted(first["content"].to_pylist()) == sorted(again["content"].to_pylist())
    assert 20 < first.num_rows < 100


def test_documents_without_content_are_drawn_one_by_one() -> None:
    empty = documents(0, [""] * 400, problem=["too_large"] * 400)
    assert len({*units(empty).tolist()}) == 400
    assert 60 < sampled(empty, Sampling(rate=0.25, key=1))[0].num_rows < 140


def test_what_is_not_drawn_is_counted_by_source_ending_and_size() -> None:
    paths = [f"src/a{i}.{'py' if i % 3 else 'RS'}" for i in range(90)]
    whole = table(90, path=paths, source=["one"] * 60 + ["two"] * 30)
    kept, counts = sampled(whole, Sampling(rate=0.2, key=2))
    assert kept.num_rows < 40
    assert counts[N_DOCS] == 90 and counts[N_BYTES] == sum(whole["n_bytes"].to_pylist())
    docs, volume = of_cells(counts, CELL_DOCS), of_cells(counts, CELL_BYTES)
    assert sum(docs.values()) == 90 and sum(volume.values()) == counts[N_BYTES]
    assert {name.partition("/")[0] for name in docs} == {"one", "two"}
    assert len({name.split("/")[1] for name in docs}) == 2
    assert set(cells_of(kept)) <= set(docs)


def test_cells_tell_labels_and_large_files_apart() -> None:
    sizes = ["x" * n for n in (10, 200, 5_000, 70_000)]
    plain, labelled = (cells_of(documents(0, sizes, language_label=[label] * 4)) for label in (None, "Rust"))
    assert len({*plain}) == 3  # up to 255 bytes all is one
    assert not {*plain} & {*labelled}
