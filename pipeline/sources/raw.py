"""A row as a reader hands it over, before anything is decoded: readers that only plan load nothing that decodes."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from pipeline.sources.values import Metadata

UNREADABLE = "unreadable_row"
TOO_LARGE = "too_large"
MISSING_OBJECT = "missing_object"
REPEATED = "repeated_entry"
NO_FILES = "no_files"
EMPTY = "empty"
CRASHED = "crashed_worker"
# The list of files in a row is numbered below the row: input_row = row * 2^24 + place in the list.
MAX_ENTRIES = 2**24


class RowPlace(NamedTuple):
    """Where a document comes from."""

    source: str
    input_file: str
    input_row: int


class RawDocument(NamedTuple):
    """One input row as a reader hands it over."""

    input_file: str
    input_row: int
    content: bytes | None  # raw, not decoded; None: could not be had, and `problem` says why
    problem: str | None = None
    metadata: Metadata = Metadata()
    n_replaced: int = 0  # characters U+FFFD that the reader put into content


def without_poisonous(found: Iterable[RawDocument], *, poisonous: Collection[RowPlace]) -> Iterator[RawDocument]:
    """The rows; those that end the process which works on them have no content and say so. `poisonous` are of one
    source."""
    known = {(place.input_file, place.input_row) for place in poisonous}
    for row in found:
        if (row.input_file, row.input_row) in known:
            row = row._replace(content=None, problem=CRASHED, n_replaced=0)
        yield row
