"""Functions of other packages, found by entry point: a source, or a measure. Nothing else of a package is imported."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from pipeline.errors import ConfigError

FEATURES, SOURCES = "loopmix.features", "loopmix.sources"


@dataclass(frozen=True)
class Installed:
    """What an installed package offers under a name."""

    name: str
    version: str  # "distribution version", which stands for its code in fingerprints
    function: Any


@lru_cache(maxsize=64)  # an entry point imports its module; a worker asks for each shard
def find_installed(name: str, *, group: str, where: str) -> Installed:
    """The installed function of that name in a group. ConfigError, which begins with `where`, if there is none, are
    several, or it cannot be imported."""
    every = entry_points(group=group)
    found = [e for e in every if e.name == name]
    if not found:
        there = ", ".join(sorted({e.name for e in every})) or "none"
        raise ConfigError(
            f"{where}: no installed package offers {name!r} in {group}; there: {there}; install the package that does "
            "(on Ray, on every node)"
        )
    versions = sorted({_version(e) for e in found})
    if len(versions) > 1:
        raise ConfigError(f"{where}: several packages offer {name!r}: {', '.join(versions)}; keep one installed")
    try:
        function = found[0].load()
    except Exception as error:
        raise ConfigError(
            f"{where}: {name} ({versions[0]}) cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(function):
        raise ConfigError(f"{where}: {name} ({versions[0]}) is {type(function).__name__}, expected a function")
    return Installed(name, versions[0], function)


def _version(entry: Any) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown"


def refuse_other_version(found: Installed, expected: str, *, where: str) -> None:
    """ConfigError if what is installed here is not what the run began with."""
    if found.version != expected:
        raise ConfigError(
            f"{where}: {found.name} is of {found.version} here and was of {expected} at the start; install the same on "
            "every machine"
        )
