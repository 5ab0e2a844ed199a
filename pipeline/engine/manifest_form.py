"""What a manifest may say: keys, types and ranges. Who reads one relies on them, whoever has written it."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from pipeline.engine.said import Count, Seconds, Sha256, Size
from pipeline.listed import PARTS

_MAX_VALUE_CHARS = 60


def _inside(path: str) -> str:
    if not path or path.startswith("/") or ".." in path.split("/") or "\0" in path:
        raise ValueError("leads out of the run")
    return path


def _in_parts(path: str) -> str:
    if not path.startswith(f"{PARTS}/"):
        raise ValueError(f"is no file of {PARTS}/")
    return path


_Path = Annotated[str, AfterValidator(_inside)]


@dataclass(frozen=True)
class _File:
    path: _Path
    n_bytes: Size
    sha256: Sha256


@dataclass(frozen=True)
class _ListedPart:
    path: Annotated[_Path, AfterValidator(_in_parts)]
    n_files: Size
    n_bytes: Size
    sha256: Sha256


@dataclass(frozen=True)
class _Parts:
    n_files: Size
    n_bytes: Size
    parts: list[_ListedPart]

    def __post_init__(self) -> None:
        if sum(part.n_files for part in self.parts) != self.n_files:
            raise ValueError(f"n_files is {self.n_files}, of its parts {sum(part.n_files for part in self.parts)}")


@dataclass(frozen=True)
class _Entry:
    """What the manifest says of a stage."""

    fingerprint: str
    version: Count
    counts: dict[str, Count]
    problems: dict[Annotated[str, Field(pattern=r"^\d{1,18}$")], str]  # by number of the shard
    seconds: Seconds
    files: list[_File] | None = None
    files_in: _Parts | None = None
    cpu_seconds: Seconds | None = None

    def __post_init__(self) -> None:
        if (self.files is None) == (self.files_in is None):
            raise ValueError("has not one of the keys 'files' and 'files_in'")


@dataclass(frozen=True)
class _Manifest:
    format: int
    stages: dict[str, _Entry]
    name: str | None = None
    mixture: dict[str, Any] | None = None
    tokenizer: _File | None = None
    readme: _File | None = None


_MANIFEST = TypeAdapter(_Manifest)


def whats_wrong(data: bytes) -> str | None:
    """The first thing that a manifest says and must not, with its place, the value and what was expected; None where
    all is as it must be."""
    try:
        _MANIFEST.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        value = repr(first["input"])
        shown = value if len(value) <= _MAX_VALUE_CHARS else f"{value[:_MAX_VALUE_CHARS]}..."
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}, found {shown}"
    return None
