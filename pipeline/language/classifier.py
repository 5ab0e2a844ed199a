"""The content classifier: bytes in, a probability for each of CLASSES out. Weights are data.

A linear model over hashed token features: a feature is looked up in a table of int8, and the rows of a document's
features add up to its logits. guesslang's network is its second voter, asked only where the first is unsure and its
labels cover both contenders; `guesslang_alone` is that network by itself.
"""

import io
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import zstandard
from numpy.typing import NDArray

from pipeline.language.classes import CLASSES, OTHER, class_of
from pipeline.language.guesslang import linguist_labels, scores
from pipeline.language.tokens import KINDS, LOG_UNIT, WEIGHTS, slots_of, sum_rows

WEIGHTS_FILE = "classifier.npz.zst"
# The second voter helped on its own languages (.947 to .953), hurt a little on the others (.927 to .925), and costs
# time: so it is asked only where the first is unsure.
SURE = 0.9  # above it no second voter is asked
VOTE = 0.3  # weight of the second voter's log-probabilities
OTHER_BIAS = -2.5  # OTHER must be this much likelier: it has seen many languages but never all
MIN_FEATURES = 8  # features of the table (each seen once) below which a content says nothing: it is OTHER
_CERTAINLY = 100.0  # added to a logit: all other probabilities all but vanish
_FLOOR = 1e-6  # guesslang's probabilities below this say no more than that

Floats = NDArray[np.float32]


class Model(NamedTuple):
    """What training found. `table` has a row of int8 per key and a column per class, times `scale`; the confidence is
    calibrated by dividing logits by `temperature`."""

    classes: tuple[str, ...]
    keys: NDArray[np.uint32]
    table: NDArray[np.int8]
    scale: np.float32
    bias: Floats
    temperature: np.float32


def read(data: bytes) -> Model:
    """A model from the bytes that `jobs/learn_classifier.py` saves: plain arrays one after the other, no pickle."""
    buffer = io.BytesIO(zstandard.ZstdDecompressor().decompress(data))
    classes, *arrays = (np.lib.format.read_array(buffer, allow_pickle=False) for _ in Model._fields)
    keys, table, scale, bias, temperature = arrays
    names = tuple(str(name) for name in classes)
    return Model(names, keys, table, np.float32(scale), bias, np.float32(temperature))


@lru_cache(maxsize=1)
def packaged() -> Model:
    """The weights that ship, read once per process (8 MB compressed, 27 MB in memory)."""
    model = read((files("pipeline.language") / "data" / WEIGHTS_FILE).read_bytes())
    assert model.classes == CLASSES, "the packaged weights belong to another list of classes"
    return model


@lru_cache(maxsize=1)
def _packaged_slots() -> NDArray[np.int32]:
    return slots_of(packaged().keys)


def sums(model: Model, contents: Sequence[bytes], *, slots: NDArray[np.int32]) -> tuple[Floats, NDArray[np.int64]]:
    """Logits, shape (documents, classes), and the squared norm of those of its features that the table has.

    A logit is a mean of weights, in exact integers until the end."""
    total = np.zeros((len(contents), len(model.classes)), np.int32)
    squares = np.zeros(len(contents), np.int64)
    ends = np.cumsum([len(content) for content in contents], dtype=np.int64)
    data = np.frombuffer(b"".join(contents), np.uint8)
    sum_rows(data, ends, KINDS, WEIGHTS, slots, model.table, total, squares)
    logits: Floats = (total / np.sqrt(np.maximum(squares, 1))[:, None] * model.scale + model.bias).astype(np.float32)
    return logits, squares


def probabilities(contents: Sequence[bytes]) -> Floats:
    """Shape (documents, len(CLASSES)); each row sums to 1 and depends on its own document alone."""
    model = packaged()
    raw, squares = sums(model, contents, slots=_packaged_slots())
    logits = raw.astype(np.float64) / float(model.temperature)
    logits[:, CLASSES.index(OTHER)] += np.where(squares < MIN_FEATURES * LOG_UNIT**2, _CERTAINLY, OTHER_BIAS)
    found = _softmax(logits)
    unsure = np.flatnonzero(found.max(axis=1) < SURE)
    columns = _guesslang_columns()
    top = np.argsort(-found[unsure], axis=1, kind="stable")[:, :2]
    unsure = unsure[(columns[top] >= 0).all(axis=1)]
    if unsure.size:
        votes = scores([contents[i] for i in unsure.tolist()])
        votes = np.concatenate((votes, np.zeros((len(votes), 1), np.float32)), axis=1)  # column -1: no such label
        found[unsure] = _softmax(logits[unsure] + VOTE * np.log(np.maximum(votes[:, columns], _FLOOR)))
    return found.astype(np.float32)


def guesslang_alone(contents: Sequence[bytes]) -> Floats:
    """As `probabilities`, by guesslang's network only: 0 for classes that it does not know."""
    columns, found = _guesslang_columns(), scores(contents)
    return np.where(columns >= 0, found[:, columns], np.float32(0))


@lru_cache(maxsize=1)
def _guesslang_columns() -> NDArray[np.int64]:
    """For each class guesslang's column, or -1."""
    columns = {class_of(name): i for i, (name, *_) in enumerate(linguist_labels())}
    return np.array([columns.get(name, -1) for name in CLASSES])


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return powers / powers.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
