"""What a process runs, as far as it decides bytes: so that a driver and its workers can compare themselves.

A worker with another version of the code or of a library would write other bytes under the right names, and nothing
that comes after could tell. So each worker process compares itself with the driver before its first task.
"""

import platform
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Final

import xxhash

import pipeline
from pipeline.installed import FEATURES, SOURCES

# Those whose output enters a table. A new dependency belongs here, or to those that a test names as harmless.
LIBRARIES: Final = (
    "ftfy",
    "gigatoken",
    "hyperscan",
    "license-expression",
    "llvmlite",
    "numba",
    "numpy",
    "pathspec",
    "pyarrow",
    "pycld2",
    "regex",
    "semble-grammars",
    "tokenizers",
    "tree-sitter",
    "xxhash",
    "zstandard",
)
# Not every mixture needs these. A stage that lacks one says so itself, so only their versions are compared.
OPTIONAL: Final = ("datatrove", "fasttext-predict", "onnxruntime")
_TOP = Path(pipeline.__file__).parents[1]
_ROOMS: Final = ("pipeline", "tokenizer")


@cache  # once a process: it reads 25 MB
def own_code() -> dict[str, str]:
    """Versions by name: of Loopmix, its files (a hash), Python, libraries, and plugins."""
    code = {"loopmix": pipeline.__version__, "files": code_hash(), "Python": platform.python_version()}
    for name in (*LIBRARIES, *OPTIONAL):
        try:
            code[name] = version(name)
        except PackageNotFoundError:
            continue
    for group in (FEATURES, SOURCES):  # of packages that measure, and that read
        for point in entry_points(group=group):
            if point.dist is not None:
                code[point.dist.name] = point.dist.version
    return code


def differences(driver: dict[str, str], worker: dict[str, str]) -> str:
    """What a worker has otherwise than its driver, in words; empty where nothing matters."""
    return ", ".join(
        f"{name} {worker.get(name, 'missing')} (driver: {driver.get(name, 'missing')})"
        for name in sorted({*driver, *worker}, key=lambda name: (name != "loopmix", name != "files", name))
        if _minor(name, driver.get(name)) != _minor(name, worker.get(name))
        and not (name in OPTIONAL and (name not in driver or name not in worker))
    )


def _minor(name: str, value: str | None) -> str | None:
    """Python 3.11.7 and 3.11.9 compute the same; of all others each release may compute otherwise."""
    return value.rpartition(".")[0] if name == "Python" and value else value


@cache
def code_hash() -> str:
    """Of all code and data of Loopmix rather than of a version to raise: nobody would see what old code made."""
    found = xxhash.xxh3_64()
    for path in _files(_TOP):
        found.update(f"{path.relative_to(_TOP).as_posix()} {path.stat().st_size} ".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _files(top: Path) -> Iterator[Path]:
    """Code and data; not what Python and editors leave beside them, nor the mixtures that a wheel adds."""
    for room in _ROOMS:
        for path in sorted((top / room).rglob("*")):
            parts = path.relative_to(top).parts
            hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
            if not hidden and parts[1] != "examples" and path.suffix != ".pyc" and path.is_file():
                yield path
