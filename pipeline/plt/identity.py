"""What a model folder was begun with, and which of it may be another when training goes on.

Steps may be added, and a step may be cut otherwise: the state is how many sequences were taken from the stream, so the
next update starts behind them whatever its size. All else (shape, optimiser, data, seed) makes another model.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import CheckpointError
from pipeline.plt.durable import write_file
from pipeline.results import IDENTITY_NAME, TrainIdentity, read_identity, to_json

N_STEPS, STEP_SIZE = "optimiser.n_steps", "data.sequences_per_step"
_MAY_CHANGE = {f"config.{key}" for key in (N_STEPS, STEP_SIZE, "data.grad_accumulation")}


@dataclass(frozen=True)
class TakenUp:
    """A model folder's identity as it is to be from now on."""

    path: Path
    identity: TrainIdentity
    is_new: bool
    changes: Mapping[str, tuple[int, int]]  # key of the training file -> was, is

    def write(self) -> None:
        write_file(self.path / IDENTITY_NAME, to_json(self.identity, indent=2) + "\n")


def take_up(path: Path, identity: TrainIdentity) -> TakenUp:
    """Hold the folder's identity against the one asked for. Raises CheckpointError if it is another model's."""
    if not (path / IDENTITY_NAME).exists():
        foreign = sorted(p.name for p in path.iterdir() if not p.name.endswith(".partial"))
        if foreign:
            raise CheckpointError(f"{path}: holds {foreign[:5]} but no {IDENTITY_NAME}; choose an empty or new folder")
        return TakenUp(path, identity, is_new=True, changes={})
    found, expected = (_flatten(asdict(of)) for of in (read_identity(path), identity))
    changed = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    refused = [key for key in changed if key not in _MAY_CHANGE]
    if refused:
        shown = "; ".join(f"{k}: was {found.get(k)!r}, is {expected.get(k)!r}" for k in refused[:3])
        raise CheckpointError(
            f"{path}: was begun with another training file or other data ({len(refused)} differences; {shown}); "
            "restore them to resume, or train into a new folder"
        )
    changes = {key.removeprefix("config."): (int(found[key]), int(expected[key])) for key in changed}
    was, now = changes.get(N_STEPS, (0, 0))
    if now < was:
        raise CheckpointError(
            f"{path}: {N_STEPS} was {was}, is {now}; training goes on with as many or more, not with fewer: restore "
            "it, or train into a new folder"
        )
    return TakenUp(path, identity, is_new=False, changes=changes)


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {k: v for key, item in value.items() for k, v in _flatten(item, f"{prefix}.{key}".lstrip(".")).items()}
