"""guesslang's trained network, run without TensorFlow: bytes in, a probability for each of its 54 languages out.

The network (MIT, github.com/yoeo/guesslang 2.2.1) hashes byte pairs into 5,000 buckets. A wide part sums one weight per
bucket and language; a deep part averages 70-dimensional embeddings and sends them through 512 and 32 rectified units;
the logits of both are added. A byte pair has 65,536 values, so the string hash collapses into one small table.
Every sum runs in one fixed order: a document's result depends neither on its neighbours nor on a BLAS library.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.arrays.compiled import compiled

N_BUCKETS = 5_000
MAX_PAIRS = 10_000  # the network was trained on the first 10,000 byte pairs of a file
N_LABELS = 54

# guesslang's own names that differ from linguist's, and linguist languages that it files under one of its labels.
LINGUIST_NAMES: dict[str, tuple[str, ...]] = {
    "Lisp": ("Common Lisp", "Emacs Lisp"),
    "Matlab": ("MATLAB",),
    "Visual Basic": ("Visual Basic .NET", "VBA", "Visual Basic 6.0"),
    "Assembly": ("Assembly", "Unix Assembly"),
    "Fortran": ("Fortran", "Fortran Free Form"),
    "INI": ("INI", "Java Properties"),
    "Objective-C": ("Objective-C", "Objective-C++"),
    "SQL": ("SQL", "PLSQL", "TSQL", "PLpgSQL"),
    "Verilog": ("Verilog", "SystemVerilog"),
}

Floats = NDArray[np.float32]


class Network(NamedTuple):
    """The trained weights, in the order in which `_forward` takes them. Its `table` holds a bucket's wide weights (54)
    and its embedding (70) side by side."""

    labels: tuple[str, ...]
    weights: tuple[NDArray[Any], ...]


@lru_cache(maxsize=1)
def load_network() -> Network:
    """Read the packaged weights once per process (2.5 MB)."""
    with (
        (files("pipeline.language") / "data" / "guesslang.npz").open("rb") as file,
        np.load(file, allow_pickle=False) as archive,
    ):
        arrays: dict[str, Any] = {name: archive[name] for name in archive.files}
    table = np.ascontiguousarray(np.concatenate((arrays["wide"], arrays["embedding"]), axis=1))
    layers = (arrays[name] for name in ("kernel_0", "bias_0", "kernel_1", "bias_1", "kernel_2"))
    bias = arrays["bias_2"] + arrays["wide_bias"]  # both parts' logits are added, so their biases are one
    return Network(tuple(str(label) for label in arrays["labels"]), (pair_buckets(), table, *layers, bias))


def pair_buckets() -> NDArray[np.int16]:
    """Bucket of the pair (a, b) at 256 * a + b: FarmHash64 of the three bytes a, space, b, modulo 5,000.

    FarmHash has its own branch for strings of one to three bytes, and these six lines are all of it.
    """
    k0, k2 = np.uint64(0xC3A5C85C97CB3127), np.uint64(0x9AE16A3B2F90404F)
    first, last = np.divmod(np.arange(65_536, dtype=np.uint64), np.uint64(256))
    y = first + np.uint64(ord(" ") << 8)
    z = np.uint64(3) + (last << np.uint64(2))
    mixed = y * k2 ^ z * k0
    buckets: NDArray[np.int16] = ((mixed ^ mixed >> np.uint64(47)) * k2 % np.uint64(N_BUCKETS)).astype(np.int16)
    return buckets


def linguist_labels() -> tuple[tuple[str, ...], ...]:
    """For each column of `scores`, the linguist languages it stands for, the main one first."""
    return tuple(LINGUIST_NAMES.get(label, (label,)) for label in load_network().labels)


def scores(contents: Sequence[bytes]) -> Floats:
    """Probabilities, shape (documents, 54), columns as in `load_network().labels`; each row sums to 1."""
    network = load_network()
    heads = [content[: MAX_PAIRS + 1] for content in contents]
    ends = np.cumsum([len(head) for head in heads], dtype=np.int64)
    data = np.frombuffer(b"".join(heads), np.uint8)
    out = np.empty((len(heads), N_LABELS), np.float32)
    _forward(data, ends, out, *network.weights)
    return out


@compiled
def _forward(
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    out: Floats,
    buckets: NDArray[np.int16],
    table: Floats,
    kernel_0: Floats,
    bias_0: Floats,
    kernel_1: Floats,
    bias_1: Floats,
    kernel_2: Floats,
    bias_2: Floats,
) -> None:
    """One row of `out` per document; `ends` are the documents' ends in `data`."""
    n_labels = out.shape[1]
    counts = np.zeros(N_BUCKETS, np.int32)
    touched = np.empty(N_BUCKETS, np.int64)
    start = 0
    for d in range(ends.size):
        n_touched = 0
        for i in range(start, ends[d] - 1):
            bucket = buckets[np.int64(data[i]) * 256 + data[i + 1]]
            if counts[bucket] == 0:
                touched[n_touched] = bucket
                n_touched += 1
            counts[bucket] += 1
        total = np.zeros(table.shape[1], np.float32)
        for j in range(n_touched):
            _add(total, table[touched[j]], np.float32(counts[touched[j]]))
            counts[touched[j]] = 0
        logits = bias_2 + total[:n_labels]
        embedding = total[n_labels:] / np.float32(max(1, ends[d] - start - 1))
        hidden = _layer(_layer(embedding, kernel_0, bias_0), kernel_1, bias_1)
        for j in range(hidden.size):
            _add(logits, kernel_2[j], hidden[j])
        powers = np.exp(logits.astype(np.float64) - np.max(logits))
        out[d] = powers / np.sum(powers)
        start = ends[d]


@compiled
def _layer(x: Floats, kernel: Floats, bias: Floats) -> Floats:
    """A dense layer with rectified units, summed input by input."""
    out = bias.copy()
    for j in range(x.size):
        if x[j] != 0:
            _add(out, kernel[j], x[j])
    return np.maximum(out, np.float32(0))


@compiled
def _add(out: Floats, row: Floats, factor: np.float32) -> None:
    for k in range(out.size):
        out[k] += factor * row[k]
