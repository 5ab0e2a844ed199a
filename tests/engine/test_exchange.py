from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.engine.markers import Marker, WorkStep, write_marker
from pipeline.engine.store import open_store

rows = st.lists(st.lists(st.integers(0, 99), max_size=12), min_size=1, max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows, st.integers(1, 4))
def test_each_row_reaches_its_partition_once_in_source_order(tmp_path: Path, sources: list[list[int]], n: int) -> None:
    step = WorkStep("stage", "mark", "send")
    channel = Channel(open_store(str(tmp_path)), step, "send", len(sources), n)
    for i, values in enumerate(sources):
        array = np.array(values, np.int64)
        entry = channel.scatter(i, pa.table({"value": array}), partition=array % n)
        write_marker(channel.store, step, i, marker=Marker((entry,), {}, None, 0.0))
    got = [channel.gather(k)["value"].to_pylist() for k in range(n)]
    assert got == [[v for values in sources for v in values if v % n == k] for k in range(n)]
    assert sorted(channel.everything()["value"].to_pylist()) == sorted(v for values in sources for v in values)


def test_positions_round_trip_at_their_limits() -> None:
    shard, rows_ = 2**32 - 1, np.array([0, 1, 2**32 - 1])
    position = positions(shard, rows_)
    assert position.dtype == np.uint64
    assert shard_of(position).tolist() == [shard] * 3
    assert row_of(position).tolist() == rows_.tolist()


def test_spread_stays_inside_and_uses_every_partition() -> None:
    keys = np.random.default_rng(0).integers(0, 2**64, 10_000, dtype=np.uint64)
    found = np.bincount(spread(keys, 7), minlength=7)
    assert found.size == 7
    assert found.min() > 1200
    assert spread(np.array([2**64 - 1, 0], np.uint64), 7).tolist() == [6, 0]
