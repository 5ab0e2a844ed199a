"""What `loopmix classify` does: a language and a pool for each file of a list of paths."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError, why
from pipeline.language.decide import classify_one
from pipeline.language.table import UNKNOWN
from pipeline.sources.decode import decode


def classify_files(paths: Iterable[Path], *, content_only: bool = False) -> Iterator[dict[str, Any]]:
    """One row per file, in order: path, pool, language, confidence, decided_by. Folders stand for the files below them.

    With `content_only` names are ignored. Files are decoded as ingest does it.
    """
    for path in paths:
        for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
            try:
                content = decode(file.read_bytes()).content
            except OSError as error:
                raise StoreError(f"{file}: cannot be read ({why(error)}); give existing files or folders") from error
            verdict = classify_one("" if content_only else file.as_posix(), content)
            yield {"path": file.as_posix(), **verdict._asdict()}


def line_of(row: dict[str, Any]) -> str:
    """A row of `classify_files` in words; what stays Unknown names its best guess beside it."""
    line = "{path}: {language} ({pool}, {confidence:.2f} by {decided_by})".format(**row)
    if row["language"] != UNKNOWN or row["runner_up"] is None:
        return line
    return f"{line}; best guess {row['runner_up']}, {row['runner_up_confidence']:.2f}"
