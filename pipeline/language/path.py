"""What a path alone says: full file name, then longest known extension. Paths are data: nothing here opens a file."""

import re
from functools import lru_cache
from typing import NamedTuple

from pipeline.language.table import extension_table, filename_table, folded_filename_table

# Additions to linguist. `Dockerfile.prod` is a Dockerfile and `config.yml.example` is YAML, where what stands behind
# the last dot is not itself a known extension.
STEMS = ("Dockerfile", "Containerfile", "Makefile", "Jenkinsfile", "Vagrantfile", "Gemfile", "README", "LICENSE")
WRAPPERS = frozenset((
    ".in", ".example", ".sample", ".dist", ".default", ".template", ".tmpl",
    ".bak", ".backup", ".orig", ".old", ".save",
))  # fmt: skip
# Upper-case `.C` and `.H` are C++ by the compilers' convention, and `.P` is XSB's Prolog, unless the whole name shouts
# as on DOS.
CASE_EXTENSIONS = {
    ".C": ("C++", "C"),
    ".H": ("C++", "C", "Objective-C"),
    ".P": ("Prolog", "Gnuplot", "OpenEdge ABL"),
}

MANPAGE = re.compile(r"\.(?:[1-9][a-z]*|0p|n|man|mdoc)(?:\.in)?\Z")
MAX_NAME_CHARS = 1_024  # file systems stop at 255; a longer name is cut in front, where it tells nothing
MAX_DOTS = 3  # no known extension has more

_SEPARATORS = re.compile(r"[/\\]")


class Candidates(NamedTuple):
    """Languages that a path allows, likeliest first; empty: the path says nothing. `extension` is in lower case."""

    languages: tuple[str, ...]
    rule: str  # "filename", "extension" or "none"
    extension: str


NOTHING = Candidates((), "none", "")


@lru_cache(maxsize=65_536)  # paths repeat across repositories: README.md, setup.py
def by_path(path: str) -> Candidates:
    """Candidates of a path. Both slashes separate folders, since paths come from Windows archives too."""
    name = _SEPARATORS.split(path[-2 * MAX_NAME_CHARS :])[-1][-MAX_NAME_CHARS:]
    if found := filename_table().get(name):
        return Candidates(found, "filename", name.lower())
    return _by_extension(name) or _by_stem(name) or _by_wrapper(name) or NOTHING


def _by_extension(name: str) -> Candidates | None:
    extension = ""
    table = extension_table()
    folded = name.lower()
    at, found = len(folded), None
    for _ in range(MAX_DOTS):
        at = folded.rfind(".", 0, at)
        if at < 0:
            break
        if candidates := table.get(folded[at:]):
            extension, found = folded[at:], candidates
    if found is None:
        return Candidates(("Roff Manpage", "Roff"), "extension", ".man") if MANPAGE.search(folded) else None
    stem, suffix = name[: -len(extension)], name[-len(extension) :]
    if suffix in CASE_EXTENSIONS and stem != stem.upper():
        return Candidates(CASE_EXTENSIONS[suffix], "extension", suffix)
    return Candidates(found, "extension", extension)


def _by_stem(name: str) -> Candidates | None:
    table = folded_filename_table()
    if found := table.get(name.lower()):
        return Candidates(found, "filename", name.lower())
    stem = name.partition(".")[0]
    if stem in STEMS and (found := table.get(stem.lower())):
        return Candidates(found, "filename", stem.lower())
    return None


def _by_wrapper(name: str) -> Candidates | None:
    """Look under one suffix such as `.in`, or under an editor's tilde."""
    inner, dot, suffix = name.rpartition(".")
    if name.endswith("~"):
        inner = name[:-1]
    elif dot + suffix.lower() not in WRAPPERS:
        return None
    if found := filename_table().get(inner):
        return Candidates(found, "filename", inner.lower())
    return _by_extension(inner)
