"""How time and memory of near dedup grow with the corpus: from 0.1 to 4 GB.

    python tests/bench/bench_dedup_scale.py [--gb 0.1 0.4 1 2 4]

Code alone, repeated with keyed perturbations (`bench_input.py`) where there is too little of it. Each size runs in a
process of its own, one shard of 64 MB of text a task; prints CPU seconds for each GB, the peak memory of the process
and the share of documents kept.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.bench_input import add_options, pools_of, take
from tests.bench.bench_machine import machine, run

SHARD_BYTES = 64_000_000
HERE = Path(__file__).resolve().parent


def shards_of(documents: pa.Table, folder: Path, *, n_bytes: int) -> list[Path]:
    """Parquet files of about SHARD_BYTES, n_bytes together."""
    content = take(documents, n_bytes=n_bytes)["content"].combine_chunks()
    place = np.cumsum(pc.binary_length(content).to_numpy()) // SHARD_BYTES
    out: list[Path] = []
    for first, last in itertools.pairwise([*np.flatnonzero(np.diff(place, prepend=-1)), len(content)]):
        out.append(folder / f"in-{len(out):05d}.parquet")
        pq.write_table(pa.table({"content": content[int(first) : int(last)]}), out[-1], compression="zstd")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--gb", nargs="+", type=float, default=[0.1, 0.4, 1, 2, 4])
    options = parser.parse_args()
    code = pools_of(options)["code"]
    print(machine())
    print("| GB | documents kept | CPU-s | CPU-s for each GB | peak GB | signatures | similar | select |")
    print("|---|---|---|---|---|---|---|---|")
    for gb in options.gb:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            inputs = shards_of(code, folder, n_bytes=int(gb * 1e9))
            command = [sys.executable, str(HERE / "near_dup_run.py"), *map(str, inputs)]
            command += ["--out", str(folder / "out"), "--partitions", str(max(4, len(inputs) // 2))]
            done = run(command)
            found = json.loads(done.said.strip().splitlines()[-1])
            shutil.rmtree(folder / "out")
        each = found["cpu_seconds"] / (found["megabytes"] / 1e3)
        print(
            f"| {found['megabytes'] / 1e3:.2f} | {found['kept']:,} | {found['cpu_seconds']:.2f} | {each:.2f} | "
            f"{done.peak_bytes / 1e9:.2f} | "
            f"{found['signatures']:.2f} | {found['similar']:.2f} | {found['select']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
