"""What the driver holds of the plan of an input, and the largest task of `packed` of the stream, as both grow.

    python tests/bench/bench_held.py [--files 250000 1000000] [--sequences 1000000 4000000 16000000]

Plan: made files in shards of 64 MB; listed, fingerprinted and kept as a run does. Stream: sizes of made sequences in
segments of 100,000, as `segment` leaves them, numbered by the tasks `begin` and `number`. Each line is a process of its
own; memory is the peak above what the imports take, of the process that reads.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa

from pipeline.config import Mixture, Source
from pipeline.engine.exchange import Channel
from pipeline.engine.markers import Marker, WorkStep, write_marker
from pipeline.engine.shards import PLAN
from pipeline.engine.stage import ExchangeStage, fingerprint
from pipeline.engine.store import open_store
from pipeline.mix.placing import SegmentedStream, add_up, begin, number_pieces
from pipeline.mix.settings import Packing
from pipeline.sources.documents import changed_files, ingest, inputs_of, plan_from, read_plan
from pipeline.sources.slices import InputFile, whole_files

SEGMENT = 100_000  # sequences; at 100 TB a segment has six times as many
SEQ_LEN = 4_096


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def plan(n_files: int) -> dict[str, Any]:
    """Make, fingerprint and write the plan of so many files."""
    before, started = _peak(), time.process_time()
    names = (f"folder-{i // 1_000:05d}/sub/file-{i:09d}.py" for i in range(n_files))
    files = (InputFile(name, 8_000 + i % 999, str(17 * 10**17 + i)) for i, name in enumerate(names))
    found = whole_files("made", files, shard_bytes=64_000_000)
    listed = _peak() - before
    mixture = Mixture(name="bench", sources=(Source(name="made", kind="directory", path="/nowhere"),))
    planned = plan_from(found, earlier=None, shard_bytes=64_000_000)
    fingerprint(ExchangeStage("documents", 1, ingest, inputs_of(mixture, planned.slices)), marks={})
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(folder)
        kept = store.write_stream(PLAN, lambda file: any(not file.write(part) for part in planned.to_json()))
        cost = {"listed": listed, "peak": _peak() - before, "cpu": time.process_time() - started}
        earlier = read_plan(store)
    assert earlier is not None
    grown = plan_from(found, earlier=earlier, shard_bytes=64_000_000)
    assert not changed_files(earlier, grown)
    return cost | {"MB": kept.n_bytes / 1e6, "again": _peak() - before}


def _stream(folder: str, n_segments: int) -> tuple[SegmentedStream, Channel, Channel, Channel]:
    """The channels of two pools with so many segments each."""
    n, store = 2 * n_segments, open_store(folder)
    config = Packing(seq_len=SEQ_LEN, n_shards=64, n_partitions=n_segments, code_parts=1, text_parts=1, pad_id=0)
    made, filled = WorkStep("packed", "m", "segment"), WorkStep("packed", "m", "fill")
    stream = SegmentedStream(
        Channel(store, made, "segment", n, 1, by_source=True),
        Channel(store, filled, "fill", 2, n, by_source=True),
        Channel(store, made, "segment-sizes", n, 1, by_source=True),
        Channel(store, filled, "fill-sizes", 2, n, by_source=True),
        Channel(store, WorkStep("packed", "m", "begin"), "begin", 1, n),
        config,
    )
    sums, filled_sums = Channel(store, made, "segment-sums", n, 1, fan_in=n), Channel(store, filled, "sums", 2, 1)
    return stream, sums, filled_sums, Channel(store, WorkStep("packed", "m", "number"), "number", n, config.n_shards)


def _pieces(n: int) -> pa.Table:
    numbers = np.arange(n)
    names = ("position", "high", "low")
    columns = {name: numbers.astype(np.uint64) for name in names} | {
        "group": pa.array(["C"]).take(pa.array(numbers * 0))
    }
    return pa.table(columns | {"offset": numbers * 0, "length": numbers, "joins": numbers < 0, "sequence": numbers,
                               "start": numbers * 0})  # fmt: skip


def make_stream(folder: str, n_segments: int) -> None:
    stream, sums, filled_sums, _ = _stream(folder, n_segments)
    store, first = stream.sizes.store, np.zeros(SEGMENT, np.int64)
    n_real = np.random.default_rng(1).integers(SEQ_LEN - 200, SEQ_LEN + 1, SEGMENT)
    nothing, pieces = np.zeros(0, np.int64), _pieces(SEGMENT)
    for segment in range(2 * n_segments):
        entries = (
            stream.fitted.scatter(segment, pieces, partition=first),
            stream.sizes.scatter(segment, pa.table({"n_real": n_real}), partition=first),
            add_up(sums, segment, np.full(SEGMENT, segment), n_real),
        )
        write_marker(store, stream.sizes.step, segment, marker=Marker(entries, {}, None, 0.0))
    for pool in range(2):
        entries = (
            stream.filled.scatter(pool, _pieces(0), partition=nothing),
            stream.filled_sizes.scatter(pool, pa.table({"n_real": nothing}), partition=nothing),
            add_up(filled_sums, pool, nothing, nothing),
        )
        write_marker(store, stream.filled.step, pool, marker=Marker(entries, {}, None, 0.0))


def number_stream(folder: str, n_segments: int) -> dict[str, Any]:
    """Number the segments one after another, so that the peak is that of the largest task."""
    stream, sums, filled_sums, out = _stream(folder, n_segments)
    before, started = _peak(), time.process_time()
    done = begin(sums, filled_sums, stream.beginnings, stream.config, 0, None)
    write_marker(stream.sizes.store, stream.beginnings.step, 0, marker=Marker(done.files, {}, None, 0.0))
    begun = _peak() - before
    per_shard = -(-done.counts["n_sequences"] // stream.config.n_shards)
    for segment in range(2 * n_segments):
        (file,) = number_pieces(stream, out, None, per_shard, segment, None).files
        (Path(folder) / file.path).unlink()  # sequences times 100 bytes are not kept
    return {"begin": begun, "peak": _peak() - before, "cpu": time.process_time() - started}


def _child(task: str, *arguments: object) -> dict[str, Any]:
    command = [sys.executable, __file__, "--task", task, *map(str, arguments)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout or "{}"))


def _lines(files: list[int], sequences: list[int]) -> Iterator[str]:
    yield "| files of the input | plan listed, MB | peak MB | of a start that grows | on disk MB | CPU-s |"
    yield "|---|---|---|---|---|---|"
    for n in files:
        c = _child("plan", n)
        yield f"| {n:,} | {c['listed']:.0f} | {c['peak']:.0f} | {c['again']:.0f} | {c['MB']:.0f} | {c['cpu']:.1f} |"
    yield "\n| sequences | segments | `begin` MB | largest task MB | CPU-s |\n|---|---|---|---|---|"
    for n in sequences:
        with tempfile.TemporaryDirectory(prefix="held-") as folder:
            n_segments = max(1, n // SEGMENT // 2)
            _child("make", folder, n_segments)
            c = _child("number", folder, n_segments)
        yield f"| {n:,} | {2 * n_segments} | {c['begin']:.0f} | {c['peak']:.0f} | {c['cpu']:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="*", default=[250_000, 1_000_000])
    parser.add_argument("--sequences", type=int, nargs="*", default=[1_000_000, 4_000_000, 16_000_000])
    parser.add_argument("--task", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task is None:
        for line in _lines(options.files, options.sequences):
            print(line, flush=True)
        return
    name, *arguments = options.task
    if name == "make":
        make_stream(arguments[0], int(arguments[1]))
    else:
        print(json.dumps(plan(int(arguments[0])) if name == "plan" else number_stream(arguments[0], int(arguments[1]))))


if __name__ == "__main__":
    main()
