"""How often a forecast's intervals hold what the whole run gives: `bench_forecast.py MIXTURE [--rate .1] [--seeds 20]`.

Runs the mixture as a whole, then over a sample for each seed, and prints for each quantity in how many of the seeds the
interval held the truth, and its half width as a share of the truth. Groups count where a sample has at least 20 units.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from pipeline.config import Mixture
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.forecast.costs import BESIDE_BYTES, Timed
from pipeline.forecast.forecast import Forecast, _unbound, forecast_of
from pipeline.forecast.sampled import rows_of
from pipeline.listed import n_bytes_of
from pipeline.recipe import curate
from pipeline.request.load import load_mixture, with_sample

MIN_UNITS = 20
NO_TIME = Timed(1, 1, 0.0, 0.0)  # CPU time is no matter of seeds


def made(mixture: Mixture, folder: str) -> RunFiles:
    store = open_store(folder)
    curate(Run(store, mixture, InlineExecutor(), silent()))
    return RunFiles(store)


def truth_of(run: RunFiles) -> dict[tuple[str, ...], float]:
    rows = rows_of(run)
    kept = rows.filter(rows["is_kept"]).group_by(["pool", "group"]).aggregate([("n_tokens", "sum")]).to_pylist()
    found: dict[tuple[str, ...], float] = {(row["pool"], row["group"]): row["n_tokens_sum"] for row in kept}
    for pool in ("code", "text"):
        found[pool,] = sum(n for name, n in found.items() if len(name) == 2 and name[0] == pool)
    stages = run.manifest["stages"]
    found["mixture",] = stages["packed"]["counts"]["n_tokens"]
    found["disk",] = sum(n_bytes_of(stage) for stage in stages.values())
    found["disk",] += tokenizer_of(run.store, run.manifest).n_bytes + sum(BESIDE_BYTES) / 2  # no report is made here
    return found


def intervals(found: Forecast) -> dict[tuple[str, ...], tuple[float, float]]:
    named = {(pool,): one for pool, one in found.pools.items()} | {("disk",): found.disk_bytes}
    named |= {(g.pool, g.name): g.tokens for g in found.groups if g.n_sampled_units >= MIN_UNITS}
    if found.mixture_tokens is not None:
        named["mixture",] = found.mixture_tokens
    return {name: (one.low, one.high) for name, one in named.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mixture", type=Path)
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--work", help="keep runs here, and use those that stand")
    asked = parser.parse_args()
    mixture = _unbound(load_mixture(asked.mixture))
    work = asked.work or tempfile.mkdtemp(prefix="bench-forecast-")
    truth = truth_of(made(mixture, f"{work}/whole"))
    hits, widths = defaultdict(list), defaultdict(list)
    for seed in range(asked.seeds):
        trial = with_sample(mixture.model_copy(update={"seed": 100 + seed}), asked.rate)
        run = made(trial, f"{work}/{asked.rate}-{seed}")
        found = forecast_of(run, mixture.balance, again=NO_TIME, part=NO_TIME, n_cores=1)
        for name, (low, high) in intervals(found).items():
            right = truth.get(name, 0.0)
            hits[name].append(low <= right <= high)
            widths[name].append((high - low) / 2 / max(right, 1.0))
    print(f"{'quantity':<30} {'truth':>12} {'held':>8} {'half width':>10}")
    for name in sorted(hits, key=lambda n: (len(n), -truth.get(n, 0.0))):
        held = f"{sum(hits[name])}/{len(hits[name])}"
        print(f"{' '.join(name):<30} {truth.get(name, 0):>12,.0f} {held:>8} {np.median(widths[name]):>10.2f}")
    every = [hit for name, found in hits.items() if len(name) == 2 for hit in found]
    print(f"groups: {sum(every)} of {len(every)} intervals hold")


if __name__ == "__main__":
    main()
