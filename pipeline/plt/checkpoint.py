"""The model folder: what training leaves on disk, and how a killed run goes on.

    MODEL/train.json                          the training file, the sequence length and the hashes of the packed shards
    MODEL/tokenizer.json                      of the run, where that holds one
    MODEL/metrics.jsonl                       a line for each update and each evaluation
    MODEL/checkpoints/step-00000200/          config.json, model.safetensors (an export as it stands),
                                              optimiser.safetensors, state.json (counters, hashes; written last)
    MODEL/tensorboard/events.out.tfevents.*   the same scalars with the clock; never read back
    MODEL/result.json                         evaluations, diagnostics and verdict, when training is done

A checkpoint is built beside its place and renamed into it, so it is whole or absent. Metrics reach the disk before the
checkpoint that counts them; on resume the file is cut back to what the checkpoint knows, and continues byte for byte.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from pipeline.errors import CheckpointError
from pipeline.plt.config import ModelConfig
from pipeline.plt.distributed import ALONE, Ranks, like
from pipeline.plt.model import PLT
from pipeline.plt.weights import CONFIG_NAME, WEIGHTS_NAME, check_tensors, read_tensors, write_model
from pipeline.results import IDENTITY_NAME, METRICS_NAME, TrainIdentity, read_file, read_identity, to_json

OPTIMISER_NAME = "optimiser.safetensors"
_STATE_NAME = "state.json"
_FILES = (CONFIG_NAME, WEIGHTS_NAME, OPTIMISER_NAME)


@dataclass(frozen=True)
class Counters:
    """Where a checkpoint stands."""

    step: int  # updates done
    n_tokens: dict[str, int]  # real tokens trained on, per pool
    metrics_bytes: int
    metrics_sha256: str
    machine: dict[str, str]  # what else rounding depends on: torch version, device, threads
    files: dict[str, str]  # name -> SHA-256


@dataclass(frozen=True)
class ModelFolder:
    """An opened and locked model folder. `resume` is None when training starts from nothing."""

    path: Path
    metrics: BinaryIO | None  # None: another process of the same run writes
    resume: Counters | None

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
        step: int,
        n_tokens: dict[str, int],
        machine: dict[str, str],
    ) -> Path:
        """Write the checkpoint of `step` and drop older ones."""
        final = self.path / "checkpoints" / f"step-{step:08d}"
        if self.metrics is None:
            return final
        _sync(self.metrics)  # first: a checkpoint must not count lines that a power cut takes away
        if final.exists():  # resumed here, and nothing was left to do
            return final
        metrics_path = self.path / METRICS_NAME
        partial = final.with_name(f".{final.name}.partial")
        try:
            partial.mkdir(parents=True)
            write_model(config, partial, tensors=weights, dtype=torch.float32)
            save_file(optimiser_state, str(partial / OPTIMISER_NAME))
            hashes = {name: _hash(partial / name) for name in _FILES}
            counters = Counters(step, n_tokens, metrics_path.stat().st_size, _hash(metrics_path), machine, hashes)
            (partial / _STATE_NAME).write_text(to_json(counters, indent=2) + "\n", encoding="utf-8")
            for path in (*partial.iterdir(), partial):
                _sync_path(path)
            partial.rename(final)
            _sync_path(final.parent)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{final}: cannot be written ({error}); free the space or fix access, then run again"
            ) from error
        # Last: until the new one stands under its name, the old one is the only way to go on.
        _clean(final.parent, keep=final)
        return final


@contextmanager
def open_folder(path: Path, *, identity: TrainIdentity, ranks: Ranks = ALONE) -> Iterator[ModelFolder]:
    """Open `path` for training, alone, and cut it back to its newest checkpoint. Of several processes one does that.

    Raises CheckpointError if the folder is in use, holds something else, belongs to another training file or other
    data, or if its checkpoint is damaged.
    """
    if not ranks.leads:
        ranks.wait()
        newest = newest_checkpoint(path)
        yield ModelFolder(path=path, metrics=None, resume=read_counters(newest) if newest else None)
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be made a folder ({error}); choose another --out") from error
    _check_identity(path, identity)
    with (path / METRICS_NAME).open("ab") as metrics:
        try:
            fcntl.flock(metrics, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CheckpointError(f"{path}: another process trains into this folder; wait for it or end it") from error
        newest = newest_checkpoint(path)
        _clean(path / "checkpoints", keep=newest)
        resume = read_counters(newest) if newest else None
        _cut_metrics(path, resume)
        ranks.wait()
        yield ModelFolder(path=path, metrics=metrics, resume=resume)
        _sync(metrics)


def _check_identity(path: Path, identity: TrainIdentity) -> None:
    identity_path = path / IDENTITY_NAME
    if not identity_path.exists():
        foreign = sorted(p.name for p in path.iterdir() if not p.name.endswith(".partial"))
        if foreign:
            raise CheckpointError(f"{path}: holds {foreign[:5]} but no {IDENTITY_NAME}; choose an empty or new folder")
        write_file(identity_path, to_json(identity, indent=2) + "\n")
        return
    found, expected = (_flatten(asdict(of)) for of in (read_identity(path), identity))
    changed = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    if changed:
        shown = "; ".join(f"{k}: was {found.get(k)!r}, is {expected.get(k)!r}" for k in changed[:3])
        raise CheckpointError(
            f"{path}: was begun with another training file or other data ({len(changed)} differences; {shown}); "
            "restore them to resume, or train into a new folder"
        )


def _flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    return {k: v for key, item in value.items() for k, v in _flatten(item, f"{prefix}.{key}".lstrip(".")).items()}


def newest_checkpoint(path: Path) -> Path | None:
    """The checkpoint that stands furthest on, complete or not; names sort by step."""
    return max((path / "checkpoints").glob("step-*"), default=None, key=lambda p: p.name)


def read_counters(checkpoint: Path) -> Counters:
    """Read a checkpoint's counters and verify the hash of every file. Raises CheckpointError."""
    counters = read_file(Counters, checkpoint / _STATE_NAME, remedy=_REMEDY)
    for name in _FILES:
        path = checkpoint / name
        found, expected = _hash(path) if path.is_file() else "no such file", counters.files.get(name)
        if found != expected:
            raise CheckpointError(f"{path}: damaged: sha256 is {found}, expected {expected}; {_REMEDY}")
    return counters


