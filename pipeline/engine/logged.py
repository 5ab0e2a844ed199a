"""Events of a run's logs as their readers take them, whoever wrote them: what is no event is passed over.

A log only tells: nothing is decided by it, and the last line of a start that was killed is half a line anyway.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, TypeAdapter, ValidationError

from pipeline.engine.said import Count, Seconds, Size
from pipeline.engine.store import Store

LOGS = "logs"  # a file for each start, see `progress.RunLog`
_OF_A_STEP = ("step", "progress", "step_end")


def _with_zone(said: str) -> str:
    if datetime.fromisoformat(said).tzinfo is None:
        raise ValueError("names no time zone")
    return said


@dataclass(frozen=True)
class MixtureFile:
    """The mixture of a start as it was written."""

    text: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class LogEvent:
    """One line; of its fields those that its kind of event has."""

    time: Annotated[str, AfterValidator(_with_zone)]  # ISO 8601
    event: str
    host: str = ""  # of start, like those up to mixture_file
    version: str = ""
    command: tuple[str, ...] = ()
    n_cpus: Count | None = None
    libraries: dict[str, str] = field(default_factory=dict)
    mixture: str = ""
    mixture_file: MixtureFile | None = None
    driver: str = ""  # of lease
    stages: tuple[str, ...] = ()  # of stages
    workers: str = ""  # of inputs
    bytes: dict[str, Size] = field(default_factory=dict)
    step: str = ""  # of step, progress and step_end
    n_items: Size = 0
    n_done: Size = 0
    n_docs: Size = 0
    n_bytes: Size = 0
    seconds: Seconds = 0.0  # of these and of end
    message: str = ""  # of warning and error
    kind: str = ""
    ok: bool = False  # of end
    stopped: bool = False  # of end: by whoever ran it, as with Ctrl-C

    def __post_init__(self) -> None:
        if self.event in _OF_A_STEP and not self.step:
            raise ValueError("names no step")


_EVENT = TypeAdapter(LogEvent)


def logs_of(store: Store) -> list[str]:
    """The paths of a run's logs, the oldest first."""
    return [f"{LOGS}/{name}" for name in sorted(store.files(LOGS)) if name.endswith(".jsonl")]


def events_of(store: Store, path: str) -> Iterator[LogEvent]:
    """The events of a log, in their order. StoreError where it cannot be read."""
    for line in store.read_bytes(path).splitlines():
        try:
            yield _EVENT.validate_json(line)
        except ValidationError:
            continue
