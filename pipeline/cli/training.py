"""The trainer's subcommands of `loopmix`: train, validate, diagnose, export. Parse, call one function, print."""

import math
from pathlib import Path
from typing import Any

import click

from pipeline.cli.helping import Sectioned
from pipeline.cli.output import EXIT_BROKEN, complain, json_option, say
from pipeline.cli.trainer import load_trainer as _plt
from pipeline.errors import StoppedError

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)
_count = click.IntRange(min=1)
_data = click.option("--data", required=True, type=_folder, help="A finished run.")
_tokenizer = click.option(
    "--tokenizer", type=_file, help="tokenizer.json of packed shards without a manifest; a run holds its own."
)


def add_to(main: click.Group) -> None:
    """Hang the subcommands into `loopmix`."""
    for command in (train, validate, diagnose, export):
        main.add_command(command)


@click.command(cls=Sectioned)
@click.argument("config", type=_file)
@_data
@click.option("--out", type=_folder, help="Model folder; the same line again goes on where it stopped.")
@click.option("--dry-run", is_flag=True, help="Print parameters, FLOPs, memory and hours; train nothing.")
@click.option("--processes", type=_count, default=1, show_default=True, help="With --dry-run: GPUs to count on.")
@click.option(
    "--device-memory",
    type=click.FloatRange(min=0, min_open=True),
    metavar="GIB",
    help="With --dry-run: memory of one GPU; default: of the one here, else of an H100 and an H200.",
)
@_tokenizer
@json_option("the verdict as JSON")
def train(config: Path, data: Path, out: Path | None, dry_run: bool, processes: int, **options: Any) -> None:
    """Train a PLT on the packed shards of a run and judge the mixture. Run again to go on where it stopped.

    Exit code 3 if the verdict is FAIL.

    On several GPUs: torchrun --nproc-per-node N -m pipeline train CONFIG --data RUN --out MODEL
    """
    if processes != 1 and not dry_run:
        raise click.UsageError("--processes goes with --dry-run; to train on several, start it with torchrun")
    device_memory = options["device_memory"]
    if device_memory is not None and not dry_run:
        raise click.UsageError("--device-memory goes with --dry-run; a training takes what its device has")
    plt = _plt()
    from pipeline.cli.live import show_training
    from pipeline.plt.narrate import verdict_lines

    loaded = plt.read_config(config)
    if dry_run:
        say("\n".join(plt.dry_run(loaded, data=data, n_processes=processes, device_memory=device_memory)))
        return
    if out is None:
        raise click.UsageError("--out is missing; it may be left out with --dry-run only")
    as_json = options["as_json"]
    with show_training(_console(as_json)) as show:
        try:
            result = plt.train(loaded, data=data, out=out, on_event=show, tokenizer=options["tokenizer"])
        except StoppedError as stop:
            if plt.leads():
                raise
            raise SystemExit(stop.exit_code) from None  # the first process speaks for all
    if plt.leads():
        say(plt.to_json(result.verdict, indent=1) if as_json else "\n".join(verdict_lines(result.verdict)))
    _exit_with(result.verdict.status)


