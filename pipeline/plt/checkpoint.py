"""The model folder: what training leaves on disk, and how a killed run goes on.

    MODEL/train.json                          the training file, the sequence length and the hashes of the packed shards
    MODEL/tokenizer.json                      of the run, where that holds one
    MODEL/metrics.jsonl                       a line for each update and each evaluation
    MODEL/checkpoints/step-00000200/          config.json, model.safetensors (an export as it stands),
                                              optimiser.safetensors, state.json (counters, hashes; written last)
    MODEL/tensorboard/events.out.tfevents.*   the same scalars with the clock; never read back
    MODEL/result.json                         evaluations, diagnostics and verdict, when training is done

A checkpoint is built beside its place and renamed into it, so it is whole or absent. The newest few are kept: where
the newest has been damaged since, training goes on from the one before and sets the damaged one aside. Metrics reach
the disk before the checkpoint that counts them; on resume the file is cut back to what the checkpoint knows, and
continues byte for byte.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import CheckpointError
from pipeline.plt.config import ModelConfig
from pipeline.plt.distributed import ALONE, Ranks, like
from pipeline.plt.durable import sha256_of, sync, sync_path
from pipeline.plt.identity import take_up
from pipeline.plt.model import PLT
from pipeline.plt.weights import CONFIG_NAME, WEIGHTS_NAME, check_tensors, read_tensors, write_model
from pipeline.results import METRICS_NAME, TrainIdentity, read_file, to_json
from pipeline.schema import POOLS

OPTIMISER_NAME = "optimiser.safetensors"
_STATE_NAME = "state.json"
_FILES = (CONFIG_NAME, WEIGHTS_NAME, OPTIMISER_NAME)


@dataclass(frozen=True)
class TrainProgress:
    """How far training has come: with the weights and moments, all the state there is."""

    step: int = 0  # updates done
    n_sequences: int = 0  # taken from the stream, repeats counted; the next update starts behind them
    n_tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(POOLS, 0))  # real ones, per pool


@dataclass(frozen=True)
class Counters:
    """What a checkpoint says of itself."""

    progress: TrainProgress
    metrics_bytes: int
    metrics_sha256: str
    machine: dict[str, str]  # what else rounding depends on: torch version, device, threads
    files: dict[str, str]  # name -> SHA-256
    sha256: str = ""  # of all of the above, or a flipped digit here would move training to another place unseen

    def digest(self) -> str:
        return hashlib.sha256(to_json(replace(self, sha256="")).encode()).hexdigest()


@dataclass(frozen=True)
class ModelFolder:
    """An opened and locked model folder. `resume` is None when training starts from nothing."""

    path: Path
    metrics: BinaryIO | None  # None: another process of the same run writes
    keep: int  # checkpoints
    resume: Counters | None
    changes: Mapping[str, tuple[int, int]] = field(default_factory=dict)  # setting -> was, is; see `identity.py`
    notes: tuple[str, ...] = ()  # what a person should know of how it was found

    def log(self, line: str) -> None:
        """Append one line to the metrics."""
        if self.metrics is not None:
            self.metrics.write(line.encode() + b"\n")

    def save(
        self,
        *,
        config: ModelConfig,
        weights: dict[str, Tensor],
        optimiser_state: dict[str, Tensor],
        progress: TrainProgress,
        machine: dict[str, str],
    ) -> Path:
        """Write the checkpoint of `progress` and drop the oldest ones."""
        final = checkpoint_of(self.path, step=progress.step)
        if self.metrics is None:
            return final
        sync(self.metrics)  # first: a checkpoint must not count lines that a power cut takes away
        if final.exists():  # resumed here, and nothing was left to do
            return final
        metrics_path = self.path / METRICS_NAME
        partial = final.with_name(f".{final.name}.partial")
        try:
            partial.mkdir(parents=True)
            write_model(config, partial, tensors=weights, dtype=torch.float32)
            save_file(optimiser_state, str(partial / OPTIMISER_NAME))
            hashes = {name: sha256_of(partial / name) for name in _FILES}
            counters = Counters(progress, metrics_path.stat().st_size, sha256_of(metrics_path), machine, hashes)
            counters = replace(counters, sha256=counters.digest())
            (partial / _STATE_NAME).write_text(to_json(counters, indent=2) + "\n", encoding="utf-8")
            for path in (*partial.iterdir(), partial):
                sync_path(path)
            partial.rename(final)
            sync_path(final.parent)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{final}: cannot be written ({error}); free the space or fix access, then run again"
            ) from error
        # Last: until the new one stands under its name, the old ones are the only way to go on.
        _clean(final.parent, keep=self.keep)
        return final


@contextmanager
def open_folder(path: Path, *, identity: TrainIdentity, ranks: Ranks = ALONE, keep: int = 1) -> Iterator[ModelFolder]:
    """Open `path` for training, alone, and cut it back to its newest sound checkpoint; one process does that for all.

    Raises CheckpointError if the folder is in use, holds something else, belongs to another training file or other
    data, or if none of its checkpoints is sound.
    """
    if not ranks.leads:
        step = _share_step(None, ranks=ranks)
        resume = None if step is None else read_state(checkpoint_of(path, step=step))
        yield ModelFolder(path, None, keep, resume)
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be made a folder ({error}); choose another --out") from error
    taken = take_up(path, identity)
    if taken.is_new:
        taken.write()  # before any other file: a folder without it is taken for a stranger's
    with (path / METRICS_NAME).open("ab") as metrics:
        try:
            fcntl.flock(metrics, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(f"{path}: another process trains into this folder; wait for it or end it") from error
        resume, damaged = _newest_sound(path)
        notes = tuple(_set_aside(checkpoint, why=why) for checkpoint, why in damaged.items())
        _clean(path / "checkpoints", keep=keep)
        os.truncate(path / METRICS_NAME, resume.metrics_bytes if resume else 0)
        if taken.changes:
            taken.write()
        _share_step(resume.progress.step if resume else None, ranks=ranks)
        yield ModelFolder(path, metrics, keep, resume, taken.changes, notes)
        sync(metrics)


def _share_step(step: int | None, *, ranks: Ranks) -> int | None:
    """The first process says from which step all go on; the others wait for it here."""
    sent = torch.tensor([0 if step is None else step + 1], device=ranks.device)
    shared = int(ranks.add_up(sent)[0])
    return shared - 1 if shared else None


def _newest_sound(path: Path) -> tuple[Counters | None, dict[Path, str]]:
    """The counters of the newest checkpoint that can be believed, and what is wrong with the newer ones."""
    damaged: dict[Path, str] = {}
    for checkpoint in sorted((path / "checkpoints").glob("step-*"), reverse=True):
        try:
            counters = read_counters(checkpoint)
            _check_metrics(path / METRICS_NAME, counters)
        except CheckpointError as error:
            damaged[checkpoint] = str(error)
            continue
        return counters, damaged
    if damaged:
        newest, *_ = damaged.values()
        raise CheckpointError(
            newest.replace(_REMEDY, f"no other checkpoint is sound; delete {path} to train again from the start")
        )
    return None, {}


def _check_metrics(path: Path, counters: Counters) -> None:
    """Raise CheckpointError unless the metrics begin with the bytes that the checkpoint counts."""
    found = path.read_bytes()[: counters.metrics_bytes]
    if len(found) < counters.metrics_bytes:
        raise CheckpointError(
            f"{path}: has {len(found)} bytes, its checkpoint counts {counters.metrics_bytes}; {_REMEDY}"
        )
    if hashlib.sha256(found).hexdigest() != counters.metrics_sha256:
        raise CheckpointError(f"{path}: was changed since its checkpoint was written; {_REMEDY}")


def _set_aside(checkpoint: Path, *, why: str) -> str:
    """Take a damaged checkpoint out of the way, but leave its bytes to the user; says what was done."""
    aside = checkpoint.with_name(f"damaged-{checkpoint.name}")
    if aside.exists():
        shutil.rmtree(aside)
    checkpoint.rename(aside)
    return why.replace(_REMEDY, f"going on from an earlier checkpoint, what is left of this one lies in {aside}")


def checkpoint_of(path: Path, *, step: int) -> Path:
    """Where a model folder keeps its checkpoint of `step`."""
    return path / "checkpoints" / f"step-{step:08d}"


def newest_checkpoint(path: Path) -> Path | None:
    """The checkpoint that stands furthest on, complete or not; names sort by step."""
    return max((path / "checkpoints").glob("step-*"), default=None, key=lambda p: p.name)


_REMEDY = "run `loopmix train` again, which goes on from the newest sound checkpoint"


def read_state(checkpoint: Path) -> Counters:
    """A checkpoint's counters; the other files are not looked at. Raises CheckpointError."""
    path = checkpoint / _STATE_NAME
    counters = read_file(Counters, path, remedy=_REMEDY)
    if counters.digest() != counters.sha256:
        raise CheckpointError(f"{path}: damaged: sha256 of its content is not {counters.sha256!r}; {_REMEDY}")
    return counters


