"""An ONNX model as a scorer: one number for each text, on one thread of the processor.

Two shapes of input: one tensor of strings, [n] or [n, 1]; or token ids and attention mask, [n, length], made by the
`tokenizer.json` beside the model. The score is the model's first output of floats: [n], [n, 1], or a column of [n, k].
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, StageError

TOKENIZER = "tokenizer.json"  # beside the model
_IDS = {"input_ids", "attention_mask", "token_type_ids"}


@dataclass(frozen=True)
class OnnxModel:
    """A loaded model and how it is fed."""

    session: Any
    tokenizer: Any  # None: it takes strings
    inputs: tuple[str, ...]
    n_dims: int  # of the input of strings
    output: str


@lru_cache(maxsize=4)  # a process loads each once
def load_onnx(path: str, file_hash: str, max_tokens: int) -> OnnxModel:
    """The model of a file. ConfigError if the library is missing, the file is no model, or cannot be fed with text."""
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ConfigError("ONNX models need `onnxruntime`: pip install 'loopmix[scorers]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a task was given one CPU; sums keep their order
    options.use_deterministic_compute = True
    options.log_severity_level = 3  # its warnings are about the graph, not about the data
    # A model may name further files for its weights, which the hash does not cover and which would be looked for in the
    # working folder. There is nothing below a file, so such a model fails instead.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", f"{path}/nothing")
    try:
        session = onnxruntime.InferenceSession(
            Path(path).read_bytes(), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ConfigError(
            f"{path}: is no ONNX model that can be loaded (its weights must be in it): {_one_line(error)}"
        ) from error
    inputs = session.get_inputs()
    floats = [o.name for o in session.get_outputs() if o.type in ("tensor(float)", "tensor(double)", "tensor(float16)")]
    if not floats:
        raise ConfigError(f"{path}: has no output of floats: {[o.type for o in session.get_outputs()]}")
    names = tuple(i.name for i in inputs)
    if [i.type for i in inputs] == ["tensor(string)"]:
        return OnnxModel(session, None, names, len(inputs[0].shape), floats[0])
    if not {"input_ids"} <= set(names) <= _IDS:
        raise ConfigError(f"{path}: has inputs {list(names)}; expected one of strings, or some of {sorted(_IDS)}")
    return OnnxModel(session, _tokenizer(path, max_tokens), names, 2, floats[0])


def _tokenizer(path: str, max_tokens: int) -> Any:
    from tokenizers import Tokenizer

    beside = Path(path).with_name(TOKENIZER)
    try:
        tokenizer = Tokenizer.from_str(beside.read_text(encoding="utf-8"))
    except Exception as error:
        raise ConfigError(f"{beside}: the tokenizer of {path} cannot be read: {_one_line(error)}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def onnx_scores(model: OnnxModel, texts: list[str], *, column: int | None) -> np.ndarray:
    """The score of each text, float64 [n]. StageError if the model gives another shape."""
    try:
        (found,) = model.session.run([model.output], _feed(model, texts))
    except Exception as error:
        raise StageError(f"failed: {_one_line(error)}") from error
    scores = np.asarray(found, np.float64)
    if scores.ndim == 2 and (column is not None or scores.shape[1] == 1):
        if not 0 <= (column or 0) < scores.shape[1]:
            raise StageError(f"gives {scores.shape[1]} columns, and label {column} is none of them")
        scores = scores[:, column or 0]
    if scores.shape != (len(texts),):
        raise StageError(f"gives shape {list(scores.shape)} for {len(texts)} texts; name a column as `label`")
    return scores


def _feed(model: OnnxModel, texts: list[str]) -> dict[str, np.ndarray]:
    if model.tokenizer is None:
        strings = np.array(texts, object)
        return {model.inputs[0]: strings[:, None] if model.n_dims == 2 else strings}
    encoded = [model.tokenizer.encode(text) for text in texts]  # one by one: encode_batch starts threads
    length = max(1, *(len(e.ids) for e in encoded))
    made = {name: np.zeros((len(texts), length), np.int64) for name in _IDS}
    for row, one in enumerate(encoded):
        made["input_ids"][row, : len(one.ids)] = one.ids
        made["attention_mask"][row, : len(one.ids)] = 1
        made["token_type_ids"][row, : len(one.ids)] = one.type_ids
    return {name: made[name] for name in model.inputs}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
