from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from pipeline.arrays import hash_sums
from pipeline.arrays.hash_sums import HashSums
from pipeline.arrays.names import name_hashes


@pytest.mark.parametrize("pending", [1, 10, 10_000])
def test_sums_do_not_depend_on_when_rows_are_added_up(monkeypatch: pytest.MonkeyPatch, pending: int) -> None:
    monkeypatch.setattr(hash_sums, "MAX_PENDING", pending)
    rng = np.random.default_rng(3)
    sums, first, second = HashSums(n_values=2), Counter[int](), Counter[int]()
    for _ in range(20):
        keys = rng.integers(2**63, 2**63 + 9, 30, dtype=np.uint64)  # above what a signed number holds
        values = rng.integers(0, 2**40, (2, 30))
        sums.add(keys, *values)
        for key, a, b in zip(keys.tolist(), *values.tolist(), strict=True):
            first[key] += a
            second[key] += b
    keys, values = sums.total()
    assert keys.tolist() == sorted(first)
    assert values.tolist() == [[first[k], second[k]] for k in keys.tolist()]


def test_memory_grows_with_keys_and_not_with_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hash_sums, "MAX_PENDING", 100)
    sums = HashSums(n_values=1)
    for _ in range(50):
        sums.add(np.arange(7, dtype=np.uint64), np.ones(7, np.int64))
        assert sum(keys.size for keys in sums._keys) <= 100 + 7 + 7


def test_names_are_hashed_across_chunks_and_none_is_zero() -> None:
    column = pa.chunked_array([["a/b", None], ["a/b", "c"]])
    a, none, again, c = name_hashes(column).tolist()
    assert a == again and none == 0 and len({a, none, c}) == 3
    assert name_hashes(pa.chunked_array([], pa.string())).size == 0
