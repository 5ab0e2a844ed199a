"""Labelled contents for `jobs.train_classifier`: labelled files, trees whose names tell the language, and prose.

A name tells the language where linguist's rules need no guess (`CERTAIN`), or where a look at the content settles what
they leave open (`SETTLED`). Every choice is keyed by the file's name, so the same inputs give the same samples. A fifth
of each tree's folders, and every fifth repository as a whole, is held out and never trained on.
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
MAX_PER_PACKAGE, MAX_PER_LANGUAGE = 100, 300
MAX_PER_REPOSITORY = 60  # of one language: files of one repository share authors, names and licence heads
MAX_LEARNED, MAX_HELD_OUT = 400, 40  # of one language, from all repositories that are trained on, or held out
# The salt, of 3,000 tried, under which the held-out fifth of our repositories has files of the most classes.
HELD_OUT = "repository2335"
MAX_PER_ORIGIN = 250  # of one class from one kind of input: more of the same teaches little and takes its time
MAX_OTHER = 1_000  # the same for languages without a class, of which there are many
MAX_PER_ARCHIVE = 80  # of one extension
MAX_PROSE, MAX_MARKUP = 250, 60  # pieces of one collection of texts
CERTAIN = frozenset(("filename", "extension", "heuristic", "shebang", "modeline"))
PROSE_SOURCES = frozenset(("book", "law"))
# Shared extensions that the rules leave to the classifier, so that without these lines it would never see a file of
# them: the language that a tree means by one, if the content shows this pattern.
SETTLED = {
    ".fx": ("HLSL", re.compile(rb"\b(?:float4x4|float[234]|technique\w*|cbuffer|sampler\w*|SV_\w+)\b")),
    ".frag": ("GLSL", re.compile(rb"\b(?:gl_\w+|uniform|varying|vec[234])\b")),
    ".cls": ("Apex", re.compile(rb"(?i)^\s*(?:public|private|global)\b[\w\s]*\b(?:class|interface|enum)\s\w+", re.M)),
    ".trigger": ("Apex", re.compile(rb"(?i)\btrigger\s+\w+\s+on\s+\w+\s*\(")),
    ".hh": ("C++", re.compile(rb"\b(?:class|namespace|template|std::)")),
    ".lisp": ("Common Lisp", re.compile(rb"(?i)\((?:defun|in-package|defpackage|defmacro|defclass)\b")),
    ".g": ("ANTLR", re.compile(rb"^\s*(?:(?:lexer|parser|tree)\s+)?grammar\s+\w+\s*;", re.M)),
}  # fmt: skip


class Sample(NamedTuple):
    """One labelled content. `split` is train or dev; `origin` the kind of input that it comes from; `group` the package
    or repository whose files may resemble each other for other reasons than their language, empty for a loner."""

    split: str
    origin: str
    label: str
    content: bytes
    group: str = ""


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
                yield Sample("train", "corpus", class_of(language), content, package)


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


def repositories(folder: Path) -> Iterator[Sample]:
    """Files of the repositories in `folder/*.parquet` (a table each, columns `path` and `content`) whose names tell
    their language. Of one language the first file of every repository comes before the second of any."""
    found: dict[tuple[str, str], list[tuple[int, int, str, bytes]]] = defaultdict(list)
    for file in sorted(folder.glob("*.parquet")):
        split = "dev" if key(HELD_OUT + file.stem) % 5 == 0 else "train"
        table = pq.read_table(file, columns=["path", "content"]).to_pydict()
        rows = sorted((key("x" + file.stem + path), i) for i, path in enumerate(table["path"]))
        used: Counter[str] = Counter()
        for order, i in rows:
            content = table["content"][i]
            language = _certain(table["path"][i], content) if len(content) >= MIN_BYTES else ""
            if language not in ("", TEXT) and used[language] < MAX_PER_REPOSITORY:
                found[split, language].append((used[language], order, file.stem, content))
                used[language] += 1
    for (split, language), files in sorted(found.items()):
        for _, _, repository, content in sorted(files)[: MAX_LEARNED if split == "train" else MAX_HELD_OUT]:
            yield Sample(split, "repositories", class_of(language), content, repository)


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
            yield Sample("train", "archive", class_of(language), content, file.name)


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
    place = by_path(path)
    found = by_rules(place, content, wordy=True, max_scan_bytes=HEAD_BYTES)
    if not isinstance(found, Open):
        return found[0] if found[1] in CERTAIN else ""
    classes = {class_of(name) for name in found.candidates}
    if len(classes) == 1 and OTHER not in classes:  # dialects: which one is not asked
        return found.candidates[0]
    language, pattern = SETTLED.get(place.extension, ("", None))
    return language if pattern and pattern.search(content[:HEAD_BYTES]) else ""


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
