"""Stage `packed` alone: documents and tokens per CPU second, beside copying the same bytes from file to file.

    python tests/bench/bench_pack.py [RUN] [--mb 30] [--seq-len 4096 32768] [--rounds 3] [--write]

Packs the tokens of a finished run again, in this process, into a copy of the run (its other tables are linked), at each
sequence length. Without RUN one is curated first, from the benchmarks' input. The peer is the least that any packer
must do: read the token ids and write them, with fsync. `--write` puts the table into docs/speed.md.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.stage import ExchangeStage, Job, Workplace
from pipeline.engine.store import open_store
from pipeline.engine.tables import Tables
from pipeline.recipe import stages
from pipeline.schema import PACKED
from pipeline.sources.documents import plan
from tests.bench.bench_input import add_options, make_input, pools_of
from tests.bench.bench_machine import ROOT, loopmix, machine, write_table


def seconds_of(function: Callable[[], object]) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


def pack(run: Path, scratch: Path, *, seq_len: int) -> dict[str, int]:
    """Pack the run again, into `scratch`; the counts of the stage."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(run / "tables", scratch / "tables", copy_function=os.link)
    files = RunFiles(open_store(str(run)))
    mixture = files.mixture.model_copy(update={"pack": files.mixture.pack.model_copy(update={"seq_len": seq_len})})
    (stage,) = (s for s in stages(mixture, plan(mixture)) if s.name == PACKED)
    assert isinstance(stage, ExchangeStage)
    tables = replace(files.tables, store=open_store(str(scratch)), stage=PACKED, declared=None)
    assert isinstance(tables, Tables)
    markers = stage.make(
        Job(Workplace(InlineExecutor(), silent()), tables, PACKED, "bench", stage.seed), config=stage.config
    )
    counts: dict[str, int] = {}
    for marker in markers:
        for name, value in marker.counts.items():
            counts[name] = counts.get(name, 0) + value
    return counts


def copy(run: Path, scratch: Path) -> None:
    """Read every token shard and write it again."""
    for file in sorted((run / "tables" / "tokens").iterdir()):
        with (scratch / file.name).open("wb") as target:
            target.write(file.read_bytes())
            target.flush()
            os.fsync(target.fileno())


def measure(run: Path, options: argparse.Namespace) -> list[str]:
    n_docs = RunFiles(open_store(str(run))).manifest["stages"][PACKED]["counts"]["n_pieces"]
    lines = [f"{machine()}; medians of {options.rounds} rounds.", ""]
    lines += ["| what | CPU-s | pieces/CPU-s | M tokens/CPU-s | fill |", "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(dir=run.parent) as name:
        scratch = Path(name) / "run"
        for seq_len in options.seq_len:
            counts = pack(run, scratch, seq_len=seq_len)  # compiles, or loads what is compiled
            spent = statistics.median(
                seconds_of(lambda n=seq_len: pack(run, scratch, seq_len=n)) for _ in range(options.rounds)
            )
            n, fill = counts["n_tokens"], 1 - counts["n_padding"] / (counts["n_tokens"] + counts["n_padding"])
            rates = f"{counts['n_pieces'] / spent:,.0f} | {n / spent / 1e6:.1f}"
            lines.append(f"| packed at {seq_len:,} | {spent:.2f} | {rates} | {fill:.5f} |")
        (Path(name) / "copy").mkdir()
        spent = statistics.median(seconds_of(lambda: copy(run, Path(name) / "copy")) for _ in range(options.rounds))
        lines.append(
            f"| copying the shards of `tokens` | {spent:.2f} | {n_docs / spent:,.0f} | {n / spent / 1e6:.1f} | |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--mb", type=float, default=30)
    parser.add_argument("--seq-len", nargs="+", type=int, default=[4_096, 32_768])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    options = parser.parse_args()
    if options.run:
        lines = measure(options.run, options)
    else:
        with tempfile.TemporaryDirectory() as name:
            made = make_input(pools_of(options), Path(name), n_bytes=int(options.mb * 1e6))
            loopmix("curate", made.mixture, "--out", made.folder / "run")
            lines = measure(made.folder / "run", options)
    print("\n".join(lines))
    if options.write:
        write_table(ROOT / "docs" / "speed.md", "packing", lines)


if __name__ == "__main__":
    main()
