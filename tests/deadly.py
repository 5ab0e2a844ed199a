"""A stage function that ends its process on some documents, as a fault in a parser does: for tests."""

from __future__ import annotations

import os
import signal
from typing import Any

import pyarrow as pa

MARK = b"this text ends whoever parses it"


def is_deadly(documents: pa.Table) -> bool:
    return any(MARK in content for content in documents["content"].to_pylist())


def classify_or_die(*tables: pa.Table, config: Any) -> pa.Table:
    """Stage `languages`; a segmentation fault where a document holds the mark."""
    if is_deadly(tables[0]):
        os.kill(os.getpid(), signal.SIGSEGV)
    from pipeline.language.languages import classify  # late: who only dies needs none of it

    return classify(*tables, config=config)


def refuse_or_die(*tables: pa.Table, config: Any) -> pa.Table:
    """A segmentation fault where a document holds the mark, and an error of its own for all others."""
    if is_deadly(tables[0]):
        os.kill(os.getpid(), signal.SIGSEGV)
    raise ValueError("an error is no death")


def die(*tables: pa.Table, config: Any) -> pa.Table:
    """What ends its process whatever it is given, as a plug-in may."""
    os._exit(1)


def die_of_the_last(*tables: pa.Table, config: Any) -> pa.Table:
    """What a path ends, whatever the text."""
    if "0/2.txt" in tables[0]["path"].to_pylist():
        os._exit(1)
    raise ValueError("an error is no death")
