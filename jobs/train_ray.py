"""Train the built-in PLT on several GPUs of a Ray cluster, one process a GPU, as Ray Train starts them.

    ray job submit --working-dir . -- python -m jobs.train_ray TRAIN.yaml --data RUN --out MODEL --workers 8

RUN and MODEL must lie on a disk that every node reaches. Submit the same line again after a failure: training goes on
from its newest checkpoint. Needs `pip install "ray[train]"`; for one machine, `torchrun` needs no Ray at all.
"""

from pathlib import Path
from typing import Any

import click


def _work(arguments: dict[str, Any]) -> None:
    """One process. Ray Train has joined the process group; torchrun hands ranks over the same way."""
    import os

    from ray import train
    from ray.train.torch import get_device

    context = train.get_context()
    os.environ["RANK"] = str(context.get_world_rank())
    os.environ["LOCAL_RANK"] = str(get_device().index or 0)
    os.environ["WORLD_SIZE"] = str(context.get_world_size())
    from pipeline.cli.main import main as loopmix

    loopmix(arguments["command"], standalone_mode=False)


@click.command()
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--data", required=True, help="A finished run on a shared disk.")
@click.option("--out", required=True, help="Model folder on a shared disk.")
@click.option("--workers", default=1, show_default=True, help="Processes, one GPU each.")
@click.option("--cpu", is_flag=True, help="Without GPUs, to try the wiring.")
def main(config: Path, data: str, out: str, workers: int, cpu: bool) -> None:
    """Train CONFIG on RUN with Ray Train."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    file, run, model = (str(Path(p).resolve()) for p in (config, data, out))
    trainer = TorchTrainer(
        _work,
        train_loop_config={"command": ["train", file, "--data", run, "--out", model]},
        scaling_config=ScalingConfig(num_workers=workers, use_gpu=not cpu),
        run_config=RunConfig(name="loopmix-train", failure_config=FailureConfig(max_failures=3)),
    )
    trainer.fit()


if __name__ == "__main__":
    main()
