"""Kernels are compiled whether or not there is a place to keep them."""

import inspect
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numba
import pytest
from numba.core.dispatcher import Dispatcher

import pipeline
from pipeline.arrays import compiled

ROOT = Path(pipeline.__file__).parent


def one_more(n: int) -> int:
    return n + 1


def test_a_kernel_is_compiled_without_a_cache_when_none_can_be_written(monkeypatch):
    asked = []

    def refuse_cache(**options: bool):
        asked.append(options.get("cache"))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(compiled, "numba", SimpleNamespace(njit=refuse_cache))
    assert compiled.compiled(one_more)(1) == 2
    assert asked == [True, None]


def test_kernels_call_helpers_of_their_own_file_or_of_files_that_the_cache_watches() -> None:
    strangers = set()
    sources = [file for file in ROOT.rglob("*.py") if "arrays.compiled import" in file.read_text(encoding="utf-8")]
    assert sources  # others need not be imported, nor what they need, such as torch, be installed
    for file in sources:
        module = import_module(".".join(("pipeline", *file.relative_to(ROOT).with_suffix("").parts)))
        for value in vars(module).values():
            if isinstance(value, Dispatcher) and value.py_func.__module__ == module.__name__:
                strangers |= _called_elsewhere(value.py_func)
    assert strangers == set(compiled.HELPERS)


def _called_elsewhere(function: Any) -> set[Path]:
    names = (function.__globals__.get(name) for name in function.__code__.co_names)
    called = (getattr(value, "py_func", getattr(value, "_defn", None)) for value in names)
    files = {Path(inspect.getsourcefile(helper) or "") for helper in called if helper is not None}
    return files - {Path(function.__code__.co_filename)}


def test_a_cached_kernel_is_compiled_anew_when_a_helper_of_another_file_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, helper = Path(compiled.__file__), tmp_path / "bits.py"
    helper.write_text("a")
    monkeypatch.setattr(compiled, "HELPERS", (helper,))
    before = compiled.source_stamp(SimpleNamespace(_py_file=str(own)))
    assert compiled.source_stamp(SimpleNamespace(_py_file=str(own))) == before
    stranger = compiled.source_stamp(SimpleNamespace(_py_file=str(helper)))
    helper.write_text("ab")
    assert compiled.source_stamp(SimpleNamespace(_py_file=str(own))) != before
    assert not isinstance(stranger, tuple)  # a kernel of another package: our helpers are nothing to it
    assert len(before) == 2


LOADS = """
import numba, numpy as np
from numba.core.cpu import CPUContext
from pipeline.mix.packing import _fit
declared, declare = [], CPUContext.load_additional_registries
CPUContext.load_additional_registries = lambda self: (declared.append(1), declare(self))[1]
ones = np.ones(3, np.int64)
print(_fit(ones, ones, 4, ones.copy(), ones.copy()), bool(declared))
print(numba.njit(lambda data: np.sort(data)[::-1])(np.array([2, 3, 1])), bool(declared))
"""


def test_a_kernel_in_the_cache_is_loaded_without_what_only_compiling_needs(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", LOADS]
    first, second = (subprocess.check_output(command, env=environment, cwd=ROOT.parent, text=True) for _ in range(2))
    assert first.splitlines()[0].replace("True", "False") == second.splitlines()[0]
    assert [line.rpartition(" ")[2] for line in (*first.splitlines(), *second.splitlines())] == [
        "True", "True", "False", "True"
    ]  # fmt: skip
    assert second.splitlines()[1] == "[3 2 1] True"


FULL = """
import errno, os
from numba.core import caching
def full(*_): raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
caching.IndexDataCacheFile.save = full
import numpy as np
from pipeline.mix.packing import _fit, copy_slices
ones = np.ones(3, np.int64)
print(_fit(ones, ones, 4, ones.copy(), ones.copy()))
copy_slices(ones, ones[:1], ones[:1], ones.copy(), ones[:1])
"""


def test_a_full_disk_costs_what_is_kept_and_is_said_once(tmp_path: Path) -> None:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", FULL]
    done = subprocess.run(command, env=environment, cwd=ROOT.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip().isdigit()
    (said,) = done.stderr.splitlines()
    assert said.startswith(f"note: compiled kernels cannot be kept in {tmp_path}")
    assert said.endswith(": No space left on device; NUMBA_CACHE_DIR names another folder")
