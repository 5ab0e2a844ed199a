"""RUN/manifest.json: the stages that are done, their fingerprints, files and counts; written after what it names.

Beside the stages stands the run's tokenizer, RUN/tokenizer.json: token ids mean nothing without it, and the file that
the mixture names may change or go. What the manifest says is sealed (`pipeline/sealed.py`), and very many files are
listed in parts of it (`pipeline/listed.py`).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, NamedTuple

from pipeline.config import Mixture, said_sample
from pipeline.engine.blocks import damaged
from pipeline.engine.done import StepDone, TaskCost
from pipeline.engine.executor import Executor
from pipeline.engine.manifest_form import whats_wrong
from pipeline.engine.store import FileEntry, Store
from pipeline.errors import StoreError
from pipeline.listed import N_FILES, PARTS, as_part, each_file, file_at
from pipeline.schema import TOKENIZER_FILE
from pipeline.sealed import COPY, refuse_edited, sealed

MANIFEST = "manifest.json"
# A folder with what a finished run is shown as. It goes before anything that it shows does.
REPORT = "report"
_TOKENIZER = "tokenizer"  # its key
FORMAT = 2  # 1 named tables `decisions` and `plan`, and kept markers of all configurations in one place
IN_PARTS = 3  # of a manifest that lists files in parts, so that no version that knows none takes them for none


def read_manifest(store: Store) -> dict[str, Any]:
    """The manifest, or an empty one. StoreError if it is damaged, was changed by hand, or is of another format."""
    data = store.find(MANIFEST)
    if data is None:
        return {"format": FORMAT, "stages": {}}
    where = store.full(MANIFEST)
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(where, error) from error
    if not isinstance(manifest, dict):
        raise _damaged(where, f"holds a {type(manifest).__name__}, expected an object")
    refuse_edited(manifest, lambda: _copy(store), where=where)
    if (found := manifest.get("format")) not in (FORMAT, IN_PARTS):
        raise StoreError(
            f"{where}: has format {found!r}, expected {FORMAT} or {IN_PARTS}: another version of loopmix made this "
            "run; read it with that version, or curate into a new folder"
        )
    if wrong := whats_wrong(data):
        raise _damaged(where, wrong)
    return manifest


def _copy(store: Store) -> bytes | None:
    return store.find(COPY)


def _damaged(where: str, error: object) -> StoreError:
    return StoreError(f"{where}: is damaged: {' '.join(str(error).split())[:200]}; remove it and run again")


def write_manifest(store: Store, manifest: dict[str, Any]) -> None:
    """Commit the manifest: its copy first, which says what stood there when somebody changes it."""
    in_parts = any("files_in" in entry for entry in manifest["stages"].values())
    said = sealed(manifest | {"format": IN_PARTS if in_parts else FORMAT})
    data = json.dumps(said, indent=1, sort_keys=True).encode()
    store.write_bytes(COPY, data)
    store.write_bytes(MANIFEST, data)


# --- files ----------------------------------------------------------------------------------------------------------


def files_of(store: Store, entry: dict[str, Any]) -> Iterator[FileEntry]:
    """The files of a stage's table, in the order of its shards. `entry`: what the manifest says of the stage."""
    return (FileEntry(**f) for f in each_file(entry, store.read_bytes, where=store.full(MANIFEST)))


def file_of(store: Store, entry: dict[str, Any], *, shard: int) -> FileEntry:
    """The file of one shard; of a manifest in parts one part is read."""
    return FileEntry(**file_at(entry, shard, store.read_bytes, where=store.full(MANIFEST)))


def put_files(store: Store, files: Iterable[FileEntry], *, n_files: int) -> dict[str, Any]:
    """What the manifest says of a stage's files, in the order of its shards. Of very many it writes the parts."""
    summaries = (file.summary() for file in files)
    if n_files <= N_FILES:
        return {"files": list(summaries)}
    parts, n_bytes = [], 0
    while some := list(islice(summaries, N_FILES)):
        part, data = as_part(some)
        store.write_bytes(part["path"], data)
        parts.append(part)
        n_bytes += sum(int(file["n_bytes"]) for file in some)
    return {"files_in": {"n_files": n_files, "n_bytes": n_bytes, "parts": parts}}


def drop_old_parts(store: Store) -> None:
    """Remove the parts that the manifest does not name any more."""
    entries = read_manifest(store)["stages"].values()
    named = {part["path"] for entry in entries for part in entry.get("files_in", {}).get("parts", ())}
    for name in store.files(PARTS):
        if f"{PARTS}/{name}" not in named:
            store.remove(f"{PARTS}/{name}")


def damaged_files(executor: Executor, store: Store, entry: dict[str, Any], *, by_hash: bool, name: str) -> list[str]:
    """The paths of a stage's files that do not stand as the manifest says; asked by tasks where they are many."""
    found: list[str] = []
    files = files_of(store, entry)
    while some := list(islice(files, N_FILES)):
        found += damaged(executor, store, some, by_hash=by_hash, name=f"{name}.check")
    return found


# --- the tokenizer ---------------------------------------------------------------------------------------------------


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


# --- stages ----------------------------------------------------------------------------------------------------------


class DoneStage(NamedTuple):
    """A finished stage: what the step that wrote its table has `done`, and what its other steps cost."""

    name: str
    mark: str
    version: int
    done: StepDone
    inner: TaskCost | None = None


def record(
    store: Store, mixture: Mixture, name: str, *, mark: str, version: int, done: StepDone, inner: TaskCost | None = None
) -> None:
    """Enter one finished stage."""
    record_all(store, mixture, [DoneStage(name, mark, version, done, inner)])


def record_all(store: Store, mixture: Mixture, entries: Iterable[DoneStage]) -> None:
    """Enter finished stages by one write.

    `seconds` and `cpu_seconds` add up over all tasks of all steps: by the clock of each task, and by what its worker
    used; null where a task was done by a version that did not count it.
    """
    manifest = read_manifest(store)
    manifest |= _owner(mixture)
    for name, mark, version, done, inner in entries:
        cost = TaskCost()
        for one in (inner or TaskCost(), done.cost):
            cost.add(one)
        manifest["stages"][name] = {
            "fingerprint": mark,
            "version": version,
            **put_files(store, done.files(), n_files=done.n_files),
            "counts": dict(sorted(done.counts.items())),
            "problems": {str(shard): problem for shard, problem in done.problems().items()},
            "seconds": round(cost.seconds, 3),
            "cpu_seconds": None if cost.cpu_seconds is None else round(cost.cpu_seconds, 3),
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


def is_recorded(store: Store, executor: Executor, name: str, *, mark: str, by_hash: bool, skip_bad: bool) -> bool:
    """True if the manifest has the stage under this fingerprint and all its files stand undamaged."""
    entry = read_manifest(store)["stages"].get(name)
    return stands(store, executor, name, entry, mark=mark, by_hash=by_hash, skip_bad=skip_bad)


def stands(
    store: Store,
    executor: Executor,
    name: str,
    entry: dict[str, Any] | None,
    *,
    mark: str,
    by_hash: bool,
    skip_bad: bool,
) -> bool:
    """The same of a stage's entry. One with skipped bad shards counts only while bad shards are skipped."""
    if entry is None or entry["fingerprint"] != mark or (entry["problems"] and not skip_bad):
        return False
    return not damaged_files(executor, store, entry, by_hash=by_hash, name=name)
