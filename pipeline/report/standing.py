"""Whether the report in a run is what counting and drawing would give: then curating a finished run draws none.

RUN/report/made_of.json says of which manifest (it holds the hash of every table) and by which code the files beside it
were made, what these are, and the lines that end a `curate`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from pipeline.engine.manifest import MANIFEST
from pipeline.engine.same_code import code_hash
from pipeline.engine.store import FileEntry, Store
from pipeline.publish import PAPERS
from pipeline.report import NUMBERS, PAGE
from pipeline.report.brief import Brief

MADE_OF = "report/made_of.json"


def made_of(store: Store) -> str:
    """What decides the report of a finished run, without a model: its manifest, and all of our code."""
    return hashlib.sha256(store.read_bytes(MANIFEST) + code_hash().encode()).hexdigest()


def standing(store: Store) -> Brief | None:
    """The brief of the report that stands; None where it must be made: of another run or code, changed, or missing."""
    data = store.find(MADE_OF)
    if data is None:
        return None
    try:
        said = json.loads(data)
        of, files = said["made_of"], [FileEntry(**file) for file in said["files"]]
        brief = Brief(
            said["brief"]["title"], tuple((name, text, style) for name, text, style in said["brief"]["lines"])
        )
    except (ValueError, TypeError, KeyError):
        return None  # damaged: it only saves work
    is_same = of == made_of(store) and {NUMBERS, PAGE, *PAPERS} <= {file.path for file in files}
    return brief if is_same and all(store.is_intact(file, by_hash=True) for file in files) else None


def remember(store: Store, brief: Brief, files: list[FileEntry]) -> None:
    """Say of what the report was made, when its `files` are written."""
    said = {"made_of": made_of(store), "files": [file.summary() for file in files], "brief": asdict(brief)}
    store.write_bytes(MADE_OF, json.dumps(said, indent=1).encode())
