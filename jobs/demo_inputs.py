"""Real input that every machine has: collect code and text into JSON lines files, for the demo.

    code   stdlib                 the interpreter's standard library and headers
           system                 markup, scripts and examples below /usr/share/doc
           packages               whatever code the installed packages hold: Python, C, CUDA, JavaScript, CSS ...
    text   package_descriptions   what the packages' authors say of them
           manuals                manual pages in all languages, rendered as a terminal shows them
           documentation          plain text and reStructuredText, of packages and below /usr/share/doc
           docstrings             the docstrings of the installed packages, a module a document

Markdown and HTML files are code here, as in the paper's table of languages. Nothing is imported, run or fetched:
packages are read as files. Copies are kept on purpose: vendored ones are what deduplication has to find. Each source
takes files in the order of a keyed hash, rare kinds first, until its bytes are used up, so the same machine gives the
same files. What a machine does not have is missing from the demo.
"""

import ast
import gzip
import hashlib
import json
import math
import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from email import message_from_string
from email.message import Message
from importlib.metadata import distributions
from itertools import accumulate, count
from pathlib import Path
from typing import NamedTuple

import click
import zstandard

OWN_NAME = "loopmix"  # an installed copy of this project is not its own input
MAX_FILE_BYTES = 400_000  # a plain choice: one generated table must not fill a source of some megabytes
PART_BYTES = 4_000_000  # of JSON in one output file, so that the pipeline gets several shards from a source
N_MANUALS = 400  # a page takes some 50 ms to render
MAX_PARSED_BYTES = 30_000_000  # of Python that docstrings are taken from; 1 s for 2 to 4 MB
MIN_DOCSTRING_CHARS = 500  # a plain choice: shorter ones are a line for each function, no text
WORKERS = min(4, os.cpu_count() or 1)

SYSTEM_DOC = Path("/usr/share/doc")
SYSTEM_MAN = Path("/usr/share/man")
DPKG_STATUS = Path("/var/lib/dpkg/status")

PROSE_SUFFIXES = (".txt", ".rst")
PROSE_NAMES = ("README", "NEWS", "FAQ", "TODO", "HISTORY", "HACKING", "INSTALL")
SKIPPED_NAMES = ("changelog", "copyright", "license", "copying", "authors", "thanks")  # the same a thousand times
SKIPPED_SUFFIXES = frozenset((".pyc", ".so", ".png", ".ttf", ".mo", ".afm", ".dectest", ".pem", ".csv", ".log"))
SYSTEM_SUFFIXES = (
    ".html", ".md", ".c", ".h", ".cpp", ".pl", ".pm", ".py", ".sh", ".rb", ".tcl", ".lua", ".awk", ".js", ".css",
    ".xml", ".texi", ".tex", ".el", ".scm", ".sql", ".yaml", ".conf", ".service", ".mk", ".java",
)  # fmt: skip
SKIPPED_FOLDERS = frozenset(("__pycache__", "site-packages", "dist-packages"))
GROFF = ("groff", "-k", "-t", "-mandoc", "-Tutf8", "-rLL=78n", "-rHY=0", "-P-cbou")
MANDOC = ("mandoc", "-T", "utf8")
_TERMINAL = re.compile(r".\x08|\x1b\[[0-9;]*[A-Za-z]")

# What stands in `License` and in classifiers, in lower case. "BSD License" is missing: it does not say which.
SPDX = {
    "apache 2.0": "Apache-2.0",
    "apache 2.0 license": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}
_ID = r"(?:(?:[A-Za-z]+-)+\d[\w.+-]*|MIT|ISC|Zlib|HPND|Unlicense)"
_EXPRESSION = re.compile(rf"{_ID}(?: (?:AND|OR) {_ID})*", re.ASCII)


class Origin(NamedTuple):
    """Where a document comes from; None where nobody says."""

    repo: str | None
    revision: str | None
    license: str | None


class Candidate(NamedTuple):
    """A file that may become a document. `kind` is what its likes are counted by: a suffix, or a manual section."""

    shown: str
    root: Path
    path: str  # below root
    kind: str
    origin: Origin

    @property
    def file(self) -> Path:
        return self.root / self.path


