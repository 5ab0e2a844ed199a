"""Every error that Loopmix raises on purpose.

LoopmixError              anything below; the command line prints it on one line and exits with 1
├── ConfigError           the mixture or training file: unknown key, wrong type, impossible combination
├── SchemaError           a table does not have the columns, types or values that `schema.py` demands
├── StageError            a stage could not do its work on a shard; names the shard, the cause and the remedy
│   └── WorkerDied        the processes that worked on an item died, again and again
├── StoreError            a file is missing, damaged, foreign, or cannot be written
├── CheckpointError       a model folder or checkpoint is missing, damaged or of another shape
└── StoppedError          a signal asked training to end, and it has saved what it had; exits with 128 + the signal

A message says what, where (file, key, doc_id), the value seen, what was expected and what to do.
"""

import json
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any


def first_of(names: Sequence[str], *, most: int) -> str:
    """The first names of a list, and how many more there are: what fits on the one line of a message."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def why(error: BaseException) -> str:
    """What a library says, on one line; of the system's errors without their number and the path again."""
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(str(said).split())


def no_file(path: Path) -> str | None:
    """What stands there in the place of a file, with a remedy: who opens a pipe may wait for ever, and a device have
    no end. None of a file, and of what fails by itself when it is opened, as a folder does."""
    try:
        mode = path.stat().st_mode
    except OSError:  # so does opening it, which says why
        return None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    kind = "pipe" if stat.S_ISFIFO(mode) else "device or socket"
    return f"is a {kind} and no file; save what it gives as a file, and name that"


def unfit(error: BaseException) -> str:
    """What keeps a JSON file from being read as what it should be, on one line and in words.

    Beside ValueError and OSError these are what looking into it raises: KeyError, TypeError, AttributeError, and
    RecursionError where it is nested without end.
    """
    if isinstance(error, json.JSONDecodeError):
        return f"it is no JSON: {error}"
    if isinstance(error, RecursionError):
        return "it is nested without end"
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]!a:.80}"
    if isinstance(error, (TypeError, AttributeError)):
        return "a part of it is of another kind than expected"
    return why(error)[:200]


class LoopmixError(Exception):
    """Base of all errors that a user can cause and repair."""


class ConfigError(LoopmixError):
    """A configuration file cannot be used. `shown`: lines of it, which a terminal has below the message."""

    def __init__(self, message: str, *, shown: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.shown = tuple(shown)


class SchemaError(LoopmixError):
    """A table breaks its schema."""


class StageError(LoopmixError):
    """A stage failed on one shard."""


class WorkerDied(StageError):  # noqa: N818 - says what happened; what it is stands in its base
    """Each process that worked on `item` died: of a crash in a library, or for want of memory."""

    def __init__(self, message: str, *, item: Any) -> None:
        super().__init__(message)
        self.item = item

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(WorkerDied, item=self.item), self.args


class StoreError(LoopmixError):
    """A file of the run is missing, damaged, foreign or not writable."""


class CheckpointError(LoopmixError):
    """A checkpoint or an exported model cannot be used."""


class StoppedError(LoopmixError):
    """A signal asked for the end; everything done so far is saved, and the same line goes on."""

    def __init__(self, message: str, *, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # what shells give a program that a signal ended

    def __reduce__(self) -> tuple[Any, ...]:
        """Trainings run in worker processes too, and an error that cannot travel would look like a dead worker."""
        return partial(StoppedError, signal_number=self.exit_code - 128), self.args