def read_counters(checkpoint: Path) -> Counters:
    """Read a checkpoint's counters and verify the hash of every file. Raises CheckpointError."""
    counters = read_state(checkpoint)
    for name in sorted({*_FILES, *counters.files}):
        path = checkpoint / name
        found, expected = sha256_of(path) if path.is_file() else "no such file", counters.files.get(name)
        if found != expected:
            raise CheckpointError(f"{path}: damaged: sha256 is {found}, expected {expected}; {_REMEDY}")
    return counters


def restore_weights(checkpoint: Path, *, model: PLT) -> dict[str, Tensor]:
    """Copy a checkpoint's weights into `model`; returns the optimiser's tensors."""
    weights = read_tensors(checkpoint / WEIGHTS_NAME)
    check_tensors(weights, model=model, where=str(checkpoint / WEIGHTS_NAME))
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(like(weights[name], tensor))
    return read_tensors(checkpoint / OPTIMISER_NAME)


def _clean(checkpoints: Path, *, keep: int) -> None:
    """Remove what a kill left half-written or half-removed, and all checkpoints but the newest `keep`."""
    if not checkpoints.is_dir():
        return
    older = sorted(checkpoints.glob("step-*"))[:-keep]
    # Renamed first: a removal that is cut short must not leave a checkpoint with files missing.
    for path in older:
        path.rename(path.with_name(f".{path.name}.removed"))
    for leftover in sorted(checkpoints.glob(".*")):
        shutil.rmtree(leftover)
