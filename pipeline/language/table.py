"""linguist's list of languages as lookup tables. The data and their licence stand in `data/`.

Names, extensions and file names are linguist's. What is added here, and why, is marked as an addition.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal, NamedTuple

from pipeline.language.shares import PAPER_LANGUAGES

# Prose without a format of its own; no verdict; certainly code, in a language that is not listed.
TEXT, UNKNOWN, OTHER_CODE = "Text", "Unknown", "Other code"
NO_LANGUAGES = (TEXT, OTHER_CODE, UNKNOWN)  # groups of code that whoever counts its languages says apart

Type = Literal["programming", "markup", "data", "prose"]

# Addition: names that linguist leaves to its content classifier, though they are prose by convention.
TEXT_FILENAMES = (
    "README", "AUTHORS", "CHANGELOG", "CHANGES", "CONTRIBUTORS", "COPYRIGHT", "CREDITS", "HISTORY", "HACKING",
    "LICENCE", "MAINTAINERS", "NOTICE", "PATENTS", "RELEASE-NOTES", "THANKS", "TODO", "UNLICENSE", "UPGRADING",
)  # fmt: skip

# Addition: file names that linguist's list lacks.
MORE_FILENAMES = {"dune": "Dune", "dune-workspace": "Dune"}

# Addition: extensions that linguist leaves out because many tools use them; patterns tell more (`own_rules.py`).
MORE_EXTENSIONS = {
    ".conf": ("INI", "Shell", "YAML", "TOML", "HOCON", "ApacheConf", "Nginx"), ".dtd": ("XML",), ".ent": ("XML",),
}  # fmt: skip

# Addition: extensions of languages that linguist's list lacks: circuits for SPICE, Why3, resources of Windows.
OTHER_CODE_EXTENSIONS = (".cir", ".ckt", ".mlw", ".rc", ".spice", ".why")

# Addition: names that editors and Vim's own file types use in modelines but linguist does not know.
MODE_NAMES = {
    "make": "Makefile", "gmake": "Makefile", "dosbatch": "Batchfile", "dosini": "INI", "conf": "INI", "tex": "TeX",
    "latex": "TeX", "octave": "MATLAB", "cperl": "Perl", "js2": "JavaScript", "shell-script": "Shell",
    "gitconfig": "Git Config", "text": "Text", "rst": "reStructuredText",
}  # fmt: skip

# Addition: likeliest candidate where popularity in general says something else. A tie only falls this far when no rule
# and not the model could settle it.
EXTENSION_DEFAULTS = {
    ".m": "MATLAB", ".spec": "RPM Spec", ".shader": "ShaderLab", ".sls": "Salt", ".ks": "Kickstart",
    ".rsc": "RouterOS Script", ".nb": "Wolfram Language", ".mm": "Objective-C++", ".sch": "KiCad Schematic",
    ".frag": "GLSL", ".trigger": "Apex", ".scd": "SuperCollider", ".cl": "OpenCL", ".bf": "Brainfuck",
    ".bb": "BitBake", ".pro": "QMake", ".pp": "Puppet", ".x": "Linker Script", ".t": "Perl", ".ash": "KoLmafia ASH",
    ".conf": "INI", ".txt": "Text",
}  # fmt: skip


class Language(NamedTuple):
    """One entry of the list. `group` is the language that linguist's statistics count it under, mostly itself."""

    name: str
    type: Type
    group: str
    extensions: tuple[str, ...]
    filenames: tuple[str, ...]
    interpreters: tuple[str, ...]
    aliases: tuple[str, ...]


def read_json(name: str) -> Any:
    """A packaged data file."""
    return json.loads((files("pipeline.language") / "data" / name).read_text("utf-8"))


@lru_cache(maxsize=1)
def languages() -> Mapping[str, Language]:
    """All languages by name, in alphabetical order."""
    table: dict[str, Language] = {}
    for name, row in read_json("languages.json").items():
        more = tuple(extension for extension, names in MORE_EXTENSIONS.items() if name in names)
        extensions = (*row.get("extensions", ()), *more)
        lists = (tuple(row.get(key, ())) for key in ("filenames", "interpreters", "aliases"))
        table[name] = Language(name, row["type"], row.get("group", name), extensions, *lists)
    other = Language(OTHER_CODE, "programming", OTHER_CODE, OTHER_CODE_EXTENSIONS, (), (), ())
    return dict(sorted((table | {OTHER_CODE: other}).items()))


def group_of(language: str) -> str:
    """The language under which statistics count this one: TypeScript for TSX, XML for Maven POM."""
    entry = languages().get(language)
    return entry.group if entry else language


def by_popularity(names: Iterable[str]) -> tuple[str, ...]:
    """Sort by the order of PAPER_LANGUAGES (a language stands where its group stands), then by name."""
    rank = {name: i for i, name in enumerate(PAPER_LANGUAGES)}
    last = len(rank)

    def key(name: str) -> tuple[int, bool, str]:
        group = group_of(name)
        return rank.get(name, rank.get(group, last)), name != group, name

    return tuple(sorted(set(names), key=key))


@lru_cache(maxsize=1)
def extension_table() -> Mapping[str, tuple[str, ...]]:
    """Candidates of each extension, in lower case and with its dot, likeliest first."""
    table = _invert({name: language.extensions for name, language in languages().items()})
    for extension, names in table.items():
        if "XML" in names:  # a tag at the start tells XML from its rivals, so it is never the likelier guess
            table[extension] = (*(name for name in names if name != "XML"), "XML")
    for extension, default in EXTENSION_DEFAULTS.items():
        table[extension] = (default, *(name for name in table[extension] if name != default))
    return table


@lru_cache(maxsize=1)
def filename_table() -> Mapping[str, tuple[str, ...]]:
    """Candidates of each full file name, likeliest first. Case counts."""
    table = _invert({name: language.filenames for name, language in languages().items()})
    more = {name: (language,) for name, language in MORE_FILENAMES.items()}
    return table | more | dict.fromkeys(TEXT_FILENAMES, (TEXT,))


@lru_cache(maxsize=1)
def folded_filename_table() -> Mapping[str, tuple[str, ...]]:
    """As `filename_table`, names in lower case: the last resort for `dockerfile` or `Readme`."""
    first_wins = reversed(list(filename_table().items()))  # two spellings may fold to one
    return {name.lower(): candidates for name, candidates in first_wins}


@lru_cache(maxsize=1)
def interpreter_table() -> Mapping[str, tuple[str, ...]]:
    """Candidates of each interpreter, likeliest first."""
    return _invert({name: language.interpreters for name, language in languages().items()})


@lru_cache(maxsize=1)
def alias_table() -> Mapping[str, str]:
    """Language of each alias, lower case; a name is an alias of itself, with hyphens for its spaces."""
    table = {name.lower().replace(" ", "-"): name for name in languages()}
    for name, language in languages().items():
        for alias in language.aliases:
            table.setdefault(alias.lower(), name)
    for alias, name in MODE_NAMES.items():
        table.setdefault(alias, name)
    return table


def _invert(table: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    names = defaultdict(list)
    for name, values in table.items():
        for value in values:
            names[value].append(name)
    return {value: by_popularity(found) for value, found in names.items()}
