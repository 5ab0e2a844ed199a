"""Places and what fills them."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given
from hypothesis import strategies as st

from pipeline.forget.refill import FreePlace, Refill, Spare, refill

C, T = ("code", "C"), ("text", "books")


def spare(number: int, n_tokens: int, *, used: int = 0, group: tuple[str, str] = C, may_cut: bool = True) -> Spare:
    return Spare(f"d{number}", number, group, used, n_tokens, may_cut)


def one(places: list[FreePlace], spares: list[Spare], **options: object) -> Refill:
    return refill(places, spares, standing={}, **options)  # type: ignore[arg-type]


def test_the_shortest_document_that_is_long_enough_fills_a_place() -> None:
    found = one([FreePlace(7, 20, 50, C)], [spare(0, 200), spare(1, 60), spare(2, 40)])
    assert [(f.spare, f.sequence, f.start, f.offset, f.length) for f in found.fills] == [(1, 7, 20, 0, 50)]


def test_a_fresh_document_is_taken_before_what_is_left_of_one_that_was_cut() -> None:
    places, spares = [FreePlace(0, 0, 50, C)], [spare(0, 100, used=50), spare(1, 90)]
    assert [f.spare for f in one(places, spares).fills] == [1]
    assert [(f.spare, f.offset) for f in one(places, spares[:1]).fills] == [(0, 50)]


def test_a_place_takes_several_pieces_only_where_none_is_long_enough() -> None:
    found = one([FreePlace(0, 8, 100, C)], [spare(0, 60), spare(1, 30), spare(2, 45)])
    assert [(f.spare, f.start, f.length) for f in found.fills] == [(0, 8, 60), (2, 68, 40)]


def test_another_group_of_the_pool_fills_what_its_own_cannot_and_is_said() -> None:
    spares = [spare(0, 10), spare(1, 100, group=("code", "Go")), spare(2, 100, group=T)]
    found = one([FreePlace(0, 0, 50, C)], spares)
    assert [(f.spare, f.length) for f in found.fills] == [(0, 10), (1, 40)]
    assert found.from_others == {C: 40}
    assert not found.short


def test_what_no_surplus_of_the_pool_fills_is_short() -> None:
    found = one([FreePlace(0, 0, 50, C), FreePlace(1, 0, 9, T)], [spare(0, 10), spare(2, 100, group=T)])
    assert found.short == {"code": 40}


def test_a_document_enters_a_sequence_once() -> None:
    places = [FreePlace(0, 0, 10, C), FreePlace(0, 30, 10, C)]
    assert [f.spare for f in one(places, [spare(0, 20), spare(1, 30)]).fills] == [0, 1]
    assert one(places, [spare(0, 20)]).short == {"code": 10}
    standing = {0: frozenset({"d0"})}
    found = refill(places[:1], [spare(0, 20, used=5), spare(1, 30)], standing=standing)
    assert [f.spare for f in found.fills] == [1]


def test_a_document_that_may_not_be_cut_enters_whole() -> None:
    place = [FreePlace(0, 0, 50, C)]
    assert [f.spare for f in one(place, [spare(0, 60, may_cut=False), spare(1, 70)]).fills] == [1]
    assert [f.spare for f in one(place, [spare(0, 50, may_cut=False), spare(1, 70)]).fills] == [0]
    assert one(place, [spare(0, 60, may_cut=False)]).short == {"code": 50}


def test_what_a_cap_keeps_out_does_not_enter() -> None:
    room = Counter({0: 30, 1: 100})

    def take(number: int, n_tokens: int) -> None:
        room[number] -= n_tokens

    places = [FreePlace(0, 0, 25, C), FreePlace(1, 0, 20, C)]
    found = one(places, [spare(0, 60), spare(1, 80)], allows=lambda s, n: room[s] >= n, take=take)
    assert [f.spare for f in found.fills] == [0, 1]
    assert room == {0: 5, 1: 80}


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@given(lengths, st.lists(st.tuples(st.integers(1, 60), st.integers(0, 59), st.booleans()), max_size=14))
def test_every_place_is_filled_to_the_token_or_said_to_be_short(
    sizes: list[int], docs: list[tuple[int, int, bool]]
) -> None:
    places = [FreePlace(i // 2, (i % 2) * 50, n, C if i % 3 else ("code", "Go")) for i, n in enumerate(sizes)]
    spares = [
        spare(i, n, used=min(used, n - 1), group=C if is_c else ("code", "Go"))
        for i, (n, used, is_c) in enumerate(docs)
    ]
    found = one(places, spares)
    filled: dict[int, list[tuple[int, int]]] = defaultdict(list)
    of_doc: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for fill in found.fills:
        assert fill.sequence == places[fill.place].sequence
        filled[fill.place].append((fill.start, fill.length))
        of_doc[fill.spare].append((fill.offset, fill.length))
    missing = 0
    for number, place in enumerate(places):
        at = place.start
        for start, length in sorted(filled[number]):
            assert start == at
            at += length
        missing += place.start + place.length - at
    assert missing == sum(found.short.values())
    for number, pieces in of_doc.items():  # each token of a document at most once, one after another
        at = spares[number].used
        for offset, length in sorted(pieces):
            assert offset == at
            at += length
        assert at <= spares[number].n_tokens
        sequences = [f.sequence for f in found.fills if f.spare == number]
        assert len(sequences) == len(set(sequences))
