"""Make a run, for the command and for Python alike: refuse what cannot be, choose where to work, curate, report."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console

from pipeline import __version__
from pipeline.api.asked import Where, place_of, refuse_options, refuse_where
from pipeline.api.mixtures import load_mixture
from pipeline.api.started import input_bytes, started
from pipeline.config import Mixture, said_sample
from pipeline.engine.executor import connect
from pipeline.engine.forking import PRELOADED, WORKER_NAME
from pipeline.engine.manifest import read_manifest
from pipeline.engine.progress import Progress, RunLog
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Store, open_store
from pipeline.errors import ConfigError, StoreError, WorkerDied
from pipeline.request.idle_patterns import lines_of_idle
from pipeline.request.load import with_sample
from pipeline.request.unread import lines_of_unread
from pipeline.request.without_effect import without_effect
from pipeline.sources.documents import plan
from pipeline.sources.roots import listed_once

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from pipeline.api.opened import FinishedRun
    from pipeline.engine.executor import Executor
    from pipeline.reading.work import Work
    from pipeline.report.brief import Brief

# Input above which the work goes to one process a core by itself. Below it the processes, which import and load kernels
# once each, take much of what they would save.
INLINE_BYTES = 100_000_000
# What the driver itself imports on its way, for the stages that work between shards and for the report.
_DRIVING = ["pipeline.report.page", "pipeline.report.compute", "pipeline.mix.packed", "pipeline.mix.balance"]
_DRIVING += ["pipeline.select.select", "pipeline.dedup.similar"]
Hear = Callable[[str, dict[str, Any]], None]


def curate(
    mixture: str | os.PathLike[str] | Mapping[str, Any] | Mixture,
    out: str | os.PathLike[str],
    *,
    executor: Where | Executor = "auto",
    ray_address: str | None = None,
    progress: bool | Hear = False,
    sample: float | None = None,
    on_bad_shard: Literal["stop", "skip"] = "stop",
    check: Literal["hash", "size"] = "hash",
    replace: bool = False,
) -> FinishedRun:
    """Make or complete the run of a mixture in the folder or at the URL `out`, and open it; again, it goes on.

    `mixture` is anything that `load_mixture` takes. `executor` says where the work is done: `auto` is this process up
    to 100 MB of input and one process a core above; `ray` takes `ray_address` (auto, local, HOST:PORT, ray://...).
    `progress` True prints what the command prints; a function gets each event of the log as a name and a dict of
    plain values: step (step, n_items, n_done), progress, step_end, skipped, warning, error, end. What it raises ends
    the run, which goes on when it is called again. `sample`, `on_bad_shard`, `check` and `replace` are the options
    of `loopmix curate`.

    In a script, call it under `if __name__ == "__main__":`, because worker processes import the script.
    Raises ConfigError, StageError and StoreError; what is done stays done.
    """
    from pipeline.api.opened import open_run  # which the command never asks

    place = place_of(out, what="out")
    refuse_where(executor, ray_address)
    refuse_options(progress=progress, sample=sample, on_bad_shard=on_bad_shard, check=check, replace=replace)
    _refuse_import()
    loaded, store = with_sample(load_mixture(mixture), sample), open_store(place)
    console = Console(quiet=progress is not True)
    told = Told(console, quiet=progress is not True, hear=progress if callable(progress) else None)
    options: dict[str, Any] = {"on_bad_shard": on_bad_shard, "check": check, "replace": replace}
    file = Path(mixture).read_bytes() if isinstance(mixture, str | os.PathLike) else None
    make(
        loaded,
        store,
        executor=executor,
        ray_address=ray_address,
        told=told,
        file=file,
        prepare=_refuse_unguarded,
        **options,
    )
    return open_run(store.root)


@dataclass(frozen=True)
class Told:
    """Who is told of what happens."""

    console: Console
    quiet: bool = False
    hear: Hear | None = None
    complain: Callable[[str], None] = lambda message: None  # where the log cannot be written


@dataclass(frozen=True)
class Made:
    """A run that is made, and how its report begins; `page` is where that lies, if it could be written now."""

    brief: Brief
    page: str | None


def make(
    mixture: Mixture,
    store: Store,
    *,
    executor: Where | Executor,
    ray_address: str | None,
    told: Told,
    file: bytes | None = None,
    prepare: Callable[[Executor], None] = lambda executor: None,
    **options: Any,
) -> Made:
    """Curate and report, with a log in the run. `file` is the mixture as it was written, `prepare` is called before any
    work, `options` are those of `Run`."""
    _refuse_folder(store, mixture, is_replaced=options["replace"])
    log = RunLog(store, told.complain, hear=told.hear)
    progress = Progress(told.console, quiet=told.quiet, log=log)
    with progress.recorded(**started(mixture, file=file)), progress.alone():
        for line in without_effect(mixture):
            progress.warn(line)
        with listed_once():
            slices = plan(mixture)
            for line in (*lines_of_unread(mixture), *lines_of_idle(mixture)):
                progress.warn(line)
        n_bytes = sum(s.n_bytes for s in slices)
        with _workers(executor, ray_address, n_bytes=n_bytes, mixture=mixture) as engine:
            prepare(engine)
            progress.event("inputs", workers=engine.describe(), bytes=input_bytes(slices))
            from pipeline.recipe import curate as run_recipe  # while a server that has just begun does the same

            what = f"{said_sample(mixture.ingest.sample)} of " if mixture.ingest.sample else ""
            where = f"into {store.root}, {engine.describe()}"
            progress.say(f"loopmix {__version__}: {what}mixture {mixture.name!r} {where}")
            try:
                run_recipe(Run(store, mixture, engine, progress, **options), slices=slices)
            finally:  # also where it fails: what was skipped may be why
                _warn_of_skipped(store, progress)
            return _report(RunFiles(store), progress, engine)


def _refuse_import() -> None:
    """ConfigError in a worker process that is only importing its parent's script: it would begin the run again. One of
    ours ends without a word, since its driver says it (`_refuse_unguarded`), once for all of them."""
    main, imported = sys.modules.get("__main__"), sys.modules.get("__mp_main__")
    if imported is not None and imported is not main:
        if current_process().name == WORKER_NAME:
            sys.exit(1)
        raise ConfigError(
            "curate(...) runs while a worker process imports this script; call it under if __name__ == '__main__':"
        )


def _refuse_unguarded(executor: Executor) -> None:
    """ConfigError where worker processes end before they work: else each document would be suspected of it."""
    from pipeline.engine.processes import ProcessExecutor

    if not isinstance(executor, ProcessExecutor):
        return
    try:
        list(executor.map(abs, [0], name="start"))
    except WorkerDied:  # three processes have: that one was at no document says nothing more
        raise ConfigError(
            "worker processes end while they start, most likely because they import this script, which begins the run "
            "again: call curate(...) under if __name__ == '__main__':, or use executor='inline'"
        ) from None


def _refuse_folder(store: Store, mixture: Mixture, *, is_replaced: bool) -> None:
    """Before the log begins: somebody's folder, and somebody's source, is left as it was found."""
    from pipeline.engine.belonging import refuse_other, refuse_strangers
    from pipeline.request.inputs import refuse_misplaced

    refuse_strangers(store)
    if not is_replaced:
        refuse_other(store, mixture)
    refuse_misplaced(mixture, run=store.root)


def _warn_of_skipped(store: Store, progress: Progress) -> None:
    for stage, made in read_manifest(store)["stages"].items():
        for shard, problem in made["problems"].items():
            progress.warn(f"{stage}: shard {shard} was skipped: {problem}")


def _workers(
    executor: Where | Executor, ray_address: str | None, *, n_bytes: int, mixture: Mixture
) -> AbstractContextManager[Executor]:
    """Where to run: what was asked for, else processes of this machine for large input, else this process."""
    if not isinstance(executor, str):
        return nullcontext(executor)
    from pipeline.engine.processes import processes, workers_that_fit

    if ray_address is not None or executor == "ray":
        return connect(ray_address or "local")
    n_workers = workers_that_fit(mixture.ingest.shard_bytes)
    if executor == "processes" or (executor == "auto" and n_bytes > INLINE_BYTES and n_workers > 1):
        # Plug-ins may return arrays of pandas.
        preload = PRELOADED[1:] if mixture.quality.plugins else PRELOADED
        return processes(n_workers, preload=preload, meanwhile=_DRIVING)
    return connect(None)


@contextmanager
def _reading(engine: Executor) -> Iterator[Work]:
    """Where all of the report is read, so that what a table's end says is fetched once: in this process, or in those of
    this machine. A cluster would need a folder that all nodes reach."""
    from pipeline.engine.processes import ProcessExecutor
    from pipeline.reading.work import working

    with working(engine if isinstance(engine, ProcessExecutor) else None) as work:
        yield work


def _report(run: RunFiles, progress: Progress, engine: Executor) -> Made:
    """Write the report of a run, unless it stands."""
    from pipeline.report import PAGE, count, save
    from pipeline.report.brief import brief_of
    from pipeline.report.standing import standing

    brief = standing(run.store)
    if brief is not None:
        return Made(brief, run.store.full(PAGE))
    with _reading(engine) as work:
        numbers = count(run, work=work)
        try:
            return Made(brief_of(numbers), save(run, numbers, work=work))
        except StoreError as error:  # a finished run may be read-only
            progress.warn(f"the report was not written: {error}")
            return Made(brief_of(numbers), None)
