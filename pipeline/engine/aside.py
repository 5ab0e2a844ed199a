"""What other libraries write to standard error while a live line is shown: taken line by line, and not into the line.

Python's warnings and logs are only a part of it: Ray's core, tokenizers and workers of this machine write to the file
descriptor itself, so that is what is taken.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_STDERR = 2
_END = b"\0\n"  # a line that nobody else writes: children keep the pipe open, so that it has no end of its own
_PATIENCE_SECONDS = 2.0  # for the last lines: whoever takes them may hang, and the run must not


@contextmanager
def stderr_taken(take: Callable[[str], None]) -> Iterator[None]:
    """Give each line of standard error to `take`, of this process and those that it starts, until the block ends.

    Does nothing where standard error is no terminal: whoever sent it elsewhere wants it there.
    """
    if not os.isatty(_STDERR):
        yield
        return
    sys.stderr.flush()
    before = os.dup(_STDERR)
    read, write = os.pipe()
    os.dup2(write, _STDERR)
    reader = threading.Thread(target=_give, args=(read, take, before), daemon=True)
    reader.start()
    try:
        yield
    finally:
        with suppress(ValueError, OSError):  # somebody has closed it
            sys.stderr.flush()
        os.dup2(before, _STDERR)
        os.write(write, _END)
        os.close(write)
        reader.join(_PATIENCE_SECONDS)
        os.close(before)


def _give(read: int, take: Callable[[str], None], before: int) -> None:
    """Take lines until the one that ends it. A line that cannot be taken goes where it was meant to go."""
    with os.fdopen(read, "rb") as lines:
        for line in lines:
            if line == _END:
                return
            text = line.rstrip(b"\r\n").decode("utf-8", errors="replace")
            if not text.strip():
                continue
            try:
                take(text)
            except Exception:  # noqa: BLE001 - a console or log that fails is no reason to lose what was said
                os.write(before, line)
