"""A run as the commands open it, and the report that they leave in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.cli.output import complain
from pipeline.errors import StoreError

if TYPE_CHECKING:
    from pipeline.engine.run_folder import RunFiles
    from pipeline.report.numbers import Numbers


def open_run(run: str) -> RunFiles:
    """The finished run in a folder or at a URL."""
    from pipeline.arrays.pandas_unasked import leave_pandas_out
    from pipeline.engine.run_folder import RunFiles
    from pipeline.engine.store import open_store

    leave_pandas_out()
    return RunFiles(open_store(run))


def saved(run: RunFiles, numbers: Numbers) -> str | None:
    """Where the report was written: before anything is printed, because whoever reads that may go away half-way."""
    from pipeline.report import save

    try:
        return save(run, numbers)
    except StoreError as error:  # a finished run may be read-only
        complain(f"warning: the report was not written: {error}")
        return None
