"""The subcommand `loopmix curate`. Parse, call one function, print."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import __version__
from pipeline.cli.helping import Sectioned
from pipeline.cli.opening import open_run, saved
from pipeline.cli.output import RUN, SAMPLE_RATE, complain, say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from pipeline.config import Mixture
    from pipeline.engine.executor import Executor
    from pipeline.engine.progress import Progress
    from pipeline.engine.store import Store
    from pipeline.sources.slices import Slice

# Input above which the work goes to one process a core by itself. Below it the processes, which import and load kernels
# once each, take much of what they would save.
INLINE_BYTES = 100_000_000


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(curate)


@click.command(cls=Sectioned)
@click.argument("mixture", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", required=True, type=RUN, help="Run folder: a path or an fsspec URL.")
@click.option(
    "--executor",
    type=click.Choice(["auto", "inline", "processes", "ray"]),
    default="auto",
    show_default=True,
    help="auto: one process a core above 100 MB of input, else this one.",
)
@click.option("--ray-address", help="auto, local, HOST:PORT or ray://HOST:PORT; implies --executor ray.")
@click.option(
    "--on-bad-shard",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What an input file does that breaks off. A large one is skipped as a whole.",
)
@click.option(
    "--check",
    type=click.Choice(["hash", "size"]),
    default="hash",
    show_default=True,
    help="How finished files are trusted.",
)
@click.option("--replace", is_flag=True, help="Remove the run that stands in the folder, and begin anew.")
@click.option("--sample", type=SAMPLE_RATE, help="A trial on this share of the input, as 0.01; same as ingest.sample.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def curate(
    mixture: Path,
    out: str,
    executor: str,
    ray_address: str | None,
    sample: float | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Make the mixture: ingest to packed shards and report. Run again to go on where it stopped.

    What happens is also written to RUN/logs/, one JSON line an event.
    """
    from pipeline.arrays.pandas_unasked import leave_pandas_out
    from pipeline.config import said_sample
    from pipeline.engine.live_line import console_of
    from pipeline.engine.progress import Progress, RunLog
    from pipeline.engine.run import Run
    from pipeline.engine.store import open_store
    from pipeline.request.load import load_mixture, with_sample
    from pipeline.request.without_effect import without_effect
    from pipeline.sources.documents import plan

    loaded, store = with_sample(load_mixture(mixture), sample), open_store(out)
    if not loaded.quality.plugins:  # those may return arrays of pandas
        leave_pandas_out()
    _refuse_folder(store, loaded, is_replaced=options["replace"])
    log = RunLog(store, lambda message: complain(f"warning: {message}"))
    progress = Progress(console_of(), quiet=quiet, log=log)
    with progress.recorded(**_start(loaded, mixture)), progress.alone():
        for line in without_effect(loaded):
            progress.warn(line)
        slices = plan(loaded)
        n_bytes = sum(s.n_bytes for s in slices)
        with _workers(executor, ray_address, n_bytes=n_bytes, mixture=loaded) as engine:
            progress.event("inputs", workers=engine.describe(), bytes=_input_bytes(slices))
            from pipeline.recipe import curate as run_recipe  # while the processes that have just begun do the same

            what = f"{said_sample(loaded.ingest.sample)} of " if loaded.ingest.sample else ""
            where = f"into {store.root}, {engine.describe()}"
            progress.say(f"loopmix {__version__}: {what}mixture {loaded.name!r} {where}")
            try:
                run_recipe(Run(store, loaded, engine, progress, **options), slices=slices)
            finally:  # also where it fails: what was skipped may be why
                _warn_of_skipped(store, progress)
        _brief(out, quiet=quiet)
    progress.say(f"all of it: loopmix report {out}")


def _refuse_folder(store: Store, mixture: Mixture, *, is_replaced: bool) -> None:
    """Before the log begins: somebody's folder, and somebody's source, is left as it was found."""
    from pipeline.engine.belonging import refuse_other, refuse_strangers
    from pipeline.request.inputs import refuse_misplaced

    refuse_strangers(store)
    if not is_replaced:
        refuse_other(store, mixture)
    refuse_misplaced(mixture, run=store.root)


def _start(mixture: Mixture, file: Path) -> dict[str, Any]:
    """What the log says of a start. No passwords of URLs in it."""
    data = file.read_bytes()
    text = re.sub(r"://[^/@\s]*@", "://...@", data.decode("utf-8", errors="replace"))
    return {
        "version": __version__,
        "command": [re.sub("://[^/@]*@", "://...@", argument) for argument in sys.argv],
        "host": socket.gethostname(),
        "n_cpus": os.cpu_count(),
        "libraries": _libraries(),
        "mixture_file": {"text": text, "sha256": hashlib.sha256(data).hexdigest()},
        "mixture": mixture.name,
        "fingerprint": hashlib.sha256(mixture.model_dump_json().encode()).hexdigest()[:32],
    }


def _libraries() -> dict[str, str]:
    """Versions of Python and of what loopmix requires; of a copy that was never installed Python's alone."""
    found = {"python": platform.python_version()}
    with suppress(metadata.PackageNotFoundError):
        wanted = [one for one in metadata.requires("loopmix") or () if "extra ==" not in one]
        for name in sorted(re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in wanted):
            with suppress(metadata.PackageNotFoundError):  # of another machine alone
                found[name] = metadata.version(name)
    return found


def _input_bytes(slices: Sequence[Slice]) -> dict[str, int]:
    """Bytes of the input files of each source, as they lie on disk."""
    found: dict[str, int] = {}
    for one in slices:
        found[one.source] = found.get(one.source, 0) + one.n_bytes
    return found


def _warn_of_skipped(store: Store, progress: Progress) -> None:
    from pipeline.engine.manifest import read_manifest

    for stage, made in read_manifest(store)["stages"].items():
        for shard, problem in made["problems"].items():
            progress.warn(f"{stage}: shard {shard} was skipped: {problem}")


def _workers(
    executor: str, ray_address: str | None, *, n_bytes: int, mixture: Mixture
) -> AbstractContextManager[Executor]:
    """Where to run: what was asked for, else processes of this machine for large input, else this process."""
    from pipeline.engine.executor import connect
    from pipeline.engine.processes import processes, workers_that_fit

    if ray_address is not None and executor in ("inline", "processes"):
        raise click.UsageError(f"--ray-address and --executor {executor} exclude each other")
    if ray_address is not None or executor == "ray":
        return connect(ray_address or "local")
    n_workers = workers_that_fit(mixture.ingest.shard_bytes)
    if executor == "processes" or (executor == "auto" and n_bytes > INLINE_BYTES and n_workers > 1):
        without = [] if mixture.quality.plugins else ["pipeline.arrays.without_pandas"]  # as in this process
        return processes(n_workers, preload=[*without, "pipeline.recipe"])
    return connect(None)


def _brief(run: str, *, quiet: bool) -> None:
    """Write the report of a run, unless it stands, and print its first block."""
    from pipeline.engine.live_line import console_of
    from pipeline.report import PAGE, count
    from pipeline.report.brief import brief_of, drawn
    from pipeline.report.standing import standing

    opened = open_run(run)
    brief = standing(opened.store)
    numbers = None
    if brief is None:
        numbers = count(opened)
        brief = brief_of(numbers)
    page = opened.store.full(PAGE) if numbers is None else saved(opened, numbers)
    if not quiet:
        console = console_of()
        console.print()
        console.print(drawn(brief), soft_wrap=False)
        if page:
            say(f"\nreport: {page}")
