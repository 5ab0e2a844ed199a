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
from typing import Annotated, BinaryIO

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import CheckpointError
from pipeline.plt.config import ModelConfig
from pipeline.plt.distributed import ALONE, Ranks
from pipeline.plt.durable import sha256_of, sync, sync_path
from pipeline.plt.identity import take_up
from pipeline.plt.weights import WEIGHTS_NAME, write_shape, write_weights
from pipeline.results import METRICS_NAME, TrainIdentity, read_file, to_json
from pipeline.schema import POOLS

Size = Annotated[int, Field(ge=0, lt=2**63)]
OPTIMISER_NAME = "optimiser.safetensors"
_STATE_NAME = "state.json"


@dataclass(frozen=True)
class TrainProgress:
    """How far training has come: with the weights and moments, all the state there is."""

    step: Size = 0  # updates done
    n_sequences: Size = 0  # taken from the stream, repeats counted; the next update starts behind them
    n_tokens: dict[str, Size] = field(default_factory=lambda: dict.fromkeys(POOLS, 0))  # real ones, per pool


@dataclass(frozen=True)
class Counters:
    """What a checkpoint says of itself."""

    progress: TrainProgress
    metrics_bytes: Size
    metrics_sha256: str
    machine: dict[str, str]  # what else rounding depends on: torch version, device, threads
    files: dict[str, str]  # name -> SHA-256
    sha256: str = ""  # of all of the above, or a flipped digit here would move training to another place unseen

    def digest(self) -> str:
        return hashlib.sha256(to_json(replace(self, sha256="")).encode()).hexdigest()


@dataclass(frozen=True)
class Draft:
    """A checkpoint that is being written, by one process or by all."""

    final: Path
    partial: Path
    counters: Counters | None  # None: another process of the same run commits it
    keep: int

    def write(self, *, weights: dict[str, Tensor], optimiser_state: dict[str, Tensor]) -> None:
        """All of it by one process."""
        if self.counters is not None:
            with failing_with_name(self.final):
                write_weights(weights, self.partial, dtype=torch.float32)
                save_file(optimiser_state, str(self.partial / OPTIMISER_NAME))
            self.commit({name: sha256_of(self.partial / name) for name in (WEIGHTS_NAME, OPTIMISER_NAME)})

    def commit(self, hashes: dict[str, str]) -> None:
        """Give it its name, when the files in `hashes` and all others stand; then drop the oldest ones."""
        assert self.counters is not None, "one process commits"
        with failing_with_name(self.final):
            others = {p.name: sha256_of(p) for p in self.partial.iterdir() if p.name not in hashes}
            counters = replace(self.counters, files=dict(sorted((hashes | others).items())))
            counters = replace(counters, sha256=counters.digest())
            (self.partial / _STATE_NAME).write_text(to_json(counters, indent=2) + "\n", encoding="utf-8")
            for path in (*self.partial.iterdir(), self.partial):
                sync_path(path)
            self.partial.rename(self.final)
            sync_path(self.final.parent)
        # Last: until the new one stands under its name, the old ones are the only way to go on.
        _clean(self.final.parent, keep=self.keep)


@contextmanager
def failing_with_name(final: Path) -> Iterator[None]:
    """Turn what a full or closed disk raises into a CheckpointError that names the checkpoint."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{final}: cannot be written ({error}); free the space or fix access, then run again"
        ) from error


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

    def draft(self, progress: TrainProgress, *, config: ModelConfig, machine: dict[str, str]) -> Draft:
        """Make room for the checkpoint of `progress`: its hidden folder, and in it the model's shape."""
        final = checkpoint_of(self.path, step=progress.step)
        partial = final.with_name(f".{final.name}.partial")
        if self.metrics is None:
            return Draft(final, partial, None, self.keep)
        sync(self.metrics)  # first: a checkpoint must not count lines that a power cut takes away
        metrics_path = self.path / METRICS_NAME
        with failing_with_name(final):
            partial.mkdir(parents=True)
            write_shape(config, partial, dtype=torch.float32)
            counters = Counters(progress, metrics_path.stat().st_size, sha256_of(metrics_path), machine, files={})
        return Draft(final, partial, counters, self.keep)


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
    if (path / METRICS_NAME).exists() and not (path / METRICS_NAME).is_file():  # opening a pipe waits for ever
        raise CheckpointError(f"{path / METRICS_NAME}: is no file; remove it, or choose another --out")
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
    with path.open("rb") as file:
        found = file.read(min(counters.metrics_bytes, path.stat().st_size))
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
    for name in counters.files:
        path = checkpoint / name
        found, expected = sha256_of(path) if path.is_file() else "no such file", counters.files[name]
        if found != expected:
            raise CheckpointError(f"{path}: damaged: sha256 is {found}, expected {expected}; {_REMEDY}")
    return counters


def _clean(checkpoints: Path, *, keep: int) -> None:
    """Remove what a kill left half-written or half-removed, and all checkpoints but the newest `keep`."""
    if not checkpoints.is_dir():
        return
    older = sorted(checkpoints.glob("step-*"))[:-keep]
    # Renamed first: a removal that is cut short must not leave a checkpoint with files missing.
    for path in older:
        path.rename(path.with_name(f".{path.name}.removed"))
    for leftover in sorted(checkpoints.glob(".*")):
        if leftover.is_symlink() or not leftover.is_dir():
            leftover.unlink()  # what a link leads to is not ours
        else:
            shutil.rmtree(leftover)
