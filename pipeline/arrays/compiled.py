"""Compile a numba kernel: cached on disk where that is possible, compiled at each start where it is not."""

import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import caching, entrypoints
from numba.core.runtime import rtsys

# Other packages register numba extensions, which numba imports before it compiles or loads anything: for us only a
# tenth of a second at each start. No kernel here takes their types.
entrypoints._already_initialized = True

# numba compiles a cached kernel anew when its own file changes, and does not look at files of helpers that it calls. So
# files of helpers that other files' kernels call are named here, and count with each kernel's own.
_PACKAGE = Path(__file__).parents[1]
HELPERS = tuple(
    _PACKAGE / name
    for name in ("arrays/bits.py", "arrays/utf8.py", "quality/program_bytes.py", "quality/prose_bytes.py")
)
_stamp_of_file = caching._SourceFileBackedLocatorMixin.get_source_stamp


def source_stamp(locator: Any) -> Any:
    """What says whether a kernel in the cache is of these files: numba's stamp of its own, and the helpers' times."""
    own = _stamp_of_file(locator)
    if _PACKAGE not in Path(locator._py_file).parents:
        return own  # a kernel of somebody else's
    return own, *((s.st_mtime, s.st_size) for s in (file.stat() for file in HELPERS))


caching._SourceFileBackedLocatorMixin.get_source_stamp = source_stamp


def load_overload(cache: Any, signature: Any, context: Any) -> Any:
    """numba's, without declaring all functions that it knows of first, which takes a third of a second. Code that was
    compiled before needs none of them; whoever compiles has numba declare them."""
    rtsys.initialize(context)
    with cache._guard_against_spurious_io_errors():
        return cache._load_overload(signature, context)


caching.Cache.load_overload = load_overload
_save_overload = caching.Cache._save_overload


def save_overload(cache: Any, signature: Any, data: Any) -> None:
    """numba's, but a disk that takes nothing more costs the next process the compiling, and this one nothing."""
    try:
        _save_overload(cache, signature, data)
    except OSError as error:
        _say_what_is_not_kept(cache.cache_path, error.strerror)


@lru_cache(maxsize=1)
def _say_what_is_not_kept(folder: str, problem: str) -> None:
    say = f"note: compiled kernels cannot be kept in {folder}: {problem}; NUMBA_CACHE_DIR names another folder"
    print(say, file=sys.stderr)


caching.Cache._save_overload = save_overload

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """`numba.njit` that releases the GIL and survives a read-only home and installation.

    A kernel and its helpers stand in one file, or the helpers' file is one of `HELPERS`: see there.
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
