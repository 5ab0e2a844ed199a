"""A model as two files: config.json with the released model's keys, model.safetensors with its state names.

One loop is written as a plain Llama. The vendor's inference code would read `plt_num_loops: 1` as its older two-loop
design, and stock loaders know Llama. All six plt_ keys are always written for more loops, because the vendor's class
and its inference code fall back to different defaults where one is missing.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from pipeline.errors import CheckpointError, ConfigError, why
from pipeline.plt.config import ModelConfig
from pipeline.plt.distributed import whole
from pipeline.plt.model import PLT
from pipeline.plt.optimiser import MOMENTS
from pipeline.plt.pieces import INDEX_NAME, PieceIndex, read_index, read_pieces
from pipeline.results import read_file
from pipeline.yaml_file import validate

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "model.safetensors"
_FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
_OTHER_MODEL = "the file belongs to another model"
_LLAMA = ("llama", "LlamaForCausalLM")
_PLT = ("iquestpltcoder", "IQuestPLTCoderForCausalLM")
_TRANSFORMERS_VERSION = "4.57.1"  # what the released config names; its key layout is the one written here

_SAME_MEANING = {
    "vocab_size": "vocab_size",
    "num_hidden_layers": "n_layers",
    "hidden_size": "hidden_size",
    "num_attention_heads": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "intermediate_size": "intermediate_size",
    "initializer_range": "init_std",
    "max_position_embeddings": "max_positions",
    "rms_norm_eps": "norm_eps",
    "rope_theta": "rope_theta",
    "bos_token_id": "bos_token_id",
    "eos_token_id": "eos_token_id",
}  # released key -> our key
_SAME_MEANING_LOOPED = {
    "plt_emb_scale": "embedding_scale",
    "plt_hidden_scale": "hidden_scale",
    "plt_normalize_per_loop": "normalize_per_loop",
    "plt_num_loops": "n_loops",
}
_FIXED: dict[str, Any] = {
    "attention_bias": False,
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "mlp_bias": False,
    "rope_scaling": None,
    "tie_word_embeddings": False,
}  # the only values this architecture has
# Go with every looped model; the vendor publishes the configuration alone.
CODE_NAMES = tuple(f"{part}_iquestpltcoder.py" for part in ("configuration", "cache", "places", "modeling"))
_CODE = Path(__file__).with_name("hf")
_AUTO_MAP = {
    "AutoConfig": "configuration_iquestpltcoder.IQuestPLTCoderConfig",
    "AutoModelForCausalLM": "modeling_iquestpltcoder.IQuestPLTCoderForCausalLM",
}


def to_released(config: ModelConfig, *, dtype: torch.dtype) -> dict[str, Any]:
    """The released config.json's keys for `config`, sorted."""
    looped = config.n_loops > 1
    model_type, architecture = _PLT if looped else _LLAMA
    keys = {key: getattr(config, ours) for key, ours in _SAME_MEANING.items()} | _FIXED
    keys |= {
        "architectures": [architecture],
        "dtype": str(dtype).removeprefix("torch."),
        "head_dim": config.head_dim,
        "model_type": model_type,
        "transformers_version": _TRANSFORMERS_VERSION,
        "use_cache": True,
    }
    if looped:
        keys |= {key: getattr(config, ours) for key, ours in _SAME_MEANING_LOOPED.items()}
        keys |= {
            "auto_map": _AUTO_MAP,
            "plt_gate_use_hidden_states": config.gate == "hidden",
            "plt_window_size": [config.window, 0],
        }
    return dict(sorted(keys.items()))


def from_released(keys: dict[str, Any], *, where: str) -> ModelConfig:
    """The inverse of `to_released`. Raises CheckpointError for another architecture or missing keys."""
    model_type = keys.get("model_type")
    if model_type not in (_LLAMA[0], _PLT[0]):
        raise CheckpointError(f"{where}: model_type is {model_type!r}, expected {_PLT[0]!r} or {_LLAMA[0]!r}")
    looped = model_type == _PLT[0]
    wanted = _SAME_MEANING | (_SAME_MEANING_LOOPED if looped else {})
    needed = [*wanted, "head_dim", *(("plt_gate_use_hidden_states", "plt_window_size") if looped else ())]
    missing = [key for key in needed if key not in keys]
    other = {key: keys[key] for key, value in _FIXED.items() if key in keys and keys[key] != value}
    if missing or other:
        raise CheckpointError(f"{where}: keys {missing} are missing and values {other} differ from {_FIXED}")
    ours = {our_key: keys[key] for key, our_key in wanted.items()}
    if looped:
        window = keys["plt_window_size"]
        if not isinstance(window, list) or len(window) != 2 or window[1] != 0:
            raise CheckpointError(
                f"{where}: plt_window_size is {window!r:.80}, expected [a number, 0]: no tokens to the right"
            )
        ours |= {"gate": "hidden" if keys["plt_gate_use_hidden_states"] else "query", "window": window[0]}
        # The vendor's null scale means 1.
        ours |= {key: 1.0 for key in ("embedding_scale", "hidden_scale") if ours[key] is None}
    else:
        ours["n_loops"] = 1
    try:
        config = validate(ModelConfig, ours, where=where)
    except ConfigError as error:
        raise CheckpointError(str(error)) from None
    if keys["head_dim"] != config.head_dim:
        raise CheckpointError(
            f"{where}: head_dim is {keys['head_dim']}, expected hidden size / heads {config.head_dim}"
        )
    return config


