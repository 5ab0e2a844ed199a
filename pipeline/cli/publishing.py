"""The subcommand `loopmix publish`. Parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.cli.helping import Sectioned
from pipeline.cli.output import RUN, json_option, say, say_json


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(publish)


@click.command(cls=Sectioned)
@click.argument("run", type=RUN)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="New folder; default: RUN-papers.")
@click.option("--name", help="Of the data set, as people read it.")
@click.option("--creator", help="Person or organisation that made it.")
@click.option("--contact", help="Where its maker can be reached.")
@click.option("--address", help="URL of the page where it is published.")
@click.option("--published", metavar="YYYY-MM-DD", help="The day of that.")
@click.option("--version", metavar="VERSION", help="Of the data set.")
@json_option("the names of the files, with hashes")
def publish(run: str, out: Path | None, as_json: bool, **stated: Any) -> None:
    """Write the papers of RUN anew, with what is stated here: dataset card, licences, Croissant, the EU's summary.

    They say what stands in RUN/report, for a page of its own; RUN stays as it is.
    """
    from pipeline.cli.opening import open_run
    from pipeline.publish.papers import publish_to

    made = publish_to(open_run(run), out=out, stated={k: v for k, v in stated.items() if v is not None})
    if as_json:
        say_json({"folder": str(made.folder), "files": [file.summary() for file in made.files]})
        return
    say(f"wrote {made.folder}: {', '.join(file.path for file in made.files)}")
    if made.open_:
        say(f"  to be stated: {', '.join(made.open_)}")
