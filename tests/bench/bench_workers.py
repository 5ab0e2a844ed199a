"""Wall clock of the whole path on several processes against one, on the same bytes; files compared by their hashes.

    python tests/bench/bench_workers.py [--mb 195] [--rounds 3] [--ray]

The clock says something only on idle cores: the load before each run is printed beside it. Runs are interleaved. What
the machine itself can do is measured too: two runs of one process each, side by side and apart from each other, take
longer than one (cores share memory, caches and, on lent machines, each other), and no two workers can do better.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.bench_end_to_end import WEB
from tests.bench.bench_input import Input, add_options, make_input, pools_of
from tests.bench.bench_machine import loopmix, machine


def timed(made: Input, ways: tuple[str, ...]) -> tuple[float, float, str]:
    """Seconds on the clock, CPU seconds, and one hash of all tables and packed files."""
    out = made.folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    began = time.monotonic()
    cost = loopmix("curate", made.mixture, "--out", out, *ways)
    seconds = time.monotonic() - began
    digest = hashlib.sha256()
    for path in sorted(p for room in ("tables", "packed") for p in (out / room).rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(out)).encode() + hashlib.sha256(path.read_bytes()).digest())
    return seconds, cost.cpu_seconds, digest.hexdigest()


def side_by_side(made: Input) -> float:
    """Seconds on the clock until two runs of one process each are done, which do twice the work of one."""
    outs = [made.folder / f"pair-{number}" for number in range(2)]
    for out in outs:
        shutil.rmtree(out, ignore_errors=True)
    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda out: loopmix("curate", made.mixture, "--out", out, "--executor", "inline"), outs))
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--mb", type=float, default=195)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", action="store_true", help="on a local Ray cluster too")
    options = parser.parse_args()
    ways = {"one process": ("--executor", "inline"), "processes": ("--executor", "processes")}
    if options.ray:
        ways["Ray"] = ("--ray-address", "local")
    clocks: dict[str, list[float]] = {}
    pairs: list[float] = []
    hashes = set()
    with tempfile.TemporaryDirectory() as name:
        made = make_input(pools_of(options), Path(name), n_bytes=int(options.mb * 1e6), suffixes=WEB)
        print(f"{machine()}; {options.mb:g} MB, {made.n_docs:,} documents", flush=True)
        for number in range(options.rounds):
            for label, flags in ways.items():
                load = os.getloadavg()[0]
                seconds, cpu, digest = timed(made, flags)
                clocks.setdefault(label, []).append(seconds)
                hashes.add(digest)
                print(f"{number + 1} {label}: {seconds:.1f} s, {cpu:.1f} CPU-s, load before {load:.1f}", flush=True)
            pairs.append(side_by_side(made))
            print(f"{number + 1} two at once, each in one process: {pairs[-1]:.1f} s", flush=True)
    one = statistics.median(clocks["one process"])
    print(f"the machine: {2 * one / statistics.median(pairs):.2f} x as fast with two independent runs as with one")
    for label in (way for way in ways if way != "one process"):
        print(f"{label}: {one / statistics.median(clocks[label]):.2f} x as fast as one process")
    print("bytes equal" if len(hashes) == 1 else "BYTES DIFFER")


if __name__ == "__main__":
    main()
