"""Take a trained model out of its folder: as a module, as an export, as loop diagnostics."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from pipeline.errors import CheckpointError, ConfigError
from pipeline.plt.checkpoint import newest_checkpoint, read_counters
from pipeline.plt.config import EvalConfig, ModelConfig, RunConfig, TrainConfig
from pipeline.plt.data import PackedRun, Split, open_packed, split_run
from pipeline.plt.diagnose import diagnose_split
from pipeline.plt.fit import check_vocabulary
from pipeline.plt.machine import choose_machine
from pipeline.plt.model import PLT
from pipeline.plt.vocabulary import (
    added_tokens,
    check_same_tokenizer,
    end_of_document,
    file_hash,
    read_token_bytes,
    run_tokenizer,
)
from pipeline.plt.weights import CODE_NAMES, CONFIG_NAME, WEIGHTS_NAME, gather, read_model, write_model
from pipeline.results import HELD_OUT_NAME, IDENTITY_NAME, Diagnostics, read_held_out, read_identity
from pipeline.results.codec import TRAIN_AGAIN
from pipeline.schema import TOKENIZER_FILE
from pipeline.yaml_file import validate

_TOKENIZER_CONFIG_NAME = "tokenizer_config.json"
_GENERATION_CONFIG_NAME = "generation_config.json"
_NAMES = (WEIGHTS_NAME, *CODE_NAMES, TOKENIZER_FILE, _TOKENIZER_CONFIG_NAME, _GENERATION_CONFIG_NAME, CONFIG_NAME)
_TAIL = 32  # held-out sequences of a model that brings no training file: the default of `data.n_held_out_sequences`


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


def export(
    model_folder: Path,
    *,
    out: Path,
    dtype: Literal["float32", "bfloat16"] = "float32",
    tokenizer: Path | None = None,
) -> Path:
    """Write config.json, model.safetensors, the code that transformers needs for loops, and the tokenizer into `out`.

    Generation ends at `model.eos_token_id` of the training file, by default the token that ends every document of the
    run; generation_config.json says so. Without a tokenizer and without that key nothing is known to end it.
    Files get their final names only when whole. `tokenizer` defaults to the model folder's own, if it holds one; such a
    folder takes no other (ConfigError). The vendor's inference code keeps states between loops in bfloat16: export for
    it with that dtype.
    """
    model = load(model_folder)
    own = model_folder / TOKENIZER_FILE
    if own.is_file() and tokenizer is not None and file_hash(own) != file_hash(tokenizer):
        raise ConfigError(
            f"{tokenizer}: is another tokenizer than {own}, which the model was trained with; leave it out"
        )
    tokenizer = tokenizer or (own if own.is_file() else None)
    out.mkdir(parents=True, exist_ok=True)
    foreign = sorted(p.name for p in out.iterdir() if p.name not in _NAMES)
    if foreign:
        raise CheckpointError(f"{out}: holds {foreign[:5]}, expected an empty or new folder, or an earlier export")
    partial = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.resolve().parent))
    try:
        config = model.config
        if tokenizer is not None:
            config = config.model_copy(update={"eos_token_id": _end_id(tokenizer, given=config.eos_token_id)})
            _write_tokenizer(partial, tokenizer=tokenizer, config=config)
        write_model(config, partial, tensors=gather(model), dtype=getattr(torch, dtype))
        _write_generation_config(partial, config=config)
        for name in _NAMES:  # config.json last: with it the folder is a model
            if (partial / name).exists():
                (partial / name).replace(out / name)
            else:
                (out / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(partial)
    return out


def _end_id(tokenizer: Path, *, given: int | None) -> int:
    """The id that ends a text: `given` in the training file, which must be an added token, else a document's last."""
    if given is None:
        return end_of_document(tokenizer)
    if given not in (known := added_tokens(tokenizer)).values():
        raise ConfigError(
            f"{tokenizer}: model.eos_token_id is {given}, which is none of its added tokens {known}; leave it out"
        )
    return given


def _write_tokenizer(folder: Path, *, tokenizer: Path, config: ModelConfig) -> None:
    """The tokenizer's file as it is, and what transformers wants to know about it."""
    read_token_bytes(tokenizer, vocab_size=config.vocab_size)
    (folder / TOKENIZER_FILE).write_bytes(tokenizer.read_bytes())
    names = {number: name for name, number in added_tokens(tokenizer).items()}
    keys: dict[str, object] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    # Every document ends so, and padding is masked wherever it stands: one token serves for both.
    keys |= {key: names[config.eos_token_id] for key in ("eos_token", "pad_token") if config.eos_token_id in names}
    if config.max_positions is not None:
        keys["model_max_length"] = config.max_positions
    _write_json(folder / _TOKENIZER_CONFIG_NAME, keys)


def _write_generation_config(folder: Path, *, config: ModelConfig) -> None:
    """What ends generation, where that is known."""
    if config.eos_token_id is None:
        return
    keys = {"eos_token_id": config.eos_token_id, "pad_token_id": config.eos_token_id}
    if config.bos_token_id is not None:
        keys["bos_token_id"] = config.bos_token_id
    _write_json(folder / _GENERATION_CONFIG_NAME, keys)


def _write_json(path: Path, keys: Mapping[str, object]) -> None:
    path.write_text(json.dumps(keys, indent=2) + "\n", encoding="utf-8")


def diagnose(model_folder: Path, *, data: Path, n_sequences: int | None = None) -> Diagnostics:
    """Loop diagnostics over what the model's training held out of `data`/packed.

    An exported folder knows no training; then it is the last 32 sequences. Raises CheckpointError, StoreError
    or ConfigError.
    """
    model = load(model_folder)
    run = open_packed(data)
    check_vocabulary(run, vocab_size=model.config.vocab_size)
    check_same_tokenizer(model_folder, data=data, tokenizer=run_tokenizer(data))
    config = _train_config(model_folder)
    split = _split_of(model_folder, run, config=config)
    machine = choose_machine(config.run if config else RunConfig())
    n_sequences = n_sequences or (config.eval if config else EvalConfig()).n_diagnose_sequences
    return diagnose_split(model.to(machine.device), split, n_sequences=n_sequences, machine=machine)


def _split_of(folder: Path, run: PackedRun, *, config: TrainConfig | None) -> Split:
    """What the model's training held out: drawn sequences, or the end of the stream."""
    drawn = read_held_out(folder)
    if drawn is None:
        n_held_out = config.data.n_held_out_sequences if config else min(_TAIL, max(1, run.n_sequences - 1))
        return split_run(run, n_held_out=n_held_out, n_read=config.n_read_sequences if config else None)
    if read_identity(folder).data != run.hashes:
        raise ConfigError(f"{folder}: was scored on sequences drawn from other shards than {run.folder}; give its run")
    numbers = np.array(drawn, np.int64)
    if not numbers.size or numbers[0] < 0 or numbers[-1] >= run.n_sequences or (np.diff(numbers) < 1).any():
        raise CheckpointError(
            f"{folder / HELD_OUT_NAME}: does not name sequences of {run.folder}, ascending and below "
            f"{run.n_sequences}; {TRAIN_AGAIN}"
        )
    return Split(run, train=range(0), held_out=numbers, seen=frozenset())


def _train_config(folder: Path) -> TrainConfig | None:
    path = folder / IDENTITY_NAME
    if not path.exists():
        return None
    try:
        return validate(TrainConfig, read_identity(folder).config, where=str(path))
    except ConfigError as error:
        raise CheckpointError(f"{error}; the model folder is damaged or of another version") from None
