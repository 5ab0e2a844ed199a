"""The subcommand `loopmix browse`. Parse, call one function, print."""

from __future__ import annotations

import webbrowser

import click

from pipeline.cli.opening import open_run
from pipeline.cli.output import RUN, say
from pipeline.errors import ConfigError


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(browse)


@click.command()
@click.argument("run", type=RUN)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of this machine; 0 is any that is free.")
@click.option("--open", "is_opened", is_flag=True, help="Open the page in the browser.")
def browse(run: str, port: int, is_opened: bool) -> None:
    """Search and read the documents of RUN in a browser on this machine, until Ctrl-C. Nothing is written.

    Only who has the address that is printed can read the page, and only from this machine.
    """
    try:
        from pipeline.browse.serve import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise ConfigError(f"browse needs {error.name}, which is not installed: pip install '.[browse]'") from error

    def said(address: str) -> None:
        say(f"{address}\nCtrl-C ends it")
        if is_opened:
            webbrowser.open(address)

    serve(open_run(run), port=port, said=said)
