import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dedup.minhash import EMPTY, band_keys, link, sign


def test_signatures_estimate_jaccard_within_their_error() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**63, 3000, dtype=np.uint64)
    a, b = words[:2000], words[500:2500]
    true = 1500 / 2500
    ends = np.array([0, 2000, 4000])
    signatures = sign(np.concatenate((a, b)), ends, n_hashes=1024)
    estimate = (signatures[0] == signatures[1]).mean()
    assert abs(estimate - true) < 4 * np.sqrt(true * (1 - true) / 1024)


def test_signature_ignores_order_and_repeats() -> None:
    words = np.random.default_rng(1).integers(0, 2**63, 101, dtype=np.uint64)
    twice = np.concatenate((words[::-1], words))
    signatures = sign(np.concatenate((words, twice)), np.array([0, 101, 303]), n_hashes=125)
    assert np.array_equal(signatures[0], signatures[1])


def test_signature_is_empty_when_there_is_no_shingle() -> None:
    assert (sign(np.zeros(0, np.uint64), np.array([0, 0]), n_hashes=5) == EMPTY).all()


def test_band_keys_meet_exactly_where_the_rows_of_a_band_agree() -> None:
    signatures = np.arange(44, dtype=np.uint32).reshape(2, 22)
    signatures[1, 5:10] = signatures[0, 5:10]
    keys = band_keys(signatures, n_bands=4, rows_per_band=5)
    assert (keys[0] == keys[1]).tolist() == [False, True, False, False]
    assert np.unique(keys).size == 7


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), unique=True, max_size=40), st.integers(2, 12))
def test_links_are_all_pairs_of_small_buckets_and_members_of_large_ones(
    rows: list[tuple[int, int]], max_bucket: int
) -> None:
    keys = np.array([k for k, _ in rows], np.uint64)
    positions = np.array([p for _, p in rows], np.uint64)
    found = link(keys, positions, max_bucket=max_bucket)
    size = {k: sum(x == k for x, _ in rows) for k, _ in rows}
    wanted = sorted(
        (min(a[1], b[1]), max(a[1], b[1]))
        for a, b in itertools.combinations(rows, 2)
        if a[0] == b[0] and size[a[0]] <= max_bucket
    )
    assert sorted(zip(found.left.tolist(), found.right.tolist(), strict=True)) == wanted
    crowd = sorted(row for row in rows if size[row[0]] > max_bucket)
    assert list(zip(found.crowd_key.tolist(), found.crowd_position.tolist(), strict=True)) == crowd
