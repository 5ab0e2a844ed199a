"""Ends of files on a server, kept while a finished run is read again and again.

A report and a proof go over the same tables many times, each time for other columns. Most tables of a small shard are
no more than the end that is fetched when they are opened, so in one process each is asked for once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pyarrow as pa

End = tuple[int, pa.Buffer]  # size of a file, and its last bytes
# What is kept, the oldest of which goes first: ends of a thousand shards and more.
KEPT_BYTES = 128 << 20

_KEPT: ContextVar[OrderedDict[str, End] | None] = ContextVar("ends", default=None)


@contextmanager
def ends_kept() -> Iterator[None]:
    """Keep the ends of files that are opened in this thread while the block lasts; nobody changes them meanwhile."""
    token = _KEPT.set(OrderedDict())
    try:
        yield
    finally:
        _KEPT.reset(token)


def kept_end(path: str, fetch: Callable[[], End], *, n_bytes: int) -> End:
    """The last `n_bytes` of a file, or all of a smaller one: those that are kept, or else what `fetch` brings."""
    kept = _KEPT.get()
    found = None if kept is None else kept.get(path)
    if found is not None and found[1].size >= min(n_bytes, found[0]):
        return found
    size, tail = fetch()
    if kept is not None:
        kept[path] = size, tail
        kept.move_to_end(path)
        held = sum(end.size for _, end in kept.values())
        while held > KEPT_BYTES:
            held -= kept.popitem(last=False)[1][1].size
    return size, tail