class Document(NamedTuple):
    """One line of output."""

    content: str
    path: str
    origin: Origin


class Package(NamedTuple):
    """An installed distribution: the folder its files lie in, their paths below it, and its description."""

    origin: Origin
    root: Path
    files: list[str]
    description: str


def collect(out: Path, *, max_bytes: int, say: Callable[[str], None] = print) -> dict[str, int]:
    """Write every source below `out`, at most `max_bytes` of content in each pool; return how many each got."""
    out.mkdir(parents=True, exist_ok=True)
    packages = installed()
    prose = keyed_order("documentation", [*_package_files(packages, prose=True), *_system_files(prose=True)])
    code: dict[str, tuple[float, Iterable[Document]]] = {  # share of the pool's bytes; the last takes what is left
        "stdlib": (0.25, _read(keyed_order("stdlib", _stdlib_files()))),
        "system": (0.25, _read(keyed_order("system", _system_files(prose=False)))),
        "packages": (1.0, _read(keyed_order("packages", _package_files(packages, prose=False)))),
    }
    text: dict[str, tuple[float, Iterable[Document]]] = {
        "package_descriptions": (0.2, _descriptions(packages)),
        "manuals": (0.3, manuals(n_pages=min(N_MANUALS, max_bytes // 20_000), say=say)),
        "documentation": (0.3, _read(prose)),
        "docstrings": (1.0, docstrings(packages, n_bytes=min(MAX_PARSED_BYTES, 3 * max_bytes))),
    }
    n_docs = {}
    for pool, sources in (("code", code), ("text", text)):
        left = max_bytes
        for source, (share, documents) in sources.items():
            chosen, n_bytes = _take(documents, n_bytes=min(left, int(share * max_bytes)))
            write(out, source, sorted(chosen, key=lambda d: (d.path, d.origin.repo or "")))
            left -= n_bytes
            n_docs[source] = len(chosen)
            say(f"  {pool}  {source:<22}{len(chosen):>7,} documents  {n_bytes / 1e6:>6.1f} MB")
    return n_docs


def _take(documents: Iterable[Document], *, n_bytes: int) -> tuple[list[Document], int]:
    """Documents from the front until the next one would not fit any more."""
    chosen, used = [], 0
    for document in documents:
        size = len(document.content.encode("utf-8"))
        if used + size > n_bytes:
            break
        chosen.append(document)
        used += size
    return chosen, used


def write(out: Path, source: str, documents: list[Document]) -> None:
    """Write SOURCE-00.jsonl.zst and so on; an empty source gets one file without rows. Parts of an older run go."""
    for old in out.glob(f"{source}-[0-9][0-9].jsonl.zst"):
        old.unlink()
    parts: list[list[bytes]] = [[]]
    size = 0
    for document in documents:
        row = {"content": document.content, "path": document.path, **document.origin._asdict()}
        line = json.dumps(row, ensure_ascii=False).encode("utf-8") + b"\n"
        if parts[-1] and size + len(line) > PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(line)
        size += len(line)
    for i, lines in enumerate(parts):
        packed = zstandard.ZstdCompressor(level=3).compress(b"".join(lines))
        (out / f"{source}-{i:02}.jsonl.zst").write_bytes(packed)


def keyed_order(source: str, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Shuffle by a hash of source and path. A kind with n files is thinned out to the square root of n, so the few
    stylesheets come before the ten-thousandth header."""
    shuffled = sorted(candidates, key=lambda c: hashlib.blake2b(f"{source}\0{c.shown}".encode()).digest())
    totals = Counter(c.kind for c in shuffled)
    place = {kind: count(1) for kind in totals}
    return sorted(shuffled, key=lambda c: next(place[c.kind]) / math.sqrt(totals[c.kind]))


def _read(candidates: Iterable[Candidate]) -> Iterator[Document]:
    """Candidates that turn out to be text."""
    for candidate in candidates:
        if (text := read_text(candidate.file)) is not None:
            yield Document(text, candidate.shown.removesuffix(".gz"), candidate.origin)


def read_text(file: Path) -> str | None:
    """A text file, unpacked if it ends in .gz. None: not text, empty, longer than MAX_FILE_BYTES, or not readable."""
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
            raw = opened.read(MAX_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        return None
    if not raw.strip() or len(raw) > MAX_FILE_BYTES or b"\0" in raw:
        return None
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1") if not re.search(rb"[\x01-\x07\x0e-\x1a\x7f-\x9f]", raw) else None


def installed() -> list[Package]:
    """Every installed distribution but this project, by name. Scripts and data outside site-packages are left out."""
    found: dict[str, Package] = {}
    for distribution in distributions():
        text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO") or ""
        metadata = message_from_string(text)
        name, version = metadata["Name"], metadata["Version"]
        if not name or name.lower() == OWN_NAME or name in found:
            continue
        description = text.partition("\n\n")[2] or metadata["Description"] or ""
        files = [path for path in map(str, distribution.files or ()) if not path.startswith("..")]
        origin, root = Origin(name, version, spdx(metadata)), Path(str(distribution.locate_file("")))
        found[name] = Package(origin, root, files, description)
    return [found[name] for name in sorted(found)]


def spdx(metadata: Message) -> str | None:
    """The licence as an SPDX expression where the metadata are clear about it."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    field = (metadata["License"] or "").strip()
    if field.lower() in SPDX or _EXPRESSION.fullmatch(field):
        return SPDX.get(field.lower(), str(field))
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or () if c.startswith("License ::")]
    return SPDX.get(classifiers[0].lower()) if len(classifiers) == 1 else None


def _suffix(path: str) -> str:
    stem, _, end = path.removesuffix(".gz").rpartition("/")[2].rpartition(".")
    return "." + end.lower() if stem else ""


def _is_prose(path: str) -> bool:
    name = path.rpartition("/")[2].upper().removesuffix(".GZ")
    return _suffix(path) in PROSE_SUFFIXES or name.removesuffix(".DEBIAN") in PROSE_NAMES


def _candidate(path: str, root: Path, *, origin: Origin) -> Candidate | None:
    """None for a file that is no input by its name. Files without a suffix are counted by their whole name."""
    name, suffix = path.rpartition("/")[2], _suffix(path)
    if suffix in SKIPPED_SUFFIXES or name.lower().startswith(SKIPPED_NAMES) or not path.isprintable():
        return None
    if not SKIPPED_FOLDERS.isdisjoint(path.split("/")) or ".dist-info/" in path or "/licenses/" in path:
        return None
    return Candidate(path, root, path, suffix or name, origin)


def _package_files(packages: list[Package], *, prose: bool) -> Iterator[Candidate]:
    for package in packages:
        for path in package.files:
            if _is_prose(path) == prose and (found := _candidate(path, package.root, origin=package.origin)):
                yield found


def _stdlib_files() -> Iterator[Candidate]:
    origin = Origin("cpython", ".".join(map(str, sys.version_info[:3])), "PSF-2.0")
    for key, prefix in (("stdlib", "Lib"), ("include", "Include")):
        root = Path(sysconfig.get_path(key))
        for path in _walk(root):
            if not _is_prose(path) and (found := _candidate(path, root, origin=origin)):
                yield found._replace(shown=f"{prefix}/{path}")


def _system_files(*, prose: bool) -> Iterator[Candidate]:
    """Files of one folder for each package below /usr/share/doc."""
    versions = _system_versions()
    for path in _walk(SYSTEM_DOC):
        package = path.partition("/")[0]
        origin = Origin(f"system/{package}", versions.get(package), None)
        wanted = _is_prose(path) if prose else _suffix(path) in SYSTEM_SUFFIXES
        if wanted and (found := _candidate(path, SYSTEM_DOC, origin=origin)):
            yield found


def _system_versions() -> dict[str, str]:
    """Package -> version where the machine keeps Debian's list."""
    text = DPKG_STATUS.read_text(encoding="utf-8", errors="replace") if DPKG_STATUS.is_file() else ""
    return dict(re.findall(r"^Package: (\S+)$(?:\n.+)*?\nVersion: (\S+)$", text, re.MULTILINE))


def _walk(root: Path) -> Iterator[str]:
    """Paths of the regular files below `root`; links are not followed."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED_FOLDERS)
        inner = Path(folder).relative_to(root).as_posix()
        for name in sorted(names):
            if stat.S_ISREG(os.lstat(f"{folder}/{name}").st_mode):
                yield name if inner == "." else f"{inner}/{name}"


def _descriptions(packages: list[Package]) -> Iterator[Document]:
    for package in packages:
        if package.description.strip():
            yield Document(package.description, f"{package.origin.repo}/description", package.origin)


def manuals(*, n_pages: int, say: Callable[[str], None]) -> Iterator[Document]:
    """Manual pages as plain text; none where the machine has no pages or no program that renders them."""
    command = next((c for c in (GROFF, MANDOC) if shutil.which(c[0])), None)
    paths = [path for path in _walk(SYSTEM_MAN) if re.search(r"\.[1-9]\w*(\.gz)?$", path) and path.isprintable()]
    if command is None or not paths:
        say(f"  no manuals: {len(paths):,} pages below {SYSTEM_MAN}, renderer: {command[0] if command else 'none'}")
        return
    origin = Origin("system/manuals", None, None)
    pages = [Candidate(path, SYSTEM_MAN, path, path.rpartition("/")[0], origin) for path in paths]
    chosen = keyed_order("manuals", pages)[:n_pages]
    with ThreadPoolExecutor(WORKERS) as workers:
        for page, text in zip(chosen, workers.map(lambda p: render(p.file, command=command), chosen), strict=True):
            if text is not None:
                yield Document(text, page.path.removesuffix(".gz") + ".txt", origin)


def render(file: Path, *, command: tuple[str, ...]) -> str | None:
    """One manual page as a terminal of 78 columns shows it; None for a reference to another page and for failures."""
    source = read_text(file)
    if source is None or source.lstrip().startswith(".so "):
        return None
    try:  # a fixed command; groff is in its safer mode by itself
        raw = source.encode("utf-8")
        done = subprocess.run(command, input=raw, capture_output=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = _TERMINAL.sub("", done.stdout.decode("utf-8", "replace"))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n" if text.strip() else None


def docstrings(packages: list[Package], *, n_bytes: int) -> Iterator[Document]:
    """One document for each Python file whose docstrings are long enough, from `n_bytes` of source."""
    modules = [c for c in _package_files(packages, prose=False) if c.kind == ".py"]
    there = [module for module in keyed_order("docstrings", modules) if module.file.is_file()]
    ends = accumulate(module.file.stat().st_size for module in there)
    chosen = [module for module, end in zip(there, ends, strict=True) if end <= n_bytes]
    with ProcessPoolExecutor(WORKERS) as workers:
        found = workers.map(module_docs, [c.file for c in chosen], chunksize=32)
        for candidate, text in zip(chosen, found, strict=True):
            if text is not None:
                yield Document(text, candidate.path.removesuffix(".py") + ".txt", candidate.origin)


def module_docs(file: Path) -> str | None:
    """The docstrings of a Python file in order, each below the name of what it describes; None if they are short."""
    source = read_text(file)
    if source is None or '"""' not in source:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's strings
            module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    text = "\n\n".join(_docs(module, name="")).encode("utf-8", "ignore").decode("utf-8")  # literals may hold surrogates
    return text + "\n" if len(text) >= MIN_DOCSTRING_CHARS else None


def _docs(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, *, name: str) -> Iterator[str]:
    if doc := ast.get_docstring(node):
        yield f"{name}\n\n{doc}" if name else doc
    for child in node.body:
        if isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and child.name[0] != "_":
            yield from _docs(child, name=f"{name}.{child.name}" if name else child.name)


@click.command()
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the JSON lines files.")
@click.option("--max-mb", default=24.0, show_default=True, help="Content in each pool, in megabytes.")
def main(out: Path, max_mb: float) -> None:
    """Collect the demo's input from this machine."""
    began = time.monotonic()
    n_docs = sum(collect(out, max_bytes=int(max_mb * 1e6)).values())
    click.echo(f"  {n_docs:,} documents in {time.monotonic() - began:.0f} s into {out}")


if __name__ == "__main__":
    main()
