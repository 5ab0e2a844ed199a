"""Unmistakable openings against a rare extension: `<?xml` under an extension of a language that few have heard of.

An extension of a rare language is mostly borne by files of something else: `.tps` is a texture atlas in XML more often
than PL/SQL, `.self` a file of settings. So where a document opens as only one other language does, that one it is.
A language that has a class of the classifier's is not rare: its extension is believed.
"""

from functools import lru_cache

from pipeline.language.classes import OTHER, class_of
from pipeline.language.lines import BEFORE_OPENINGS, by_shebang, by_signature
from pipeline.language.table import group_of, languages

FIRST_BYTES = b"<{[#d-i%\\.'wW0123456789DI\xef"  # of all openings; all other documents are let pass at once

# Languages that are XML or are written into pages, besides all of type markup: an opening tag is their own.
_TAGGED = frozenset((
    "Altium Designer", "Ant Build System", "ASP.NET", "COLLADA", "Classic ASP", "ColdFusion", "ColdFusion CFC",
    "DataWeave", "Eagle", "Ecere Projects", "FreeMarker", "Genshi", "Groovy Server Pages", "Hack", "Java Server Pages",
    "JetBrains MPS", "LSL", "LabVIEW", "Lasso", "Mako", "Max", "Oxygene", "Slash", "Smarty", "StringTemplate", "TXL",
    "Unity3D Asset", "Web Ontology Language", "XPages", "XProc", "XQuery", "Xojo",
))  # fmt: skip
# Languages in which a JSON text is sound: written in it, or supersets of it.
_BRACED = frozenset((
    "Avro IDL", "Bru", "CSON", "CUE", "Common Workflow Language", "DataWeave", "Dhall", "Ecere Projects", "HOCON",
    "HCL", "JSON5", "JSONLD", "JSONiq", "Jest Snapshot", "Jsonnet", "KCL", "Max", "MiniYAML", "NEON", "OASv2-json",
    "OASv2-yaml", "OASv3-json", "OASv3-yaml", "OpenAPI Specification v2", "OpenAPI Specification v3", "Pkl", "STON",
    "Soong", "Raw token data",
))  # fmt: skip
# Dialects that another language's interpreter may run.
_RUN_BY = {"Cython": "Python", "Sage": "Python", "Starlark": "Python"}
_BRACE_OPENINGS = ("JSON", "Jupyter Notebook")
_MARKUP_OPENINGS = ("HTML", "PHP", "SVG", "XML", "XSLT")


@lru_cache(maxsize=1_024)
def is_rare(language: str) -> bool:
    """True for a language without a class: neither it nor its group is among the 103."""
    return class_of(language) == OTHER


def belied(candidates: tuple[str, ...], head: bytes, *, cut: bool) -> tuple[str, str] | None:
    """The language that `head` opens as and the rule, if none of the path's `candidates` may open so. `cut`: the
    document goes on behind `head`."""
    if head[:1] not in FIRST_BYTES and head[:1].strip():
        return None
    if head.startswith(b"#!"):
        interpreters = by_shebang(head)
        groups = {group_of(_RUN_BY.get(name, name)) for name in candidates}
        if interpreters and not groups & {group_of(name) for name in interpreters}:
            return interpreters[0], "shebang"
        return None
    start = head[:256].lstrip(BEFORE_OPENINGS)
    # What the braces of JSON may stand for here need not be parsed; behind `{\` it is Rich Text Format.
    if start[:1] in (b"{", b"[") and start[1:2] != b"\\" and any(map(_is_braced, candidates)):
        return None
    found = by_signature(head, cut=cut)
    if not found or any(_may_open_as(found, name) for name in candidates):
        return None
    return found, "signature"


@lru_cache(maxsize=1_024)
def _is_braced(language: str) -> bool:
    return all(_may_open_as(opening, language) for opening in _BRACE_OPENINGS)


def _may_open_as(opening: str, language: str) -> bool:
    """Whether a sound document of `language` may begin as `opening` does."""
    if opening == language or group_of(opening) == group_of(language):
        return True
    if opening in _MARKUP_OPENINGS:
        return language in _TAGGED or languages()[language].type in ("markup", "prose")
    if opening in _BRACE_OPENINGS:
        return language in _BRACED or class_of(language) in ("JSON", "YAML") or languages()[language].type == "markup"
    if opening == "TeX":
        return language.startswith("Literate") or languages()[language].type in ("markup", "prose")
    return opening in ("Roff Manpage", "Diff") and languages()[language].type in ("markup", "prose")
