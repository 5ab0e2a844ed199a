"""What a call from Python asks for, refused in one line before any work where it cannot be."""

from __future__ import annotations

import os
from operator import index
from typing import TYPE_CHECKING, Any, Literal, get_args

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.engine.executor import Executor

Where = Literal["auto", "inline", "processes", "ray"]


def place_of(value: Any, *, what: str) -> str:
    """The path or URL of a run that a caller gave as `what`. ConfigError for anything else, and for none at all."""
    if not isinstance(value, str | os.PathLike) or not isinstance(place := os.fspath(value), str) or not place:
        raise ConfigError(f"{what} {value!r}: expected the folder or URL of a run, as text or as a Path")
    return place


def text_of(value: Any, *, what: str) -> str:
    """A name that a caller gave as `what`, as text or as a Path. ConfigError for anything else."""
    if not isinstance(value, str | os.PathLike) or not isinstance(name := os.fspath(value), str):
        raise ConfigError(f"{what} {value!r}: expected text")
    return name


def number_of(value: Any, *, what: str, least: int | None = None) -> int:
    """A whole number that a caller gave as `what`, of Python or of numpy. ConfigError for anything else."""
    try:
        number = index(value)
    except TypeError:
        raise ConfigError(f"{what} {value!r}: expected a whole number") from None
    if least is not None and number < least:
        raise ConfigError(f"{what} {value!r}: expected {least} or more")
    return number


def at_odds(executor: Where | Executor, ray_address: str | None) -> str | None:
    """Why the two cannot be asked for together, in words for the command and for Python alike; None where they can."""
    if ray_address is None or executor in ("auto", "ray"):
        return None
    asked = f"executor {executor}" if isinstance(executor, str) else "an executor of your own"
    return f"a Ray address and {asked} exclude each other: leave one of them out"


def refuse_where(executor: Where | Executor, ray_address: str | None) -> None:
    """ConfigError for a place to work that there is not, and for two at once."""
    names = get_args(Where)
    if executor not in names and (
        isinstance(executor, str) or not (hasattr(executor, "map") and hasattr(executor, "describe"))
    ):
        raise ConfigError(f"executor {executor!r}: expected {', '.join(names[:-1])} or {names[-1]}")
    if ray_address is not None and not isinstance(ray_address, str):
        raise ConfigError(f"ray_address {ray_address!r}: expected auto, local, HOST:PORT or ray://HOST:PORT")
    if said := at_odds(executor, ray_address):
        raise ConfigError(said)


def refuse_options(**given: Any) -> None:
    """ConfigError for a value that an option does not have: another word would be taken for the weaker check."""
    known_of = {"on_bad_shard": ("stop", "skip"), "check": ("hash", "size"), "replace": (True, False)}
    for name, known in known_of.items():
        if not any(type(given[name]) is type(one) and given[name] == one for one in known):  # 1 equals True
            raise ConfigError(f"{name} {given[name]!r}: expected {' or '.join(map(repr, known))}")
    if not isinstance(given["progress"], bool) and not callable(given["progress"]):
        raise ConfigError(f"progress {given['progress']!r}: expected True, False or a function of an event and values")
    sample = given["sample"]
    if sample is not None and (isinstance(sample, bool) or not isinstance(sample, int | float)):
        raise ConfigError(f"sample {sample!r}: expected a share of the input, above 0 and below 1")
