"""RUN/README.md: the front matter by which `datasets.load_dataset(RUN)` finds the sequences of a finished run.

It belongs to the run while it has the bytes that the manifest says; one that a person has written or changed is theirs
and stays. Like the report it goes before anything that it shows does.
"""

import hashlib
from typing import Any

from pipeline.engine.manifest import read_manifest, write_manifest
from pipeline.engine.store import FileEntry, Store
from pipeline.schema import PACKED

README = "README.md"
_KEY = "readme"  # of the manifest


def put_readme(store: Store) -> None:
    """Write it for a run whose sequences stand, unless it stands, or another one does."""
    manifest = read_manifest(store)
    if PACKED not in manifest["stages"]:
        return
    text = _text(manifest).encode()
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


def _text(manifest: dict[str, Any]) -> str:
    """Names of mixtures are letters, digits, dots and dashes, so nothing in it is a stranger's."""
    seq_len = manifest["mixture"]["pack"]["seq_len"]
    trial = (
        f"\n**Made of {manifest['sample']} of its input: to look at, not to train on.**\n"
        if "sample" in manifest
        else ""
    )
    return f"""---
configs:
- config_name: {PACKED}
  data_files: {PACKED}/*.arrow
  default: true
---
# {manifest["name"]}
{trial}
A run of Loopmix: sequences of {seq_len:,} token ids in `{PACKED}/`, made by the tokenizer in `tokenizer.json`.
`datasets.load_dataset(FOLDER)` loads them. `tables/` says what became of every input document, `report/index.html`
shows it, and `loopmix verify FOLDER` recounts what the run promises.
"""
