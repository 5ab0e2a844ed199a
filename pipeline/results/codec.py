"""Dataclasses as JSON and back: what JSON lacks becomes null, and what is read is checked against the class."""

import dataclasses
import json
import math
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from pipeline.errors import CheckpointError, why

MAX_BYTES = 256_000_000  # of a file that is read whole; the index of ten thousand processes has a tenth
_MOST_LINES_BYTES = 1 << 30  # of one with a line for each step or document
TRAIN_AGAIN = "give a folder that `loopmix train` wrote, or delete it and train again"
# Counts as this machine can add them up; seeds take all 64 bits.
Whole = Annotated[int, Field(gt=-(2**63), lt=2**64)]
# The one place where JSON's null becomes NaN. A field that may be undefined is `Number | None` and keeps the null.
Number = Annotated[float, BeforeValidator(lambda value: math.nan if value is None else value)]


def to_json(value: Any, *, indent: int | None = None) -> str:
    """JSON of a dataclass or plain value; numbers that JSON lacks (infinities, NaN) become null."""
    plain = dataclasses.asdict(value) if dataclasses.is_dataclass(value) and not isinstance(value, type) else value
    return json.dumps(_finite(plain), indent=indent, allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


_Result = TypeVar("_Result")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def from_json(kind: type[_Result], data: bytes | str, *, where: str, remedy: str) -> _Result:
    """The inverse of `to_json` for one of the classes above. Raises CheckpointError with file, key and remedy."""
    try:
        # Strict: a count that reads "12" was not written by `to_json`, so the file is not what it seems.
        found: _Result = _adapter(cast("Hashable", kind)).validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "file"
        raise CheckpointError(f"{where}: is damaged: {place}: {first['msg']}; {remedy}") from None
    return found


def read_bytes(path: Path, *, remedy: str) -> bytes:
    if path.exists() and not path.is_file():  # who opens a pipe waits for ever
        raise CheckpointError(f"{path}: is no file; {remedy}")
    if path.is_file() and (n_bytes := path.stat().st_size) > _MOST_LINES_BYTES:
        raise CheckpointError(f"{path}: has {n_bytes:,} bytes, expected at most {_MOST_LINES_BYTES:,}; {remedy}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {why(error)}; {remedy}") from error


def read_file(kind: type[_Result], path: Path, *, remedy: str = TRAIN_AGAIN) -> _Result:
    """`from_json` of a file. Raises CheckpointError, as the readers below do."""
    if path.is_file() and (n_bytes := path.stat().st_size) > MAX_BYTES:
        raise CheckpointError(f"{path}: has {n_bytes:,} bytes, expected at most {MAX_BYTES:,}; {remedy}")
    return from_json(kind, read_bytes(path, remedy=remedy), where=str(path), remedy=remedy)
