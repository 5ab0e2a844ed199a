"""Secrets beside detect-secrets: what its own plugin tests find, and how many of these lines Loopmix finds.

Run: python tests/bench/bench_secrets.py CHECKOUT [--python PYTHON] [--speed FILE.parquet ...]

CHECKOUT is a checkout of detect-secrets; PYTHON an interpreter that has it and pytest (by default this one).
Its tests run once with a hook that notes each line, the file's name and the value that a plugin returns; a line
counts as found where a find of ours overlaps the value. With --speed the MB per CPU second of the passes, and
with what confirms, over files with a column `content`, and the instruction set that they ran on.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_FOUND: dict[tuple[str, str, str], str] = {}


def pytest_configure(config: object) -> None:
    """This file is a plugin of pytest too: it wraps every plugin of detect-secrets."""
    import importlib
    import pkgutil

    import detect_secrets.plugins as plugins
    from detect_secrets.plugins.base import BasePlugin

    for module in pkgutil.iter_modules(plugins.__path__):
        importlib.import_module(f"detect_secrets.plugins.{module.name}")
    todo = [BasePlugin]
    while todo:
        plugin = todo.pop()
        todo += plugin.__subclasses__()
        own = plugin.__dict__.get("analyze_line")
        if own is not None and not getattr(own, "__isabstractmethod__", False):
            plugin.analyze_line = _noting(own)


def _noting(analyze: Callable[..., Any]) -> Callable[..., Any]:
    def noting(self: Any, filename: str, line: str, line_number: int = 0, **more: Any) -> Any:
        found = analyze(self, filename=filename, line=line, line_number=line_number, **more)
        for secret in found:
            _FOUND[type(self).__name__, line, secret.secret_value] = filename
        return found

    return noting


def pytest_unconfigure(config: object) -> None:
    rows = [[*key, name] for key, name in _FOUND.items()]
    Path(os.environ["FOUND"]).write_text(json.dumps(rows), encoding="utf-8")


def theirs(checkout: Path, python: str) -> list[tuple[str, str, str, str]]:
    """Plugin, line, value and file name of everything that the plugins find in their tests."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        environment = os.environ | {"FOUND": str(found), "PYTHONPATH": f"{Path(__file__).parent}:{checkout}"}
        command = [python, "-m", "pytest", "-q", "-p", "bench_secrets", "tests/plugins"]
        subprocess.run(command, cwd=checkout, env=environment, check=False, stdout=subprocess.DEVNULL)
        return [tuple(row) for row in json.loads(found.read_text(encoding="utf-8"))]


def compare(rows: list[tuple[str, str, str, str]]) -> None:
    import numpy as np

    from pipeline.privacy.find import find

    total, ours = Counter[str](), Counter[str]()
    for plugin, line, value, name in rows:
        raw = line.encode()
        unquoted = np.array([Path(name).suffix in ("", ".conf")])
        finds = find(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]), unquoted=unquoted)
        at = raw.find(value.encode())
        end = at + max(1, len(value.encode()))
        spans = zip(finds.start.tolist(), finds.end.tolist(), strict=True)
        total[plugin] += 1
        ours[plugin] += any(a < end and at < b for a, b in spans)
    for plugin, n in sorted(total.items()):
        print(f"{plugin:<28} {ours[plugin]:>4} of {n}")
    print(f"{'all':<28} {sum(ours.values()):>4} of {sum(total.values())}")


def speed(files: list[str]) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from pipeline.arrays.columns import bytes_of, one_chunk
    from pipeline.privacy.by_hyperscan import hyperscan_places
    from pipeline.privacy.find import find
    from pipeline.privacy.places import literal_places, sign_places

    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    sets = [name for name in ("avx512vbmi", "avx512bw", "avx2", "sse4_2") if f" {name} " in flags.replace("\n", " ")]
    print(f"{platform.machine()}, best instruction set: {sets[0] if sets else 'unknown'}")
    tables = [pq.read_table(f, columns=["content"])["content"].cast(pa.large_binary()) for f in files]
    data, offsets = bytes_of(one_chunk(pa.chunked_array([c for t in tables for c in t.chunks])))
    text = np.ascontiguousarray(data[offsets[0] : offsets[-1]])
    passes: dict[str, Callable[[], object]] = {
        "signs": lambda: sign_places(text),
        "literals, compiled": lambda: literal_places(text),
        "find, compiled": lambda: find(data, offsets, unquoted=np.zeros(offsets.size - 1, bool), places=literal_places),
    }
    by_hyperscan = hyperscan_places()
    if by_hyperscan is not None:
        passes["literals, hyperscan"] = lambda: by_hyperscan(text)
        passes["find, hyperscan"] = lambda: find(data, offsets, unquoted=np.zeros(offsets.size - 1, bool))
    for name, work in passes.items():
        work()  # compiles
        seconds = []
        for _ in range(3):
            start = time.process_time()
            work()
            seconds.append(time.process_time() - start)
        print(f"{name:<20} {text.size / 1e6 / sorted(seconds)[1]:8.1f} MB/CPU-s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("checkout", type=Path, nargs="?")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--speed", nargs="+", default=[])
    args = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    if args.checkout:
        compare(theirs(args.checkout.resolve(), args.python))
    if args.speed:
        speed(args.speed)


if __name__ == "__main__":
    main()
