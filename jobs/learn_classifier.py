"""Train the classifier: labelled contents in, its table out. Needed only when the packaged weights are made again.

A linear model over hashed token features (`tokens.py`), learned by stochastic gradient descent with one adaptive step
size per feature (Duchi et al. 2011). Twice: briefly over all features that two repositories share, to see which of them
matter; then, averaged over two orders of the documents, over the N_FEATURES that do. The same samples give the same
bytes: orders are keyed, nothing runs in parallel, and no sum may be reordered.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numba
import numpy as np
import zstandard
from numpy.typing import NDArray

from pipeline.arrays.compiled import compiled
from pipeline.language.classifier import Model
from pipeline.language.tokens import (
    KEY_BITS,
    KINDS,
    MAX_FEATURES,
    PLACE_BITS,
    SLOT_BITS,
    WEIGHTS,
    Bytes,
    extract,
)

N_FEATURES = 1 << PLACE_BITS
N_ORDERS = 2  # runs that are averaged: what only one of them learned is mostly chance
N_EPOCHS = 5
N_FIRST_EPOCHS = 1  # enough to see which features matter
STEP = 3.0  # of the first epoch; it falls to nearly nothing in the last
MARGIN = 0.05  # documents whose label has a probability above 1 - MARGIN teach nothing
MAX_BYTES = 8_192  # that are read of a document
CLASS_WEIGHTS = (0.3, 4.0)  # bounds of a class's weight: the root of how rare it is
CHUNK = 2_000  # documents that are counted at once

Floats = NDArray[np.float32]


class FeatureTable(NamedTuple):
    """Documents as sparse rows: document d has `columns` and `values` from `bounds[d]` to `bounds[d + 1]`."""

    bounds: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Floats


class Trained(NamedTuple):
    """What the classifier reads: the keys (ascending, 24 bits), a row of int8 per key and class, one scale, biases."""

    keys: NDArray[np.uint32]
    table: NDArray[np.int8]
    scale: float
    bias: Floats


def views(content: bytes, key: int) -> list[bytes]:
    """The content, and of a long one two pieces: short documents and middles of files must be known too."""
    rng = np.random.Generator(np.random.Philox(key))
    found = [content[:MAX_BYTES]]
    if len(content) > 1_200:
        start = int(rng.integers(0, len(content) - 700))
        found.append(content[start : start + int(rng.choice([500, 1_000, 2_000, 4_000]))])
        found.append(content[: int(rng.choice([400, 1_000, 2_000]))])
    return found


def count(contents: Sequence[bytes]) -> FeatureTable:
    """Distinct feature keys of each content, with their weights scaled to length one."""
    bounds, columns, values = [np.zeros(1, np.int64)], [], []
    for start in range(0, len(contents), CHUNK):
        heads = [content[:MAX_BYTES] for content in contents[start : start + CHUNK]]
        size = min(len(heads) * MAX_FEATURES, 9 * sum(map(len, heads)) + 9)
        keys, weights = np.empty(size, np.uint32), np.empty(size, np.int32)
        found = np.zeros(len(heads) + 1, np.int64)
        ends = np.cumsum([len(head) for head in heads], dtype=np.int64)
        count_features(np.frombuffer(b"".join(heads), np.uint8), ends, KINDS, WEIGHTS, keys, weights, found)
        bounds.append(bounds[-1][-1] + found[1:])
        columns.append(keys[: found[-1]].astype(np.int64))
        values.append(weights[: found[-1]].astype(np.float32))
    return _unit(FeatureTable(np.concatenate(bounds), np.concatenate(columns), np.concatenate(values)))


@numba.njit(nogil=True)  # not cached, as `compiled` would: a cached kernel does not notice changes of `extract`
def count_features(
    data: Bytes,
    ends: NDArray[np.int64],
    kinds: Bytes,
    weights: NDArray[np.int32],
    keys: NDArray[np.uint32],
    values: NDArray[np.int32],
    bounds: NDArray[np.int64],
) -> None:
    """Each document's distinct keys and their weights, document d at `bounds[d]:bounds[d + 1]`."""
    found = np.empty(MAX_FEATURES, np.uint32)
    counts = np.zeros(1 << KEY_BITS, np.int32)
    start = n = 0
    for d in range(ends.size):
        first = n
        for i in range(extract(data, start, ends[d], kinds, found)):
            key = np.int64(found[i]) & ((1 << KEY_BITS) - 1)
            if counts[key] == 0:
                keys[n] = key
                n += 1
            counts[key] += 1
        for i in range(first, n):
            values[i] = weights[counts[keys[i]] - 1]
            counts[keys[i]] = 0
        bounds[d + 1] = n
        start = ends[d]


