import numpy as np
import pytest

from pipeline.arrays.keys import id_words, keyed_hash, mix, stage_key


def test_id_words_equal_python_integers() -> None:
    ids = ["00112233445566778899aabbccddeeff", "f" * 32, "0" * 32]
    high, low = id_words("".join(ids).encode())
    assert [int(h) << 64 | int(w) for h, w in zip(high, low, strict=True)] == [int(i, 16) for i in ids]


@pytest.mark.parametrize("bad", [b"g" * 32, b"0" * 31, b"A" * 32])
def test_id_words_refuse_when_not_hex_ids(bad: bytes) -> None:
    with pytest.raises(ValueError, match="hex"):
        id_words(bad)


def test_mix_is_a_bijection_on_a_range() -> None:
    assert np.unique(mix(np.arange(100_000, dtype=np.uint64))).size == 100_000


def test_keyed_hash_depends_on_key_order_and_every_word() -> None:
    a, b = np.arange(1000, dtype=np.uint64), np.arange(1000, 2000, dtype=np.uint64)
    one, two = stage_key(0, "pack"), stage_key(1, "pack")
    base = keyed_hash(one, a, b)
    assert np.array_equal(base, keyed_hash(one, a, b))
    for other in (keyed_hash(two, a, b), keyed_hash(one, b, a), keyed_hash(one, a), keyed_hash(one, a, b + a)):
        assert (base != other).mean() > 0.99


def test_keyed_hash_spreads_evenly_over_the_high_bits() -> None:
    buckets = keyed_hash(stage_key(3, "x"), np.arange(64_000, dtype=np.uint64)) >> np.uint64(58)
    counts = np.bincount(buckets.astype(int), minlength=64)
    assert counts.min() > 800
    assert counts.max() < 1200
