"""The labelled documents that `bench_language.py` measures on: development files, a wild slice, code against prose.

A file here has a name, bytes, the language under its scoring name, and a slice. Everything drawn from the code corpus
or from the prose lies in held-out folders or documents, chosen by a keyed hash, so that training may use all the
others: `is_held_out` and `is_held_out_prose` are the rules. Every choice is keyed; two runs see the same bytes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import langid_data
import pyarrow.parquet as pq

from pipeline.language.table import extension_table

PROSE_SOURCES = ("book", "law", "book:tei-body")
MIN_BYTES = 60  # shorter files are no evidence for anyone
MIN_POOL_BYTES = 200  # a heading and a sentence may be either
PER_PACKAGE, PER_LANGUAGE = 15, 40  # wild files
PER_KIND = 150  # documents of each kind in the pool set
PROSE_BYTES = 4_000  # length of a piece of prose
MAX_PIECES = 3  # pieces of one book
OPENINGS = re.compile(
    r"[^\W\d_]|[\"'(\u00ab\u00bf\u00a1\u2014\u201c\u201e]"
)  # a letter, or a quotation or dash in front of one
MARKS = re.compile(r"^(?:---|:  )|\]\(|\*\*|`|\b_|_\b", re.MULTILINE)  # of Markdown, inside a paragraph
MISNAMED = {"prose": ("prose", ".py"), "source code": ("code", ".txt"), "CSV": ("CSV", ".js")}
ROFF = re.compile(rb"^\.\s*(?:TH|Dd|SH|Sh)\b", re.MULTILINE)

# Which files of the corpus stand for which kind of document, by the last part of the path.
KINDS = {
    "Markdown": re.compile(r"\.(?:md|markdown)\Z"),
    "HTML": re.compile(r"\.html?\Z"),
    "licence": re.compile(r"(?:\A|/)(?:LICEN[CS]E|COPYING|COPYRIGHT)(?:[.-][A-Za-z0-9.]+)?\Z"),
    "man page": re.compile(r"\.(?:[1-8]|man)\Z"),
    "notebook": re.compile(r"\.ipynb\Z"),
    "JSON": re.compile(r"\.json\Z"),
    "CSV": re.compile(r"\.csv\Z"),
    "log": re.compile(r"\.log\Z"),
}


class File(NamedTuple):
    """One document. `language` is its scoring name (empty where only the pool counts); `pool` is the pool it belongs
    in; `kind` is a slice of the language sets or a kind of the pool set."""

    name: str
    content: bytes
    language: str
    kind: str
    pool: str = "code"
    shared_extension: bool = False


def key(*parts: str) -> bytes:
    return blake2b("".join(parts).encode("utf-8", "surrogateescape"), digest_size=8).digest()


def is_held_out(package: str, path: str) -> bool:
    """Whether a folder of a package is kept from training: one in five, by hash."""
    folder = "/".join(path.split("/")[1:3]) if path.count("/") > 2 else path
    return int.from_bytes(key("split", package, folder), "little") % 5 == 0


def is_held_out_prose(table: str, row: int) -> bool:
    """Whether a document, a row of a table of the shared prose, is kept from training: one in five, by hash."""
    return int.from_bytes(key(table, str(row)), "little") % 5 == 0


def dev_files() -> list[File]:
    """The development files in the 103 languages; `kind` is linguist, smola or rosetta."""
    return [
        File(f.name, f.content, langid_data.canonical(f.canon), f.slice.removesuffix("-h"), "code", f.shared_extension)
        for f in langid_data.read("dev")
        if f.in_list
    ]


def packages(corpus: Path) -> list[Path]:
    """The corpus builder's cache: one table of all files for each package."""
    return sorted((corpus / "cache").glob("*.parquet"))


def wild_files(corpus: Path) -> list[File]:
    """Held-out files of real packages whose extension belongs to one language of the 103."""
    listed = langid_data.listed_languages()
    found: list[tuple[bytes, Path, str, str]] = []
    for table in packages(corpus):
        for path in _text_paths(table):
            names = extension_table().get(Path(path).suffix.lower(), ())
            language = langid_data.canonical(names[0]) if len(names) == 1 else ""
            if language in listed and is_held_out(table.stem, path):
                found.append((key("x", table.stem, path), table, path, language))
    chosen: dict[tuple[Path, str], str] = {}
    by_package: Counter[tuple[str, Path]] = Counter()
    by_language: Counter[str] = Counter()
    for _, table, path, language in sorted(found, key=lambda row: row[0]):
        if by_package[language, table] < PER_PACKAGE and by_language[language] < PER_LANGUAGE:
            by_package[language, table] += 1
            by_language[language] += 1
            chosen[table, path] = language
    return _mark_near_copies(chosen, corpus)


