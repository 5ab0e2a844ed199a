"""RUN/manifest.json: the stages that are done, their fingerprints, files and counts; written after what it names.

Beside the stages stands the run's tokenizer, RUN/tokenizer.json: token ids mean nothing without it, and the file that
the mixture names may change or go.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from pipeline.config import Mixture, said_sample
from pipeline.engine.markers import Marker, total_counts
from pipeline.engine.store import FileEntry, Store
from pipeline.errors import StoreError
from pipeline.schema import TOKENIZER_FILE

MANIFEST = "manifest.json"
# A folder with what a finished run is shown as. It goes before anything that it shows does.
REPORT = "report"
_TOKENIZER = "tokenizer"  # its key
FORMAT = 2  # 1 named tables `decisions` and `plan`, and kept markers of all configurations in one place


@dataclass(frozen=True)
class _Entry:
    """What the manifest says of a stage."""

    fingerprint: str
    version: int
    files: list[FileEntry]
    counts: dict[str, int]
    problems: dict[str, str]  # by number of the shard
    seconds: float
    cpu_seconds: float | None = None


_ENTRIES = TypeAdapter(dict[str, _Entry])
_FILE = TypeAdapter(FileEntry)


def read_manifest(store: Store) -> dict[str, Any]:
    """The manifest, or an empty one. StoreError if it is damaged or of another format."""
    if not store.exists(MANIFEST):
        return {"format": FORMAT, "stages": {}}
    where = store.full(MANIFEST)
    try:
        manifest = json.loads(store.read_bytes(MANIFEST))
        found = manifest["format"]
        if found == FORMAT:
            _ENTRIES.validate_python(manifest["stages"])
            if _TOKENIZER in manifest:
                _FILE.validate_python(manifest[_TOKENIZER])
    except (ValueError, TypeError, KeyError) as error:
        first = " ".join(str(error).split())[:200]
        raise StoreError(f"{where}: is damaged: {first}; remove it and run again") from error
    if found != FORMAT:
        raise StoreError(
            f"{where}: has format {found!r}, expected {FORMAT}: another version of loopmix made this run; "
            "read it with that version, or curate into a new folder"
        )
    return dict(manifest)


def files_of(manifest: dict[str, Any], stage: str) -> list[FileEntry]:
    """The files of a stage's table, in the order of its shards."""
    return [FileEntry(**f) for f in manifest["stages"][stage]["files"]]


def tokenizer_of(store: Store, manifest: dict[str, Any]) -> FileEntry:
    """The run's tokenizer. StoreError for a run that holds none."""
    if _TOKENIZER not in manifest:
        raise StoreError(
            f"{store.full(MANIFEST)}: names no {TOKENIZER_FILE}: an older version of loopmix made this run; "
            "run `loopmix curate` with the same mixture again, which adds it"
        )
    return FileEntry(**manifest[_TOKENIZER])


def hold_tokenizer(store: Store, data: bytes, *, by_hash: bool) -> None:
    """Put the tokenizer into the run and name it in the manifest, unless that is done.

    Called when entries of another tokenizer's stages have been dropped, and before there are new ones.
    """
    manifest = read_manifest(store)
    held = manifest.get(_TOKENIZER)
    expected = None if held is None else FileEntry(**held)
    is_same = expected is not None and expected.sha256 == hashlib.sha256(data).hexdigest()
    if expected is not None and is_same and store.is_intact(expected, by_hash=by_hash):
        return
    if held is None:
        write_manifest(store, manifest)  # first: a folder with a tokenizer alone would be taken for a stranger's
    manifest[_TOKENIZER] = store.write_bytes(TOKENIZER_FILE, data).summary()
    write_manifest(store, manifest)


def write_manifest(store: Store, manifest: dict[str, Any]) -> None:
    """Commit the manifest."""
    store.write_bytes(MANIFEST, json.dumps(manifest, indent=1, sort_keys=True).encode())


def record(
    store: Store,
    mixture: Mixture,
    name: str,
    *,
    mark: str,
    version: int,
    markers: list[Marker],
    inner: Sequence[Marker] = (),
) -> None:
    """Enter a finished stage.

    `inner` are the markers of its other steps. `seconds` and `cpu_seconds` add up over all tasks of all steps: by the
    clock of each task, and by what its worker used; null where a task was done by a version that did not count it.
    """
    worked = [*inner, *markers]
    cpu = [m.cpu_seconds for m in worked]
    manifest = read_manifest(store)
    manifest |= _owner(mixture)
    manifest["stages"][name] = {
        "fingerprint": mark,
        "version": version,
        "files": [f.summary() for m in markers for f in m.files],
        "counts": dict(sorted(total_counts(markers).items())),
        "problems": {str(i): m.problem for i, m in enumerate(markers) if m.problem},
        "seconds": round(sum(m.seconds for m in worked), 3),
        "cpu_seconds": None if None in cpu else round(sum(s for s in cpu if s is not None), 3),
    }
    write_manifest(store, manifest)


def claim(store: Store, mixture: Mixture) -> None:
    """Say whose run this is, before there is any of it."""
    manifest = read_manifest(store)
    owner = _owner(mixture)
    if any(manifest.get(key) != value for key, value in owner.items()):
        write_manifest(store, manifest | owner)


def _owner(mixture: Mixture) -> dict[str, Any]:
    owner = {"name": mixture.name, "mixture": mixture.model_dump(mode="json")}
    # In words beside the name, for whoever opens the file: a sample is no mixture to train on.
    return owner if mixture.ingest.sample is None else owner | {"sample": said_sample(mixture.ingest.sample)}


def forget_others(store: Store, marks: dict[str, str]) -> None:
    """Drop entries that this configuration would not make, so that no mixed run can look finished."""
    manifest = read_manifest(store)
    current = {name: e for name, e in manifest["stages"].items() if e["fingerprint"] == marks.get(name)}
    if current != manifest["stages"]:
        manifest["stages"] = current
        store.remove(REPORT)
        write_manifest(store, manifest)


def is_recorded(store: Store, name: str, *, mark: str, by_hash: bool, skip_bad: bool) -> bool:
    """True if the manifest has the stage under this fingerprint and all its files stand undamaged.

    A stage with skipped bad shards counts only while bad shards are skipped.
    """
    manifest = read_manifest(store)
    entry = manifest["stages"].get(name)
    if entry is None or entry["fingerprint"] != mark or (entry["problems"] and not skip_bad):
        return False
    return all(store.is_intact(file, by_hash=by_hash) for file in files_of(manifest, name))
