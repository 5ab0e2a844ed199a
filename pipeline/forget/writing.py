"""Change the shards that hold what is forgotten, and no other; then let the manifest and the markers say so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.arrays.columns import one_chunk
from pipeline.engine.forgotten import Forgotten, read_forgotten, write_forgotten
from pipeline.engine.manifest import REPORT, file_of, files_of, put_files, read_manifest, write_manifest
from pipeline.engine.markers import Marker
from pipeline.engine.parquet import write_table
from pipeline.engine.patching import entry_of, patch
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.shards import SHARDS, change_markers
from pipeline.engine.splice import append, cut_back, spliced
from pipeline.engine.store import FileEntry, Store
from pipeline.forget.in_packed import refill_packed
from pipeline.forget.in_tokens import forget_tokens
from pipeline.forget.plan import ForgetPlan, StandingPiece
from pipeline.forget.tables import CHANGES, Change, changed_columns, with_rows
from pipeline.forget.texts import TextChanges, text_changes
from pipeline.listed import n_files_of
from pipeline.schema import BALANCE, DOCUMENTS, LEDGER, PACKED, REDACTED, SELECT, TOKENS, Table

_CHANGED = (REDACTED.name, SELECT.name, TOKENS.name, BALANCE.name, PACKED, LEDGER.name)


@dataclass
class WrittenFiles:
    """Files that changed, and the bytes that were written for it."""

    files: dict[str, FileEntry] = field(default_factory=dict)
    by_table: Counter[str] = field(default_factory=Counter)

    @property
    def n_bytes(self) -> int:
        return sum(self.by_table.values())

    def add(self, store: Store, table: str, path: str, n_bytes: int) -> None:
        """A file that was changed."""
        self.by_table[table] += n_bytes
        if n_bytes or path not in self.files:
            self.files[path] = entry_of(store, path)


def write_sources(run: RunFiles, plan: ForgetPlan) -> WrittenFiles:
    """Change `documents` and `redacted` alone, and remove what holds tokens: it will be made anew."""
    store, written = run.store, _listed(run, plan)
    for folder in ("packed", f"tables/{TOKENS.name}"):
        store.remove(folder)
    changes, written.by_table["changes"] = text_changes(run, plan, _ids_of(run))
    _write_tables(run, plan, changes, written, {DOCUMENTS.name, REDACTED.name})
    return written


def write(run: RunFiles, plan: ForgetPlan) -> WrittenFiles:
    """Do all that is planned. What is done already is done again, or found done: the outcome is the same."""
    store, written = run.store, _listed(run, plan)
    ids = _ids_of(run)
    changes, written.by_table["changes"] = text_changes(run, plan, ids)
    # `tokens` first: after a stop its hashes are false until it is done, and what takes a place is read from it.
    for shard, of in plan.gone.items():
        path = run.tables.path(TOKENS, shard)
        written.add(store, TOKENS.name, path, forget_tokens(store, path, [g.row for g in of]))
    for path, sequences in plan.sequences.items():
        if path not in changes.sizes:
            written.add(store, PACKED, path, refill_packed(store, path, sequences, ids))
    _write_tables(run, plan, changes, written, {table.name for table, _ in CHANGES})
    return written


def _listed(run: RunFiles, plan: ForgetPlan) -> WrittenFiles:
    """Enter what goes into the list of what stays out, before anything else: from now on nothing brings it back."""
    store, written = run.store, WrittenFiles()
    store.remove(REPORT)  # it shows what is gone
    gone = [g for of in plan.gone.values() for g in of]
    ids, texts = (frozenset(getattr(g, name) for g in gone) for name in ("doc_id", "content_hash"))
    new = Forgotten(ids, texts, frozenset(plan.hashes))
    written.by_table["list"] += write_forgotten(store, read_forgotten(store) | new).n_bytes
    return written


def _write_tables(
    run: RunFiles, plan: ForgetPlan, changes: TextChanges, written: WrittenFiles, names: set[str]
) -> None:
    store = run.store
    for path, patches in changes.patches.items():
        name = path.split("/")[-2]
        written.add(store, name, path, patch(store, path, patches, n_bytes=changes.sizes.get(path)))
    for table, change in CHANGES:
        for shard in plan.shards if table.name in names else ():
            path = run.tables.path(table, shard)
            written.add(
                store, table.name, path, _change(run, table, change, shard, plan, is_whole=path in changes.anew)
            )


def _ids_of(run: RunFiles) -> Callable[[StandingPiece], np.ndarray]:
    """Finds the tokens of new pieces in mapped shards of `tokens`."""
    lists: dict[int, Any] = {}

    def ids(piece: StandingPiece) -> np.ndarray:
        assert piece.fill is not None
        shard, row, length = piece.fill
        if shard not in lists:
            lists[shard] = one_chunk(run.tables.read(TOKENS, shard, columns=["token_ids"])["token_ids"])
        found = np.asarray(lists[shard][row].values)[piece.offset : piece.offset + length]
        assert found.size == length, piece
        return found

    return ids


def _change(run: RunFiles, table: Table, change: Change, shard: int, plan: ForgetPlan, *, is_whole: bool) -> int:
    """Change rows of one shard of a Parquet table; returns the bytes written. Unless the shard `is_whole` written anew,
    texts are blanked in place, and columns that change go behind its end."""
    store, path = run.store, run.tables.path(table, shard)
    if store.is_local and not is_whole:
        cut_back(store, path, _size_before(run, table, shard))
    rows = run.tables.read(table, shard)
    new = changed_columns(change, rows, plan.gone.get(shard, []), plan.planned.get(shard, []))
    if not is_whole:
        new.pop("content", None)
    if not new:
        return 0
    data = None if is_whole or not store.is_local else _behind(store, path, rows, new)
    if data is None:
        return run.tables.write(table, shard, data=with_rows(rows, new)).n_bytes
    append(store, path, data)
    return len(data)


def _behind(store: Store, path: str, rows: pa.Table, new: dict[str, dict[int, Any]]) -> bytes | None:
    """What to put behind a shard; None for one that another version has written."""
    columns = with_rows(rows.select(list(new)), new)
    with pa.memory_map(store.local_file(path)) as file:
        try:
            return spliced(file.read_buffer(file.size()), columns, write_table)
        except ValueError:
            return None


def _size_before(run: RunFiles, table: Table, shard: int) -> int:
    """What the manifest says, which is told of changes when all are done."""
    return file_of(run.store, run.manifest["stages"][table.name], shard=shard).n_bytes


def commit(run: RunFiles, files: dict[str, FileEntry]) -> None:
    """Enter the changed files: first the markers, then the manifest, as after any other work."""
    store = run.store
    for stage in (DOCUMENTS.name, *_CHANGED):
        _tell_markers(store, stage, files)
    manifest = read_manifest(store)
    for made in manifest["stages"].values():
        told = (files.get(file.path, file) for file in files_of(store, made))
        made.update(put_files(store, told, n_files=n_files_of(made)))
    write_manifest(store, manifest)


def _tell_markers(store: Store, stage: str, files: dict[str, FileEntry]) -> None:
    """Markers of shards of `documents` are told what their files are now: it alone is read from outside the run. Those
    of other stages go: nothing that such a stage is given makes what stands there."""

    def told(marker: Marker) -> Marker | None:
        if not any(f.path in files for f in marker.files):
            return marker
        if stage != DOCUMENTS.name:
            return None
        return replace(marker, files=tuple(files.get(f.path, f) for f in marker.files))

    for folder in store.folders(f"state/{stage}"):
        if folder != SHARDS:
            store.remove(f"state/{stage}/{folder}")
    change_markers(store, stage, told)
