"""A plan that starts from an earlier one: what was there stays where it was."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.slices import InputFile, Slice, keep_shards, whole_files

LIMIT = 10_000


def planned(files: dict[str, tuple[int, int]], *, home: str = "") -> list[Slice]:
    """Files by name with size and version; those with a capital are cut or stand alone, as readers do it."""
    found = [InputFile(name, size, str(version)) for name, (size, version) in sorted(files.items())]
    groups = whole_files("s", [f for f in found if f.path.islower()], shard_bytes=LIMIT, home=home)
    return [*groups, *(Slice("s", (f,), k, k + 1) for f in found if not f.path.islower() for k in range(2))]


def paths(slices: list[Slice]) -> list[list[str]]:
    return [[file.path for file in s.files] for s in slices]


def test_a_new_file_gets_a_new_shard_behind_wherever_its_name_stands() -> None:
    before = planned(dict.fromkeys("bcde", (4000, 0)))
    after = keep_shards(planned(dict.fromkeys("abcde", (4000, 0))), before, shard_bytes=LIMIT)
    assert paths(before) == [["b", "c"], ["d", "e"]]
    assert paths(after) == [["b", "c"], ["d", "e"], ["a"]]
    assert after[:2] == before


def test_the_place_of_a_shard_that_is_gone_is_taken_by_a_new_one_else_by_the_last() -> None:
    before = planned(dict.fromkeys("abcd", (6000, 0)))
    without = dict.fromkeys("acd", (6000, 0))
    assert paths(keep_shards(planned(without), before, shard_bytes=LIMIT)) == [["a"], ["d"], ["c"]]
    more = without | {"x": (6_000, 0), "y": (6_000, 0)}
    assert paths(keep_shards(planned(more), before, shard_bytes=LIMIT)) == [["a"], ["x"], ["c"], ["d"], ["y"]]


def test_a_shard_whose_files_have_grown_is_cut() -> None:
    before = planned(dict.fromkeys("abc", (3000, 0)))
    grown = planned({"a": (3_000, 0), "b": (9_000, 1), "c": (3_000, 0)})
    assert paths(keep_shards(grown, before, shard_bytes=LIMIT)) == [["a"], ["c"], ["b"]]  # c had a shard of its own


def test_files_of_two_homes_never_meet() -> None:
    before = planned({"one/a": (10, 0)}, home="one/") + planned({"two/b": (10, 0)}, home="two/")
    moved = planned({"one/a": (10, 0), "two/b": (10, 0), "c": (10, 0)}, home="")
    assert paths(keep_shards(moved, before, shard_bytes=LIMIT)) == [["c", "one/a", "two/b"]]
    found = keep_shards([*before, *planned({"one/c": (1, 0)}, home="one/"), *planned({"two/c": (1, 0)}, home="two/")],
                        before, shard_bytes=LIMIT)  # fmt: skip
    assert paths(found) == [["one/a"], ["two/b"], ["one/c"], ["two/c"]]


_FILES = st.dictionaries(st.sampled_from("abcdefghXYZ"), st.tuples(st.integers(0, 12_000), st.integers(0, 1)))


@given(st.lists(_FILES, min_size=2, max_size=4))
def test_every_file_stands_in_one_shard_and_only_touched_shards_change(history: list[dict]) -> None:
    plan: list[Slice] = []
    before: dict = {}
    for files in history:
        fresh = planned(files)
        found = keep_shards(fresh, plan, shard_bytes=LIMIT)
        every = sorted((f.path, f.size, f.version, s.first) for s in found for f in s.files)
        assert every == sorted((f.path, f.size, f.version, s.first) for s in fresh for f in s.files)
        assert all(len(s.files) == 1 or sum(f.size + 512 for f in s.files) <= LIMIT for s in found)
        untouched = [s for s in plan if all(files.get(f.path) == before.get(f.path) for f in s.files)]
        assert all(s in found for s in untouched)
        if len(found) >= len(plan):
            assert all(found[i] == s for i, s in enumerate(plan) if s in untouched)
        plan, before = found, files


def test_plans_of_groups_alone_decide_what_may_be_grouped() -> None:
    alone = Slice("s", (InputFile("big.jsonl.gz", 10, "0"),), n_bytes=40)
    assert keep_shards([alone], [], shard_bytes=LIMIT) == [alone]
    assert keep_shards([replace(alone, n_bytes=44)], [alone], shard_bytes=LIMIT) == [replace(alone, n_bytes=44)]
