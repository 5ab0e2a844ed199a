"""First weights from another model: a model folder, one of its checkpoints, or an export."""

from pathlib import Path

import torch

from pipeline.errors import CheckpointError, ConfigError
from pipeline.plt import checkpoint
from pipeline.plt.config import ModelConfig
from pipeline.plt.distributed import like
from pipeline.plt.model import PLT
from pipeline.plt.vocabulary import file_hash
from pipeline.plt.weights import CONFIG_NAME, check_tensors, read_shape, read_weights
from pipeline.results import IDENTITY_NAME
from pipeline.schema import TOKENIZER_FILE

# What a model may say of itself that does not change what its weights mean.
_FREE = {"init_std", "max_positions", "bos_token_id", "eos_token_id"}


def warm_start(model: PLT, folder: Path, *, tokenizer: Path | None) -> str:
    """Copy the weights of `folder` into `model`; the optimiser and the stream start anew. Returns what was done.

    Raises CheckpointError for a missing or damaged model and for another shape, ConfigError for another tokenizer.
    """
    source = _source(folder)
    own = folder / TOKENIZER_FILE
    if tokenizer is not None and own.is_file() and file_hash(own) != file_hash(tokenizer):
        raise ConfigError(
            f"run.warm_start: {folder} holds another tokenizer than the run ({own}, {tokenizer}), so its embeddings "
            "stand for other tokens; train on a run that was curated with its own"
        )
    config = read_shape(source)
    tensors = read_weights(source)
    check_tensors(tensors, model=model, where=f"run.warm_start: {source}")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.copy_(like(tensors[name].to(tensor.dtype), tensor))
    return f"first weights from {source}" + _differences(config, model.config)


def _source(folder: Path) -> Path:
    """Where the weights lie."""
    if not (folder / IDENTITY_NAME).is_file():
        if not (folder / CONFIG_NAME).is_file():
            raise CheckpointError(
                f"run.warm_start: {folder} holds neither {IDENTITY_NAME} nor {CONFIG_NAME}; expected a model folder, a "
                "checkpoint or an export"
            )
        return folder
    newest = checkpoint.newest_checkpoint(folder)
    if newest is None:
        raise CheckpointError(f"run.warm_start: {folder} has no checkpoint yet; train it further, or name another")
    checkpoint.read_counters(newest)  # for the hashes
    return newest


def _differences(found: ModelConfig, wanted: ModelConfig) -> str:
    """Settings that are no shape and still change what the weights do."""
    was, now = found.model_dump(exclude=_FREE), wanted.model_dump(exclude=_FREE)
    changed = [f"model.{key} {was[key]} -> {now[key]}" for key in now if was[key] != now[key]]
    return f"; they were trained with other settings: {', '.join(changed)}" if changed else ""
