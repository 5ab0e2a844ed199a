"""What the log of a run says of a start: who made it, where, of which mixture, by which versions."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import socket
import sys
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pipeline import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.config import Mixture
    from pipeline.sources.slices import Slice


def started(mixture: Mixture, *, file: bytes | None) -> dict[str, Any]:
    """Values of the event `start`; `file` is the mixture file as it was written, if there was one.

    No passwords of URLs in it.
    """
    said = {
        "version": __version__,
        "command": [_shown(argument) for argument in sys.argv],
        "host": socket.gethostname(),
        "n_cpus": os.cpu_count(),
        "libraries": _libraries(),
        "mixture": mixture.name,
        "fingerprint": hashlib.sha256(mixture.model_dump_json().encode()).hexdigest()[:32],
    }
    if file is not None:
        text = re.sub(r"://[^/@\s]*@", "://...@", file.decode("utf-8", errors="replace"))
        said["mixture_file"] = {"text": text, "sha256": hashlib.sha256(file).hexdigest()}
    return said


def _shown(argument: str) -> str:
    """Without a URL's password; the bytes of a file's name that are no UTF-8 as escapes, since a log is UTF-8."""
    hidden = re.sub("://[^/@]*@", "://...@", argument)
    return hidden.encode("utf-8", errors="backslashreplace").decode("utf-8")


def _libraries() -> dict[str, str]:
    """Versions of Python and of what loopmix requires; of a copy that was never installed Python's alone."""
    found = {"python": platform.python_version()}
    with suppress(metadata.PackageNotFoundError):
        wanted = [one for one in metadata.requires("loopmix") or () if "extra ==" not in one]
        for name in sorted(re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in wanted):
            with suppress(metadata.PackageNotFoundError):  # of another machine alone
                found[name] = metadata.version(name)
    return found


def input_bytes(slices: Sequence[Slice]) -> dict[str, int]:
    """Bytes of the listed input files of each source as they lie on disk (git: of the tracked files), each file once.

    A source that names no files, such as a plug-in, is left out.
    """
    found: dict[str, int] = {}
    cut: set[tuple[str, str]] = set()  # files of which each of several slices holds a part; a group holds whole ones
    for one in slices:
        for file in one.files:
            if not one.is_group:
                if (one.source, file.path) in cut:
                    continue
                cut.add((one.source, file.path))
            found[one.source] = found.get(one.source, 0) + file.size
    return found
