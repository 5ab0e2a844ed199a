"""Grouping of files into slices."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.slices import InputFile, group_files

FILES = st.lists(st.integers(0, 5_000)).map(lambda sizes: [InputFile(f"{k:03}", n, "") for k, n in enumerate(sizes)])


@given(files=FILES, shard_bytes=st.integers(1_024, 8_000))
def test_groups_keep_every_file_in_order_and_stay_within_the_limit(files: list[InputFile], shard_bytes: int) -> None:
    groups = list(group_files(files, shard_bytes=shard_bytes))
    assert [file for group in groups for file in group] == files
    for group in groups:
        assert len(group) == 1 or sum(file.size for file in group) + 512 * len(group) <= shard_bytes
    for one, other in pairwise(groups):
        assert sum(file.size + 512 for file in (*one, other[0])) > shard_bytes
