"""Near dedup against datatrove, gaoya, rensa and datasketch: same bytes, interleaved, CPU seconds, medians.

    python -m venv peers && peers/bin/pip install "datatrove[io,processing]>=0.10,<0.11" spacy gaoya==0.2.2 \
        rensa==0.5.0 datasketch
    python tests/bench/bench_near_dups.py FILE.parquet... --peers peers/bin/python [--mb 20] [--rounds 3] [--only NAME]

Ours goes from parquet to parquet: exact dedup, signatures, pairs verified by exact Jaccard, keepers by the total order,
survivors written. datatrove runs its four minhash steps with its defaults, parquet to parquet, without verification.
gaoya, rensa and datasketch are libraries: they are handed strings, read and write nothing and verify nothing. Words
differ (datatrove's are spaCy's), so the numbers compare the cost of the same job, not the same arithmetic. Each runs in
a process of its own; compiling and importing is not counted.
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

import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
PEERS = ("datatrove", "gaoya", "rensa", "datasketch")


def sample(files: list[Path], folder: Path, *, n_bytes: int) -> int:
    """Write about n_bytes of the files' UTF-8 documents as ours.parquet and theirs.parquet; returns the bytes.

    Blocks of neighbouring documents, evenly over the files: neighbours are where near duplicates are.
    """
    n_rows = sum(pq.read_metadata(f).num_rows for f in files)
    share = n_bytes / sum(pq.read_table(f, columns=["content"]).nbytes for f in files)
    step = max(1, round(1 / min(1.0, share)))
    texts: list[str] = []
    number = 0
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(max(1, min(200, n_rows // 100)), columns=["content"]):
            number += 1
            if number % step:
                continue
            for content in batch["content"].to_pylist():
                try:
                    texts.append(content.decode())
                except UnicodeDecodeError:
                    continue
    total = sum(len(t.encode()) for t in texts)
    ids = [str(i) for i in range(len(texts))]
    pq.write_table(pa.table({"text": texts, "id": ids}), folder / "theirs.parquet", compression="zstd")
    ours = pa.table({"content": [t.encode() for t in texts]})
    pq.write_table(ours, folder / "ours.parquet", compression="zstd")
    print(f"{len(texts):,} documents, {total / 1e6:.1f} MB")
    return total


def measure(command: list[str], out: Path) -> dict[str, float]:
    shutil.rmtree(out, ignore_errors=True)
    environment = os.environ | {"PYTHONPATH": str(HERE.parent.parent), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--peers", type=Path, required=True, help="the interpreter of the peers' environment")
    parser.add_argument("--mb", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=PEERS, help="these peers alone")
    options = parser.parse_args()
    peers = options.only or list(PEERS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        megabytes = sample(options.files, folder, n_bytes=int(options.mb * 1e6)) / 1e6
        ours = [sys.executable, str(HERE / "near_dup_run.py"), str(folder / "ours.parquet")]
        ours += ["--out", str(folder / "out"), "--partitions", "1"]
        commands = {"loopmix": ours}
        script, theirs = str(HERE / "near_dup_peers.py"), str(folder / "theirs.parquet")
        commands |= {p: [str(options.peers), script, p, theirs, str(folder / "out")] for p in peers}
        found: dict[str, list[dict[str, float]]] = {who: [] for who in commands}
        for _ in range(options.rounds):
            for who, command in commands.items():
                found[who].append(measure(command, folder / "out"))
    rates = {who: megabytes / statistics.median(f["cpu_seconds"] for f in runs) for who, runs in found.items()}
    print("| who | MB/CPU-s | (min-max) | ratio | kept |\n|---|---|---|---|---|")
    for who, runs in found.items():
        each = sorted(megabytes / f["cpu_seconds"] for f in runs)
        print(
            f"| {who} | {rates[who]:.2f} | {each[0]:.2f}-{each[-1]:.2f} | {rates['loopmix'] / rates[who]:.1f} "
            f"| {runs[0]['kept']:,.0f} |"
        )


if __name__ == "__main__":
    main()
