"""Jupyter notebooks taken apart: a script in the kernel's language, with what is said between its cells as comments.

As JSON a notebook is mostly quotes, escapes and outputs, which no rule about programs fits. Formats after nbformat's
own description: version 4 has `cells`, versions 2 and 3 have `worksheets` with cells in each.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from pipeline.sources.magics import is_cell_magic, without_magics

MADE_FROM = "ipynb"
# What a source may call a notebook; such a label is not true of the script that it becomes.
_LABELS = frozenset(("ipynb", "ipython notebook", "jupyter", "jupyter notebook", "json", "notebook"))
_MARKDOWN = "Markdown"

# What kernels call their language, or themselves -> linguist's name and the sign of a comment that ends with its line.
# A language without such a sign is not here: its notebooks stay as they are.
_OTHER_NAMES = {
    "bash": "Shell", "cling": "C++", "gnu octave": "MATLAB", "ijavascript": "JavaScript", "ipython": "Python",
    "ir": "R", "node": "JavaScript", "nodejs": "JavaScript", "octave": "MATLAB", "pyspark": "Python",
    "sagemath": "Sage", "spark": "Scala", "sparkr": "R", "xcpp": "C++", "xpython": "Python",
}  # fmt: skip
_SIGNS = {
    "#": (
        "Crystal", "Elixir", "GAP", "Gnuplot", "Julia", "Nim", "Perl", "PowerShell", "Python", "R", "Raku", "Ruby",
        "SPARQL", "Sage", "Shell", "Tcl",
    ),
    "//": (
        "C", "C#", "C++", "Dart", "F#", "Go", "Groovy", "Java", "JavaScript", "Kotlin", "Q#", "Rust", "Scala", "Stata",
        "Swift", "TypeScript",
    ),
    "--": ("Haskell", "Lua", "SQL"),
    "%": ("Erlang", "MATLAB", "Prolog"),
    ";": ("Clojure", "Common Lisp", "Racket", "Scheme"),
    "!": ("Fortran",),
}  # fmt: skip
COMMENT_SIGNS = {language: sign for sign, languages in _SIGNS.items() for language in languages}
_NAMED = {name.lower(): name for name in COMMENT_SIGNS} | _OTHER_NAMES
_IPYTHON = frozenset(("Python", "Sage"))
# Kernels of the languages of // have magics of one line too (%use, %maven, %%), and there % begins no statement.
_OTHER_MAGIC = re.compile(r"^(?=%[A-Za-z%])", re.MULTILINE)
_VERSION = re.compile(r"[-_ .]*\d[\d.]*(?:[-_ ].*)?\Z")  # python3, c++17, julia-1.9
_MAX_NAME_CHARS = 100  # no language has a longer name, and _VERSION needs time with the square of it
# A picture that is written into prose is an attachment too; a shorter one is an example of how to write one.
_EMBEDDED = re.compile(r"(data:[\w.+/-]{1,100};base64,)[A-Za-z0-9+/=]{200,}")
# What JSON may do besides being wrong: bytes that are no text, nesting beyond the parser's depth.
_BROKEN = (ValueError, RecursionError)


class Script(NamedTuple):
    """`content` is UTF-8 with LF line ends; `language` is linguist's name."""

    content: bytes
    language: str


class _Cell(NamedTuple):
    is_code: bool
    text: str


def is_notebook_label(label: str | None) -> bool:
    """Whether a source's name of the language means the notebook, not what is in it."""
    return label is not None and label.strip().lower().replace("-", " ").replace("_", " ") in _LABELS


def take_apart(content: bytes, *, max_bytes: int) -> Script | None:
    """The script of a notebook; None for what is no sound notebook, says nothing, speaks an unknown language, or
    would be longer than `max_bytes` (comment signs add to it).

    Cells in order with a blank line between them: code as it is but for magics, all other text as comments, without
    outputs and attachments. Without any code it is its text, in Markdown. A notebook that names no language is Python.
    """
    try:
        notebook = json.loads(content.decode("utf-8-sig"), parse_int=float)  # float: of any length
        cells = [cell for cell in _cells(notebook) if cell.text]
        language = _language(notebook)
        if not cells or language is None:
            return None
        script = _script(cells, language).encode()
    except _BROKEN:
        return None
    return Script(script, language if _has_code(cells) else _MARKDOWN) if len(script) <= max_bytes else None


