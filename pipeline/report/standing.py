"""Whether the report in a run is what counting and drawing would give: then curating a finished run draws none.

RUN/report/made_of.json says of which manifest (it holds the hash of every table) and by which code the files beside it
were made, what these are, and the lines that end a `curate`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from pipeline.engine.manifest import MANIFEST
from pipeline.engine.same_code import code_hash
from pipeline.engine.store import FileEntry, Store
from pipeline.publish import PAPERS
from pipeline.report import NUMBERS, PAGE
from pipeline.report.brief import Brief

if TYPE_CHECKING:
    from pipeline.engine.run_folder import RunFiles
    from pipeline.report.numbers import Numbers

MADE_OF = "report/made_of.json"


@dataclass(frozen=True)
class _Noted:
    made_of: str
    files: list[FileEntry]
    brief: Brief


_NOTED = TypeAdapter(_Noted)


def made_of(store: Store) -> str:
    """What decides the report of a finished run, without a model: its manifest, and all of our code."""
    return hashlib.sha256(store.read_bytes(MANIFEST) + code_hash().encode()).hexdigest()


def standing(store: Store) -> Brief | None:
    """The brief of the report that stands; None where it must be made: of another run or code, changed, or missing."""
    noted = _noted(store)
    if noted is None:
        return None
    brief, files = noted
    is_whole = {NUMBERS, PAGE, *PAPERS} <= {file.path for file in files}
    return brief if is_whole and all(store.is_intact(file, by_hash=True) for file in files) else None


def standing_numbers(run: RunFiles) -> Numbers | None:
    """What the report that stands says, which is what counting would give; None where it must be counted.

    Counting reads the run and so finds what is missing or cut short. Here nothing is read, so files are measured.
    """
    from pipeline.report.numbers import from_json  # which `curate` at its end does not need

    noted = _noted(run.store)
    entry = next((file for file in noted[1] if file.path == NUMBERS), None) if noted else None
    data = run.store.find(NUMBERS) if entry else None
    if entry is None or data is None or hashlib.sha256(data).hexdigest() != entry.sha256:
        return None
    stands = (all(run.store.intact(list(run.files(stage)), by_hash=False)) for stage in run.stages)
    return from_json(data) if all(stands) else None


def _noted(store: Store) -> tuple[Brief, list[FileEntry]] | None:
    """What is noted of the report in the run; None where that is of another run or code, damaged, or missing."""
    data = store.find(MADE_OF)
    if data is None:
        return None
    try:
        said = _NOTED.validate_json(data)
    except ValidationError:
        return None  # damaged: it only saves work
    return (said.brief, said.files) if said.made_of == made_of(store) else None


def remember(store: Store, brief: Brief, files: list[FileEntry]) -> None:
    """Say of what the report was made, when its `files` are written."""
    said = {"made_of": made_of(store), "files": [file.summary() for file in files], "brief": asdict(brief)}
    store.write_bytes(MADE_OF, json.dumps(said, indent=1).encode())
