"""Models small enough to be written by hand: a fastText classifier, byte by byte, and graphs of ONNX."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

END = "</s>"  # fastText adds this word at the end of each line
WORDS = {"good": (2.0, 0.5), "bad": (-1.5, 0.25), "so": (0.25, -0.5), END: (0.125, 0.125)}
LABELS = {"__label__yes": (1.0, 0.5), "__label__no": (-0.5, 1.0)}


def write_fasttext(path: Path) -> Path:
    """A supervised model of version 12 with softmax: words of two dimensions, no n-grams of words or characters.

    The order of the file: magic, version, arguments, dictionary, input matrix, output matrix.
    """
    dim, supervised, softmax = 2, 3, 3
    data = struct.pack("<ii", 793712314, 12)
    # dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate, t
    data += struct.pack("<12id", dim, 5, 5, 1, 5, 1, softmax, supervised, 0, 0, 0, 100, 1e-4)
    data += struct.pack("<iiiqq", len(WORDS) + len(LABELS), len(WORDS), len(LABELS), 1000, -1)
    for names, kind in ((WORDS, 0), (LABELS, 1)):
        for name in names:
            data += name.encode() + b"\0" + struct.pack("<qb", 10, kind)
    for rows in (WORDS, LABELS):
        matrix = np.array(list(rows.values()), np.float32)
        data += b"\0" + struct.pack("<qq", *matrix.shape) + matrix.tobytes()  # not quantised
    path.write_bytes(data)
    return path


def fasttext_by_hand(text: str) -> float:
    """The probability of `yes`: softmax over the mean of the word vectors, those of unknown words left out."""
    rows = [WORDS[word] for word in [*text.split(), END] if word in WORDS]
    scores = np.array(list(LABELS.values())) @ np.mean(rows, axis=0)
    odds = np.exp(scores - scores.max())
    return float(odds[0] / odds.sum())


def write_model(path: Path, nodes: list, inputs: list, output: str, *, dims: list, weights: dict | None = None) -> Path:
    initial = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, dims)]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initial)
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path.write_bytes(helper.make_model(graph, opset_imports=sets, ir_version=9).SerializeToString())
    return path


def write_strings(path: Path, *, dims: int = 1, columns: int = 0) -> Path:
    """Takes strings: 1 for `good`, -1 for `bad`, 0.25 for all else; `columns`: beside each other, times 1, 2, ..."""
    shape = ["n"] if dims == 1 else ["n", 1]
    inputs = [helper.make_tensor_value_info("text", TensorProto.STRING, shape)]
    label = helper.make_node("LabelEncoder", ["text"], ["one"], domain="ai.onnx.ml", keys_strings=["good", "bad"],
                             values_floats=[1.0, -1.0], default_float=0.25)  # fmt: skip
    if not columns:
        return write_model(path, [label], inputs, "one", dims=shape)
    weights = {"shape": np.array([-1, 1], np.int64), "times": np.arange(1, columns + 1, dtype=np.float32)[None]}
    nodes = [
        label,
        helper.make_node("Reshape", ["one", "shape"], ["tall"]),
        helper.make_node("Mul", ["tall", "times"], ["many"]),
    ]
    return write_model(path, nodes, inputs, "many", dims=["n", columns], weights=weights)


VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "so": 4}
WEIGHTS = np.array([100.0, 0.5, 3.0, -2.0, 0.25], np.float32)  # of [PAD] too, so that a mask that is left out shows


def write_tokens(folder: Path) -> Path:
    """Takes ids and mask: the mean weight of a text's tokens. Its tokenizer splits at spaces."""
    folder.mkdir(parents=True, exist_ok=True)
    shape = ["n", "length"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in ("input_ids", "attention_mask")]
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["each"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["each", "mask"], ["real"]),
        helper.make_node("ReduceSum", ["real", "axis"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "axis"], ["count"], keepdims=0),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
    ]
    weights = {"weights": WEIGHTS, "axis": np.array([1], np.int64)}
    tokenizer = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
                 "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
                 "model": {"type": "WordLevel", "vocab": VOCABULARY, "unk_token": "[UNK]"}}  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return write_model(folder / "model.onnx", nodes, inputs, "mean", dims=["n"], weights=weights)


def tokens_by_hand(text: str, *, most: int = 512) -> float:
    return float(np.mean([WEIGHTS[VOCABULARY.get(word, 1)] for word in text.split()[:most]], dtype=np.float32))


def write_broken(path: Path) -> Path:
    """A model that gives infinity."""
    inputs = [helper.make_tensor_value_info("text", TensorProto.STRING, ["n"])]
    label = helper.make_node("LabelEncoder", ["text"], ["one"], domain="ai.onnx.ml", keys_strings=["x"],
                             values_floats=[1.0], default_float=0.0)  # fmt: skip
    return write_model(path, [label, helper.make_node("Log", ["one"], ["log"])], inputs, "log", dims=["n"])


def write_external(path: Path) -> Path:
    """A model whose weights lie in a file of their own beside it."""
    weights = {"weights": np.arange(1000, dtype=np.float32)}
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "length"])]
    nodes = [
        helper.make_node("Gather", ["weights", "input_ids"], ["each"]),
        helper.make_node("ReduceMax", ["each"], ["most"], axes=[1], keepdims=0),
    ]
    write_tokens(path.parent)  # for its tokenizer
    write_model(path, nodes, inputs, "most", dims=["n"], weights=weights)
    onnx.save_model(
        onnx.load(path), path, save_as_external_data=True, location="weights.bin", size_threshold=10,
        convert_attribute=False,
    )  # fmt: skip
    return path
