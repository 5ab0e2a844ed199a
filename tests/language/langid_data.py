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
    103 languages of the proposed list; then the name that scoring uses, and whether more than one language has its
    extension."""

    name: str
    content: bytes
    language: str
    slice: str
    in_list: bool
    canon: str = ""
    shared_extension: bool = False


def is_there() -> bool:
    return (FOLDER / "manifest.tsv.zst").exists()


def read_manifest() -> dict[str, dict[str, str]]:
    """The manifest's rows by path."""
    with (FOLDER / "manifest.tsv.zst").open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    return {row["path"]: row for row in csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)}


def read(split: str) -> list[Labelled]:
    """All files of a split, `dev` or `train`."""
    rows = read_manifest()
    found = []
    with (FOLDER / "files.tar.zst").open("rb") as file:
        stream = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isfile() else None
                if data is not None and member.name.startswith(split + "/"):
                    row = rows[member.name]
                    flags = row["in103"] == "1", row["canon"], row["ambiguous_ext"] == "1"
                    found.append(Labelled(row["fname"], data.read(), row["language"], row["slice"], *flags))
    return found


def canonical(language: str) -> str:
    """The name under which a verdict is scored: linguist's statistics count some languages as one."""
    group = group_of(language)
    return SAME.get(group, group)


def listed_languages() -> frozenset[str]:
    """The languages of the proposed list that have a labelled file, under their scoring names."""
    return frozenset(canonical(row["canon"]) for row in read_manifest().values() if row["in103"] == "1")


def is_right(language: str, label: str) -> bool:
    """True for the same language or one that linguist's statistics count as the same."""
    return canonical(language) == canonical(label)


def accuracy(languages: list[str], files: list[Labelled]) -> float:
    return sum(is_right(name, file.language) for name, file in zip(languages, files, strict=True)) / len(files)
