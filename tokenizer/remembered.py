"""The self-test's good verdicts, kept between processes: comparing the engines costs more than all other loading.

Beside a verdict stands what a file says of its ids, so that who needs no text encoded need not parse 2.5 MB of JSON.

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
from dataclasses import asdict, dataclass
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


@dataclass(frozen=True)
class KnownIds:
    """What a tokenizer file says of its ids."""

    vocab_size: int
    special: dict[str, int]  # by name


def known_good(key: str | None) -> KnownIds | None:
    """The ids of a file for which an earlier process found the engines equal under `key`; None where none did."""
    path = _path(key)
    if key is None or path is None:
        return None
    try:
        data = path.read_bytes()
        ids = KnownIds(**json.loads(data)["ids"])
    except (OSError, ValueError, TypeError, KeyError):
        return None  # no entry, or none that can be read: the test runs again
    return ids if data == _entry(key, ids) else None


def remember_good(key: str | None, ids: KnownIds) -> None:
    """Keep for later processes that the engines are equal under `key`, if that can be kept."""
    path = _path(key)
    if key is None or path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(_entry(key, ids))
        Path(name).replace(path)  # whole or not at all, also where two processes write
    except OSError:
        return  # a read-only home costs the next process the test, and nothing else


def _entry(key: str, ids: KnownIds) -> bytes:
    said = {"equal": json.loads(key), "ids": asdict(ids)}
    return json.dumps({**said, "sha256": hashlib.sha256(json.dumps(said).encode()).hexdigest()}).encode()


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
