"""How time and memory of near dedup grow with the corpus: from 0.1 to 4 GB of the files given.

    python tests/bench/bench_dedup_scale.py FILE.parquet... [--gb 0.1 0.4 1 2 4]

Where the files are too short, they are repeated with keyed perturbations: in copy c every word that a key of (c, word)
picks, a third of all, gets another spelling, so a copy is no near duplicate of the others while all near duplicates
inside it stay. Each size runs in a process of its own, one shard of 64 MB of text a task; prints CPU seconds for each
GB, the peak memory of the process and the share of documents kept.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.arrays.columns import bytes_of
from pipeline.arrays.compiled import compiled

SHARD_BYTES = 64_000_000
HERE = Path(__file__).resolve().parent


@compiled
def _perturb(data: np.ndarray, key: np.uint64) -> None:
    """Change the first letter of each word that the key picks; the same word always changes in the same way."""
    h, start, inside = np.uint64(0), 0, False
    for i in range(data.size + 1):
        byte = data[i] if i < data.size else np.uint8(32)
        is_word = 48 <= byte <= 57 or 65 <= (byte & 0xDF) <= 90 or byte == 95
        if is_word:
            if not inside:
                h, start, inside = key, i, True
            h = (h ^ np.uint64(byte)) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        elif inside:
            inside = False
            if (h >> np.uint64(33)) % np.uint64(3) == 0:
                data[start] = np.uint8(65 + (h >> np.uint64(40)) % np.uint64(26))


def shards_of(files: list[Path], folder: Path, *, n_bytes: int) -> list[Path]:
    """Parquet files of about SHARD_BYTES, n_bytes together."""
    out: list[Path] = []
    copy = total = 0
    held: list[pa.Array] = []
    while total < n_bytes:
        for file in files:
            for batch in pq.ParquetFile(file).iter_batches(500, columns=["content"]):
                content = batch["content"].cast(pa.large_binary())
                data, offsets = bytes_of(content)
                data = data.copy()
                if copy:
                    _perturb(data, np.uint64(copy * 0x9E3779B97F4A7C15 % 2**64))
                buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(data)]
                held.append(pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(content), buffers))
                total += int(offsets[-1] - offsets[0])
                if sum(h.nbytes for h in held) >= SHARD_BYTES or total >= n_bytes:
                    out.append(folder / f"in-{len(out):05d}.parquet")
                    pq.write_table(pa.table({"content": pa.concat_arrays(held)}), out[-1], compression="zstd")
                    held = []
                if total >= n_bytes:
                    return out
        copy += 1
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--gb", nargs="+", type=float, default=[0.1, 0.4, 1, 2, 4])
    options = parser.parse_args()
    print("| GB | documents kept | CPU-s | CPU-s for each GB | peak GB | signatures | similar | select |")
    print("|---|---|---|---|---|---|---|---|")
    for gb in options.gb:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            inputs = shards_of(options.files, folder, n_bytes=int(gb * 1e9))
            command = [sys.executable, str(HERE / "near_dup_run.py"), *map(str, inputs)]
            command += ["--out", str(folder / "out"), "--partitions", str(max(4, len(inputs) // 2))]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr[-2000:])
            found = json.loads(done.stdout.strip().splitlines()[-1])
            shutil.rmtree(folder / "out")
        each = found["cpu_seconds"] / (found["megabytes"] / 1e3)
        print(
            f"| {found['megabytes'] / 1e3:.2f} | {found['kept']:,} | {found['cpu_seconds']:.2f} | {each:.2f} | "
            f"{found['peak_gb']:.2f} | {found['signatures']:.2f} | {found['similar']:.2f} | {found['select']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
