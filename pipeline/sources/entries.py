"""Rows that hold a list of files: each entry is a document, and what a row lists again is a row of the ledger only."""

from collections.abc import Iterable, Iterator

import xxhash

from pipeline.errors import StoreError
from pipeline.sources.raw import MAX_ENTRIES, REPEATED, RawDocument


def without_repeats(entries: Iterable[RawDocument]) -> Iterator[RawDocument]:
    """The entries of one row; those whose path and content stood in it before are `repeated_entry`, without content."""
    seen: set[tuple[str | None, bytes]] = set()
    for n, entry in enumerate(entries):
        if n == MAX_ENTRIES:
            raise StoreError(f"{entry.input_file}: a row lists more than {MAX_ENTRIES:,} files; divide it")
        if entry.content is not None:
            key = (entry.metadata.path, xxhash.xxh3_128_digest(entry.content))
            if key in seen:
                entry = entry._replace(content=None, problem=REPEATED, n_replaced=0)
            seen.add(key)
        yield entry