def _unit(features: FeatureTable) -> FeatureTable:
    rows = np.repeat(np.arange(features.bounds.size - 1), np.diff(features.bounds))
    squares = np.bincount(rows, features.values.astype(np.float64) ** 2, minlength=features.bounds.size - 1)
    return features._replace(values=(features.values / np.sqrt(squares)[rows]).astype(np.float32))


def only(features: FeatureTable, keys: NDArray[np.int64]) -> FeatureTable:
    """The same documents over these keys alone, columns renumbered in the order of `keys`."""
    place = np.full(1 << KEY_BITS, -1, np.int64)
    place[keys] = np.arange(keys.size)
    columns = place[features.columns]
    kept = columns >= 0
    bounds = np.concatenate(([0], np.cumsum(kept)))[features.bounds]
    return _unit(FeatureTable(bounds, columns[kept], features.values[kept]))


def train(
    contents: Sequence[bytes],
    labels: Sequence[int],
    *,
    n_classes: int,
    groups: Sequence[str] = (),
) -> Trained:
    """Learn from contents and their class numbers. `groups` names each content's repository or package; a content with
    an empty name, or any without `groups`, stands for itself."""
    pieces: list[bytes] = []
    classes: list[int] = []
    whole: list[int] = []
    for i, (content, label) in enumerate(zip(contents, labels, strict=True)):
        whole.append(len(pieces))
        found = views(content, i)
        pieces += found
        classes += [label] * len(found)
    features, y = count(pieces), np.array(classes, np.int64)
    keys = choose(features, y, whole, groups, n_classes=n_classes)
    features = only(features, keys)
    runs = [descend(features, y, n_columns=keys.size, n_classes=n_classes, seed=seed) for seed in range(N_ORDERS)]
    weights = sum((run[0] for run in runs), np.zeros((), np.float32)) / np.float32(N_ORDERS)
    bias = sum((run[1] for run in runs), np.zeros((), np.float32)) / np.float32(N_ORDERS)
    return quantise(keys.astype(np.uint32), weights, bias)


def choose(
    features: FeatureTable, y: NDArray[np.int64], whole: Sequence[int], groups: Sequence[str], *, n_classes: int
) -> NDArray[np.int64]:
    """The keys that matter, ascending. What only one repository says is its own name for things, not its language's,
    so a key needs two of them, and more of them count more."""
    n_groups = _groups_of(features, whole, groups or [""] * len(whole))
    shared = np.flatnonzero(n_groups >= 2)
    narrow = only(features, shared)
    first, _ = descend(narrow, y, n_columns=shared.size, n_classes=n_classes, seed=0, n_epochs=N_FIRST_EPOCHS)
    spread = np.sqrt(np.square(first - first.mean(axis=1, keepdims=True)).sum(axis=1))
    return _best(shared, spread * np.log1p(n_groups[shared]))


def _groups_of(features: FeatureTable, whole: Sequence[int], groups: Sequence[str]) -> NDArray[np.int64]:
    """In how many groups each key occurs; `whole` are the rows of the whole contents."""
    members: dict[str, list[NDArray[np.int64]]] = {}
    for d, group in zip(whole, groups, strict=True):
        keys = features.columns[features.bounds[d] : features.bounds[d + 1]]
        members.setdefault(group or f"/{d}", []).append(keys)
    found = np.zeros(1 << KEY_BITS, np.int64)
    for columns in members.values():
        found[np.unique(np.concatenate(columns)) if len(columns) > 1 else columns[0]] += 1
    return found


