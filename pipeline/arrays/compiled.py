"""Compile a numba kernel: cached on disk where that is possible, compiled at each start where it is not."""

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba.core import entrypoints

# Other packages register numba extensions, which numba imports before it compiles or loads anything: for us only a
# tenth of a second at each start. No kernel here takes their types.
entrypoints._already_initialized = True

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """`numba.njit` that releases the GIL and survives a read-only home and installation.

    Trap: numba notices a change in the file of a cached kernel, but not in another file that the kernel calls into.
    So a kernel and its helpers stand in one file.
    """
    try:
        kernel = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # numba: "no locator available", neither __pycache__ nor the user's cache can be written
        kernel = numba.njit(nogil=True)(function)
    return kernel  # type: ignore[no-any-return]


def inlined(function: Kernel) -> Kernel:
    """A helper that becomes part of the kernel around it. For what is called at every word: a call with an array costs
    some 10 ns, because numba counts references to it."""
    return numba.njit(inline="always")(function)  # type: ignore[no-any-return]
