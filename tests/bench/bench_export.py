"""CPU time of `export-data`, format by format, against datatrove's own writer on the same pieces.

    python tests/bench/bench_export.py RUN [--times 3]

Prints MB of packed shards per CPU-second, the best of some rounds in which formats and peer take turns. An export
hashes and checks what it reads and hashes what it writes; the peer reads the same shards in a plain loop, and does
neither.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.export import FORMATS, export_data
from pipeline.export.finished import Finished


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def peer(run: Path, folder: Path) -> None:
    """datatrove's file of tokens with its index and metadata, piece by piece."""
    from datatrove.pipeline.tokens.tokenizer import TokenizedFile

    file = TokenizedFile(str(folder), "tokens.ds", save_final_metadata=True, token_size=4)
    for shard in sorted((run / "packed").glob("*.arrow")):
        reader = pa.ipc.open_file(pa.memory_map(str(shard)))
        for block in (reader.get_batch(i) for i in range(reader.num_record_batches)):
            ids = block.column("token_ids")
            rows = ids.flatten().to_numpy().reshape(-1, ids.type.list_size)
            for row, bounds in zip(rows, block.column("cu_seqlens").to_pylist(), strict=True):
                for start, end in pairwise(bounds):
                    file.write_bytes(row[start:end].tobytes())
    file.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--times", type=int, default=3)
    options = parser.parse_args()
    run = RunFiles(open_store(options.run))
    source = Finished.of(run)  # parses the tokenizer, which costs the same at any size
    megabytes = sum(file.n_bytes for file in source.files) / 1e6
    print(f"{megabytes:,.0f} MB of packed shards")
    best: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        out = Path(place) / "out"
        for _ in range(options.times):
            for name in FORMATS:
                seconds = cpu_seconds(lambda name=name: export_data(run, to=name, out=out))
                size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
                best[name] = min(best.get(name, seconds), seconds)
                print(f"  {name:<12} {seconds:6.2f} s, {size:,.0f} MB written")
                shutil.rmtree(out)
            seconds = cpu_seconds(lambda: peer(Path(options.run), out))
            best["datatrove"] = min(best.get("datatrove", seconds), seconds)
            shutil.rmtree(out)
    for name, seconds in best.items():
        ratio = best["datatrove"] / seconds
        print(f"{name:<12} {megabytes / seconds:6.0f} MB/CPU-s, {ratio:5.2f} times datatrove's writer")


if __name__ == "__main__":
    main()