def gather(model: PLT) -> dict[str, Tensor]:
    """Every weight, whole and on the CPU. Of a sharded model all processes must ask at once."""
    return {name: whole(t.detach()).cpu() for name, t in model.state_dict().items()}


def write_model(config: ModelConfig, folder: Path, *, tensors: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Write both files, and the code of looped ones, into an existing folder. Bytes depend on the arguments alone."""
    write_shape(config, folder, dtype=dtype)
    write_weights(tensors, folder, dtype=dtype)


def write_shape(config: ModelConfig, folder: Path, *, dtype: torch.dtype) -> None:
    """config.json and the code of looped models."""
    keys = to_released(config, dtype=dtype)
    (folder / CONFIG_NAME).write_text(json.dumps(keys, indent=2) + "\n", encoding="utf-8")
    if config.n_loops > 1:
        for name in CODE_NAMES:
            (folder / name).write_bytes((_CODE / name).read_bytes())


def write_weights(tensors: dict[str, Tensor], folder: Path, *, dtype: torch.dtype) -> None:
    """model.safetensors."""
    tensors = {name: t.to(dtype).contiguous() for name, t in tensors.items()}
    # One metadata key: its map is written in no fixed order.
    save_file(tensors, str(folder / WEIGHTS_NAME), metadata={"format": "pt"})


def read_model(folder: Path) -> PLT:
    """The model of a folder. Raises CheckpointError where files are missing, damaged or do not fit each other."""
    config, tensors = read_shape(folder), read_weights(folder)
    # First, and in numbers: of a billion layers not even their names could be made to compare them.
    held = sum(tensor.numel() for tensor in tensors.values())
    if config.n_layers > len(tensors) or config.n_parameters > 1_000 * max(1, held):
        raise CheckpointError(
            f"{folder}: {CONFIG_NAME} describes {config.n_parameters:,} parameters, the weights are {held:,}; "
            f"{_OTHER_MODEL}"
        )
    with torch.device("meta"):
        model = PLT(config)
    check_tensors(tensors, model=model, where=str(folder))
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of an export, or of a checkpoint that one process or several wrote, whole and on the CPU."""
    if (folder / WEIGHTS_NAME).exists() or not (folder / INDEX_NAME).exists():
        return read_tensors(folder / WEIGHTS_NAME)
    index = read_index(folder)
    weights = {name: of for name, of in index.tensors.items() if name.partition(".")[0] not in MOMENTS}
    return sound(read_pieces(folder, PieceIndex(weights)), where=folder)


def read_shape(folder: Path) -> ModelConfig:
    """The shape that a folder's config.json describes. Raises CheckpointError."""
    path = folder / CONFIG_NAME
    keys = read_file(dict[str, Any], path, remedy="give a folder written by `loopmix train` or `export`")
    return from_released(keys, where=str(path))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, on the CPU. CheckpointError unless they are finite floats."""
    try:
        tensors: dict[str, Tensor] = load_file(str(path), device="cpu")
    except (OSError, SafetensorError, MemoryError) as error:
        raise CheckpointError(f"{path}: cannot be read ({why(error)}); the file is missing or damaged") from error
    # Tensors read from a file may begin at any address, and matrix products round by alignment; a copy is aligned.
    return {name: tensor.clone() for name, tensor in sound(tensors, where=path).items()}


def sound(tensors: dict[str, Tensor], *, where: Path) -> dict[str, Tensor]:
    """The tensors. CheckpointError unless they are finite floats, which alone make a model."""
    for name, tensor in tensors.items():
        if tensor.dtype not in _FLOATS:
            raise CheckpointError(f"{where}: {name!a:.80} is {tensor.dtype}, expected floats; {_OTHER_MODEL}")
        if not torch.isfinite(tensor).all():
            n = int((~torch.isfinite(tensor)).sum())
            raise CheckpointError(
                f"{where}: {name!a:.80} has {n:,} numbers of {tensor.numel():,} that are NaN or infinite, so the model "
                "says nothing; take an earlier checkpoint, or train again"
            )
    return tensors


def check_tensors(tensors: dict[str, Tensor], *, model: PLT, where: str) -> None:
    """Raise CheckpointError unless names and shapes are exactly the model's."""
    expected = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    if found != expected:
        missing, unknown = sorted(expected.keys() - found), sorted(found.keys() - expected)
        names = [name[:60] for name in unknown[:3]]  # written by nobody knows whom
        shapes = {n: (found[n], expected[n]) for n in expected.keys() & found if found[n] != expected[n]}
        raise CheckpointError(
            f"{where}: {len(missing)} tensors missing {missing[:3]}, {len(unknown)} unknown {names}, "
            f"shapes (found, expected) {dict(sorted(shapes.items())[:3])}; {_OTHER_MODEL}"
        )
