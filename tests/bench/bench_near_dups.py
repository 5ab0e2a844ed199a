"""Near dedup against datatrove, gaoya, rensa and datasketch: same bytes, interleaved, CPU seconds, medians.

    python tests/bench/bench_near_dups.py [--mb 20] [--rounds 3] [--only NAME] [--write]

Code and prose apart: blocks of neighbouring documents, because neighbours are where near duplicates are. All read
parquet and write what stays as parquet. Ours: exact dedup, signatures, pairs verified by exact Jaccard, keepers by the
total order; each step reads and writes its tables, and putting the input into the form in which a run holds it is not
counted. datatrove runs its four minhash steps with its defaults, without verification. gaoya, rensa and datasketch are
libraries that hold all in memory and verify nothing. Words differ (datatrove's are spaCy's), so the numbers compare
the cost of the same job, not the same arithmetic. Each runs in a process of its own; compiling and importing do not
count.
`--write` puts the tables into docs/dedup.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.bench_end_to_end import PEERS as DATATROVE
from tests.bench.bench_input import add_options, pools_of
from tests.bench.bench_machine import ROOT, machine, peers, write_table

HERE = Path(__file__).resolve().parent
LIBRARIES = ("gaoya==0.2.2", "rensa==0.5.0", "datasketch>=1.6,<3", "pyarrow>=17")
PEERS = ("datatrove", "gaoya", "gaoya-inserts", "rensa", "datasketch")
BLOCK = 25


def sample(documents: pa.Table, folder: Path, *, n_bytes: int) -> int:
    """Write about n_bytes of the documents as ours.parquet and theirs.parquet, in blocks; returns the bytes."""
    content = documents["content"].combine_chunks()
    share = n_bytes / max(1, int(pc.sum(pc.binary_length(content)).as_py()))
    step = max(1, round(1 / min(1.0, share)))
    rows = np.arange(len(content))
    taken = content.take(pa.array(rows[rows // BLOCK % step == 0]))
    texts = taken.cast(pa.large_string())
    ids = [str(i) for i in range(len(texts))]
    pq.write_table(pa.table({"text": texts, "id": ids}), folder / "theirs.parquet", compression="zstd")
    pq.write_table(pa.table({"content": taken}), folder / "ours.parquet", compression="zstd")
    return int(pc.sum(pc.binary_length(taken)).as_py())


def measure(command: list[str], out: Path) -> dict[str, float]:
    shutil.rmtree(out, ignore_errors=True)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def compare(pool: str, documents: pa.Table, options: argparse.Namespace) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        megabytes = sample(documents, folder, n_bytes=int(options.mb * 1e6)) / 1e6
        ours = [sys.executable, str(HERE / "near_dup_run.py"), str(folder / "ours.parquet")]
        commands = {"loopmix": [*ours, "--out", str(folder / "out"), "--partitions", "1"]}
        script, theirs = str(HERE / "near_dup_peers.py"), str(folder / "theirs.parquet")
        for who in options.only or PEERS:
            python = peers("datatrove", DATATROVE) if who == "datatrove" else peers("libraries", LIBRARIES)
            commands[who] = [python, script, who, theirs, str(folder / "out")]
        found: dict[str, list[dict[str, float]]] = {who: [] for who in commands}
        for _ in range(options.rounds):
            for who, command in commands.items():
                found[who].append(measure(command, folder / "out"))
    rates = {who: megabytes / statistics.median(f["cpu_seconds"] for f in runs) for who, runs in found.items()}
    lines = [f"| {pool}, {megabytes:.0f} MB | MB/CPU-s | (min-max) | loopmix is | kept |", "|---|---|---|---|---|"]
    for who, runs in found.items():
        each = sorted(megabytes / f["cpu_seconds"] for f in runs)
        ratio = "" if who == "loopmix" else f"{rates['loopmix'] / rates[who]:.1f} x"
        lines.append(f"| {who} | {rates[who]:.2f} | {each[0]:.2f}-{each[-1]:.2f} | {ratio} | {runs[0]['kept']:,.0f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--mb", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=PEERS, help="these peers alone")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/dedup.md")
    options = parser.parse_args()
    lines = [f"{machine()}; medians of {options.rounds} interleaved rounds."]
    for pool, documents in pools_of(options).items():
        lines += ["", *compare(pool, documents, options)]
    print("\n".join(lines))
    if options.write:
        write_table(ROOT / "docs" / "dedup.md", "near-dups", lines)


if __name__ == "__main__":
    main()
