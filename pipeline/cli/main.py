"""The command `loopmix`: parse, call one function, print. Exit codes: 0 done, 1 our error, 2 usage, 3 verify failed."""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline import __version__
from pipeline.cli import training
from pipeline.errors import ConfigError, LoopmixError

if TYPE_CHECKING:
    from pipeline.engine.run_folder import RunFiles
    from pipeline.engine.stage import Run

EXIT_ERROR, EXIT_BROKEN = 1, 3
INLINE_BYTES = 300_000_000  # input above which Ray is started by itself where it is installed

_mixture = click.argument("mixture", type=click.Path(path_type=Path, dir_okay=False))
_run = click.argument("run")


class _Group(click.Group):
    """Prints our own errors on one line; anything else is a defect and keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LoopmixError as error:
            if ctx.params.get("debug"):
                traceback.print_exc()
            click.echo(f"loopmix: {type(error).__name__}: {error}", err=True)
            raise SystemExit(EXIT_ERROR) from None
        except KeyboardInterrupt:
            click.echo("loopmix: stopped; run the same line again to go on", err=True)
            raise SystemExit(130) from None


@click.group(cls=_Group)
@click.version_option(__version__, prog_name="loopmix")
@click.option("--debug", is_flag=True, help="Print the traceback of an error.")
def main(debug: bool) -> None:
    """Curate, balance to the token, pack and prove the pretraining mixture of a looped code model."""
    import tokenizer

    if not hasattr(tokenizer, "BUILTIN"):
        raise ConfigError(f"{tokenizer.__file__} is another package named tokenizer; install loopmix in its own venv")


def _print(text: str = "") -> None:
    click.echo(text)


def _open(run: str) -> RunFiles:
    from pipeline.engine.run_folder import RunFiles
    from pipeline.engine.store import open_store

    return RunFiles(open_store(run))


@main.command()
@_mixture
@click.option("--out", required=True, help="Run folder: a path or an fsspec URL.")
@click.option("--executor", type=click.Choice(["auto", "inline", "ray"]), default="auto", show_default=True)
@click.option("--ray-address", help="auto, local, HOST:PORT or ray://HOST:PORT; implies --executor ray.")
@click.option("--on-bad-shard", type=click.Choice(["stop", "skip"]), default="stop", show_default=True)
@click.option("--check", type=click.Choice(["hash", "size"]), default="hash", help="How finished files are trusted.")
@click.option("--quiet", is_flag=True, help="Print nothing but errors.")
def curate(mixture: Path, out: str, executor: str, ray_address: str | None, **options: Any) -> None:
    """Make the mixture: ingest to packed shards and report. Run again to go on where it stopped."""
    from rich.console import Console

    from pipeline.config import load_mixture
    from pipeline.engine.executor import connect
    from pipeline.engine.progress import Progress
    from pipeline.engine.stage import Run
    from pipeline.engine.store import open_store
    from pipeline.recipe import curate as run_recipe
    from pipeline.sources.documents import plan

    loaded = load_mixture(mixture)
    slices = plan(loaded)
    progress = Progress(Console(), quiet=options["quiet"])
    n_bytes = sum(s.n_bytes for s in slices)
    with connect(_address(executor, ray_address, n_bytes=n_bytes)) as engine:
        store = open_store(out)
        progress.say(f"loopmix {__version__}: mixture {loaded.name!r} into {store.root}, {engine.describe()}")
        run: Run = Run(store, loaded, engine, progress, options["on_bad_shard"], options["check"])
        run_recipe(run, slices=slices)
    _report(out, brief=True, quiet=options["quiet"])
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


def _report(run: str, *, model: Path | None = None, brief: bool = False, quiet: bool = False) -> None:
    """Write the report of a run and print it, or its first block."""
    from rich.console import Console

    from pipeline.report import write_report
    from pipeline.report.terminal import print_report

    numbers, page = write_report(_open(run), model=model)
    if not quiet:
        print_report(numbers, Console(), brief=brief)
        _print(f"\nreport: {page}")


@main.command()
@_run
@click.option("--model", type=click.Path(path_type=Path, file_okay=False), help="Add the curves of a trained model.")
def report(run: str, model: Path | None) -> None:
    """Print the language shares, drops, duplicates and balance of RUN and write its HTML page."""
    _report(run, model=model)


@main.command()
@_run
@click.argument("name", metavar="PATH_OR_DOC_ID")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def why(run: str, name: str, as_json: bool) -> None:
    """Say what happened to a document, by which rules, and who was kept instead."""
    from pipeline.cli.why import why_lines
    from pipeline.reading.lookup import why as look_up

    for document in look_up(_open(run), name):
        _print(json.dumps(document, sort_keys=True, default=str) if as_json else "\n".join(why_lines(document)) + "\n")


@main.command()
@_run
@click.argument("sequence", type=int)
@click.argument("offset", type=int, required=False)
def trace(run: str, sequence: int, offset: int | None) -> None:
    """Name the documents behind packed SEQUENCE, or behind its token OFFSET, as JSON lines."""
    from pipeline.reading.lookup import trace as look_up

    for piece in look_up(_open(run), sequence, offset=offset):
        _print(json.dumps(piece, sort_keys=True))


@main.command()
@_run
def verify(run: str) -> None:
    """Recount balance, prefixes, alignment, hashes, keepers and the trace of RUN from its files."""
    from pipeline.reading.verify import verify as recount

    broken = 0
    for finding in recount(_open(run)):
        broken += not finding.kept
        _print(f"  {'ok    ' if finding.kept else 'BROKEN'} {finding.promise:<11} {finding.detail}")
    if broken:
        _print(f"{broken} promises are broken")
        sys.exit(EXIT_BROKEN)
    _print("every promise holds")


@main.command("config")
@_mixture
def config_(mixture: Path) -> None:
    """Print the resolved mixture, each value with its meaning."""
    from pipeline.cli.explain import explain
    from pipeline.config import load_mixture

    for line in explain(load_mixture(mixture)):
        _print(line)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@click.option("--content-only", is_flag=True, help="Ignore the names of the files.")
def classify(paths: tuple[Path, ...], as_json: bool, content_only: bool) -> None:
    """Say in which pool and language files are, and what decided it."""
    from pipeline.cli.classify_files import classify_files

    for fact in classify_files(paths, content_only=content_only):
        line = "{path}: {language} ({pool}, {confidence:.2f} by {decided_by})".format(**fact)
        _print(json.dumps(fact) if as_json else line)


@main.command("train-tokenizer")
@_mixture
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="tokenizer.json to write.")
@click.option("--vocab-size", default=76_800, show_default=True)
@click.option("--sample-bytes", default=100_000_000, show_default=True, help="Code and text together, half each.")
def train_tokenizer(mixture: Path, out: Path, vocab_size: int, sample_bytes: int) -> None:
    """Train the byte-level BPE on a keyed 1:1 sample of the mixture's sources."""
    import tokenizer
    from pipeline.config import load_mixture
    from pipeline.engine.store import open_store
    from pipeline.tokenizer_sample import sample

    def show(done: int, total: int) -> None:
        if done == total or done % 10 == 0:
            _print(f"  sampled {done}/{total} slices")

    texts = sample(load_mixture(mixture), n_bytes=sample_bytes, on_slice=show)
    _print(f"  training {vocab_size:,} entries on {len(texts):,} documents, {sum(map(len, texts)):,} characters")
    try:
        trained = tokenizer.train(texts, vocab_size=vocab_size)
    except tokenizer.TokenizerError as error:
        raise ConfigError(f"train-tokenizer: {error}") from error
    open_store(str(out.parent)).write_bytes(out.name, trained.to_str().encode())
    _print(f"wrote {out}")


training.add_to(main)
