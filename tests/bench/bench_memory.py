"""The largest memory of a run as its input grows, and of input that is one large file.

    python tests/bench/bench_memory.py [--gb 0.15 0.45 1.5] [--one 0.6 2] [--only growth files] [--write]

Growth: mixed input of each size, in process, all stages. One file: a JSON lines file compressed with zstd, and a
parquet file with a single row group, each of so many gigabytes of text; all stages. The peak is that of the largest
process, so of the command itself and of no page that the kernel caches. `--write` puts the table into docs/speed.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.bench_input import add_options, make_input, pools_of, take
from tests.bench.bench_machine import ROOT, Cost, loopmix, machine, write_table


def growth(pools: dict[str, pa.Table], folder: Path, *, gb: float) -> tuple[int, Cost]:
    made = make_input(pools, folder / "grown", n_bytes=int(gb * 1e9))
    cost = loopmix("curate", made.mixture, "--out", folder / "run")
    for name in ("grown", "run"):
        shutil.rmtree(folder / name)
    return made.n_bytes, cost


def one_file(pools: dict[str, pa.Table], folder: Path, *, gb: float, kind: str) -> Cost:
    """A run over one file of prose and code, in the order code, text."""
    file = folder / ("one.parquet" if kind == "parquet" else "one.jsonl.zst")
    tables = [take(t.select(["content", "path"]), n_bytes=int(gb * 5e8)) for t in pools.values()]
    table = pa.concat_tables(tables)
    if kind == "parquet":
        pq.write_table(table, file, compression="zstd", row_group_size=table.num_rows)
    else:
        with file.open("wb") as raw, zstandard.ZstdCompressor(level=1).stream_writer(raw) as out:
            for batch in table.to_batches(500):
                for row in batch.to_pylist():
                    line = {"content": row["content"].decode(), "path": row["path"]}
                    out.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    columns = {"content": "content", "path": "path"}
    source = {"name": "one", "kind": kind, "path": str(file), "columns": columns}
    settings = {"name": "bench", "seed": 3, "sources": [source], "select": {"max_loss": 1.0}}
    (folder / "one.yaml").write_text(json.dumps(settings), encoding="utf-8")
    del table, tables
    cost = loopmix("curate", folder / "one.yaml", "--out", folder / "run")
    shutil.rmtree(folder / "run")
    file.unlink()
    return cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--gb", nargs="+", type=float, default=[0.15, 0.45, 1.5])
    parser.add_argument("--one", nargs="+", type=float, default=[0.6, 2])
    parser.add_argument("--only", nargs="+", choices=("growth", "files"), default=["growth", "files"])
    parser.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    options = parser.parse_args()
    pools = pools_of(options)
    lines = [f"{machine()}.", "", "| input | CPU-s | MB/CPU-s | peak MB |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as name:
        if "growth" in options.only:
            for gb in options.gb:
                n_bytes, cost = growth(pools, Path(name), gb=gb)
                lines.append(_row(f"mixed, {n_bytes / 1e9:.2f} GB", n_bytes, cost))
        if "files" in options.only:
            for kind, what in (("jsonl", ".jsonl.zst"), ("parquet", "row group")):
                for gb in options.one:
                    cost = one_file(pools, Path(name), gb=gb, kind=kind)
                    lines.append(_row(f"one {what} of {gb:g} GB", int(gb * 1e9), cost))
    print("\n".join(lines))
    if options.write:
        write_table(ROOT / "docs" / "speed.md", "memory", lines)


def _row(label: str, n_bytes: int, cost: Cost) -> str:
    return (
        f"| {label} | {cost.cpu_seconds:.0f} | {n_bytes / 1e6 / cost.cpu_seconds:.1f} | {cost.peak_bytes / 1e6:,.0f} |"
    )


if __name__ == "__main__":
    main()
