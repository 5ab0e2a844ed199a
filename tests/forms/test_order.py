"""Orders by imports: every file once, behind what it needs, wherever no circle forbids it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.forms.order import by_imports, needed_first

graphs = st.integers(1, 12).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, n - 1), max_size=4, unique=True), min_size=n, max_size=n)
)


def without_self(imports: list[list[int]]) -> list[list[int]]:
    return [[need for need in needs if need != file] for file, needs in enumerate(imports)]


def reach(imports: list[list[int]], start: int) -> set[int]:
    seen, todo = set(), [start]
    while todo:
        for need in imports[todo.pop()]:
            if need not in seen:
                seen.add(need)
                todo.append(need)
    return seen


@given(graphs)
def test_a_file_stands_behind_what_it_imports_unless_that_needs_it_too(found: list[list[int]]) -> None:
    imports = without_self(found)
    for order in (by_imports(imports, [1] * len(imports)), needed_first(imports)):
        assert sorted(order) == list(range(len(imports)))
        place = {file: number for number, file in enumerate(order)}
        for file, needs in enumerate(imports):
            for need in needs:
                assert place[need] < place[file] or file in reach(imports, need)


def test_importers_follow_at_once_and_the_shortest_first() -> None:
    # 0 and 1 are libraries; 2, 3, 4 need 0, and 5 needs 1.
    imports = [[], [], [0], [0], [0], [1]]
    assert by_imports(imports, [9, 9, 30, 10, 20, 1]) == [0, 3, 4, 2, 1, 5]
    assert by_imports(imports, [9, 9, 7, 7, 7, 1]) == [0, 2, 3, 4, 1, 5]  # path order among equals


def test_a_circle_is_entered_at_its_first_file() -> None:
    assert by_imports([[2], [0], [1]], [1, 1, 1]) == [1, 2, 0]  # what the first needs, as far as it can be had
    assert by_imports([[1], [0]], [1, 1]) == [1, 0]


def test_path_order_stays_where_nothing_is_imported() -> None:
    assert by_imports([[]] * 5, [5, 4, 3, 2, 1]) == [0, 1, 2, 3, 4]


def test_a_hundred_thousand_files_in_one_chain_need_no_recursion() -> None:
    n = 100_000
    assert by_imports([[i + 1] if i + 1 < n else [] for i in range(n)], [1] * n) == list(range(n - 1, -1, -1))
    assert by_imports([[0] if i else [] for i in range(n)], [1] * n) == list(range(n))
