"""The labelled development files beside the checkout, and how a verdict is scored against their labels."""

from __future__ import annotations

import csv
import io
import tarfile
from pathlib import Path
from typing import NamedTuple

import zstandard

from pipeline.language.table import group_of

FOLDER = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "langid"
# Dialects that the labels do not keep apart.
SAME = {"VBA": "Visual Basic", "Visual Basic 6.0": "Visual Basic", "Visual Basic .NET": "Visual Basic"}


class Labelled(NamedTuple):
    """One file: its name (empty for nameless snippets), bytes, linguist language, slice, and whether it is one of the
    103 languages of the proposed list."""

    name: str
    content: bytes
    language: str
    slice: str
    in_list: bool


def is_there() -> bool:
    return (FOLDER / "manifest.tsv.zst").exists()


def read(split: str) -> list[Labelled]:
    """All files of a split, `dev` or `train`."""
    with (FOLDER / "manifest.tsv.zst").open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)}
    found = []
    with (FOLDER / "files.tar.zst").open("rb") as file:
        stream = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isfile() else None
                if data is not None and member.name.startswith(split + "/"):
                    row = rows[member.name]
                    found.append(
                        Labelled(row["fname"], data.read(), row["language"], row["slice"], row["in103"] == "1")
                    )
    return found


def is_right(language: str, label: str) -> bool:
    """True for the same language or one that linguist's statistics count as the same."""
    first, second = group_of(language), group_of(label)
    return SAME.get(first, first) == SAME.get(second, second)


def accuracy(languages: list[str], files: list[Labelled]) -> float:
    return sum(is_right(name, file.language) for name, file in zip(languages, files, strict=True)) / len(files)
