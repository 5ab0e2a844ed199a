"""`literal_places` by hyperscan, which is some times faster; None where there is no wheel of it for this machine.

Each pattern is a literal and the first bytes of what follows it, so all of its matches have one width and the end that
hyperscan reports says where they begin. The database is compiled once a process, about a second, and never stored: a
serialised one is bound to the library's version and the processor.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.privacy.kinds import tokens
from pipeline.privacy.places import MAX_HEAD

Places = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@lru_cache(maxsize=1)
def hyperscan_places() -> Places | None:
    """`literal_places`, or None."""
    try:
        import hyperscan
    except ImportError:
        return None
    patterns, widths = _patterns()
    database = hyperscan.Database()
    flags = hyperscan.HS_FLAG_DOTALL
    database.compile(expressions=patterns, ids=list(range(len(patterns))), elements=len(patterns), flags=flags)

    def places(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found: list[tuple[int, int]] = []

        def note(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            found.append((number, end))

        text: Any = data.data  # any buffer of bytes will do
        if data.size:
            database.scan(text, match_event_handler=note)
        numbers, ends = np.array(found, np.int64).reshape(-1, 2).T
        at = ends - widths[numbers]
        order = np.lexsort((numbers, at))
        return at[order], numbers[order]

    return places


def _patterns() -> tuple[list[bytes], np.ndarray]:
    """The expressions, one for each of `literals()` in their order, and the width of what each matches."""
    patterns, widths = [], []
    for token in tokens():
        members, least = token.head
        need = min(least, MAX_HEAD)
        head = b"[" + b"".join(b"\\x%02x" % byte for byte in members) + b"]{%d}" % need if need else b""
        patterns += [re.escape(text) + head for text in token.literals]
        widths += [len(text) + need for text in token.literals]
    return patterns, np.array(widths, np.int64)
