"""Kill drivers, workers, nodes and whole clusters at random moments, and compare each run's bytes with one left alone.

    python tests/bench/kill_runs.py --driver 100 --process 50 --worker 50 --node 20 --head 5 [--object-store]

Each kind of kill is done on runs of its own, several kills a run, until its number is reached. A command that was
killed, or ended with an error, is started again by the same line. Moments are drawn by the seed; what they hit depends
on the machine. Prints a table; exit code 1 where the bytes of a run differ or a run does not end.

driver   the only process, on a run without Ray
process  one of the processes of a run with several
worker   a busy worker of a local Ray cluster
node     one of two nodes with a CPU each, beside a head without; another joins in its place
head     the whole cluster with all nodes; the next start has a new one
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from object_server import CREDENTIALS, object_server  # noqa: E402

from pipeline.engine.store import open_store  # noqa: E402

SMALL = ROOT / "tests" / "data" / "mixture.yaml"
MOST_KILLS = 25  # of one run, so that each comes to its end on a machine that is slower than when the pace was taken
MAX_STARTS = 2 * MOST_KILLS  # more means that it does not end
TURN_SECONDS = 600.0  # of one start that nothing stops: more means that it hangs


# Starts the command once for a run folder, with a log and a source of moments. Returns its exit code, None where it was
# killed itself.
Turn = Callable[[str, Path, random.Random], int | None]


@dataclass(frozen=True)
class Pace:
    """Seconds of a run that is left alone: of its start, and of the work."""

    start: float
    work: float


@dataclass
class Tally:
    """What one kind of kill came to."""

    kind: str
    n_wanted: int
    n_kills: int = 0
    n_runs: int = 0
    n_starts: int = 0
    n_equal: int = 0
    seconds: float = 0.0
    bad: str = ""
    killed: Counter[Path] = field(default_factory=Counter)  # by the log of its run

    def may_kill(self, log: Path) -> bool:
        return self.n_kills < self.n_wanted and self.killed[log] < MOST_KILLS

    def count(self, log: Path) -> None:
        self.n_kills += 1
        self.killed[log] += 1

    def row(self) -> str:
        said = self.bad or "all equal"
        return (
            f"{self.kind:<8} {self.n_kills:>4} of {self.n_wanted:<4} kills {self.n_runs:>4} runs"
            f" {self.n_starts:>5} starts {self.n_equal:>4} equal {self.seconds:>7.0f} s  {said}"
        )


def digest(root: str) -> dict[str, str]:
    """A hash of each file of a run's tables and of what is packed, and of the tokenizer."""
    store = open_store(root)
    names = [n for n in store.sizes("") if n == "tokenizer.json" or n.startswith(("tables/", "packed/"))]
    return {name: hashlib.sha256(store.read_bytes(name)).hexdigest() for name in sorted(names)}


def command(mixture: Path, out: str, *where: str) -> list[str]:
    return [sys.executable, "-m", "pipeline", "curate", str(mixture), "--out", out, "--quiet", *where]


