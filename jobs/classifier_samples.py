"""Labelled contents for `jobs.train_classifier`: labelled files, trees whose names tell the language, and prose.

A name tells the language where linguist's rules need no guess (`CERTAIN`). Every choice is keyed by the file's name, so
the same inputs give the same samples. A fifth of each tree's folders is held out and never trained on.
"""

import csv
import io
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import zstandard

from pipeline.language.classes import OTHER, class_of
from pipeline.language.path import by_path
from pipeline.language.rules import Open, by_rules
from pipeline.language.table import TEXT, alias_table

MIN_BYTES, MAX_BYTES = 60, 1_000_000
HEAD_BYTES = 8_192  # what the rules see of a file: as much as a mixture's default lets them
MAX_PER_EXTENSION = 400  # of one package: enough to choose from
MAX_PER_PACKAGE, MAX_PER_LANGUAGE = 150, 500
MAX_OTHER = 1_800  # of one kind of input, in languages without a class
MAX_PER_ARCHIVE = 80  # of one extension
MAX_PROSE, MAX_MARKUP = 250, 60  # pieces of one collection of texts
CERTAIN = frozenset(("filename", "extension", "heuristic", "shebang", "modeline"))
PROSE_SOURCES = frozenset(("book", "law"))


class Sample(NamedTuple):
    """One labelled content. `split` is train or dev; `origin` the kind of input that it comes from."""

    split: str
    origin: str
    label: str
    content: bytes


def key(text: str) -> int:
    """The order of everything that is chosen."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "little")


def labelled(folder: Path) -> Iterator[Sample]:
    """Files of a folder with `manifest.tsv.zst` and `files.tar.zst`, in their own splits."""
    with (folder / "manifest.tsv.zst").open("rb") as file:
        text = zstandard.ZstdDecompressor().stream_reader(file).read().decode()
    rows = {row["path"]: row for row in csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE)}
    with (folder / "files.tar.zst").open("rb") as file:
        stream = zstandard.ZstdDecompressor(max_window_size=2**27).stream_reader(file)
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                data = archive.extractfile(member) if member.isfile() else None
                if data is not None and (row := rows.get(member.name)):
                    yield Sample(row["split"], row["slice"], class_of(row["language"]), data.read())


def corpus(folder: Path) -> Iterator[Sample]:
    """Files of the packages in `folder/cache/*.parquet` whose names tell their language."""
    found: dict[str, list[tuple[int, str, str, bytes]]] = defaultdict(list)
    for file in sorted((folder / "cache").glob("*.parquet")):
        for path, content in _of_package(file):
            if language := _certain(path, content):
                found[language].append((key("x" + file.stem + path), file.stem, path, content))
    for language, rows in sorted(found.items()):
        used: Counter[str] = Counter()
        for _, package, path, content in sorted(rows):
            place = "/".join(path.split("/")[1:3]) if path.count("/") > 2 else path
            if key("split" + package + place) % 5 == 0:  # held out
                continue
            used[package] += 1
            used[""] += used[package] <= MAX_PER_PACKAGE
            if used[package] <= MAX_PER_PACKAGE and used[""] <= MAX_PER_LANGUAGE:
                yield Sample("train", "corpus", class_of(language), content)


def _of_package(file: Path) -> Iterator[tuple[str, bytes]]:
    table = pq.read_table(file, columns=["path", "binary", "n_bytes"]).to_pydict()
    by_extension: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for i, (path, binary, n_bytes) in enumerate(zip(*table.values(), strict=True)):
        if not binary and MIN_BYTES <= n_bytes <= MAX_BYTES:
            extension = path.rpartition("/")[2].rpartition(".")[2].lower()
            by_extension[extension].append((key(file.stem + path), i))
    chosen = sorted(i for rows in by_extension.values() for _, i in sorted(rows)[:MAX_PER_EXTENSION])
    contents = pq.read_table(file, columns=["content"])["content"].take(chosen).to_pylist()
    return zip((table["path"][i] for i in chosen), contents, strict=True)


def archive(file: Path) -> Iterator[Sample]:
    """Files of a tar archive whose names tell their language."""
    found: list[tuple[int, str, bytes]] = []
    with tarfile.open(file) as tar:  # in the order of the archive: going back means to decompress again
        for member in tar:
            if member.isfile() and MIN_BYTES <= member.size <= MAX_BYTES // 2 and ".min." not in member.name:
                data = tar.extractfile(member)
                found.append((key(file.name + member.name), member.name, data.read() if data else b""))
    used: Counter[str] = Counter()
    for _, name, content in sorted(found):
        extension = name.rpartition(".")[2]
        if used[extension] < MAX_PER_ARCHIVE and (language := _certain(name, content)) and language != TEXT:
            used[extension] += 1
            yield Sample("train", "archive", class_of(language), content)


def snippets(file: Path) -> Iterator[Sample]:
    """Test inputs of syntax highlighters in a tar archive: a folder per language, and in each file an input between
    `---input---` and `---tokens---`, or before a line of dashes."""
    with tarfile.open(file) as tar:
        for member in tar:
            folders = member.name.split("/")
            data = tar.extractfile(member) if member.isfile() and len(folders) > 3 else None
            language = alias_table().get(folders[-2].partition("!")[0].lower()) if data else None
            if data is None or language is None or not {"snippets", "languages"} & set(folders[-3:-2]):
                continue
            text = data.read()
            marked = re.search(rb"---input---\n(.*?)\n---tokens---", text, re.DOTALL)
            content = marked[1] if marked else re.split(rb"\n-{8,}\n", text)[0]
            if len(content) >= MIN_BYTES:
                yield Sample("train", "snippets", class_of(language), content)


def _certain(path: str, content: bytes) -> str:
    found = by_rules(by_path(path), content, wordy=True, max_scan_bytes=HEAD_BYTES)
    return "" if isinstance(found, Open) or found[1] not in CERTAIN else found[0]


def texts(folder: Path) -> Iterator[Sample]:
    """Pieces of books and laws as prose, and documentation in the markup that its names tell."""
    for file in sorted(folder.glob("*.parquet")):
        table = pq.read_table(file, columns=["source", "repo", "path", "content"]).to_pydict()
        groups: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        for i, (source, repo) in enumerate(zip(table["source"], table["repo"], strict=True)):
            groups[source.partition(":")[0], repo].append((key(file.stem + str(i)), i))
        for (source, _), rows in sorted(groups.items()):
            used = 0
            for order, i in sorted(rows):
                content, label = table["content"][i], TEXT if source in PROSE_SOURCES else ""
                if source == "docs":
                    label = class_of(_certain(table["path"][i], content))
                if label in ("", OTHER) or (source == "docs" and label == TEXT) or len(content) < MIN_BYTES:
                    continue
                for piece in _pieces(content, order) if label == TEXT else [content]:
                    yield Sample("dev" if order % 5 == 0 else "train", "text", label, piece)
                    used += 1
                if used >= (MAX_PROSE if label == TEXT else MAX_MARKUP):
                    break


def _pieces(content: bytes, order: int) -> list[bytes]:
    if len(content) <= 12_000:
        return [content]
    starts = [key(f"{order}/{i}") % (len(content) - 5_000) for i in range(4)]
    return [content[start : start + 1_000 + start % 4_000] for start in starts]
