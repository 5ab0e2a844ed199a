"""The self-test's good verdicts, kept between processes: comparing the engines costs more than all other loading.

An entry is a small JSON file in LOOPMIX_CACHE, else in the user's cache folder. It counts only for the same tokenizer
file, versions of both libraries, self-test and kind of processor, and only if it is whole; anything else is tested
again. The folder may be missing, full or read-only: then nothing is remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

VARIABLE: Final = "LOOPMIX_CACHE"
_LIBRARIES: Final = ("gigatoken", "tokenizers")


def key_of(file_hash: str) -> str | None:
    """What a verdict on the tokenizer file of this hash holds for; None where a library is not there."""
    try:
        versions = [f"{name} {version(name)}" for name in _LIBRARIES]
    except PackageNotFoundError:
        return None
    return json.dumps([file_hash, *versions, _self_test(), _processor()])


def is_known_good(key: str | None) -> bool:
    """Whether an earlier process found the engines equal under `key`."""
    path = _path(key)
    if key is None or path is None:
        return False
    try:
        return path.read_bytes() == _entry(key)
    except OSError:
        return False  # no entry, or none that can be read: the test runs again


def remember_good(key: str | None) -> None:
    """Keep for later processes that the engines are equal under `key`, if that can be kept."""
    path = _path(key)
    if key is None or path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(_entry(key))
        Path(name).replace(path)  # whole or not at all, also where two processes write
    except OSError:
        return  # a read-only home costs the next process the test, and nothing else


def _entry(key: str) -> bytes:
    return json.dumps({"equal": json.loads(key), "sha256": hashlib.sha256(key.encode()).hexdigest()}).encode()


def _path(key: str | None) -> Path | None:
    if key is None:
        return None
    given = os.environ.get(VARIABLE)
    try:
        base = Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loopmix"
    except RuntimeError:  # no home folder
        return None
    return base / "tokenizers" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


@cache
def _self_test() -> str:
    """The code that judges: a changed test judges anew."""
    return hashlib.sha256(Path(__file__).with_name("engines.py").read_bytes()).hexdigest()


@cache
def _processor() -> str:
    """gigatoken picks instructions by what the processor has, and a home folder may be shared by several kinds."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {hashlib.sha256(flags.encode()).hexdigest()[:16]}"
