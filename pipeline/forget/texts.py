"""What is found only by reading what it changes: texts in compressed pages, and lists of packed shards that move.

Half of such a change could not be finished by reading again. So all are written down first, in

    RUN/state/forget-texts.bin        a line of JSON: what goes where; then the bytes one after another
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import TypeAdapter

from pipeline.arrays.columns import one_chunk
from pipeline.engine.pages import blank
from pipeline.engine.patching import Patch
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.said import Size
from pipeline.engine.store import Store
from pipeline.errors import StoreError, unfit
from pipeline.forget.in_packed import Ids, reshaped
from pipeline.forget.plan import ForgetPlan
from pipeline.schema import DOCUMENTS, REDACTED

CHANGES_FILE = "state/forget-texts.bin"


@dataclass(frozen=True)
class TextChanges:
    """What goes into shards of `documents`, `redacted` and `packed`, by path; and those whose texts cannot be blanked
    where they stand, which are written anew."""

    patches: dict[str, list[Patch]]
    anew: frozenset[str]
    sizes: dict[str, int]  # of packed shards that are another size afterwards

    def to_bytes(self) -> bytes:
        places = [[path, start, len(data)] for path, found in self.patches.items() for start, data in found]
        head = json.dumps(
            {"anew": sorted(self.anew), "sizes": self.sizes, "places": places}, separators=(",", ":")
        ).encode()
        return b"\n".join((head, b"".join(data for found in self.patches.values() for _, data in found)))


@dataclass(frozen=True)
class _Head:
    """The first line of the file, which says what the bytes behind it are."""

    anew: list[str]
    sizes: dict[str, Size]
    places: list[tuple[str, Size, Size]]


_HEAD = TypeAdapter(_Head)


def text_changes(run: RunFiles, plan: ForgetPlan, ids: Ids) -> tuple[TextChanges, int]:
    """The changes, written down, and the bytes that were written for it; those of an earlier start where it came as far
    as that."""
    store = run.store
    if store.exists(CHANGES_FILE):
        return _read(store), 0
    patches: dict[str, list[Patch]] = {}
    anew: set[str] = set()
    for shard, gone in plan.gone.items():
        rows = np.array([g.row for g in gone], np.int64)
        for table in (DOCUMENTS, REDACTED):
            path = run.tables.path(table, shard)
            column = one_chunk(run.tables.read(table, shard, columns=["content"])["content"])
            if not np.asarray(column.is_valid())[rows].any():
                continue
            try:
                patches[path] = _blank(store, path, column, rows)
            except ValueError:  # written by another version, or incompressible: the whole shard then, as ever
                anew.add(path)
    sizes: dict[str, int] = {}
    for path, sequences in plan.sequences.items():
        if store.is_local and not all(s.is_same_shape for s in sequences):
            patches[path], sizes[path] = reshaped(store, path, sequences, ids)
    changes = TextChanges(patches, frozenset(anew), sizes)
    return changes, store.write_bytes(CHANGES_FILE, changes.to_bytes()).n_bytes


def _blank(store: Store, path: str, column: pa.Array, rows: np.ndarray) -> list[Patch]:
    if not store.is_local:
        raise ValueError("an object is always written as a whole")
    with pa.memory_map(store.local_file(path)) as file:
        return blank(file.read_buffer(file.size()), "content", column, rows)


def _read(store: Store) -> TextChanges:
    head, _, data = store.read_bytes(CHANGES_FILE).partition(b"\n")
    try:
        said, at = _HEAD.validate_json(head), 0
        patches: dict[str, list[Patch]] = {}
        for path, start, length in said.places:
            patches.setdefault(path, []).append((start, data[at : at + length]))
            at += length
        if at != len(data):
            raise ValueError(f"{len(data)} bytes, expected {at}")
    except ValueError as error:
        raise StoreError(
            f"{store.full(CHANGES_FILE)}: is damaged: {unfit(error)}; make the run anew with `loopmix curate --replace`"
        ) from error
    return TextChanges(patches, frozenset(said.anew), said.sizes)
