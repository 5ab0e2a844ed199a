"""What the benchmarks share: CPU seconds of a command with its children, the machine's name, peers, tables in docs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
ORPHANS_SECONDS = 30  # Ray's last processes end some seconds after its driver


@dataclass(frozen=True)
class Cost:
    """What a command took: user and system time with its children, and the largest memory of any of its processes."""

    cpu_seconds: float
    peak_bytes: int
    said: str


def run(command: Sequence[str], *, environment: Mapping[str, str] | None = None) -> Cost:
    """Run a command to its end. Exits with its complaint if it fails."""
    # By a small process of its own: the kernel adds up all children that one ever had, and counts for a child's peak
    # what its parent held when it was forked.
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **(environment or {})}
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # with it a checkout's own files, unlike a peer's, compile at each start
    script = [sys.executable, str(Path(__file__).resolve()), *command]
    done = subprocess.run(script, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    said, _, used = done.stdout.rstrip("\n").rpartition("\n")
    cpu, peak = used.split()
    return Cost(float(cpu), int(peak), said)


def _watch(command: Sequence[str]) -> int:
    # Whoever outlives its parent (Ray's daemons and workers do) becomes a child of this process.
    adopt_orphans = 36  # PR_SET_CHILD_SUBREAPER of Linux
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(adopt_orphans, 1, 0, 0, 0)
    main, looked, until = subprocess.Popen(command), dict[tuple[int, float], float](), float("inf")
    while _look_at_children(looked, main.pid):
        if main.poll() is not None:
            until = min(until, time.monotonic() + ORPHANS_SECONDS)
        if time.monotonic() > until:
            sys.exit(f"{command[0]}: a process that it started still runs {ORPHANS_SECONDS} s after its end")
        time.sleep(0.05)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # What a parent did not wait for is not in the kernel's sum (Ray's raylet waits for no worker), what began and ended
    # between two looks not in ours.
    print(f"\n{max(used.ru_utime + used.ru_stime, sum(looked.values()))} {used.ru_maxrss * 1024}")
    return main.wait()


def _look_at_children(looked: dict[tuple[int, float], float], main: int) -> bool:
    """Note CPU seconds of all that live below this process, by process; False where there are none. Orphans that have
    ended are let go, `main` is not: its exit code is wanted."""
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.Error):  # it has just ended
            times = child.cpu_times()
            looked[child.pid, child.create_time()] = times.user + times.system
            if child.status() == psutil.STATUS_ZOMBIE and child.ppid() == os.getpid() and child.pid != main:
                child.wait()
    return bool(children)


def loopmix(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Cost:
    """A subcommand of this checkout."""
    return run([sys.executable, "-m", "pipeline", *map(str, arguments)], environment=environment)


def interleaved(entries: Mapping[str, Callable[[], Cost]], *, rounds: int) -> dict[str, list[Cost]]:
    """Every entry once in each round, so that a machine that slows down slows all of them."""
    found: dict[str, list[Cost]] = {name: [] for name in entries}
    for _ in range(rounds):
        for name, entry in entries.items():
            found[name].append(entry())
    return found


def median(costs: Sequence[Cost]) -> float:
    return statistics.median(c.cpu_seconds for c in costs)


def machine() -> str:
    """The processor, its widest vectors and the versions that decide speed."""
    flags: set[str] = set()
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                model = value.strip()
            if key.strip() == "flags":
                flags = set(value.split())
    vectors = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if flag in flags), "no AVX2")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {vectors}, {cores} cores, Python {platform.python_version()}"


def peers(name: str, requirements: Sequence[str]) -> str:
    """The interpreter of an environment with these packages; made at the first call, kept in the user's cache."""
    root = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "loopmix-bench" / name
    python, done = root / "bin" / "python", root / "requirements.txt"
    wanted = "\n".join(requirements)
    if not (done.exists() and done.read_text() == wanted):
        print(f"making the environment of the peers in {root}", file=sys.stderr)
        venv.create(root, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        done.write_text(wanted)
    return str(python)


def write_table(document: Path, name: str, lines: Sequence[str]) -> None:
    """Put a table between `<!-- name -->` and `<!-- /name -->` of a document of ours."""
    text = document.read_text(encoding="utf-8")
    before, mark, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not mark or not end:
        sys.exit(f"{document}: has no place for {name}: <!-- {name} --> and <!-- /{name} --> on lines of their own")
    document.write_text(before + mark + "\n".join(lines) + "\n" + end + after, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(_watch(sys.argv[1:]))
