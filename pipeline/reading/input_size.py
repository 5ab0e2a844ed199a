"""How large a document is whose content the run does not hold: the size of its file when the input was planned."""

from __future__ import annotations

import json
from typing import Any

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.shards import PLAN
from pipeline.errors import SchemaError, StoreError
from pipeline.reasons import NOT_LOADED
from pipeline.schema import DOCUMENTS

_WHOLE_FILES = (
    "directory",
    "git",
)  # kinds of sources of which a file is one document; rows of others have no size there


def input_bytes(run: RunFiles, document: dict[str, Any], *, shard: int, row: int) -> int | None:
    """Bytes of the file that a document is, where it was not loaded; None where nothing in the run says it.

    Reads the whole plan of the input, so it is asked of such documents alone. The plan only saves work: one that is
    lost or damaged says nothing.
    """
    kinds = {source.name: source.kind for source in run.mixture.sources}
    if NOT_LOADED.isdisjoint(document["reasons"]) or kinds.get(document["source"]) not in _WHOLE_FILES:
        return None
    try:
        name = run.tables.read(DOCUMENTS, shard, columns=["input_file"])["input_file"][row].as_py()
        slices = json.loads(run.store.find(PLAN) or b"{}").get("slices", ())
        files = (file for piece in slices if piece["source"] == document["source"] for file in piece["files"])
        return next((int(file["size"]) for file in files if file["path"] == name), None)
    except (StoreError, SchemaError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