def _best(keys: NDArray[np.int64], merit: NDArray[np.float64]) -> NDArray[np.int64]:
    """The N_FEATURES of most merit, ascending; of keys that would share a slot only the better one."""
    order = np.argsort(-merit, kind="stable")
    _, first = np.unique(keys[order] & ((1 << SLOT_BITS) - 1), return_index=True)
    return np.sort(keys[order[np.sort(first)[:N_FEATURES]]])


def quantise(keys: NDArray[np.uint32], weights: Floats, bias: Floats) -> Trained:
    """Weights as int8 with one scale; what a whole row shares says nothing and is taken out first."""
    centred = weights - weights.mean(axis=1, keepdims=True)
    scale = float(np.percentile(np.abs(centred), 99.99)) / 127
    table = np.clip(np.round(centred / scale), -127, 127).astype(np.int8)
    return Trained(keys, table, scale, (bias - bias.mean()).astype(np.float32))


def descend(
    features: FeatureTable,
    labels: NDArray[np.int64],
    *,
    n_columns: int,
    n_classes: int,
    seed: int,
    n_epochs: int = N_EPOCHS,
) -> tuple[Floats, Floats]:
    """Weights (columns, classes) and biases after `n_epochs` in keyed orders."""
    share = np.bincount(labels, minlength=n_classes)
    rarity = np.sqrt(share.mean() / np.maximum(share, 1))
    trust = np.clip(rarity, *CLASS_WEIGHTS).astype(np.float32)[labels]
    weights, bias = np.zeros((n_columns, n_classes), np.float32), np.zeros(n_classes, np.float32)
    energy = np.zeros(n_columns, np.float32)
    rng = np.random.Generator(np.random.Philox(seed))
    for epoch in range(n_epochs):
        step = np.float32(STEP * (1 - epoch / n_epochs) + 0.05)
        _epoch(*features, labels, rng.permutation(labels.size), trust, step, np.float32(MARGIN), weights, energy, bias)
    return weights, bias


@compiled
def _epoch(
    bounds: NDArray[np.int64],
    columns: NDArray[np.int64],
    values: Floats,
    labels: NDArray[np.int64],
    order: NDArray[np.int64],
    trust: Floats,
    step: np.float32,
    margin: np.float32,
    weights: Floats,
    energy: Floats,
    bias: Floats,
) -> None:
    n_classes = bias.size
    error = np.zeros(n_classes, np.float32)
    for d in order:
        start, stop = bounds[d], bounds[d + 1]
        error[:] = bias
        for i in range(start, stop):
            row, value = weights[columns[i]], values[i]
            for c in range(n_classes):
                error[c] += value * row[c]
        top = np.max(error)
        total = np.float32(0)
        for c in range(n_classes):
            error[c] = np.exp(error[c] - top)
            total += error[c]
        for c in range(n_classes):
            error[c] /= total
        error[labels[d]] -= np.float32(1)
        if error[labels[d]] > -margin:
            continue
        square = np.float32(0)
        for c in range(n_classes):
            error[c] *= trust[d]
            square += error[c] * error[c]
        for i in range(start, stop):
            column, value = columns[i], values[i]
            energy[column] += value * value * square
            rate = step * value / (np.sqrt(energy[column]) + np.float32(1e-3))
            row = weights[column]
            for c in range(n_classes):
                row[c] -= rate * error[c]
        for c in range(n_classes):
            bias[c] -= np.float32(0.02) * step * error[c]


def save(model: Model, path: Path) -> None:
    """Write a model; equal models are equal bytes."""
    arrays = {"classes": np.array(model.classes)} | {
        name: np.asarray(getattr(model, name)) for name in ("keys", "table", "scale", "bias", "temperature")
    }
    buffer = io.BytesIO()
    for array in arrays.values():
        np.lib.format.write_array(buffer, array, allow_pickle=False)
    path.write_bytes(zstandard.ZstdCompressor(level=19).compress(buffer.getvalue()))
