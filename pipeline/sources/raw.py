"""A row as a reader hands it over, before anything is decoded: readers that only plan load nothing that decodes."""

from typing import NamedTuple

from pipeline.sources.values import Metadata

UNREADABLE = "unreadable_row"
TOO_LARGE = "too_large"
MISSING_OBJECT = "missing_object"
REPEATED = "repeated_entry"
EMPTY = "empty"
# The list of files in a row is numbered below the row: input_row = row * 2^24 + place in the list.
MAX_ENTRIES = 2**24


class RawDocument(NamedTuple):
    """One input row as a reader hands it over."""

    input_file: str
    input_row: int
    content: bytes | None  # raw, not decoded; None: could not be had, and `problem` says why
    problem: str | None = None
    metadata: Metadata = Metadata()
    n_replaced: int = 0  # characters U+FFFD that the reader put into content