def start(line: list[str], log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """The command in a session of its own, so that a kill of its group takes all of it."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | environment
    with log.open("ab") as file:
        return subprocess.Popen(line, env=env, cwd=ROOT, stdout=file, stderr=file, start_new_session=True)


def kill_group(process: subprocess.Popen[bytes]) -> bool:
    """End the command at once; whether it still worked."""
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def run_until_done(
    tally: Tally,
    turn: Turn,
    *,
    reference: dict[str, str],
    folder: Path,
    runs: str,
    seed: int,
) -> None:
    """Runs of one kind until enough was killed; the turns count their kills in the tally."""
    began = time.monotonic()
    while tally.n_kills < tally.n_wanted and not tally.bad:
        draw = random.Random(f"{seed} {tally.kind} {tally.n_runs}")
        name = f"{tally.kind}-{tally.n_runs}"
        out, log = f"{runs}/{name}", folder / f"{name}.log"
        for _ in range(MAX_STARTS):
            tally.n_starts += 1
            if turn(out, log, draw) == 0:
                break
        else:
            tally.bad = f"{log}: no end after {MAX_STARTS} starts"
            break
        tally.n_runs += 1
        if digest(out) != reference:
            tally.bad = f"{out}: other bytes"
            break
        tally.n_equal += 1
        open_store(out).remove("")
        tally.seconds = time.monotonic() - began
        print(tally.row(), flush=True)
    tally.seconds = time.monotonic() - began


def ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the command ends in that time."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def driver_turn(tally: Tally, mixture: Path, pace: Pace) -> Turn:
    """One process, ended at a moment of its start or of the next third of the work: so kills wander over the stages."""

    def turn(out: str, log: Path, draw: random.Random) -> int | None:
        process = start(command(mixture, out, "--executor", "inline"), log)
        moment = draw.uniform(pace.start / 3, pace.start + pace.work / 3)
        if tally.may_kill(log) and not ends_within(process, moment):
            if kill_group(process):
                tally.count(log)
            return None
        return process.wait(timeout=TURN_SECONDS)

    return turn


def process_turn(tally: Tally, mixture: Path, pace: Pace) -> Turn:
    """One of the command's processes, every second or so."""

    def victims(pid: int) -> list[psutil.Process]:
        server = [p for p in descendants(pid) if "forkserver import main" in name_of(p)]
        return [p for p in server if p.ppid() != pid]

    return killing(tally, mixture, victims, "--executor", "processes")


def worker_turn(tally: Tally, mixture: Path, pace: Pace) -> Turn:
    """Busy workers of the command's own cluster, one every second or so."""

    def victims(pid: int) -> list[psutil.Process]:
        return [p for p in descendants(pid) if is_busy(name_of(p))]

    return killing(tally, mixture, victims, "--ray-address", "local")


def killing(tally: Tally, mixture: Path, victims: Callable[[int], list[psutil.Process]], *where: str) -> Turn:
    """Every second or so one of the victims that a command has."""

    def turn(out: str, log: Path, draw: random.Random) -> int | None:
        process = start(command(mixture, out, *where), log)
        while tally.may_kill(log) and not ends_within(process, draw.uniform(0.2, 2.0)):
            if found := victims(process.pid):
                with suppress(psutil.NoSuchProcess):
                    draw.choice(found).kill()
                    tally.count(log)
        return process.wait(timeout=TURN_SECONDS)

    return turn


def is_busy(name: str) -> bool:
    """Of a Ray worker that is at a task. A node's agents are named like workers; without them the node ends itself."""
    return name.startswith("ray::") and "IDLE" not in name and "Agent" not in name


def descendants(pid: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def name_of(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


@contextmanager
def cluster(token: Path) -> Iterator[Any]:
    """A head without CPUs and two nodes of one CPU each, on loopback. A dead node is noticed in seconds."""
    os.environ |= {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_health_check_period_ms": "500",
        "RAY_health_check_failure_threshold": "4",
        "RAY_gcs_rpc_server_reconnect_timeout_s": "10",
        "PYTHONPATH": str(ROOT),
    }
    if not token.exists():
        token.write_text(secrets.token_hex(32), encoding="ascii")
    from ray.cluster_utils import Cluster

    store = {"object_store_memory": 100_000_000}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False} | store)
    try:
        for _ in range(2):
            made.add_node(num_cpus=1, **store)
        yield made
    finally:
        made.shutdown()


def node_turn(tally: Tally, mixture: Path, pace: Pace) -> Turn:
    """One of two nodes every few seconds; another joins in its place."""

    def turn(out: str, log: Path, draw: random.Random) -> int | None:
        with cluster(log.with_name("token")) as nodes:
            process = start(command(mixture, out, "--ray-address", nodes.address), log)
            while tally.may_kill(log) and not ends_within(process, draw.uniform(1.0, 5.0)):
                nodes.remove_node(
                    draw.choice(sorted(nodes.worker_nodes, key=lambda n: n.node_id)), allow_graceful=False
                )
                tally.count(log)
                nodes.add_node(num_cpus=1, object_store_memory=100_000_000)
            return process.wait(timeout=TURN_SECONDS)

    return turn


def head_turn(tally: Tally, mixture: Path, pace: Pace) -> Turn:
    """The whole cluster, under a driver that then has to end by itself."""

    def turn(out: str, log: Path, draw: random.Random) -> int | None:
        with cluster(log.with_name("token")) as nodes:
            process = start(command(mixture, out, "--ray-address", nodes.address), log)
            if tally.may_kill(log) and not ends_within(process, pace.start + draw.uniform(2.0, 2.0 + pace.work / 2)):
                tally.count(log)
                for node in [*nodes.worker_nodes, nodes.head_node]:
                    nodes.remove_node(node, allow_graceful=False)
            return process.wait(timeout=TURN_SECONDS)

    return turn


TURNS = {"driver": driver_turn, "process": process_turn, "worker": worker_turn, "node": node_turn, "head": head_turn}


def leave_alone(mixture: Path, folder: Path) -> Pace:
    """Make the run that all others are compared with, and start it once more when nothing is left to do."""
    line, seconds = command(mixture, str(folder / "alone"), "--executor", "inline"), []
    for _ in range(2):
        began = time.monotonic()
        if start(line, folder / "alone.log").wait():
            sys.exit((folder / "alone.log").read_text())
        seconds.append(time.monotonic() - began)
    return Pace(start=seconds[1], work=max(1.0, seconds[0] - seconds[1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for kind in TURNS:
        parser.add_argument(f"--{kind}", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mixture", type=Path, default=SMALL)
    parser.add_argument("--folder", type=Path, help="Where runs and their logs are made; stays.")
    parser.add_argument("--object-store", action="store_true", help="Runs lie on an S3 server on loopback.")
    options = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="loopmix-kills-") as scratch:
        folder = options.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        pace = leave_alone(options.mixture, folder)
        reference = digest(str(folder / "alone"))
        print(f"left alone: start {pace.start:.1f} s, work {pace.work:.1f} s, {len(reference)} files", flush=True)
        runs, tallies = str(folder), []
        if options.object_store:
            server = stack.enter_context(object_server())
            os.environ |= CREDENTIALS | {"AWS_ENDPOINT_URL": server.url}
            runs = "s3://bucket"
        for kind, turn_of in TURNS.items():
            tally = Tally(kind, getattr(options, kind))
            turn = turn_of(tally, options.mixture, pace)
            run_until_done(tally, turn, reference=reference, folder=folder, runs=runs, seed=options.seed)
            tallies.append(tally)
    print("\n".join(["", *(t.row() for t in tallies if t.n_wanted)]))
    sys.exit(any(t.bad for t in tallies))


if __name__ == "__main__":
    main()
