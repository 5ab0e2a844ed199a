"""The subcommand `loopmix compare`. Parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.helping import Sectioned
from pipeline.cli.opening import at_work, open_run, work_options
from pipeline.cli.output import RUN, json_option, say

_folder = click.Path(path_type=Path, file_okay=False)


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(compare)


@click.command(cls=Sectioned)
@click.argument("run_a", type=RUN)
@click.argument("run_b", type=RUN)
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write this page.")
@click.option("--models", nargs=2, type=_folder, help="Model folders of A and B, for their verdicts.")
@click.option("--validations", nargs=2, type=_folder, help="Folders of `loopmix validate` of A and B.")
@work_options
@json_option("the comparison as one JSON object")
def compare(
    run_a: str,
    run_b: str,
    html: Path | None,
    models: tuple[Path, Path] | None,
    validations: tuple[Path, Path] | None,
    as_json: bool,
    **where: Any,
) -> None:
    """Say what differs between RUN_A and RUN_B: settings, shares, drops, documents that changed fate, and why."""
    from rich.console import Console

    from pipeline.compare.compare import compare as put_beside
    from pipeline.compare.found import to_json
    from pipeline.compare.page import write_page
    from pipeline.compare.terminal import lines

    runs = open_run(run_a), open_run(run_b)
    with at_work(**where) as work:
        found = put_beside(*runs, work, models=models, validations=validations)
    if html is not None:
        write_page(found, html)
    if as_json:
        click.echo(to_json(found), nl=False)
        return
    say("\n".join(lines(found, width=Console().width)))
    if html is not None:
        say(f"\npage: {html}")
