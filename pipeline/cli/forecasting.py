"""The subcommand `loopmix forecast`. Parse, call one function, print."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from pipeline.cli.output import RUN, SAMPLE_RATE, json_option, say, say_json

if TYPE_CHECKING:
    from pipeline.forecast.forecast import Forecast, Interval

_N_GROUPS = 15  # of each pool on a terminal; --json has all
# Units of the sample: below, a group's interval is mostly guessed from the files around it, and was not tested.
_FEW = 20


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(forecast)


@click.command()
@click.argument("mixture", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--sample", type=SAMPLE_RATE, default=0.01, show_default=True, help="Share of the input that is worked on."
)
@click.option("--cores", type=click.IntRange(1), help="Cores of the run that is meant; default: this machine's.")
@click.option("--out", type=RUN, help="Keep the run over the sample in this folder; else it is removed.")
@json_option("one JSON object; each estimate is {low, middle, high}")
def forecast(mixture: Path, sample: float, cores: int | None, out: str | None, as_json: bool) -> None:
    """Say what MIXTURE will give before it is run: tokens, mixture, epochs, disk, hours, with 90% intervals.

    Reads the input once and works on a sample of it.
    """
    from pipeline.engine.belonging import refuse_strangers
    from pipeline.engine.executor import InlineExecutor
    from pipeline.engine.store import open_store
    from pipeline.forecast.forecast import forecast as make
    from pipeline.request.load import load_mixture

    loaded = load_mixture(mixture)
    with ExitStack() as stack:
        folder = open_store(out or stack.enter_context(TemporaryDirectory(prefix="loopmix-forecast-")))
        refuse_strangers(folder)
        n_cores = cores or os.cpu_count() or 1
        made = make(loaded, rate=sample, folder=folder, executor=InlineExecutor(), n_cores=n_cores)
    if as_json:
        say_json(asdict(made))
    else:
        say("\n".join(lines_of(made)))
        if loaded.phases:
            say("\nphases are forecast as one mixture: what may enter each (min_quality, min_tokens) is left out")


def lines_of(made: Forecast) -> Iterator[str]:
    """The forecast on a terminal of 80 columns."""
    from pipeline.config import said_sample
    from pipeline.report.formats import exact, size

    yield f"Forecast of mixture {made.name}, from {said_sample(made.rate)}"
    yield f"  input    {exact(made.n_input_docs)} documents, {size(made.n_input_bytes)} (counted)"
    yield f"  sample   {exact(made.n_sampled_docs)} documents, {size(made.n_sampled_bytes)}"
    yield ""
    yield f"  {'':<30}{'estimate':>12}   90% interval"
    yield from _mixture(made)
    yield _row("disk of the run", made.disk_bytes, size)
    yield _row("CPU hours", made.cpu_hours, _hours)
    yield _row(f"hours on {made.n_cores} cores, at best", made.wall_hours, _hours)
    for pool, what in (("code", "Languages of the code pool"), ("text", "Sources of the text pool")):
        groups = [group for group in made.groups if group.pool == pool]
        yield ""
        yield f"{what}: tokens after rules and dedup, epochs in the mixture"
        for group in groups[:_N_GROUPS]:
            few = "  few" if group.n_sampled_units < _FEW else ""
            epochs = f"  {_number(group.epochs.middle)} x" if group.epochs else ""
            yield _row(group.name, group.tokens, _tokens) + epochs + few
        if len(groups) > _N_GROUPS:
            yield f"  and {len(groups) - _N_GROUPS} smaller ones; --json has all"
    if any(group.n_sampled_units < _FEW for group in made.groups):
        yield ""
        yield f"few: fewer than {_FEW} different documents were sampled; mostly guessed"


def _mixture(made: Forecast) -> Iterator[str]:
    for pool, tokens in made.pools.items():
        yield _row(f"{pool} tokens, once each", tokens, _tokens)
    if made.mixture_tokens is None:
        yield f"  no mixture can be made: {made.problem}"
        return
    yield _row("tokens of the mixture", made.mixture_tokens, _tokens)
    which, chance = max(made.limits.items(), key=lambda pair: pair[1])
    yield f"  limited by {which} in {chance:.0%} of the cases"
    if made.unmet_frac > 0:
        yield f"  less than what is asked for in {made.unmet_frac:.0%} of the cases"


def _row(name: str, found: Interval, shown: Callable[[float], str]) -> str:
    label = name if len(name) <= 29 else f"{name[:28]}…"
    return f"  {label:<30}{shown(found.middle):>12}   {shown(found.low)} to {shown(found.high)}"


def _tokens(n: float) -> str:
    from pipeline.report.formats import short

    return short(round(n))


def _hours(n: float) -> str:
    return f"{n:.3g}"


def _number(n: float) -> str:
    return f"{n:.2f}"
