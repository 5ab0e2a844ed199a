"""How the command prints. Control characters, which names of files may hold, are shown and not sent to a terminal."""

import json
from typing import Any

import click

MAX_LINE_CHARS = 4_000  # of a message: what a screen holds
SAMPLE_RATE = click.FloatRange(0, 1, min_open=True, max_open=True)
RUN = click.Path(file_okay=False)  # a folder or a URL, as text; shells complete folders for it
EXIT_BROKEN = 3  # the command did its work and found a broken promise or a failed verdict


def say(text: str = "", *, err: bool = False) -> None:
    """Lines to stdout, or to stderr."""
    from pipeline.engine.progress import printable

    click.echo("\n".join(printable(line) for line in text.split("\n")), err=err)


def short(line: str) -> str:
    """A message without its middle where that is too long to read: it quotes a value that fills screens."""
    left_out = len(line) - MAX_LINE_CHARS
    half = MAX_LINE_CHARS // 2
    return line if left_out <= 0 else f"{line[:half]} [{left_out:,} characters left out] {line[-half:]}"


def complain(message: str) -> None:
    """One line to stderr, however many the message has."""
    say(short(f"loopmix: {' '.join(message.splitlines())}"), err=True)


def say_json(value: Any, *, sort_keys: bool = False) -> None:
    """One line of JSON, in ASCII: its encoder escapes every control character by itself."""
    click.echo(json.dumps(value, sort_keys=sort_keys, default=str))


def json_option(what: str) -> Any:
    """The option --json."""
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what}, nothing else.")
