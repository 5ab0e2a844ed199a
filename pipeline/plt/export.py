"""Take a trained model out of its folder: as a module, as an export, as loop diagnostics."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal

import torch

from pipeline.config import validate
from pipeline.errors import CheckpointError, ConfigError
from pipeline.plt.checkpoint import IDENTITY_NAME, newest_checkpoint, read_counters, read_json
from pipeline.plt.config import EvalConfig, RunConfig, TrainConfig
from pipeline.plt.data import open_packed, split_run
from pipeline.plt.diagnose import diagnose_split
from pipeline.plt.events import Diagnostics
from pipeline.plt.loss import choose_machine
from pipeline.plt.model import PLT
from pipeline.plt.train import check_vocabulary
from pipeline.plt.weights import CONFIG_NAME, WEIGHTS_NAME, read_model, write_model

_TAIL = 32  # held-out sequences of a model that brings no training file
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def load(folder: Path | str) -> PLT:
    """The model of an exported folder, or of a model folder's newest checkpoint, on the CPU and ready to evaluate.

    `forward(tokens_BT, doc_index_BT)` of what is returned gives `logits_BTV`. Raises CheckpointError.
    """
    path = Path(folder)
    if not (path / IDENTITY_NAME).exists():
        return read_model(path)
    newest = newest_checkpoint(path)
    if newest is None:
        raise CheckpointError(f"{path}: training has not reached its first checkpoint; run `loopmix train` again")
    read_counters(newest)  # for the hashes: a damaged checkpoint must not load
    return read_model(newest)


def export(model_folder: Path, *, out: Path, dtype: Literal["float32", "bfloat16"] = "float32") -> Path:
    """Write config.json and model.safetensors into `out`, under their final names only when whole.

    The vendor's inference code keeps states between loops in bfloat16: export for it with that dtype.
    """
    model = load(model_folder)
    out.mkdir(parents=True, exist_ok=True)
    foreign = sorted(p.name for p in out.iterdir() if p.name not in (CONFIG_NAME, WEIGHTS_NAME))
    if foreign:
        raise CheckpointError(f"{out}: holds {foreign[:5]}, expected an empty or new folder, or an earlier export")
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.resolve().parent))
    try:
        write_model(model, partial, dtype=_DTYPES[dtype])
        for name in (WEIGHTS_NAME, CONFIG_NAME):
            (partial / name).replace(out / name)
    finally:
        shutil.rmtree(partial)
    return out


def diagnose(model_folder: Path, *, data: Path, n_sequences: int | None = None) -> Diagnostics:
    """Loop diagnostics over the held-out tail of `data`/packed, as long as the model's training file says.

    An exported folder knows no training file; then the tail has 32 sequences. Raises CheckpointError, StoreError
    or ConfigError.
    """
    model = load(model_folder)
    run = open_packed(data)
    check_vocabulary(run, vocab_size=model.config.vocab_size)
    config = _train_config(model_folder)
    n_held_out = config.data.n_held_out_sequences if config else min(_TAIL, max(1, run.n_sequences - 1))
    split = split_run(run, n_held_out=n_held_out, n_read=config.n_read_sequences if config else None)
    machine = choose_machine(config.run if config else RunConfig())
    n_sequences = n_sequences or (config.eval if config else EvalConfig()).n_diagnose_sequences
    return diagnose_split(model.to(machine.device), split, n_sequences=n_sequences, machine=machine)


def _train_config(folder: Path) -> TrainConfig | None:
    path = folder / IDENTITY_NAME
    if not path.exists():
        return None
    try:
        return validate(TrainConfig, read_json(path).get("config"), where=str(path))
    except ConfigError as error:
        raise CheckpointError(f"{error}; the model folder is damaged or of another version") from None
