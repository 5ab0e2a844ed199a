"""The subcommand `loopmix propose`. Parse, call one function, print."""

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.helping import Sectioned
from pipeline.cli.output import json_option, say
from pipeline.cli.trainer import load_trainer
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.engine.executor import Executor
    from pipeline.propose import MixtureTraining

_folder = click.Path(path_type=Path, file_okay=False)
_file = click.Path(path_type=Path, dir_okay=False)


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(propose)


@click.command(cls=Sectioned)
@click.argument("run", type=_folder)
@click.option(
    "--groups", required=True, type=click.IntRange(1), help="Largest groups to search; the rest is one a pool."
)
@click.option("--budget", required=True, type=click.IntRange(1), help="Tokens of all trainings together.")
@click.option("--out", required=True, type=_folder, help="Folder of the search; the same line again goes on.")
@click.option("--mixtures", type=click.IntRange(3), help="Mixtures to train; default: 3 for each group and 3 more.")
@click.option("--target", multiple=True, help="GROUP=WEIGHT, as in code/Python=1; default: all, by natural shares.")
@click.option(
    "--max-epochs", default=4.0, show_default=True, help="Passes over a group's tokens that shares may ask for."
)
@click.option("--mixture-tokens", type=click.IntRange(1), help="Size of the mixture meant; default: as large as RUN.")
@click.option("--spread", default=4.0, show_default=True, help="Factor by which shares are moved, up and down.")
@click.option("--confirm-seeds", type=click.IntRange(2), default=5, show_default=True, help="New seeds for the claim.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Key of every random choice.")
@click.option("--workers", type=click.IntRange(1), help="Processes of this machine; default: one a CPU.")
@click.option("--ray-address", help="auto, local, HOST:PORT or ray://HOST:PORT; trainings as Ray tasks instead.")
@click.option("--config", type=_file, help="Training file for model and optimiser; default: a tiny model.")
@click.option("--tokenizer", type=_file, help="tokenizer.json of packed shards without a manifest.")
@json_option("the bytes of proposal.json")
def propose(run: Path, out: Path, config: Path | None, as_json: bool, **options: Any) -> None:
    """Search for better shares of the groups of RUN with many small trainings, and say whether there are any."""
    plt = load_trainer()
    from pipeline.propose import ProposeOptions
    from pipeline.propose import propose as search
    from pipeline.report.proposal import lines, write_page

    for name in ("max_epochs", "spread"):
        if not options[name] > 1:
            raise ConfigError(f"--{name.replace('_', '-')} {options[name]:g}: expected a number above 1")
    wanted = ProposeOptions(
        n_groups=options["groups"],
        budget=options["budget"],
        n_mixtures=options["mixtures"],
        target=options["target"],
        max_epochs=options["max_epochs"],
        mixture_tokens=options["mixture_tokens"],
        spread=options["spread"],
        n_confirm_seeds=options["confirm_seeds"],
        seed=options["seed"],
        config=plt.read_config(config) if config else None,
        tokenizer=options["tokenizer"],
    )

    def show(training: "MixtureTraining", done: int, count: int) -> None:
        say(f"[{done}/{count}] {training.name}: {training.score:.4f} bits per byte", err=as_json)

    with _executor(options["workers"], options["ray_address"]) as executor:
        say(f"trainings {executor.describe()}", err=as_json)
        found = search(run, out=out, options=wanted, executor=executor, on_training=show)
    page = write_page(found, out)
    if as_json:
        say(plt.to_json(found, indent=1))
    else:
        say("\n".join([*lines(found), "", f"page: {page}"]))


def _executor(workers: int | None, ray_address: str | None) -> "AbstractContextManager[Executor]":
    from pipeline.engine.executor import connect
    from pipeline.engine.processes import processes

    if ray_address is None:
        return processes(workers or os.cpu_count() or 1)
    if workers is not None:
        raise click.UsageError("--workers are processes of this machine; with --ray-address the cluster decides")
    return connect(ray_address)
