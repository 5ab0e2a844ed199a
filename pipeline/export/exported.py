"""Write the sequences of a finished run as one format, whole or not at all, and say what was kept of it."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline import __version__
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FileEntry, Store, open_store
from pipeline.engine.whole_folder import folder_beside, whole_folder
from pipeline.errors import ConfigError, StoreError
from pipeline.export.finished import Finished, Tally
from pipeline.export.formats import FORMATS, Format
from pipeline.schema import TOKENIZER_FILE

RECORD = "export.json"


@dataclass(frozen=True)
class Exported:
    """An export that stands. `record` is what its export.json says."""

    folder: Path
    format: Format
    record: dict[str, Any]


def export_data(run: RunFiles, *, to: str, out: Path | None = None, by_pool: bool = False) -> Exported:
    """Write the packed sequences of `run` into the new folder `out` as format `to`; the run stays as it is.

    `out` is by default a folder beside the run, named after both. `by_pool` makes a stream of code and one of text in
    folders of their own, for trainers that blend them, in formats without a place for a sequence's pool. Each phase is
    an export of its own in a folder of its name, because no format holds sequences of two lengths. The same run
    gives the same bytes each time. Raises ConfigError for a format or folder that cannot be, StoreError for a run that
    is unfinished or damaged and for a folder that is not empty; then nothing is left behind.
    """
    form = FORMATS.get(to)
    if form is None:
        raise ConfigError(f"--to {to!r}: expected one of {', '.join(FORMATS)}")
    if by_pool:
        form = _by_pool(form)
    folder = folder_beside(run.store, to, out=out)
    source = Finished.of(run, by_pool=by_pool)
    source.refuse_damage()
    with whole_folder(folder) as store:
        parts = source.by_phase()
        files = [file for part in parts for file in _write(form, part, store)]
        files.append(store.write_bytes(TOKENIZER_FILE, run.tokenizer()))
        source.refuse_changes()
        total = Tally()
        for part in parts:
            total.join(part.tally)
        if not total.n_sequences:
            raise StoreError(f"{run.store.root}: holds no sequence to export; its report says why")
        record = {
            "format": to,
            "by_pool": by_pool,
            "loopmix": __version__,
            "run": run.mixture.name,
            "sample": source.sample,
            "manifest_sha256": hashlib.sha256(source.manifest).hexdigest(),
            "seq_len": None if run.mixture.phases else source.seq_len,
            "vocab_size": source.vocab_size,
            "eos_id": source.eos_id,
            **asdict(total),
            **({"phases": [_of_phase(part) for part in parts]} if run.mixture.phases else {}),
            "kept": form.kept,
            "lost": form.lost,
            "files": {f.path: {"n_bytes": f.n_bytes, "sha256": f.sha256} for f in sorted(files, key=lambda f: f.path)},
        }
        store.write_bytes(RECORD, (json.dumps(record, indent=1, sort_keys=True) + "\n").encode())
    return Exported(folder, form, record)


def _write(form: Format, part: Finished, store: Store) -> list[FileEntry]:
    """The files of a run without phases, or of one phase in a folder of its own."""
    if not part.folder:
        return form.write(part, store)
    inner = Path(store.root) / part.folder
    inner.mkdir()
    return [replace(file, path=f"{part.folder}/{file.path}") for file in form.write(part, open_store(str(inner)))]


def _of_phase(part: Finished) -> dict[str, Any]:
    """What the record says of a phase; phases stand in the order of training."""
    assert part.phase is not None
    return {"name": part.phase.name, "folder": part.folder, "seq_len": part.seq_len, **asdict(part.tally)}


def _by_pool(form: Format) -> Format:
    """What a format keeps where code and text are streams of their own."""
    if "pool" in form.kept:
        raise ConfigError(f"--by-pool: {form.name} keeps the pool of each sequence in a column; leave --by-pool out")
    kept = (*(words.replace("order of the stream", "order of each pool") for words in form.kept), "pool (its folder)")
    return replace(form, kept=kept, lost=(*(w for w in form.lost if w != "pool"), "order between code and text"))
