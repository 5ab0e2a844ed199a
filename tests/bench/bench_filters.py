"""What every rule that ships drops of a finished run, set by set, and how long judging takes.

    python tests/bench/bench_filters.py RUN            # prints shares and seconds
    python tests/bench/bench_filters.py RUN --write    # and puts the shares into pipeline/rules/evidence.yaml

Each set judges alone, on what RUN measured. Shares are of the bytes of the pool that the rule is for: what it hits, and
what nothing else keeps out. Seconds are of this process's CPU, the median of three.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import yaml

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.features import SETS, SetName
from pipeline.filters import Quality
from pipeline.reading.rule_effects import effects_of
from pipeline.rules.page import evidence
from pipeline.rules.resolve import resolve
from pipeline.schema import LEDGER

EVIDENCE = Path(__file__).parents[2] / "pipeline" / "rules" / "evidence.yaml"


def bytes_of_pools(run: RunFiles) -> dict[str | None, int]:
    sums: dict[str | None, int] = defaultdict(int)
    for table in run.shards(LEDGER, columns=["pool", "n_bytes"]):
        for row in table.group_by("pool").aggregate([("n_bytes", "sum")]).to_pylist():
            sums[row["pool"]] += row["n_bytes_sum"]
        sums[None] += pc.sum(table["n_bytes"]).as_py() or 0
    return sums


def shares(run: RunFiles, name: SetName, of_pool: dict[str | None, int]) -> dict[str, dict[str, float]]:
    """By reason: dropped_frac and alone_frac."""
    quality = Quality(sets=(name,))
    pools: dict[str, set[str | None]] = defaultdict(set)
    for asked in resolve(quality):
        pools[asked.rule.reason].add(asked.rule.pool)
    sums: dict[str, list[int]] = {reason: [0, 0] for reason in pools}
    for effect in effects_of(run, quality).effects:
        sums[effect.reason][0] += effect.n_bytes
        sums[effect.reason][1] += effect.n_alone_bytes
    found = {}
    for reason, (hit, alone) in sums.items():
        whole = of_pool[next(iter(pools[reason])) if len(pools[reason]) == 1 else None]
        found[reason] = {"dropped_frac": round(hit / whole, 7), "alone_frac": round(alone / whole, 7)}
    return found


def seconds(run: RunFiles, name: SetName) -> float:
    times = []
    for _ in range(3):
        start = time.process_time()
        effects_of(run, Quality(sets=(name,)))
        times.append(time.process_time() - start)
    return statistics.median(times)


def write(found: dict[str, dict[str, float]]) -> None:
    """The shares beside what was read, which stays."""
    head = "".join(line for line in EVIDENCE.read_text().splitlines(keepends=True) if line.startswith("#"))
    merged: dict[str, Any] = {}
    for reason, numbers in found.items():
        read = {k: v for k, v in evidence().get(reason, {}).items() if k in ("read", "wrong")}
        merged[reason] = numbers | read
    rows = [
        f"{reason}: {yaml.safe_dump(row, default_flow_style=True, sort_keys=False).strip()}\n"
        for reason, row in merged.items()
    ]
    EVIDENCE.write_text(head + "".join(rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    run = RunFiles(open_store(options.run))
    of_pool = bytes_of_pools(run)
    found: dict[str, dict[str, float]] = {}
    for name in SETS:
        mine = shares(run, name, of_pool)
        found |= mine
        print(f"{name}: {seconds(run, name):.2f} s for {of_pool[None] / 1e6:,.0f} MB")
        for reason, numbers in mine.items():
            print(f"  {reason:<32} {numbers['dropped_frac']:9.3%} {numbers['alone_frac']:9.3%}")
    if options.write:
        write(found)


if __name__ == "__main__":
    main()
