"""The command `loopmix`: parse, call one function, print. Exit codes: 0 done, 1 error, 2 usage, 3 broken promise."""

from __future__ import annotations

import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import click

from pipeline import __version__
from pipeline.cli import (
    browsing,
    comparing,
    curating,
    examples,
    exporting,
    forecasting,
    forgetting,
    linting,
    proposing,
    publishing,
    rules,
    standing,
    tokenizers,
    training,
)
from pipeline.cli.helping import Grouped
from pipeline.cli.opening import at_work, open_run, saved, work_options
from pipeline.cli.output import EXIT_BROKEN, RUN, complain, json_option, say, say_json, short
from pipeline.errors import ConfigError, LoopmixError, StoppedError

EXIT_ERROR, EXIT_STOPPED = 1, 130  # 130: what shells give a program that Ctrl-C ended

_run = click.argument("run", type=RUN)


def _show_defect(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The traceback of a defect, whose message may hold what stood in a file."""
    say("".join(traceback.format_exception(kind, error, trace)), err=True)


def _usage(error: click.ClickException) -> str:
    """What is wrong with the arguments, and where they are explained; click says it on four lines."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error.format_message()
    command = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "loopmix"
    said = " ".join(error.format_message().split())  # lists of choices come on lines of their own
    return f"{command}: {said.removesuffix('.')} (see `{command} --help`)"


def _stop() -> SystemExit:
    """The end after Ctrl-C. Python notes where that strikes within an `exec` of text, of which imports have many, and
    `python -m pipeline` would end by the signal at last, and not with the code; the next `exec` clears the note."""
    exec("")  # noqa: S102 - of nothing
    return SystemExit(EXIT_STOPPED)


class _Commands(Grouped):
    """Prints our own errors on one line; anything else is a defect and keeps its traceback."""

    def main(self, *arguments: Any, **more: Any) -> Any:
        """As click does it, but what it says of wrong arguments, which may be names of files, is cleaned too."""
        by_itself = more.get("standalone_mode", True)
        more["standalone_mode"] = False
        if not by_itself:
            return super().main(*arguments, **more)
        sys.excepthook = _show_defect
        try:
            code = super().main(*arguments, **more)
            sys.exit(code if isinstance(code, int) else 0)
        except click.ClickException as error:
            say(short(_usage(error)), err=True)
            sys.exit(error.exit_code)
        except click.Abort as abort:
            if isinstance(abort.__cause__, EOFError):  # which click takes for Ctrl-D; nothing here reads a terminal
                raise abort.__cause__ from None
            complain("stopped")
            raise _stop() from None

    def invoke(self, ctx: click.Context) -> Any:
        # The same line with --replace would remove what it is to go on from.
        hint = " without --replace" if "--replace" in ctx.args else ""
        try:
            return super().invoke(ctx)
        except StoppedError as stop:
            complain(str(stop))
            raise SystemExit(stop.exit_code) from None
        except LoopmixError as error:
            if ctx.params.get("debug"):
                say(traceback.format_exc(), err=True)
            complain(f"{type(error).__name__}: {error}")
            if isinstance(error, ConfigError) and error.shown:
                say("\n".join(error.shown), err=True)
            raise SystemExit(EXIT_ERROR) from None
        except KeyboardInterrupt:
            complain(f"stopped; run the same line again{hint} to go on")
            raise _stop() from None


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="loopmix")
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
def main(debug: bool) -> None:
    """Curate, balance to the token, pack and prove the pretraining mixture of a looped code model."""
    import tokenizer

    if not hasattr(tokenizer, "BUILTIN"):
        raise ConfigError(f"{tokenizer.__file__} is another package named tokenizer; install loopmix in its own venv")


@main.command()
@_run
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), help="Add the curves of a trained model.")
@work_options
@json_option("the bytes of report.json")
def report(run: str, model: Path | None, as_json: bool, **where: Any) -> None:
    """Print the language shares, drops, duplicates and balance of RUN and write its HTML page."""
    from rich.console import Console

    from pipeline.report import count
    from pipeline.report.numbers import to_json
    from pipeline.report.terminal import print_report

    opened = open_run(run)
    with at_work(**where) as work:
        numbers = count(opened, model=model, work=work)
        page = saved(opened, numbers, work=work)
    if as_json:
        click.echo(to_json(numbers), nl=False)
        return
    print_report(numbers, Console())
    if page:
        say(f"\nreport: {page}")


