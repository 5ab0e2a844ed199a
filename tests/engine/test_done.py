"""What a step has done, in little memory."""

from __future__ import annotations

import tracemalloc

import pytest

from pipeline.engine.blocks import N_ALONE, N_BY_HASH, N_BY_SIZE, Lazily, in_blocks
from pipeline.engine.done import StepDone
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.markers import Marker, light
from pipeline.engine.store import Block, FileEntry, part


def entry(item: int, of: int, *, n_blocks: int = 0) -> FileEntry:
    blocks = tuple(Block(k, 1, f"{k:016x}") for k in range(n_blocks))
    return FileEntry(f"tables/tokens/{part(item, of)}", item * 10**9, f"{item:064x}", blocks)


def marker(item: int, of: int, **more: object) -> Marker:
    return Marker((entry(item, of),), {"n_docs": item}, more.get("problem"), 0.5, more.get("cpu"))  # type: ignore[arg-type]


def test_done_when_items_come_in_any_order_has_their_files_in_order_and_their_sums() -> None:
    done = StepDone(4)
    for item in (2, 0, 3):
        done.add(item, marker(item, 4, problem="broken" if item != 0 else None, cpu=0.25))
    assert (done.missing(), done.n_done, 1 in done, 2 in done) == ([1], 3, False, True)
    assert list(done.files()) == [entry(item, 4) for item in (0, 2, 3)]
    assert done.files_of(3) == [entry(3, 4)]
    assert (done.n_files, done.n_bytes) == (3, 5 * 10**9)
    assert (done.counts, done.most) == ({"n_docs": 5}, {"n_docs": 3})
    assert list(done.problems()) == [2, 3]
    assert (done.cost.seconds, done.cost.cpu_seconds) == (1.5, 0.75)
    done.add(1, marker(1, 4))  # of a version that did not count
    assert done.cost.cpu_seconds is None
    with pytest.raises(AssertionError):
        done.add(1, marker(1, 4))


def test_done_when_it_keeps_no_files_has_counts_alone() -> None:
    done = StepDone(2, keeps_files=False)
    done.add(0, marker(0, 2))
    assert (list(done.files()), done.n_files, done.n_done) == ([], 0, 1)


def test_a_light_marker_has_no_blocks() -> None:
    heavy = Marker((entry(1, 2, n_blocks=3),), {}, None, 0.0)
    assert light(heavy).files == (entry(1, 2),)
    assert light(heavy, keeps_files=False).files == ()


def test_done_of_many_items_is_small() -> None:
    n = 20_000
    tracemalloc.start()
    done = StepDone(n)
    for item in range(n):
        done.add(item, light(Marker((entry(item, n, n_blocks=4),), {"n_docs": 1}, None, 0.1, 0.1)))
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size / n < 300, "bytes an item: a marker as it is takes more than a thousand"


@pytest.mark.parametrize("n", [0, 1, N_ALONE, N_ALONE + 1, 3 * N_BY_SIZE + 1])
@pytest.mark.parametrize("by_hash", [True, False])
def test_questions_in_blocks_are_all_asked_and_few_of_them_without_a_task(n: int, by_hash: bool) -> None:
    asked: list[int] = []

    class Counting(InlineExecutor):
        def map(self, task, items, *, name):  # type: ignore[no-untyped-def]
            asked.extend(len(block[1]) for block in items)
            return super().map(task, items, name=name)

    answers = list(in_blocks(Counting(), list, range(n), by_hash=by_hash, name="check"))
    assert [answer for block in answers for answer in block] == list(range(n))
    assert max(asked, default=0) <= (N_BY_HASH if by_hash else N_BY_SIZE)
    assert bool(asked) == (n > N_ALONE)


def test_lazy_items_are_made_when_they_are_asked_for() -> None:
    made: list[int] = []
    items = Lazily([3, 5, 8], lambda place: made.append(place) or (place, str(place)))
    assert (len(items), made) == (3, [])
    assert items[1] == (5, "5")
    assert [*items[1:]] == [(5, "5"), (8, "8")]
    assert next(reversed(items)) == (8, "8")
