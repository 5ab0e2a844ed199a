"""What a mixture shuts out by what a document is: its language, licence or natural language, or prose in a format."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk
from pipeline.config import Select
from pipeline.schema import PROSE_GROUP
from pipeline.select.licenses import dropped_class, license_class


def asks_prose_language(config: Select) -> bool:
    """Whether a mixture chooses texts by their natural language."""
    return bool(config.drop_prose_languages or config.keep_prose_languages)


def shut_out(
    documents: pa.Table, languages: pa.Table, prose_language: pa.Table | None, config: Select
) -> dict[str, np.ndarray]:
    """By reason the documents that it drops by itself, bool [n]; a reason that no setting asks for is left out.

    `prose_language` is that column of `quality`, where the mixture asks for it.
    """
    language, found = languages["language"], {}
    if config.drop_unknown:  # where there was something to tell it from
        found["unknown_language"] = _is(language, "Unknown") & ~documents["problem"].is_valid().to_numpy()
    if config.drop_languages:
        found["dropped_language"] = _is(language, *config.drop_languages)
    if config.drop_prose_in:
        found["prose_in_format"] = _is_dropped_prose(languages, config.drop_prose_in)
    if prose_language is not None:  # one whose language is unsure is none
        told = prose_language["prose_language"]
        if config.drop_prose_languages:
            found["dropped_prose_language"] = _is(told, *config.drop_prose_languages)
        if config.keep_prose_languages:
            found["other_prose_language"] = told.is_valid().to_numpy() & ~_is(told, *config.keep_prose_languages)
    if config.drop_licenses:
        found["dropped_license"] = ~may_enter(documents["license"], config.drop_licenses)
    return found


def _is(column: pa.ChunkedArray, *values: str) -> np.ndarray:
    found: np.ndarray = np.asarray(pc.is_in(column, value_set=pa.array(values, pa.string())))
    return found


def _is_dropped_prose(languages: pa.Table, formats: Sequence[str]) -> np.ndarray:
    """Documents of prose in the code pool whose group is one of `formats`, or what a mixture has set apart of it."""
    groups = [*formats, *(PROSE_GROUP.format(name) for name in formats)]
    conditions = (
        _is(languages["group"], *groups),
        _is(languages["content_kind"], "prose"),
        _is(languages["pool"], "code"),
    )
    wanted: np.ndarray = np.logical_and.reduce(conditions)
    return wanted


def license_classes(column: pa.ChunkedArray) -> np.ndarray:
    """The class of each licence, int64; each spelling is judged once."""
    return _by_spelling(column, license_class).astype(np.int64)


def may_enter(column: pa.ChunkedArray, dropped: Sequence[str]) -> np.ndarray:
    """Whether each licence has a choice of none of the dropped classes, bool [n]; each spelling is judged once."""
    return _by_spelling(column, lambda x: dropped_class(x, dropped) is None).astype(bool)


def _by_spelling(column: pa.ChunkedArray, judge: Callable[[str | None], int]) -> np.ndarray:
    coded = one_chunk(column).dictionary_encode()
    found = np.array([judge(x) for x in [*coded.dictionary.to_pylist(), None]])
    numbers: np.ndarray = found[pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy()]
    return numbers