@main.command()
@_run
@click.argument("name", metavar="PATH_OR_DOC_ID")
@click.option("--text", is_flag=True, help="Print its text as well, as tokens are made of it.")
@work_options
@json_option("one JSON object a line")
def why(run: str, name: str, text: bool, as_json: bool, **where: Any) -> None:
    """Say what happened to a document, by which rules, and who was kept instead."""
    from pipeline.cli.why import why_lines
    from pipeline.reading.lookup import why as look_up

    opened = open_run(run)
    with at_work(**where) as work:
        for document in look_up(opened, name, text=text, work=work):
            say_json(document, sort_keys=True) if as_json else say("\n".join(why_lines(document)) + "\n")


@main.command()
@_run
@click.argument("sequence", type=int)
@click.argument("offset", type=int, required=False)
@work_options
def trace(run: str, sequence: int, offset: int | None, **where: Any) -> None:
    """Name the documents behind packed SEQUENCE, or behind its token OFFSET, as JSON lines."""
    from pipeline.reading.lookup import trace as look_up

    opened = open_run(run)
    with at_work(**where) as work:
        for piece in look_up(opened, sequence, offset=offset, work=work):
            say_json(piece, sort_keys=True)


@main.command()
@_run
@click.option("--quick", is_flag=True, help="Files by size, and no promise that takes texts or token ids.")
@work_options
@json_option("a JSON list of {promise, kept, detail}; kept is null where it was not recounted")
def verify(run: str, quick: bool, as_json: bool, **where: Any) -> None:
    """Recount balance, prefixes, alignment, hashes, keepers and the trace of RUN from its files."""
    from pipeline.reading.verify import verify as recount

    findings, opened = [], open_run(run)
    with at_work(**where) as work:
        for finding in recount(opened, quick=quick, work=work):
            findings.append(finding)
            if not as_json:
                words = {None: "left", False: "BROKEN", True: "look" if finding.look else "ok"}
                word = words[finding.kept]
                say(f"  {word:<6} {finding.promise:<11} {finding.detail}")
    broken = sum(finding.kept is False for finding in findings)
    every = "every promise that was recounted" if quick else "every promise"
    if as_json:
        say_json([asdict(finding) for finding in findings])
    else:
        say(f"{broken} promises are broken" if broken else f"{every} holds")
    if broken:
        sys.exit(EXIT_BROKEN)


@main.command("config")
@click.argument("mixture", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--example",
    metavar="NAME",
    shell_complete=lambda *asked: [name for name in examples.names() if name.startswith(asked[2])],
    help="Print a file that ships, to start from; a wrong NAME lists them.",
)
@json_option("the mixture as JSON, {value, meaning} for each key")
def config_(mixture: Path | None, example: str | None, as_json: bool) -> None:
    """Print the resolved mixture, each value with its meaning."""
    from pipeline.cli.explain import explain, explained
    from pipeline.cli.sizes import with_sizes
    from pipeline.request.load import load_mixture
    from pipeline.request.without_effect import without_effect

    if (mixture is None) == (example is None) or (example and as_json):
        raise click.UsageError("give either a MIXTURE or --example NAME; --json goes with a MIXTURE")
    if example is not None:
        click.echo(examples.example(example), nl=False)
    elif mixture is not None:
        loaded, unsized = with_sizes(load_mixture(mixture))
        notes = (f"# note: {line}" for line in (*without_effect(loaded), *unsized))
        say_json(explained(loaded)) if as_json else say("\n".join([*explain(loaded), *notes]))


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option("one JSON object a line")
@click.option("--content-only", is_flag=True, help="Ignore the names of the files.")
def classify(paths: tuple[Path, ...], as_json: bool, content_only: bool) -> None:
    """Say in which pool and language files are, and what decided it."""
    from pipeline.cli.classify_files import classify_files, line_of

    for row in classify_files(paths, content_only=content_only):
        say_json(row) if as_json else say(line_of(row))


browsing.add_to(main)
comparing.add_to(main)
curating.add_to(main)
exporting.add_to(main)
forecasting.add_to(main)
forgetting.add_to(main)
linting.add_to(main)
training.add_to(main)
proposing.add_to(main)
publishing.add_to(main)
rules.add_to(main)
standing.add_to(main)
tokenizers.add_to(main)
