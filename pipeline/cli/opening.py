"""A run as the commands open it, and the report that they leave in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.output import RUN, complain
from pipeline.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from pipeline.engine.run_folder import RunFiles
    from pipeline.reading.work import Work
    from pipeline.report.numbers import Numbers


def open_run(run: str) -> RunFiles:
    """The finished run in a folder or at a URL."""
    from pipeline.arrays.pandas_unasked import leave_pandas_out
    from pipeline.engine.run_folder import RunFiles
    from pipeline.engine.store import open_store

    leave_pandas_out()
    return RunFiles(open_store(run))


def saved(run: RunFiles, numbers: Numbers, *, work: Work | None = None) -> str | None:
    """Where the report was written: before anything is printed, because whoever reads that may go away half-way."""
    from pipeline.report import save

    try:
        return save(run, numbers, work=work)
    except StoreError as error:  # a finished run may be read-only
        complain(f"warning: the report was not written: {error}")
        return None


def work_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that reads a whole run: where that is done."""
    options = (
        click.option("--workers", type=click.IntRange(1), default=1, help="Processes of this machine, one by default."),
        click.option("--ray-address", help="A Ray cluster instead: auto, local, HOST:PORT or ray://HOST:PORT."),
        click.option(
            "--scratch",
            type=RUN,
            help="Folder or URL that all workers reach, for 50 to 200 bytes a document meanwhile.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@contextmanager
def at_work(*, workers: int, ray_address: str | None, scratch: str | None) -> Iterator[Work]:
    """Where a whole run is read. ConfigError for a cluster without a folder that its nodes reach."""
    from pipeline.reading.work import working

    if ray_address is None:
        if workers == 1:
            with working(scratch=scratch) as work:
                yield work
            return
        from pipeline.engine.processes import processes

        with processes(workers) as executor, working(executor, scratch=scratch) as work:
            yield work
        return
    if workers != 1:
        raise click.UsageError("--workers and --ray-address exclude each other")
    if ray_address != "local" and scratch is None:
        raise ConfigError(
            f"--ray-address {ray_address}: what its tasks pass on must lie where all nodes reach it; name a folder or "
            "URL beside the run, not in it, with --scratch"
        )
    from pipeline.engine.executor import connect

    with connect(ray_address) as cluster, working(cluster, scratch=scratch) as work:
        yield work
