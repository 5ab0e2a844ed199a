"""Compile a curation's kernels for this machine, once: `python -m pipeline.arrays.warm`, which `make install` runs.

`kernels.json` names them with the types of their arguments. numba keeps the code and finds it again; what it would not
do is to compile on all cores, and to let one process work while the others of a machine wait. A stamp beside the code
says that this was done for these files, libraries and this processor, so that a process asks with a glance at files.
"""

import fcntl
import hashlib
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

LIST: Final = Path(__file__).with_name("kernels.json")
_PACKAGE: Final = Path(__file__).parents[1]
_RUNNING: Final = "LOOPMIX_COMPILES_KERNELS"  # set in the processes that work the list off, which must not start others


def listed() -> dict[str, list[str]]:
    """Types of the arguments, in the words of `_kernel_type`, by the kernel's name."""
    names: dict[str, list[str]] = json.loads(LIST.read_text(encoding="utf-8"))
    return names


@cache  # once a process
def compile_once() -> None:
    """Compile what the list names unless that was done; wait for whoever does it. Without a place to keep code, nothing
    is done: each process then compiles what it meets."""
    place = _place()
    if os.environ.get(_RUNNING) or place is None or _stamp(place).exists():
        return
    with _alone(place):
        if not _stamp(place).exists():
            print("note: compiling for this machine, once; one to four minutes on two cores", file=sys.stderr)
            # Plain paths, because a Ray worker's or a notebook's are not those of a new process.
            environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
            command = [sys.executable, "-m", "pipeline.arrays.warm"]
            done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
            if done.returncode:  # costs time, not the run
                print("note: that failed; each process compiles what it meets", file=sys.stderr)


def main() -> None:
    """Compile all that the list names, one file's kernels after another: helpers they share compile once."""
    from concurrent.futures import ProcessPoolExecutor  # late: who has compiled already needs neither
    from multiprocessing import get_context

    os.environ[_RUNNING] = "1"
    started, by_file = time.monotonic(), dict[str, list[str]]()
    for name in listed():
        by_file.setdefault(name.rpartition(".")[0], []).append(name)
    work = sorted(by_file.values(), key=len, reverse=True)  # so that no core waits at the end for one that began late
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=get_context("spawn")) as pool:
        n_compiled = sum(pool.map(_compile, work))
    place = _place()
    if place is not None:
        _stamp(place).touch()
    n_listed, seconds = sum(map(len, listed().values())), time.monotonic() - started
    print(f"{n_compiled} of {n_listed} kernels were compiled in {seconds:.0f} s")


def _compile(names: list[str]) -> int:
    """How many had to be compiled: the rest was there. What an edit has outrun is named and left to who calls it."""
    from numba.core.errors import NumbaError

    n_compiled, types = 0, listed()
    for name in names:
        module, _, function = name.rpartition(".")
        try:
            kernel: Any = getattr(importlib.import_module(module), function)
            for words in types[name]:
                kernel.compile(tuple(map(_kernel_type, words.split())))
        except (AttributeError, ImportError, NumbaError, TypeError) as error:
            print(f"note: {name} was not compiled: {' '.join(str(error).split())[:200]}", file=sys.stderr)
            continue
        n_compiled += sum(kernel.stats.cache_misses.values())
    return n_compiled


def _kernel_type(word: str) -> Any:
    """numba's type: `int64`; `uint8[1Cr]`, an array of one dimension, contiguous (C; else A), read-only (r; else w);
    `(float64,int64)`, a tuple."""
    from numba import types

    if word.startswith("("):
        return types.Tuple([_kernel_type(member) for member in _members(word[1:-1])])
    if word.endswith("]"):
        item, _, form = word[:-1].partition("[")
        return types.Array(_kernel_type(item), int(form[0]), form[1], readonly=form[2] == "r")
    return types.boolean if word == "bool" else getattr(types, word)


def _members(words: str) -> Iterator[str]:
    depth, start = 0, 0
    for place, char in enumerate(words + ","):
        depth += {"(": 1, ")": -1}.get(char, 0)
        if char == "," and depth == 0:
            yield words[start:place]
            start = place + 1


# --- places ----------------------------------------------------------------------------------------------------------


def _place() -> Path | None:
    """The folder of the stamp: where numba keeps code, or None where it cannot keep any."""
    asked, home = os.environ.get("NUMBA_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    beside = Path(__file__).with_name("__pycache__")
    for folder in [Path(asked)] if asked else [beside, Path(home).expanduser() / "loopmix"]:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _stamp(place: Path) -> Path:
    """Its name says for what the code holds: what numba asks of its cache."""
    import llvmlite
    import numba
    from llvmlite import binding

    from pipeline.arrays.compiled import HELPERS

    files = {_PACKAGE.parent.joinpath(*name.split(".")[:-1]).with_suffix(".py") for name in listed()}
    times = [(str(file), file.stat().st_mtime_ns, file.stat().st_size) for file in sorted({*files, *HELPERS, LIST})]
    processor = [binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten()]
    versions = [platform.python_version(), numba.__version__, llvmlite.__version__]
    return place / f"kernels-{hashlib.blake2b(repr([times, processor, versions]).encode(), digest_size=12).hexdigest()}"


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    with (place / "compiling.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("note: waiting for another process that compiles for this machine", file=sys.stderr)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    main()
