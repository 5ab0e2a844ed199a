"""The papers of a mixture as files, and how they come into a run, beside its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.manifest import REPORT
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FileEntry
from pipeline.engine.whole_folder import folder_beside, whole_folder
from pipeline.publication import Publication
from pipeline.publish.card import CARD, card
from pipeline.publish.croissant import CROISSANT, croissant
from pipeline.publish.facts import Facts, facts_of
from pipeline.publish.licenses import LICENSE_FILE, license_file
from pipeline.publish.summary import SUMMARY, summary
from pipeline.yaml_file import validate

PAPERS = tuple(f"{REPORT}/{name}" for name in (CARD, LICENSE_FILE, CROISSANT, SUMMARY))


def papers(facts: Facts) -> dict[str, bytes]:
    """Every paper by its name. Equal facts give equal bytes: no clock, no machine, no path of one stands in them."""
    return {
        CARD: card(facts).encode(),
        LICENSE_FILE: license_file(facts).encode(),
        CROISSANT: croissant(facts),
        SUMMARY: summary(facts).encode(),
    }


def publish(run: RunFiles) -> list[FileEntry]:
    """Write the papers of a finished run into it. Raises StoreError where it is unfinished, damaged or read-only."""
    made = papers(facts_of(run))
    return [run.store.write_bytes(path, made[path.rpartition("/")[2]]) for path in PAPERS]


@dataclass(frozen=True)
class Published:
    """Papers in a folder of their own, and what nobody has stated yet."""

    folder: Path
    files: tuple[FileEntry, ...]
    open_: tuple[str, ...]


def publish_to(run: RunFiles, *, out: Path | None = None, stated: Mapping[str, Any] | None = None) -> Published:
    """Write the papers of a finished run into the new folder `out`; the run stays as it is.

    `stated` has keys of the mixture's `publish`, and goes before what the mixture says. `out` is by default a folder
    beside the run. Raises ConfigError for a key or value that cannot be, StoreError as `publish` does and for a folder
    that is not empty.
    """
    before = run.mixture.publish.model_dump(mode="json", exclude_unset=True)
    said = validate(Publication, before | dict(stated or {}), where="publish")
    folder = folder_beside(run.store, "papers", out=out)
    made = papers(facts_of(run, said=said))
    with whole_folder(folder) as store:
        files = tuple(store.write_bytes(name, data) for name, data in made.items())
    return Published(folder, files, tuple(name for name in _ASKED if getattr(said, name) is None))


_ASKED = ("creator", "contact", "address", "published")
