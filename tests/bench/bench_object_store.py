"""What a run at s3:// asks of the store: requests by kind and bytes, for each shard of `documents`.

    python tests/bench/bench_object_store.py [--mb 32] [--shard-mb 4] [--tree CHECKOUT] [--fails 0.1 --starts 20]

Starts an S3 server on loopback (moto, held in memory), curates `--mb` of mixed input in one process with its run folder
there, and once more when it stands; then verifies it. `--tree` takes another checkout's code for the same. With
`--fails`, that share of the requests meets a fault (503, 429, reset, half a body, slow, an answer that is lost), and
each of `--starts` runs is compared, byte by byte, with one on the local disk.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.bench_input import add_options, make_input, pools_of
from tests.object_server import CREDENTIALS, Asked, ObjectServer, object_server

ROOT = Path(__file__).resolve().parents[2]
OUT = "s3://bucket/run"


def loopmix(tree: Path, server: ObjectServer, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command of a checkout, in one process, against the server."""
    paths = [str(tree), *os.environ.get("PYTHONPATH", "").split(":")]
    environment = os.environ | CREDENTIALS | {"AWS_ENDPOINT_URL": server.url, "PYTHONPATH": ":".join(paths)}
    command = [sys.executable, "-m", "pipeline", *arguments]
    return subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)


def said(what: str, asked: Asked, *, n_shards: int) -> None:
    """One line of the table, for each shard."""
    kinds = ", ".join(f"{kind} {n / n_shards:.1f}" for kind, n in sorted(asked.requests.items()))
    sizes = f"read {asked.n_read / n_shards / 1e6:.2f} MB, written {asked.n_written / n_shards / 1e6:.2f} MB"
    print(f"{what:8} {asked.total / n_shards:7.1f} requests a shard ({kinds}); {sizes}", flush=True)


def files_of(server: ObjectServer) -> dict[str, bytes]:
    """The tables and packed shards that stand on the server."""
    os.environ.update(CREDENTIALS | {"AWS_ENDPOINT_URL": server.url})
    from pipeline.engine.store import open_store

    store = open_store(OUT)
    return store.read_many([*store.sizes("tables"), *store.sizes("packed")])


def counted(tree: Path, mixture: Path) -> None:
    """Requests and bytes of a run, of the same again, and of a proof."""
    with object_server() as server:
        for what, arguments in (
            ("curate", ("curate", str(mixture), "--out", OUT, "--executor", "inline", "--quiet")),
            ("again", ("curate", str(mixture), "--out", OUT, "--executor", "inline", "--quiet")),
            ("verify", ("verify", OUT)),
        ):
            done = loopmix(tree, server, *arguments)
            if done.returncode:
                raise SystemExit(done.stderr[-2000:])
            asked = server.forget()
            n_shards = sum("/documents/" in name for name in files_of(server))
            server.forget()
            said(what, asked, n_shards=n_shards)


def faulty(tree: Path, mixture: Path, folder: Path, *, fails: float, n_starts: int) -> None:
    """Runs on a server that fails, each beside one on the local disk."""
    with object_server() as server:
        local = loopmix(tree, server, "curate", str(mixture), "--out", str(folder / "run"), "--executor", "inline")
        assert local.returncode == 0, local.stderr
        wanted = {
            str(p.relative_to(folder / "run")): p.read_bytes()
            for part in ("tables", "packed")
            for p in (folder / "run" / part).rglob("part-*")
        }
        n_same = 0
        for start in range(n_starts):
            server.fails = fails
            again = ("--replace",) if start else ()
            done = loopmix(tree, server, "curate", str(mixture), "--out", OUT, "--executor", "inline", *again)
            server.fails = 0.0
            is_same = done.returncode == 0 and files_of(server) == wanted
            n_same += is_same
            print(f"start {start + 1}: {'same bytes' if is_same else done.stderr.strip()[-300:]}", flush=True)
        print(f"{n_same} of {n_starts} runs with {fails:.0%} faults have the bytes of the local run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=float, default=32.0)
    parser.add_argument("--shard-mb", type=float, default=4.0)
    parser.add_argument("--tree", type=Path, default=ROOT)
    parser.add_argument("--mixture", type=Path, help="curate this one instead")
    parser.add_argument("--fails", type=float, default=0.0)
    parser.add_argument("--starts", type=int, default=20)
    add_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        mixture = options.mixture
        if mixture is None:
            mixture = make_input(pools_of(options), Path(name) / "input", n_bytes=int(options.mb * 1e6)).mixture
            settings = json.loads(mixture.read_text(encoding="utf-8"))
            settings["ingest"] = {"shard_bytes": int(options.shard_mb * 1e6)}
            mixture.write_text(json.dumps(settings), encoding="utf-8")
        if options.fails:
            faulty(options.tree, mixture, Path(name), fails=options.fails, n_starts=options.starts)
        else:
            counted(options.tree, mixture)


if __name__ == "__main__":
    main()
