"""The command `loopmix`: parse, call one function, print. Exit codes: 0 done, 1 error, 2 usage, 3 broken promise."""

from __future__ import annotations

import hashlib
import re
import socket
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import __version__
from pipeline.cli import examples, proposing, rules, training
from pipeline.cli.output import EXIT_BROKEN, complain, json_option, say, say_json
from pipeline.errors import ConfigError, LoopmixError, StoppedError, StoreError

if TYPE_CHECKING:
    from pipeline.engine.run_folder import RunFiles
    from pipeline.report.numbers import Numbers

EXIT_ERROR, EXIT_STOPPED = 1, 130  # 130: what shells give a program that Ctrl-C ended
# Input above which Ray is started by itself where it is installed. A plain choice: below it a cluster's start and its
# workers, which import and load kernels once each, take much of what they would save.
INLINE_BYTES = 300_000_000

_mixture = click.argument("mixture", type=click.Path(path_type=Path, dir_okay=False))
_run = click.argument("run")


class _Commands(click.Group):
    """Prints our own errors on one line; anything else is a defect and keeps its traceback."""

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
                traceback.print_exc()
            complain(f"{type(error).__name__}: {error}")
            raise SystemExit(EXIT_ERROR) from None
        except KeyboardInterrupt:
            complain(f"stopped; run the same line again{hint} to go on")
            raise SystemExit(EXIT_STOPPED) from None


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="loopmix")
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
def main(debug: bool) -> None:
    """Curate, balance to the token, pack and prove the pretraining mixture of a looped code model."""
    import tokenizer

    if not hasattr(tokenizer, "BUILTIN"):
        raise ConfigError(f"{tokenizer.__file__} is another package named tokenizer; install loopmix in its own venv")


def _open(run: str) -> RunFiles:
    from pipeline.arrays.pandas_unasked import leave_pandas_out
    from pipeline.engine.run_folder import RunFiles
    from pipeline.engine.store import open_store

    leave_pandas_out()
    return RunFiles(open_store(run))


@main.command()
@_mixture
@click.option("--out", required=True, help="Run folder: a path or an fsspec URL.")
@click.option("--executor", type=click.Choice(["auto", "inline", "ray"]), default="auto", show_default=True)
@click.option("--ray-address", help="auto, local, HOST:PORT or ray://HOST:PORT; implies --executor ray.")
@click.option(
    "--on-bad-shard",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="What an input file does that breaks off. A large one is skipped as a whole.",
)
@click.option("--check", type=click.Choice(["hash", "size"]), default="hash", help="How finished files are trusted.")
@click.option("--replace", is_flag=True, help="Remove the run that stands in the folder, and begin anew.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def curate(mixture: Path, out: str, executor: str, ray_address: str | None, quiet: bool, **options: Any) -> None:
    """Make the mixture: ingest to packed shards and report. Run again to go on where it stopped.

    What happens is also written to RUN/logs/, one JSON line an event.
    """
    from rich.console import Console

    from pipeline.arrays.pandas_unasked import leave_pandas_out
    from pipeline.engine.belonging import refuse_other, refuse_strangers
    from pipeline.engine.executor import connect
    from pipeline.engine.progress import Progress, RunLog
    from pipeline.engine.run import Run
    from pipeline.engine.store import open_store
    from pipeline.request.inputs import refuse_misplaced
    from pipeline.request.load import load_mixture
    from pipeline.request.without_effect import without_effect
    from pipeline.sources.documents import plan

    loaded, store = load_mixture(mixture), open_store(out)
    if not loaded.quality.plugins:  # those may return arrays of pandas
        leave_pandas_out()
    from pipeline.engine.manifest import read_manifest
    from pipeline.recipe import curate as run_recipe  # makes arrays when it is imported

    # Before the log begins: somebody's folder, and somebody's source, is left as it was found.
    refuse_strangers(store)
    if not options["replace"]:
        refuse_other(store, loaded)
    refuse_misplaced(loaded, run=store.root)
    log = RunLog(store, lambda message: complain(f"warning: {message}"))
    progress = Progress(Console(), quiet=quiet, log=log)
    command = [re.sub("://[^/@]*@", "://...@", argument) for argument in sys.argv]  # no passwords of URLs in a log
    fingerprint = hashlib.sha256(loaded.model_dump_json().encode()).hexdigest()[:32]
    start = {"version": __version__, "command": command, "host": socket.gethostname()}
    with progress.recorded(**start, mixture=loaded.name, fingerprint=fingerprint):
        for line in without_effect(loaded):
            progress.warn(line)
        slices = plan(loaded)
        n_bytes = sum(s.n_bytes for s in slices)
        with connect(_address(executor, ray_address, n_bytes=n_bytes)) as engine:
            progress.say(f"loopmix {__version__}: mixture {loaded.name!r} into {store.root}, {engine.describe()}")
            run = Run(store, loaded, engine, progress, **options)
            try:
                run_recipe(run, slices=slices)
            finally:  # also where it fails: what was skipped may be why
                for stage, made in read_manifest(store)["stages"].items():
                    for shard, problem in made["problems"].items():
                        progress.warn(f"{stage}: shard {shard} was skipped: {problem}")
        _brief(out, quiet=quiet)
    progress.say(f"all of it: loopmix report {out}")


def _address(executor: str, ray_address: str | None, *, n_bytes: int) -> str | None:
    """Where to run: what was asked for, else Ray for large input where it is installed, else this process."""
    from importlib.util import find_spec

    if ray_address is not None:
        if executor == "inline":
            raise click.UsageError("--ray-address and --executor inline exclude each other")
        return ray_address
    if executor == "ray":
        return "local"
    if executor == "inline" or find_spec("ray") is None:
        return None
    return "local" if n_bytes > INLINE_BYTES else None


def _brief(run: str, *, quiet: bool) -> None:
    """Write the report of a run, unless it stands, and print its first block."""
    from rich.console import Console

    from pipeline.report import PAGE, count
    from pipeline.report.brief import brief_of, drawn
    from pipeline.report.standing import standing

    opened = _open(run)
    brief = standing(opened.store)
    numbers = None
    if brief is None:
        numbers = count(opened)
        brief = brief_of(numbers)
    page = opened.store.full(PAGE) if numbers is None else _saved(opened, numbers)
    if not quiet:
        console = Console()
        console.print()
        console.print(drawn(brief), soft_wrap=False)
        if page:
            say(f"\nreport: {page}")


def _saved(run: RunFiles, numbers: Numbers) -> str | None:
    """Where the report was written: before anything is printed, because whoever reads that may go away half-way."""
    from pipeline.report import save

    try:
        return save(run, numbers)
    except StoreError as error:  # a finished run may be read-only
        complain(f"warning: the report was not written: {error}")
        return None


@main.command()
@_run
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), help="Add the curves of a trained model.")
@json_option("the bytes of report.json")
def report(run: str, model: Path | None, as_json: bool) -> None:
    """Print the language shares, drops, duplicates and balance of RUN and write its HTML page."""
    from rich.console import Console

    from pipeline.report import count
    from pipeline.report.numbers import to_json
    from pipeline.report.terminal import print_report

    opened = _open(run)
    numbers = count(opened, model=model)
    page = _saved(opened, numbers)
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
@json_option("one JSON object a line")
def why(run: str, name: str, text: bool, as_json: bool) -> None:
    """Say what happened to a document, by which rules, and who was kept instead."""
    from pipeline.cli.why import why_lines
    from pipeline.reading.lookup import why as look_up

    for document in look_up(_open(run), name, text=text):
        say_json(document, sort_keys=True) if as_json else say("\n".join(why_lines(document)) + "\n")


