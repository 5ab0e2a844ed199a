"""Documents that a run has forgotten: by which they stay out, whatever is made anew.

    RUN/forgotten.json        ids and hashes, never texts: {"format": 1, "doc_ids": [...], "content_hashes": [...],
                              "hashes": [...]}
    RUN/state/forget.*        what a forget that was cut off still has to write
    manifest.json             `forgotten`: what each forget did; `patched`: tables were changed where they stand;
                              `forgetting`: a forget is at work, or was cut off

The list is in no fingerprint: a shard of `documents` that stands was changed by the forget that wrote the list, and one
that is read again from its source is changed while it is read. So both say the same, and a run without a list is what
it always was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.engine.executor import Executor
from pipeline.engine.manifest import is_recorded, read_manifest, write_manifest
from pipeline.engine.shards import SHARDS
from pipeline.engine.stage import Stage
from pipeline.engine.store import FORGOTTEN, FileEntry, Store
from pipeline.engine.store_errors import PUT_BACK
from pipeline.errors import StoreError, unfit
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import DOCUMENTS

JOURNAL = "state/forget.json.zlib"
AT_WORK = "forgetting"  # keys of the manifest
HISTORY = "forgotten"
PATCHED = "patched"
_FORMAT = 1
_LISTS = ("doc_ids", "content_hashes", "hashes")


@dataclass(frozen=True)
class Forgotten:
    """Ids of documents and XXH3-128 of their texts, both as hex; and other hashes, as `sha256:...`, by which a list
    named them: they cannot be taken of a text that is gone."""

    doc_ids: frozenset[str] = frozenset()
    content_hashes: frozenset[str] = frozenset()
    hashes: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.doc_ids or self.content_hashes)

    def __or__(self, other: Forgotten) -> Forgotten:
        return Forgotten(
            self.doc_ids | other.doc_ids, self.content_hashes | other.content_hashes, self.hashes | other.hashes
        )


def read_forgotten(store: Store) -> Forgotten:
    """The list of a run; an empty one where it has none. StoreError for a damaged one: nobody may come back by it."""
    data = store.find(FORGOTTEN)
    if data is None:
        return Forgotten()
    try:
        said = json.loads(data)
        if said["format"] != _FORMAT:
            raise ValueError(f"format {said['format']!r}, expected {_FORMAT}")
        return Forgotten(*(frozenset(said[name]) for name in _LISTS))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(f"{store.full(FORGOTTEN)}: is damaged: {unfit(error)}; {PUT_BACK}") from error


def write_forgotten(store: Store, forgotten: Forgotten) -> FileEntry:
    """Commit the list."""
    said = {"format": _FORMAT} | {name: sorted(getattr(forgotten, name)) for name in _LISTS}
    return store.write_bytes(FORGOTTEN, json.dumps(said, separators=(",", ":")).encode())


def without_forgotten(documents: pa.Table, forgotten: Forgotten) -> pa.Table:
    """The rows of a shard of `documents`; those that are forgotten keep their row, and have a problem and no text.

    What is forgotten by its id alone has another text than it had, and stays out too: it is the document that was
    taken back.
    """
    if not forgotten or not documents.num_rows:
        return documents
    import pyarrow.compute as pc  # late: it takes a tenth of a second, and few runs have a list

    listed = pc.is_in(documents["doc_id"], value_set=pa.array(sorted(forgotten.doc_ids), pa.string()))
    hashes = pa.array([bytes.fromhex(h) for h in sorted(forgotten.content_hashes)], pa.binary(16))
    has_text = pc.greater(documents["n_bytes"], 0)
    equal = pc.and_(pc.is_in(documents["content_hash"], value_set=hashes), has_text)
    gone = pc.or_(listed, equal)
    if not pc.any(gone).as_py():
        return documents
    new = {
        "content": pc.if_else(gone, pa.scalar(b"", pa.large_binary()), documents["content"]),
        "problem": pc.if_else(gone, pa.scalar(TAKEN_BACK), documents["problem"]),
    }
    return pa.table({f.name: new.get(f.name, documents[f.name]) for f in documents.schema}, schema=documents.schema)


def refuse_half_forgotten(store: Store, manifest: dict[str, Any]) -> None:
    """StoreError for a run in which a forget was cut off: some of its shards hold what others do not any more."""
    if AT_WORK in manifest:
        raise StoreError(
            f"{store.root}: `loopmix forget` works on this run, or was cut off; wait for it, or run the same line "
            "again, which completes it"
        )


def refuse_lost_list(store: Store, manifest: dict[str, Any]) -> None:
    """StoreError for a run that has forgotten documents and lost the list of them: made anew it would hold them."""
    if manifest.get(HISTORY) and not store.exists(FORGOTTEN):
        raise StoreError(
            f"{store.full(FORGOTTEN)}: is missing, and what this run has forgotten would come back; {PUT_BACK}; or "
            "say --replace, which makes the run with them"
        )


def drop_patched(
    store: Store,
    executor: Executor,
    stages: Sequence[Stage],
    marks: dict[str, str],
    *,
    by_hash: bool,
    skip_bad: bool,
) -> bool:
    """Of a run that has forgotten, of which anything must be made anew: leave `documents` alone; True where it was so.

    A forget changes tables where they stand. They agree with each other, and with what stages make of `documents` now
    they do not: a duplicate of what is gone may stay, other pieces fill the sequences. So either all stand or none.
    """
    manifest = read_manifest(store)
    if not manifest.get(PATCHED):
        return False
    if all(
        is_recorded(store, executor, s.name, mark=marks[s.name], by_hash=by_hash, skip_bad=skip_bad) for s in stages
    ):
        return False
    drop_made(store, manifest)
    write_manifest(store, manifest)
    return True


def drop_made(store: Store, manifest: dict[str, Any]) -> None:
    """Leave of the stages that a manifest names `documents` alone, and remove their markers. Those of shards stay: they
    stand under what the shards were made of, and where a document is gone, that is another."""
    for name in set(manifest["stages"]) - {DOCUMENTS.name}:
        for mark in store.folders(f"state/{name}"):
            if mark != SHARDS:
                store.remove(f"state/{name}/{mark}")
    manifest["stages"] = {name: e for name, e in manifest["stages"].items() if name == DOCUMENTS.name}
    manifest.pop(PATCHED, None)
