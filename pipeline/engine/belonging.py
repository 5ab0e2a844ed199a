"""Whose run lies in a folder: a run belongs to the name and the sources of its mixture.

The manifest says both from the first moment on, so a run that was cut off belongs to somebody too. Another mixture is
refused, because it would overwrite table by table what the first has made; `--replace` removes that before it begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pipeline.config import Mixture, said_sample
from pipeline.engine.lease import LEASE
from pipeline.engine.manifest import MANIFEST, REPORT, read_manifest
from pipeline.engine.readme import drop_readme
from pipeline.engine.sink import TEMPORARY
from pipeline.engine.store import FORGOTTEN, Store
from pipeline.errors import StoreError, first_of
from pipeline.listed import PARTS

_LOGS = "logs"  # what earlier starts did; stays, whatever becomes of the run
_NOBODYS = (_LOGS, "lost+found")  # folders that a file system or a start that failed leaves
# What a run consists of, in the order of removal. What says whose it is comes last: a stop in between leaves a folder
# that still belongs to the old mixture, so that the new one is refused until `--replace` is said again. The list of
# what it has forgotten is no part: it would come back.
_SHARDS = ("packed", "tables")
_PARTS = (*_SHARDS, REPORT, "work", "tokenizer.json", "state", PARTS, MANIFEST)
_SHARD_NAME = re.compile(r"part-\d{5,}-of-\d{5,}\.(parquet|arrow)")
_MAX_NAMED = 5  # sources that an error lists: one line


def refuse_strangers(store: Store) -> None:
    """A folder that holds files or folders but no run is somebody's; a lease alone is of a driver that died early."""
    found = [name for name in store.files("") if not name.startswith((LEASE, ".")) and name != FORGOTTEN]
    found += [f"{name}/" for name in store.folders("") if name not in (*_NOBODYS, *_PARTS) and not name.startswith(".")]
    if found and not _is_run(store):
        named = first_of(sorted(found), most=_MAX_NAMED)
        raise StoreError(f"{store.root}: holds files but no run ({named}); choose an empty or new folder for --out")


def refuse_other(store: Store, mixture: Mixture) -> None:
    """Raise StoreError for a folder whose run belongs to another mixture."""
    held = held_mixture(store)
    if held is None:
        return
    remedy = "choose another --out, or say --replace to remove that run and make this one in its place"
    if held["name"] != mixture.name:
        raise StoreError(
            f"{store.root}: holds a run of mixture {held['name']!r}, not of {mixture.name!r}, "
            f"with sources {_described(held['sources'])}; {remedy}"
        )
    if not _shared(held["sources"], mixture):
        raise StoreError(
            f"{store.root}: holds a run of mixture {mixture.name!r} with sources {_described(held['sources'])}; none "
            f"of them is left, now there are {_described([s.model_dump() for s in mixture.sources])}; {remedy}"
        )
    # The only setting of which another value is another run: a trial would take the place of days of work.
    rate = held.get("ingest", {}).get("sample")
    if rate != mixture.ingest.sample:
        raise StoreError(
            f"{store.root}: holds a run of mixture {mixture.name!r} over {said_sample(rate)}, not over "
            f"{said_sample(mixture.ingest.sample)}; {remedy}"
        )


def held_mixture(store: Store) -> dict[str, Any] | None:
    """The mixture that the run in the folder was made of, as its manifest says; None where no run says so."""
    mixture = read_manifest(store).get("mixture")
    return mixture if isinstance(mixture, dict) and mixture.get("sources") else None


def _shared(held: Iterable[dict[str, Any]], mixture: Mixture) -> bool:
    """Whether a source stayed: under its name, or under another one in its place."""
    names, places = {s.name for s in mixture.sources}, {(s.kind, s.path) for s in mixture.sources}
    return any(s["name"] in names or (s["path"] and (s["kind"], s["path"]) in places) for s in held)


def erase(store: Store) -> None:
    """Remove the run in the folder but its logs, so that nothing of it is in the next one.

    StoreError, before anything is removed, for files that no run writes.
    """
    folders = [f"{parent}/{folder}" for parent in ("tables", "packed") for folder in store.folders(parent)]
    for folder in ("packed", "tables", *folders):
        for name in store.files(folder):
            if not (_SHARD_NAME.fullmatch(name) or name.startswith(".") or name.endswith(TEMPORARY)):
                raise StoreError(f"{store.full(f'{folder}/{name}')}: was not written by a run; move it away first")
    drop_readme(store)
    for part in _PARTS:
        store.remove(part)


def _is_run(store: Store) -> bool:
    return store.exists(MANIFEST) or store.exists("state")


def _described(sources: Iterable[dict[str, Any]]) -> str:
    return first_of([f"{s['name']} ({s['kind']} {s['path'] or 'datatrove'})" for s in sources], most=_MAX_NAMED)