def _mark_near_copies(chosen: dict[tuple[Path, str], str], corpus: Path) -> list[File]:
    """The chosen files; `kind` is "wild", or "near copy" where half of a file's lines stand in a file of the same name
    outside the held-out folders: packages come in several versions."""
    names = {path.rpartition("/")[2] for _, path in chosen}
    others = [
        (table, path)
        for table in packages(corpus)
        for path in _text_paths(table)
        if path.rpartition("/")[2] in names and not is_held_out(table.stem, path)
    ]
    seen: dict[str, list[set[bytes]]] = {}
    for _, path, content in _read(others):
        seen.setdefault(path.rpartition("/")[2], []).append(_lines(content))
    found = []
    for table, path, content in _read(chosen):
        name, lines = path.rpartition("/")[2], _lines(content)
        copied = any(2 * len(lines & other) >= len(lines) for other in seen.get(name, ()))
        found.append(File(name, content, chosen[table, path], "near copy" if copied else "wild"))
    return found


def _lines(content: bytes) -> set[bytes]:
    return {line.strip() for line in content[:16_384].split(b"\n") if len(line.strip()) > 5}


def _text_paths(table: Path) -> list[str]:
    columns = pq.read_table(table, columns=["path", "binary", "n_bytes"]).to_pydict()
    rows = zip(columns["path"], columns["binary"], columns["n_bytes"], strict=True)
    return [path for path, binary, size in rows if not binary and size >= MIN_BYTES]


def _read(wanted: Iterable[tuple[Path, str]]) -> Iterator[tuple[Path, str, bytes]]:
    """Contents of files by table and path, table by table; of a path that stands twice, the first."""
    by_table: dict[Path, set[str]] = {}
    for table, path in wanted:
        by_table.setdefault(table, set()).add(path)
    for table, paths in sorted(by_table.items()):
        for batch in pq.ParquetFile(table).iter_batches(500, columns=["path", "content"]):
            names = batch.column("path").to_pylist()
            for i, path in enumerate(names):
                if path in paths:
                    paths.remove(path)
                    yield table, path, batch.column("content")[i].as_py()


def pool_files(dev: list[File], corpus: Path | None, text: Path) -> list[File]:
    """Code against prose, by kind. See `bench_language.py` for the pool that each kind belongs in."""
    real = [file for file in dev if file.kind != "rosetta"]
    code = [file._replace(kind="source code") for file in real if file.language not in ("Markdown", "HTML", "JSON")]
    mixed = [file._replace(kind=file.language) for file in real if file.language in ("Markdown", "HTML", "JSON")]
    prose = list(_prose(text))
    made = [*_notebooks(code, prose), *_csv_files(), *_logs()]
    from_corpus = list(_corpus_kinds(corpus)) if corpus else []
    return [*code, *mixed, *prose, *from_corpus, *made]


def misnamed_files(pool: list[File]) -> list[File]:
    """The same documents under names that mislead: prose as .py, code as .txt, tables as .js."""
    found = []
    for file in pool:
        if file.kind in MISNAMED:
            short, extension = MISNAMED[file.kind]
            found.append(file._replace(name="notes" + extension, kind=f"{short} in {extension}"))
    return found


def _prose(text: Path) -> Iterator[File]:
    """Running text of held-out books and laws: paragraphs that open with a letter or a quotation mark, joined up to
    PROSE_BYTES from a keyed place on. Headings, lists, links, emphasis and front matter are left out: with them the
    same text would be Markdown."""
    for table in sorted(text.glob("*.parquet")):
        columns = pq.read_table(table, columns=["repo", "path", "source", "content"]).to_pydict()
        for row, (repo, path, source, content) in enumerate(zip(*columns.values(), strict=True)):
            if source in PROSE_SOURCES and is_held_out_prose(table.stem, row):
                for n, piece in enumerate(_pieces(content.decode("utf-8", "replace"), repo + path)):
                    yield File(f"chapter-{n + 1}.txt", piece, "", "prose", "text")


