import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.mix.packing import best_fit, split


@given(st.lists(st.integers(0, 100), max_size=30), st.integers(1, 40))
def test_split_loses_and_doubles_no_token(lengths: list[int], seq_len: int) -> None:
    run, offset, length = split(np.array(lengths, np.int64), seq_len=seq_len)
    covered = [[] for _ in lengths]
    for r, o, n in zip(run, offset, length, strict=True):
        assert 1 <= n <= seq_len
        covered[r].extend(range(o, o + n))
    assert covered == [list(range(n)) for n in lengths]


def naive_best_fit(lengths: list[int], seq_len: int) -> int:
    """Number of sequences by the definition: longest first, into the fullest sequence that takes it."""
    room: list[int] = []
    for n in sorted(lengths, reverse=True):
        fits = [r for r in room if r >= n]
        if fits:
            room[room.index(min(fits))] -= n
        else:
            room.append(seq_len - n)
    return len(room)


@given(st.integers(1, 200).flatmap(lambda m: st.tuples(st.just(m), st.lists(st.integers(1, m), max_size=60))))
def test_best_fit_places_every_piece_without_overlap_or_gap(case: tuple[int, list[int]]) -> None:
    seq_len, lengths = case
    sequence, start, n_sequences = best_fit(np.array(lengths, np.int64), seq_len=seq_len)
    assert n_sequences == naive_best_fit(lengths, seq_len)
    for s in range(n_sequences):
        inside = np.flatnonzero(sequence == s)
        inside = inside[np.argsort(start[inside])]
        ends = np.cumsum(np.array(lengths)[inside])
        assert start[inside].tolist() == [0, *ends[:-1].tolist()]
        assert ends[-1] <= seq_len


def test_best_fit_wastes_almost_nothing_on_many_documents() -> None:
    lengths = np.random.default_rng(0).geometric(1 / 300, 20_000).clip(1, 2048)
    _, _, n = best_fit(lengths, seq_len=2048)
    assert n <= np.ceil(lengths.sum() / 2048) + 2