@click.command(cls=Sectioned)
@click.argument("run", type=_folder)
@click.option("--out", required=True, type=_folder, help="Folder of the verdict: index.html, validation.json, models.")
@click.option("--tokens", type=_count, default=600_000, show_default=True, help="Tokens of each training.")
@click.option("--loops", default="2", show_default=True, help="Loop counts, as in 1,2,3,4; equal tokens for each.")
@click.option("--against", multiple=True, type=_folder, help="Another run to compare with at equal tokens.")
@click.option("--seeds", type=_count, help="Trainings of each setting; default 1, or 3 where something is compared.")
@click.option("--config", type=_file, help="Training file for model and optimiser; default: a model for two cores.")
@_tokenizer
@json_option("the bytes of validation.json")
def validate(run: Path, out: Path, tokens: int, loops: str, against: tuple[Path, ...], **options: Any) -> None:
    """Train a small PLT on RUN and say whether the mixture holds: page, terminal and JSON.

    Exit code 3 if the verdict is FAIL.
    """
    plt = _plt()
    from pipeline.cli.live import show_training
    from pipeline.report.validation import lines, write_page

    counts = _counts(loops)
    n_seeds = options["seeds"] or (3 if len(counts) > 1 or against else 1)
    wanted = plt.ValidateOptions(
        n_tokens=tokens,
        loops=counts,
        n_seeds=n_seeds,
        against=against,
        config=plt.read_config(options["config"]) if options["config"] else None,
        tokenizer=options["tokenizer"],
    )

    as_json = options["as_json"]

    def show_variant(name: str, number: int, count: int) -> None:
        say(f"[{number}/{count}] {name}", err=as_json)

    with show_training(_console(as_json)) as show:
        found = plt.validate_run(run, out=out, options=wanted, on_event=show, on_variant=show_variant)
    page = write_page(found, out)
    say(plt.to_json(found, indent=1) if as_json else "\n".join([*lines(found), ""]))
    say(f"page: {page}", err=as_json)
    _exit_with(found.status)


def _console(as_json: bool) -> Any:
    """Where progress is shown: with --json stdout is for the JSON alone."""
    from pipeline.engine.live_line import console_of

    return console_of(stderr=as_json)


def _exit_with(status: str) -> None:
    if status == "fail":
        raise SystemExit(EXIT_BROKEN)


def _counts(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 16 for part in parts) or len(set(parts)) < len(parts):
        raise click.UsageError(f"--loops {text!r}: expected different whole numbers from 1 to 16, as in 1,2,3,4")
    return tuple(int(part) for part in parts)


@click.command(cls=Sectioned)
@click.argument("model", type=_folder)
@_data
@click.option("--sequences", type=_count, help="Held-out sequences to read; default: as its training file says.")
@click.option("--out", type=_folder, help="Also write diagnostics.json and a page with plots there.")
@json_option("JSON instead of the table")
def diagnose(model: Path, data: Path, sequences: int | None, out: Path | None, as_json: bool) -> None:
    """Measure what each loop of a trained model does, on held-out sequences, beside the paper's values."""
    plt = _plt()
    from pipeline.report.loops import lines, write_diagnosis

    found = plt.diagnose(model, data=data, n_sequences=sequences)
    say(plt.to_json(found, indent=1) if as_json else "\n".join(lines(found)))
    if out is not None:
        page = write_diagnosis(found, out=out, name=model.resolve().name)
        say(f"\npage: {page}", err=as_json)
    if broken := [loop.loop for loop in found.loops if not math.isfinite(loop.loss.mean)]:
        complain(f"{model}: the loss of loops {broken} is not a finite number; the weights are damaged or diverged")
        raise SystemExit(EXIT_BROKEN)


@click.command(cls=Sectioned)
@click.argument("model", type=_folder)
@click.option("--out", required=True, type=_folder, help="New folder of the export.")
@click.option(
    "--dtype", type=click.Choice(["float32", "bfloat16"]), default="float32", show_default=True, help="Of the weights."
)
@click.option("--data", type=_folder, help="The run it was trained on: its tokenizer goes with the model.")
@click.option("--tokenizer", type=_file, help="A tokenizer.json to go with the model.")
def export(model: Path, out: Path, dtype: str, data: Path | None, tokenizer: Path | None) -> None:
    """Write the model as the transformers library reads it, with the released names; R = 1 as a plain Llama."""
    plt = _plt()
    from pipeline.plt.vocabulary import run_tokenizer

    if data is not None:
        tokenizer = run_tokenizer(data, given=tokenizer)
    plt.export(model, out=out, dtype=dtype, tokenizer=tokenizer)
    for path in sorted(out.iterdir()):
        say(f"wrote {path}")