def _pieces(text: str, seed: str) -> Iterator[bytes]:
    paragraphs = [p.strip() for p in re.split(r"\n\s*\n", text)]
    good = [p for p in paragraphs if len(p) >= 80 and OPENINGS.match(p) and not MARKS.search(p)]
    for n in range(min(MAX_PIECES, len(good) // 20 + 1) if good else 0):
        start = int.from_bytes(key("piece", seed, str(n)), "little") % len(good)
        piece = "\n\n".join(good[start : start + 40]).encode()[:PROSE_BYTES]
        if len(piece) >= MIN_POOL_BYTES:
            yield piece.decode("utf-8", "ignore").encode()


def _corpus_kinds(corpus: Path) -> Iterator[File]:
    """Up to PER_KIND different held-out documents of each kind in KINDS."""
    found: dict[str, list[tuple[bytes, Path, str]]] = {kind: [] for kind in KINDS}
    for table in packages(corpus):
        for path in _text_paths(table):
            kind = next((kind for kind, pattern in KINDS.items() if pattern.search(path)), None)
            if kind and is_held_out(table.stem, path):
                found[kind].append((key("x", table.stem, path), table, path))
    for kind, rows in found.items():
        seen: set[bytes] = set()
        wanted = {(table, path): order for order, table, path in sorted(rows)[: 4 * PER_KIND]}
        for _, path, content in sorted(_read(wanted), key=lambda row: wanted[row[0], row[1]]):
            same = blake2b(content[:300], digest_size=8).digest()  # one of each licence, not one of each package
            if (
                len(content) < MIN_POOL_BYTES
                or same in seen
                or len(seen) == PER_KIND
                or (kind == "man page" and not ROFF.search(content[:4_000]))
            ):
                continue
            seen.add(same)
            yield File(path.rpartition("/")[2], content, "", kind, "text" if kind == "licence" else "code")


def _notebooks(code: list[File], prose: list[File]) -> Iterator[File]:
    """Notebooks of one cell of prose and one of code, in the format's own JSON."""
    scripts = [file for file in code if file.language in ("Python", "R", "Julia")]
    for n, (script, text) in enumerate(zip(scripts, prose, strict=False)):
        cells = [
            {"cell_type": kind, "metadata": {}, "source": file.content.decode("utf-8", "replace").splitlines(True)}
            for kind, file in (("markdown", text), ("code", script))
        ]
        whole = {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}
        yield File(f"analysis-{n}.ipynb", json.dumps(whole, indent=1).encode(), "", "notebook")


WORDS = (
    "amber", "basket", "candle", "distance", "engine", "forest", "garden", "harbour", "island", "journey", "kettle",
    "lantern", "meadow", "needle", "orchard", "pebble", "quarry", "ribbon", "signal", "timber", "umbrella",
    "valley", "window", "yellow", "zipper",
)  # fmt: skip


def _number(*parts: object) -> int:
    return int.from_bytes(key("made", *map(str, parts)), "little")


def _csv_files() -> Iterator[File]:
    """Tables with a header; some columns hold words, and every third table holds a sentence in quotes."""
    for n in range(60):
        mark = ",;\t"[n % 3]
        lines = [mark.join(["id", "name", "count", "price", "note"])]
        for row in range(20 + _number("rows", n) % 80):
            words = [WORDS[_number(n, row, i) % len(WORDS)] for i in range(8)]
            note = '"The ' + " ".join(words) + '."' if n % 3 == 0 else words[0]
            cells = [
                str(row + 1),
                words[1].title(),
                str(_number(n, row) % 900),
                f"{_number(row, n) % 9999 / 100}",
                note,
            ]
            lines.append(mark.join(cells))
        yield File(f"table-{n}.csv", "\n".join(lines).encode() + b"\n", "", "CSV")


def _logs() -> Iterator[File]:
    """What servers write: a time, a level, a component and a few words, in four layouts."""
    for n in range(60):
        lines = []
        for row in range(20 + _number("lines", n) % 80):
            level = ("INFO", "WARN", "DEBUG", "ERROR")[_number(n, row, "level") % 4]
            a, b, c = (WORDS[_number(n, row, i) % len(WORDS)] for i in range(3))
            clock = f"{row // 60 % 24:02}:{row % 60:02}:{_number(n, row) % 60:02}"
            size = _number(row, n) % 5000
            lines.append(
                (
                    f"2026-03-{n % 28 + 1:02}T{clock}Z {level} {a}: opened {b} for {c} in {size} ms",
                    f"[{clock}] {level.lower()} [{a}-{row % 7}] could not reach the {b}, trying the {c} again",
                    f'10.0.{n}.{row} - - [{clock} +0000] "GET /{a}/{b} HTTP/1.1" 200 {size}',
                    f"Mar {n % 28 + 1:2} {clock} host-{n} {a}[{size}]: the {b} has been handed to the {c}",
                )[n % 4]
            )
        yield File(f"server-{n}.log", "\n".join(lines).encode() + b"\n", "", "log")