@main.command()
@_run
@click.argument("sequence", type=int)
@click.argument("offset", type=int, required=False)
def trace(run: str, sequence: int, offset: int | None) -> None:
    """Name the documents behind packed SEQUENCE, or behind its token OFFSET, as JSON lines."""
    from pipeline.reading.lookup import trace as look_up

    for piece in look_up(_open(run), sequence, offset=offset):
        say_json(piece, sort_keys=True)


@main.command()
@_run
@click.option("--quick", is_flag=True, help="Files by size, and no promise that takes texts or token ids.")
@json_option("a JSON list of {promise, kept, detail}; kept is null where it was not recounted")
def verify(run: str, quick: bool, as_json: bool) -> None:
    """Recount balance, prefixes, alignment, hashes, keepers and the trace of RUN from its files."""
    from pipeline.reading.verify import verify as recount

    findings = []
    for finding in recount(_open(run), quick=quick):
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
@click.option("--example", metavar="NAME", help="Print a file that ships, to start from; a wrong NAME lists them.")
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


@main.command("train-tokenizer")
@_mixture
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="tokenizer.json to write.")
@click.option("--vocab-size", default=76_800, show_default=True)
@click.option("--sample-bytes", default=100_000_000, show_default=True, help="Code and text together, half each.")
def train_tokenizer(mixture: Path, out: Path, vocab_size: int, sample_bytes: int) -> None:
    """Train the byte-level BPE on a keyed 1:1 sample of the mixture's sources."""
    import tokenizer
    from pipeline.engine.store import open_store
    from pipeline.request.load import load_mixture
    from pipeline.tokenizer_sample import sample

    def show(done: int, total: int) -> None:
        if done == total or done % 10 == 0:
            say(f"  sampled {done}/{total} slices")

    texts = sample(load_mixture(mixture), n_bytes=sample_bytes, on_slice=show)
    say(f"  training {vocab_size:,} entries on {len(texts):,} documents, {sum(map(len, texts)):,} characters")
    try:
        trained = tokenizer.train(texts, vocab_size=vocab_size)
    except tokenizer.TokenizerError as error:
        raise ConfigError(f"train-tokenizer: {error}") from error
    open_store(str(out.parent)).write_bytes(out.name, trained.to_str().encode())
    say(f"wrote {out}")


training.add_to(main)
proposing.add_to(main)
rules.add_to(main)
