"""What an exchange costs: bytes, requests, memory and CPU, measured on files of its own, and from them for 1 to 100 TB.

    python tests/bench/bench_exchange.py [--sources 256] [--partitions 512] [--rows 20000]

Measured: bytes of a file beside its rows for each piece that is not empty, bytes of a marker, requests and memory of a
gather, CPU of a merge for each MB. Then the band keys of `similar`, the channel of the most rows, for shards of 1 GB
and the numbers of partitions that `pipeline/request/sizes.py` chooses: requests with and without merges. There is no
peer to compare with: before, a gather read one marker, as long as there are partitions, and one range of each file.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.engine.exchange import Channel
from pipeline.engine.markers import Marker, Outcome, WorkStep, light, to_bytes
from pipeline.engine.merging import WINDOW_BYTES, merge_files
from pipeline.engine.store import Block, FileEntry, Store, open_store
from pipeline.engine.working import Lot, commit_lot

# Of the band keys of `similar`, as docs/scale.md counts them for 100 TB: 15 * 10^9 documents, 16 bytes a row.
_BYTES_OF_TB = 5.9e12 / 100
_PARTITION_BYTES, _MOST = 128_000_000, 8_192


def scattered(channel: Channel, n_rows: int) -> None:
    random = np.random.default_rng(1)

    def send(source: int, _: None) -> Outcome:
        key, position = random.integers(0, 2**63, (2, n_rows), dtype=np.uint64)
        table = pa.table({"key": key, "position": position})
        return Outcome((channel.scatter(source, table, partition=np.sort(key % np.uint64(channel.n_partitions))),), {})

    for source in range(channel.n_sources):
        _commit(send, channel, channel.step, source)


def _commit(task: Callable[..., Outcome], channel: Channel, step: WorkStep, item: int) -> None:
    commit_lot(task, channel.store, step, light, Lot(range(item, item + 1), (None,), {}))


def merged(channel: Channel) -> float:
    """CPU seconds of all merges."""
    began = time.process_time()
    for level, layer in enumerate(channel.layers[1:], start=1):
        for number in range(layer.n_files):
            _commit(partial(merge_files, channel, level), channel, layer.step, number)
    return time.process_time() - began


def anonymous_bytes() -> int:
    """Memory of this process that no file backs."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def requests(channel: Channel) -> Counter[str]:
    """What one gather asks of the store."""
    asked: Counter[str] = Counter()
    kept = {name: getattr(Store, name) for name in ("read_bytes", "read_range")}
    for name, read in kept.items():

        def counted(self: Store, *arguments: object, name: str = name, read: object = read) -> object:
            asked[name] += 1
            return read(self, *arguments)  # type: ignore[operator]

        setattr(Store, name, counted)
    try:
        channel.gather(channel.n_partitions // 2)
    finally:
        for name, read in kept.items():
            setattr(Store, name, read)
    return asked


def measure(folder: Path, *, n_sources: int, n_partitions: int, n_rows: int) -> dict[str, float]:
    store, step = open_store(str(folder)), WorkStep("bench", "m", "send")
    plain = Channel(store, step, "send", n_sources, n_partitions, fan_in=10**9)
    scattered(plain, n_rows)
    file = store.read_bytes(plain.layers[0].file(0))
    before, found = anonymous_bytes(), [plain.gather(k) for k in range(4)]
    per_source = (anonymous_bytes() - before) / (4 * n_sources)
    assert sum(table.num_rows for table in found)
    channel = replace(plain, fan_in=64)
    n_bytes = n_sources * n_rows * 16
    cpu = merged(channel)
    marker = store.read_bytes(f"{step.folder}/00000.json")
    blocks = tuple(Block(k * 1_000_000, 1_000, "0" * 16) for k in range(n_partitions + 1))
    entry = channel.layers[0].index(store, 0)
    return {
        "bytes beside the rows, a piece": (len(file) - n_rows * 16) / entry.partition.size,
        "bytes of a marker": len(marker),
        "bytes of a marker that lists each piece": len(_listing(blocks)),
        "bytes of memory, a source of a gather": per_source,
        "CPU seconds of a merge, a GB": cpu / n_bytes * 1e9 / (len(channel.layers) - 1),
        "requests of a gather, not merged": requests(plain).total(),
        "requests of a gather, merged": requests(channel).total(),
    }


def _listing(blocks: tuple[Block, ...]) -> bytes:
    return to_bytes(
        Marker((FileEntry("work/bench/m/send/part-00000-of-00001.arrow", 1, "0" * 64, blocks),), {}, None, 0)
    )


def on_paper(terabytes: float) -> dict[str, float]:
    """Requests for the band keys of so much input, in shards of 1 GB."""
    n_sources = int(terabytes * 1_000)
    n_partitions = min(_MOST, -(-int(terabytes * 1e12) // _PARTITION_BYTES))
    channel = Channel(open_store("/nowhere"), WorkStep("s", "m", "band"), "band", n_sources, n_partitions)
    n_bytes, merges = terabytes * _BYTES_OF_TB, 0.0
    for before, layer in zip(channel.layers, channel.layers[1:], strict=False):
        fan_in = before.n_groups / layer.n_groups
        windows = max(1.0, n_bytes / layer.n_files / WINDOW_BYTES)
        merges += layer.n_files * fan_in * (2 + windows)
    last = channel.layers[-1]
    return {
        "TB": terabytes,
        "shards": n_sources,
        "partitions": n_partitions,
        "rounds": len(channel.layers) - 1,
        "files": sum(layer.n_files for layer in channel.layers),
        "files at most left": max(layer.n_files for layer in channel.layers[-2:]),
        "requests of merges": merges,
        "requests of gathers": n_partitions * last.n_groups * 3.0,
        "requests without merges": n_partitions * n_sources * 3.0,
        "requests before": n_partitions * n_sources * 2.0,
        "GB rewritten": n_bytes * (len(channel.layers) - 1) / 1e9,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=int, default=256)
    parser.add_argument("--partitions", type=int, default=512)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), n_sources=options.sources, n_partitions=options.partitions, n_rows=options.rows)
    for name, value in found.items():
        print(f"{value:14,.1f}  {name}")
    for terabytes in (1, 10, 100):
        print(json.dumps({name: float(f"{value:.3g}") for name, value in on_paper(terabytes).items()}))


if __name__ == "__main__":
    main()
