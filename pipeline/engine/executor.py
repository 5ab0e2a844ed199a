"""Where work runs: in this process, or as Ray tasks (`ray_tasks.py`).

An executor maps a picklable task over small items and yields results in completion order. Tasks write their own files
and return a few numbers; no data passes the driver or the object store. Execution is at least once (a task whose
worker died is repeated); equal bytes and atomic commits make it count once.
"""

import gc
import os
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pipeline.arrays.warm import compile_once
from pipeline.engine.memory import give_back
from pipeline.errors import ConfigError, LoopmixError, StageError, why

Item = TypeVar("Item")
Result = TypeVar("Result")

# Tasks return statistics only, so a small store is enough. Ray's default would take a third of the memory from them.
OBJECT_STORE_BYTES = 200_000_000
# What to do where Ray cannot be reached, or does not start.
_START = ("start the cluster first", "wait until this machine has less to do, or use --executor inline")


class Executor(Protocol):
    """One method; `describe` says in words where the work runs."""

    def map(self, task: Callable[[Item], Result], items: Sequence[Item], *, name: str) -> Iterator[tuple[Item, Result]]:
        """Yield (item, task(item)) in completion order. The first failure ends the map with its LoopmixError."""
        ...

    def describe(self) -> str: ...


@dataclass(frozen=True)
class InlineExecutor:
    """A loop in this process: tests and small input. No start-up cost, same bytes."""

    def map(self, task: Callable[[Item], Result], items: Sequence[Item], *, name: str) -> Iterator[tuple[Item, Result]]:
        for item in items:
            compile_once()
            try:
                with _no_collector():
                    result = task(item)
            except LoopmixError:
                raise
            except Exception as error:
                raise failure(name, item, error) from error
            give_back()
            yield item, result

    def describe(self) -> str:
        return "in this process"


def work_on(task: Callable[[Item], Result], item: Item) -> Result:
    """Run one task in a worker process that has one CPU for it."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    compile_once()
    with _no_collector():
        result = task(item)
    give_back()
    return result


@contextmanager
def _no_collector() -> Iterator[None]:
    """Python's cycle collector rests while a task runs: it would walk again and again over the objects of a shard's
    rows (a fifth of the time of `languages`) and find nothing. It takes what cycles there are when the task is done."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class Waiting(Generic[Item]):
    """Items that are made when they are taken, and behind them those that come again."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.again: list[Item] = []
        self._fresh = iter(items)

    def take(self) -> Item | None:
        """The next one; None where there is none now."""
        found = next(self._fresh, None)
        return found if found is not None else self.again.pop(0) if self.again else None


def number_of(item: object) -> object:
    """Items are numbers or start with one, or with a range of them; the rest is payload and no name."""
    number = item[0] if isinstance(item, tuple) and item else item
    if isinstance(number, range):
        return number.start if len(number) == 1 else f"{number.start}-{number.stop - 1}"
    return number


def failure(name: str, item: object, error: BaseException) -> StageError:
    cause = " ".join(f"{type(error).__name__}: {error}".split())
    return StageError(
        f"{name} failed on item {number_of(item)}: {cause[:500]}; repair the cause and run the same command again"
    )


@contextmanager
def connect(address: str | None) -> Iterator[Executor]:
    """An executor for `address`: None is inline, `local` starts a cluster, else `auto`, host:port or ray://host:port.

    A cluster that we start binds to loopback, asks for a token, reports nothing outside and takes a bounded object
    store. Raises ConfigError where Ray is not installed, the cluster cannot be reached, or a node runs other code.
    """
    if address is None:
        yield InlineExecutor()
        return
    with _private_cluster() if address == "local" else nullcontext():
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray

            from pipeline.engine.ray_tasks import RayExecutor
            from pipeline.engine.ray_workers import greet
        except ModuleNotFoundError as error:
            raise ConfigError("Ray is not installed; pip install 'loopmix[ray]', or leave --ray-address out") from error
        _must_answer(address)
        options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
        if address == "local":
            options |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
        try:
            ray.init(**options)
        except Exception as error:  # Ray raises that very class where its processes take half a minute to start
            cause = " ".join(str(error).split())[:300]
            raise ConfigError(
                f"--ray-address {address}: cannot be used: {cause}; {_START[address == 'local']}"
            ) from error
        try:
            if address != "local":  # its workers are this interpreter and these files
                greet()
            yield RayExecutor(address)
        finally:
            ray.shutdown()


def _must_answer(address: str) -> None:
    """Ray waits half a minute for an address where nobody listens, and then ends the process: knock first."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f"--ray-address {address}: nobody answers: {why(error)}; start the cluster first") from error


@contextmanager
def _private_cluster() -> Iterator[None]:
    """The environment of a cluster of our own, read by Ray when it is imported; put back at the end.

    A Ray port without a token is code execution for whoever reaches it.
    """
    with tempfile.TemporaryDirectory(prefix="loopmix-ray-") as folder:
        token = Path(folder) / "token"
        token.write_text(_token(), encoding="ascii")
        wanted: dict[str, str | None] = {
            # Makes Ray keep 127.0.0.1 as a node address on every platform; else it picks an outer one.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_ADDRESS": None,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
        }
        before = {name: os.environ.get(name) for name in wanted}
        _set_environment(wanted)
        try:
            yield
        finally:
            _set_environment(before)


@lru_cache(maxsize=1)
def _token() -> str:
    """One secret for all clusters of this process: Ray's core reads it once and keeps it."""
    return secrets.token_hex(32)


def _set_environment(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
