"""The line of the cluster files works through `ray job submit`, on a head with a token; bytes as without Ray."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
import yaml
from handmade import digests

ROOT = Path(__file__).resolve().parents[2]
MIXTURE = ROOT / "tests" / "data" / "mixture.yaml"


@pytest.fixture
def head(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A head on loopback with a token; yields the environment of whoever submits to it."""
    (tmp_path / "token").write_text("a" * 64)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "loopmix").write_text(f'#!/bin/sh\nexec {sys.executable} -m pipeline "$@"\n')
    (tmp_path / "bin" / "loopmix").chmod(0o755)
    environment = os.environ | {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(tmp_path / "token"),
        "RAY_TMPDIR": "/tmp",  # sockets have short names
        "PYTHONPATH": str(ROOT),
        "PATH": os.pathsep.join([str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
    }
    port, dashboard, agent = free_ports(3)
    line = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--node-ip-address=127.0.0.1"]
    line += [f"--port={port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
    line += [f"--dashboard-agent-listen-port={agent}", "--object-store-memory=100000000", "--num-cpus=2"]
    with (tmp_path / "head.log").open("wb") as file:
        ray = subprocess.Popen(line, env=environment, stdout=file, stderr=file)
    try:
        wait_for(dashboard, ray)
        yield environment | {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
    finally:
        ours = [psutil.Process(ray.pid), *psutil.Process(ray.pid).children(recursive=True)]
        ray.terminate()
        ray.wait()
        for process in psutil.wait_procs(ours, timeout=10)[1]:  # the server of Ray's client outlives the rest
            process.kill()


def free_ports(n_ports: int) -> list[int]:
    with ExitStack() as stack:
        opened = [stack.enter_context(socket.socket()) for _ in range(n_ports)]
        for one in opened:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in opened]


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.2)
    pytest.fail("the head ended before its dashboard answered")


def submit(line: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """The job at its end. The agent that starts jobs comes up after the dashboard."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--", *line]
    for _ in range(60):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if not re.search("No available agent|Failed to connect|Connection aborted", done.stderr):
            break
        time.sleep(1)
    return done


@pytest.mark.slow
@pytest.mark.ray
def test_the_line_of_the_kuberay_job_works_by_ray_job_submit(head: dict[str, str], tmp_path: Path) -> None:
    job = next(yaml.safe_load_all((ROOT / "jobs" / "rayjob.yaml").read_text(encoding="utf-8")))
    program, command, _, *rest = shlex.split(job["spec"]["entrypoint"])
    rest[rest.index("--out") + 1] = str(tmp_path / "run")
    line = [program, command, str(MIXTURE), *rest]
    done = submit(line, head)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"Ray at auto, 2 CPUs on 1 nodes", done.stdout)
    assert re.search(r"^  documents +9/9, .*documents/s", done.stdout, re.MULTILINE)  # plain lines of progress
    assert "\x1b[2K" not in done.stdout  # no bars that redraw themselves
    run_alone = subprocess.run([program, command, str(MIXTURE), "--out", str(tmp_path / "alone"), "--quiet"], env=head)
    assert run_alone.returncode == 0
    for folder in ("tables", "packed"):
        assert digests(tmp_path / "run" / folder) == digests(tmp_path / "alone" / folder)
    assert "done before" in submit(line, head).stdout
