"""All marks of a shard's documents: what path, signs and shape say together."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from pipeline.features import MARKS
from pipeline.quality.marks.paths import find_by_path, rooted
from pipeline.quality.marks.shapes import Shapes, shapes_of
from pipeline.quality.marks.signs import Contents, find_by_sign
from pipeline.quality.marks.tables import read_table


def find_marks(
    paths: pa.Array,
    data: np.ndarray,
    offsets: np.ndarray,
    *,
    languages: np.ndarray,
    features: Mapping[str, np.ndarray],
) -> dict[str, np.ndarray]:
    """For each mark of `features.MARKS` which of the documents data[offsets[k]:offsets[k + 1]] have it, as booleans.

    `paths` are strings, null where a document has none; `languages` linguist's names; `features` needs n_chars,
    max_line_chars and mean_line_chars of the same documents.
    """
    offsets = offsets.astype(np.int64, copy=False)
    places = rooted(paths)
    found = {mark: np.zeros(len(languages), bool) for mark in MARKS}
    parts = (
        find_by_path(places),
        find_by_sign(Contents(data, offsets, languages, places)),
        _find_by_shape(shapes_of(data, offsets), languages, features),
    )
    for part in parts:
        for mark, hits in part.items():
            found[mark] |= hits
    for mark in ("lock_file", "build_output"):  # what these are says more than that a program wrote them
        found["generated_content"] &= ~found[mark]
    return found


def as_lists(found: Mapping[str, np.ndarray], *, among: np.ndarray) -> pa.ListArray:
    """The names of each document's marks, in the order of `features.MARKS`; none where `among` is false."""
    table = np.stack([found[mark] & among for mark in MARKS], axis=1)
    ends = np.concatenate(([0], np.cumsum(table.sum(axis=1)))).astype(np.int32)
    names = pa.array(list(MARKS), pa.string()).take(pa.array(np.nonzero(table)[1]))
    return pa.ListArray.from_arrays(pa.array(ends), names)


def _find_by_shape(shapes: Shapes, languages: np.ndarray, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The rows of shapes.yaml: all limits of a row must hold."""
    numbers = _numbers(shapes, features)
    names, codes = np.unique(languages, return_inverse=True)
    found: dict[str, np.ndarray] = {}
    for row in read_table("shapes.yaml"):
        hits = np.ones(len(codes), bool)
        if "languages" in row:
            hits &= np.array([name in row["languages"] for name in names], bool)[codes]
        if "except" in row:
            hits &= np.array([name not in row["except"] for name in names], bool)[codes]
        for name, least in row["at_least"].items():
            hits &= numbers[name] >= least
        found[row["mark"]] = found[row["mark"]] | hits if row["mark"] in found else hits
    return found


def _numbers(shapes: Shapes, features: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a row of shapes.yaml may ask for."""
    n_lines = np.maximum(shapes.n_lines, 1)
    return {
        "lines": shapes.n_lines,
        "number_lines": shapes.n_number_lines / n_lines,
        "record_lines": shapes.n_record_lines / n_lines,
        "sum_lines": shapes.n_sum_lines / n_lines,
        "word_lines": shapes.n_word_lines / n_lines,
        "digits": shapes.n_digits / np.maximum(shapes.n_visible, 1),
        "chars": features["n_chars"],
        "mean_line_chars": features["mean_line_chars"],
        "max_line_chars": features["max_line_chars"],
        "longest_line": features["max_line_chars"] / np.maximum(features["n_chars"], 1),
    }
