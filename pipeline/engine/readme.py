"""RUN/README.md: the front matter by which `datasets.load_dataset(RUN)` finds the sequences of a finished run.

It belongs to the run while it has the bytes that the manifest says; one that a person has written or changed is theirs
and stays. Like the report it goes before anything that it shows does.
"""

import hashlib
from typing import Any

from pipeline.engine.manifest import files_of, read_manifest, write_manifest
from pipeline.engine.store import FileEntry, Store
from pipeline.schema import PACKED

README = "README.md"
_KEY = "readme"  # of the manifest


def put_readme(store: Store) -> None:
    """Write it for a run whose sequences stand, unless it stands, or another one does."""
    manifest = read_manifest(store)
    if PACKED not in manifest["stages"]:
        return
    text = _text(store, manifest).encode()
    entry = FileEntry(README, len(text), hashlib.sha256(text).hexdigest())
    if store.exists(README):
        if not _is_ours(store, manifest) or store.is_intact(entry, by_hash=True):
            return
        store.remove(README)
    # Named first: a file that the manifest does not name would be taken for a person's.
    write_manifest(store, manifest | {_KEY: entry.summary()})
    store.write_bytes(README, text)


def drop_readme(store: Store) -> None:
    """Remove it, if it is the run's own."""
    if store.exists(README) and _is_ours(store, read_manifest(store)):
        store.remove(README)


def _is_ours(store: Store, manifest: dict[str, Any]) -> bool:
    return _KEY in manifest and store.is_intact(FileEntry(**manifest[_KEY]), by_hash=True)


def _text(store: Store, manifest: dict[str, Any]) -> str:
    """Names of mixtures are letters, digits, dots and dashes, so nothing in it is a stranger's."""
    streams = _streams(store, manifest)
    trial = (
        f"\n**Made of {manifest['sample']} of its input: to look at, not to train on.**\n"
        if "sample" in manifest
        else ""
    )
    configs = "".join(
        f"- config_name: {name}\n  data_files: {folder}/*.arrow\n" + ("  default: true\n" if number == 0 else "")
        for number, (name, folder, _) in enumerate(streams)
    )
    where = ", then ".join(f"of {seq_len:,} token ids in `{folder}/`" for _, folder, seq_len in streams)
    named = (
        "them"
        if len(streams) == 1
        else f"the first of these phases, `load_dataset(FOLDER, {streams[-1][0]!r})` another"
    )
    return f"""---
configs:
{configs}---
# {manifest["name"]}
{trial}
A run of Loopmix: sequences {where}, made by the tokenizer in `tokenizer.json`.
`datasets.load_dataset(FOLDER)` loads {named}. `tables/` says what became of every input document, `report/index.html`
shows it, and `loopmix verify FOLDER` recounts what the run promises.
"""


def _streams(store: Store, manifest: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Name, folder and tokens of a sequence of the stream, or of each phase in the order of training."""
    mixture = manifest["mixture"]
    seq_len = mixture["pack"]["seq_len"]
    phases = mixture.get("phases") or []
    if not phases:
        return [(PACKED, PACKED, seq_len)]
    made = dict.fromkeys(file.path.rpartition("/")[0] for file in files_of(store, manifest["stages"][PACKED]))
    found = zip(phases, made, strict=True)
    return [(phase["name"], folder, phase["seq_len"] or seq_len) for phase, folder in found]
