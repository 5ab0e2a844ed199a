"""Memory that finished tasks have freed, handed back to the system.

The allocators of Arrow and of the C library keep what is freed for the next task. Over the steps of a run that adds up
to a sixth of the peak, because each step frees other sizes than the next one asks for.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

# Grown by so much since memory was last handed back. Doing it walks over all that is free, up to some milliseconds, and
# each page that is asked for again is cleared: so not for every task.
_SLACK_BYTES: Final = 64_000_000
_held = 0  # bytes of this process after memory was last handed back


def give_back() -> None:
    """Hand free memory back if the process has grown much. Only Linux with glibc can be asked; elsewhere nothing."""
    global _held
    trim = _trim()
    if trim is None or resident_bytes() < _held + _SLACK_BYTES:
        return
    pa.default_memory_pool().release_unused()
    trim(0)
    _held = resident_bytes()


def resident_bytes() -> int:
    """The memory of this process, its mapped files included."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * mmap.PAGESIZE


@cache
def _trim() -> Any:
    """`malloc_trim`, or None where there is none."""
    if not Path("/proc/self/statm").exists():
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
