"""How much junk of each kind passes, and how much of what stands beside it: `bench_junk.py ROOT ... [--keep FILE]`.

A root is a folder, or a bare git repository, whose newest commit is read. What a file is, is told by where it lies and
what it is called (`junk_kinds.yaml`), never by what is tested. At most `PER_ROOT` of a kind come from one root and
`PER_KIND` in all, chosen by a keyed order: the same roots give the same documents. Beside the kinds stand others
of the same roots, called `other`: nobody vouches for them, they are for reading. Nothing is kept unless --keep names a
Parquet file, which can be given in place of roots.
"""

import hashlib
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.arrays.columns import bytes_of
from pipeline.config import Classify
from pipeline.language.decide import Declared, classify_batch
from pipeline.quality import features
from pipeline.quality.marks.marks import find_marks
from pipeline.rules.sets import shipped

PER_ROOT, PER_KIND = 5, 200
N_TRIED = 40  # files of a kind that are opened where a word within them decides
MAX_BYTES = 2_000_000  # a larger one weighs more than the rest of its kind together
OTHER = "other"
HEAD_BYTES = 3_000


@dataclass(frozen=True)
class Kind:
    """What junk of a kind looks like from outside."""

    name: str
    path: re.Pattern[str]
    word: re.Pattern[str] | None


def kinds() -> list[Kind]:
    rows = yaml.safe_load(Path(__file__).with_name("junk_kinds.yaml").read_text(encoding="utf-8"))
    flags = re.IGNORECASE | re.MULTILINE
    return [
        Kind(
            row["kind"],
            re.compile(row["path"].replace("\n", "")),
            re.compile(row["word"], flags) if "word" in row else None,
        )
        for row in rows
    ]


@dataclass(frozen=True)
class File:
    """One file of a root; `read` is its path on disk, or its object in the repository."""

    root: Path
    path: str
    read: str
    n_bytes: int


def files_in(root: Path) -> Iterator[File]:
    """All files of a folder or of a bare repository's newest commit, but links, empty and very large ones."""
    if (root / "HEAD").is_file() and (root / "objects").is_dir():
        listed = subprocess.run(["git", "-C", str(root), "ls-tree", "-rlz", "HEAD"], capture_output=True, check=True)
        for row in listed.stdout.decode(errors="replace").split("\0")[:-1]:
            facts, path = row.split("\t", 1)
            mode, kind, name, size = facts.split()
            if kind == "blob" and mode != "120000" and size.isdecimal() and 0 < int(size) <= MAX_BYTES:
                yield File(root, path, name, int(size))
        return
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= MAX_BYTES:
            yield File(root, path.relative_to(root).as_posix(), str(path), path.stat().st_size)


def contents(root: Path, files: list[File]) -> dict[str, bytes]:
    """What stands in the files, by path."""
    if not (root / "HEAD").is_file():
        return {file.path: Path(file.read).read_bytes() for file in files}
    asked = "".join(file.read + "\n" for file in files).encode()
    told = subprocess.run(["git", "-C", str(root), "cat-file", "--batch"], input=asked, capture_output=True, check=True)
    found, place = {}, 0
    for file in files:
        line = told.stdout.index(b"\n", place)
        if told.stdout[place:line].endswith(b" missing"):
            place = line + 1
            continue
        found[file.path] = told.stdout[line + 1 : line + 1 + file.n_bytes]
        place = line + 1 + file.n_bytes + 1
    return found


def keyed(file: File) -> bytes:
    return hashlib.blake2b(f"{file.root.parent.name}/{file.path}".encode(), digest_size=8).digest()


def sample(root: Path, known: list[Kind]) -> Iterator[tuple[str, File, bytes]]:
    """Kind, file and content: at most PER_ROOT of each kind."""
    by_kind: dict[str, list[File]] = defaultdict(list)
    words = {kind.name: kind.word for kind in known} | {OTHER: None}
    for file in sorted(files_in(root), key=keyed):
        for name in [kind.name for kind in known if kind.path.search(file.path)] or [OTHER]:
            if len(by_kind[name]) < (N_TRIED if words[name] else PER_ROOT):
                by_kind[name].append(file)
    taken: set[str] = set()
    for name, files in by_kind.items():
        found, n = contents(root, files), 0
        for file in files:
            content = found.get(file.path, b"\0")
            is_text = b"\0" not in content and not content.startswith(b"version https://git-lfs")
            word, head = words[name], content[:HEAD_BYTES].decode("latin-1")
            if n < PER_ROOT and is_text and file.path not in taken and (word is None or word.search(head)):
                n += 1
                taken.add(file.path)
                yield name, file, content


def gather(roots: list[Path]) -> pa.Table:
    rows: dict[str, list[dict[str, str | bytes]]] = defaultdict(list)
    known = kinds()
    for root in roots:
        for kind, file, content in sample(root, known):
            name = root.parent.name if root.name == "repo" else root.name
            rows[kind].append({"kind": kind, "root": name, "path": file.path, "content": content})
    return pa.Table.from_pylist(
        [row for kind, some in sorted(rows.items()) for row in some[: PER_KIND * (5 if kind == OTHER else 1)]]
    )


def dropping() -> set[str]:
    """The marks that the default rules drop."""
    names = (row.rule.feature for row in shipped("loopmix").rows)
    return {name.removeprefix("mark.") for name in names if name.startswith("mark.")}


def marks_of(table: pa.Table) -> dict[str, np.ndarray]:
    views = [memoryview(content) for content in table["content"].to_pylist()]
    declared = [Declared("auto", "")] * len(views)
    classified = classify_batch(table["path"].to_pylist(), views, declared=declared, config=Classify())
    data, offsets = bytes_of(table["content"].cast(pa.large_binary()).combine_chunks())
    measured = features.measure(data, offsets)
    return find_marks(
        table["path"].combine_chunks(),
        data,
        offsets,
        languages=np.array([one.language for one in classified], np.str_),
        features={name: getattr(measured, name) for name in ("n_chars", "max_line_chars", "mean_line_chars")},
    )


def print_passing(table: pa.Table) -> None:
    found, names = marks_of(table), dropping()
    passes = ~np.any([found[mark] for mark in names], axis=0)
    kind = np.array(table["kind"].to_pylist())
    print(f"{'kind':20} {'files':>6} {'pass':>7}  marks")
    for name in sorted(set(kind.tolist())):
        here = kind == name
        marks = {mark: int(hits[here].sum()) for mark, hits in found.items() if hits[here].any()}
        print(f"{name:20} {here.sum():6} {passes[here].mean():7.1%}  {marks}")


def main(arguments: list[str]) -> None:
    keep = None
    if "--keep" in arguments:
        at = arguments.index("--keep")
        keep, arguments = Path(arguments[at + 1]), arguments[:at] + arguments[at + 2 :]
    is_kept = len(arguments) == 1 and arguments[0].endswith(".parquet")
    table = pq.read_table(arguments[0]) if is_kept else gather([Path(root) for root in arguments])
    if keep:
        pq.write_table(table, keep)
    print_passing(table)


if __name__ == "__main__":
    main(sys.argv[1:])