def _has_code(cells: list[_Cell]) -> bool:
    return any(cell.is_code for cell in cells)


def _script(cells: list[_Cell], language: str) -> str:
    if not _has_code(cells):
        return "\n\n".join(cell.text for cell in cells) + "\n"
    sign = COMMENT_SIGNS[language]
    parts = [_code(cell.text, language) if cell.is_code else _commented(cell.text, sign) for cell in cells]
    return "\n\n".join(parts) + "\n"


def _code(code: str, language: str) -> str:
    sign = COMMENT_SIGNS[language]
    if sign != "%" and is_cell_magic(code):  # where % is the sign, a section's title begins with %%
        return _commented(code, sign)
    if language in _IPYTHON:
        return without_magics(code)
    return _OTHER_MAGIC.sub("// ", code) if sign == "//" else code


def _commented(text: str, sign: str) -> str:
    """Every line, also those that end with a sign which only some languages take for a line's end."""
    return "\n".join(f"{sign} {line}".rstrip() for line in text.splitlines())


def _cells(notebook: Any) -> list[_Cell]:
    """All cells in order. ValueError where the form of a notebook is broken."""
    return [_cell(one) for one in _raw_cells(notebook)]


def _raw_cells(notebook: Any) -> Iterator[dict[str, Any]]:
    holders = [notebook] if "cells" in _mapping(notebook) else notebook.get("worksheets")
    for holder in _list(holders):
        for cell in _list(_mapping(holder).get("cells")):
            yield _mapping(cell)


def _cell(cell: dict[str, Any]) -> _Cell:
    kind = cell.get("cell_type")
    if not isinstance(kind, str):
        raise ValueError("a cell without its type")
    is_code = kind == "code"
    text = _text(cell.get("source", cell.get("input", "")))
    if is_code:
        return _Cell(is_code, text)
    if kind == "heading":  # of version 3
        level = cell.get("level")
        text = f"{'#' * (int(level) if level in (2, 3, 4, 5, 6) else 1)} {text}"
    return _Cell(is_code, _EMBEDDED.sub(r"\1", text))


def _text(source: Any) -> str:
    """One text, from a text or a list of its lines, without blank lines around it. Version 2 has lines without ends."""
    parts = source if isinstance(source, list) else [source]
    if not all(isinstance(part, str) for part in parts):
        raise ValueError("a source that is no text")
    text = (
        ("" if any(part.endswith("\n") for part in parts) else "\n")
        .join(parts)
        .replace("\r\n", "\n")
        .replace("\r", "\n")
        .rstrip()
    )
    return re.sub(r"\A(?:[^\S\n]*\n)+", "", text)


def _language(notebook: dict[str, Any]) -> str | None:
    """linguist's name of what the kernel speaks; None if all that is said of it is unknown."""
    said = [name for name in _declared(notebook) if name]
    known = (_named(name) for name in said)
    found = next((name for name in known if name), None)
    return found if found or said else _named(_kernel(notebook)) or "Python"


def _declared(notebook: dict[str, Any]) -> Iterator[str]:
    """Names of the language, surest first. Version 3 has it in each cell."""
    metadata = notebook.get("metadata")
    for key, field in (("kernelspec", "language"), ("language_info", "name"), ("jupytext", "main_language")):
        yield _string(_get(_get(metadata, key), field))
    yield _string(_get(metadata, "language"))
    yield next((name for cell in _raw_cells(notebook) if (name := _string(cell.get("language")))), "")


def _kernel(notebook: dict[str, Any]) -> str:
    """The kernel's own name, which is any word its user likes: where it is unknown it says nothing."""
    return _string(_get(_get(notebook.get("metadata"), "kernelspec"), "name"))


def _named(name: str) -> str | None:
    folded = name[:_MAX_NAME_CHARS].strip().lower()
    return _NAMED.get(folded) or _NAMED.get(_VERSION.sub("", folded))


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("no mapping where a notebook has one")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("no list where a notebook has one")
    return value
