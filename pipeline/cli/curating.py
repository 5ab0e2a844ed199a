"""The subcommand `loopmix curate`. Parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.helping import Sectioned
from pipeline.cli.output import RUN, SAMPLE_RATE, complain, say
from pipeline.engine.forking import PRELOADED, begin_server

if TYPE_CHECKING:
    from pipeline.api.asked import Where


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
    executor: Where,
    ray_address: str | None,
    sample: float | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Make the mixture: ingest to packed shards and report. Run again to go on where it stopped.

    What happens is also written to RUN/logs/, one JSON line an event.
    """
    _begin_early(mixture, executor)
    from pipeline.api.asked import at_odds
    from pipeline.api.making import Told, make
    from pipeline.arrays.pandas_unasked import leave_pandas_out
    from pipeline.engine.live_line import console_of
    from pipeline.engine.store import open_store
    from pipeline.report.brief import drawn
    from pipeline.request.load import load_mixture, with_sample

    if said := at_odds(executor, ray_address):
        raise click.UsageError(said)
    loaded, store = with_sample(load_mixture(mixture), sample), open_store(out)
    if not loaded.quality.plugins:  # those may return arrays of pandas
        leave_pandas_out()
    told = Told(console_of(), quiet, complain=lambda message: complain(f"warning: {message}"))
    file = mixture.read_bytes()
    made = make(loaded, store, executor=executor, ray_address=ray_address, told=told, file=file, **options)
    if quiet:
        return
    console = console_of()
    console.print()
    console.print(drawn(made.brief), soft_wrap=False)
    if made.page:
        say(f"\nreport: {made.page}")
    say(f"all of it: loopmix report {out}")


def _begin_early(mixture: Path, executor: Where) -> None:
    """Let what processes are forked from import beside this command, which takes as long to start; where nobody can say
    yet how many processes there will be, or what they may import, it begins later."""
    if executor == "processes" and mixture.is_file() and b"plugins" not in mixture.read_bytes():
        begin_server(PRELOADED)