_REMEDY = "delete the model folder to train again from the start"


def restore_weights(checkpoint: Path, *, model: PLT) -> dict[str, Tensor]:
    """Copy a checkpoint's weights into `model`; returns the optimiser's tensors."""
    weights = read_tensors(checkpoint / WEIGHTS_NAME)
    check_tensors(weights, model=model, where=str(checkpoint / WEIGHTS_NAME))
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(like(weights[name], tensor))
    return read_tensors(checkpoint / OPTIMISER_NAME)


def _cut_metrics(path: Path, resume: Counters | None) -> None:
    metrics_path = path / METRICS_NAME
    n_bytes = resume.metrics_bytes if resume else 0
    found = metrics_path.stat().st_size
    if found < n_bytes:
        raise CheckpointError(f"{metrics_path}: has {found} bytes, its checkpoint counts {n_bytes}; {_REMEDY}")
    os.truncate(metrics_path, n_bytes)
    if resume and _hash(metrics_path) != resume.metrics_sha256:
        raise CheckpointError(f"{metrics_path}: was changed since its checkpoint was written; {_REMEDY}")


def _clean(checkpoints: Path, *, keep: Path | None) -> None:
    """Remove everything but `keep`: older checkpoints, and what a kill left half-written or half-removed."""
    for path in sorted(checkpoints.iterdir()) if checkpoints.is_dir() else ():  # dotted names, the leftovers, first
        if path == keep:
            continue
        if not path.name.startswith("."):
            # Renamed first: a removal that is cut short must not leave a checkpoint with files missing.
            path = path.rename(path.with_name(f".{path.name}.removed"))
        shutil.rmtree(path)


def write_file(path: Path, text: str) -> None:
    """Write beside the place, flush to disk, rename: the file is whole or absent."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(text.encode())
        _sync(file)
    partial.rename(path)
    _sync_path(path.parent)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_path(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
