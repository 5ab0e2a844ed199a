"""Which language a document is in, and why: rules on the path first, content only where the path leaves a choice.

The order, the first that decides wins:

    hint         the source says that everything in it is prose
    filename     the full name belongs to one language
    extension    the longest known extension belongs to one language
                 several candidates, or none:
    shebang      the interpreter's language
    modeline     an editor's mode in the first or last lines
    heuristic    linguist's patterns for this extension (a modeline outside the candidates comes after them)
    signature    an opening that only one language has
    prose        no candidates, and the content reads as a natural language
    model        guesslang: among the candidates, or among all languages with `min_confidence`
    popularity   the likeliest candidate of the path
    none         no candidates, and the model is unsure: "Unknown"

Confidence is the model's probability for its own verdicts, else the share of right verdicts that the rule had on
labelled files (CONFIDENCE). Markdown, HTML and other formats of prose are code here, as in the paper's mixture; only
plain prose, language "Text", belongs to the text pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pipeline.language.guesslang import Floats, linguist_labels, scores
from pipeline.language.heuristics import by_heuristics, generic_extensions, without_rule
from pipeline.language.lines import MAX_EDGE_BYTES, by_modeline, by_shebang, by_signature, is_markup
from pipeline.language.path import Candidates, by_path
from pipeline.language.prose import is_markdown, is_prose
from pipeline.language.table import EXTENSION_DEFAULTS, TEXT, UNKNOWN

CONFIDENCE = {
    "hint": 1.0,
    "filename": 0.99,
    "extension": 0.99,
    "shebang": 0.96,
    "modeline": 0.99,
    "signature": 0.7,
    "heuristic": 0.98,
    "popularity": 0.65,
    "prose": 0.9,
    "none": 0.0,
}
MODEL_BATCH = 1_024  # documents that the model scores at once


class Verdict(NamedTuple):
    """One document's language. `language` is linguist's name, "Text" for plain prose, or "Unknown"."""

    pool: str
    language: str
    confidence: float
    decided_by: str


class _Open(NamedTuple):
    """A document that the rules leave to the model; without candidates every language is possible."""

    candidates: tuple[str, ...]
    head: bytes


def classify_one(
    path: str, content: bytes, *, pool_hint: str = "auto", min_confidence: float = 0.5, max_scan_bytes: int = 8_192
) -> Verdict:
    """`classify_batch` for one document."""
    return classify_batch(
        [path], [content], pool_hints=[pool_hint], min_confidence=min_confidence, max_scan_bytes=max_scan_bytes
    )[0]


def classify_batch(
    paths: Sequence[str],
    contents: Sequence[bytes | memoryview],
    *,
    pool_hints: Sequence[str],
    min_confidence: float = 0.5,
    max_scan_bytes: int = 8_192,
) -> list[Verdict]:
    """Verdicts in the order of `paths`, each a function of its own document alone.

    Only the first `max_scan_bytes` of a content and a kilobyte at its end are read, and those only where the path
    does not decide. Never raises on any path or content.
    """
    verdicts: list[Verdict | None] = [None] * len(paths)
    waiting: list[tuple[int, _Open]] = []
    for i, (path, content, hint) in enumerate(zip(paths, contents, pool_hints, strict=True)):
        if hint == "text":
            verdicts[i] = Verdict("text", TEXT, CONFIDENCE["hint"], "hint")
            continue
        found = _by_rules(by_path(path), content, max_scan_bytes)
        if isinstance(found, _Open):
            waiting.append((i, found))
        else:
            verdicts[i] = _verdict(found[0], hint, decided_by=found[1])
    for start in range(0, len(waiting), MODEL_BATCH):
        batch = waiting[start : start + MODEL_BATCH]
        for (i, found), row in zip(batch, scores([found.head for _, found in batch]), strict=True):
            verdicts[i] = _by_model(found, row, hint=pool_hints[i], min_confidence=min_confidence)
    return [verdict for verdict in verdicts if verdict is not None]


def _verdict(language: str, hint: str, *, decided_by: str, confidence: float | None = None) -> Verdict:
    pool = hint if hint != "auto" else "text" if language == TEXT else "code"
    return Verdict(pool, language, CONFIDENCE[decided_by] if confidence is None else confidence, decided_by)


def _by_rules(path: Candidates, content: bytes | memoryview, max_scan_bytes: int) -> tuple[str, str] | _Open:
    """A language and the rule that decided, or what is left to the model."""
    candidates, weak = path.languages, path.extension in generic_extensions()
    plain = candidates[:1] == (TEXT,)
    if len(candidates) == 1 and not plain and not weak:
        return candidates[0], path.rule
    head = bytes(content[:max_scan_bytes])
    if b"\0" in head:  # binary: its bytes tell nothing to rules made for text
        named = (
            (candidates[0], path.rule if len(candidates) == 1 else "popularity") if candidates else (UNKNOWN, "none")
        )
        return (UNKNOWN, "none") if weak else named
    if not candidates:
        return _by_content(head, content)
    if interpreters := by_shebang(head):
        return next((name for name in interpreters if name in candidates), interpreters[0]), "shebang"
    mode = by_modeline(head, bytes(content[-MAX_EDGE_BYTES:]))
    if mode and (mode in candidates or plain):
        return mode, "modeline"
    found, confirmed = by_heuristics(path.extension, head)
    if len(found) == 1:
        return found[0], "heuristic" if confirmed else path.rule
    if mode:
        return mode, "modeline"
    if weak and not found:
        return _by_content(head, content)
    candidates = tuple(name for name in candidates if name in found) or candidates
    if len(candidates) == 1:
        return candidates[0], path.rule
    if "XML" in candidates and is_markup(head):
        return "XML", "signature"
    likely = () if found or path.extension in EXTENSION_DEFAULTS else without_rule(candidates, path.extension)
    return _Open(likely + tuple(name for name in candidates if name not in (*likely, "XML")), head)


def _by_content(head: bytes, content: bytes | memoryview) -> tuple[str, str] | _Open:
    """As `_by_rules` for a document whose path says nothing, or nothing to be believed."""
    if interpreters := by_shebang(head):
        return interpreters[0], "shebang"
    if language := by_modeline(head, bytes(content[-MAX_EDGE_BYTES:])):
        return language, "modeline"
    if language := by_signature(head):
        return language, "signature"
    if not head.strip():
        return UNKNOWN, "none"
    if is_prose(head):
        return ("Markdown" if is_markdown(head, prose=True) else TEXT), "prose"
    if is_markdown(head, prose=False):
        return "Markdown", "signature"
    return _Open((), head)


@lru_cache(maxsize=1)
def _columns() -> dict[str, int]:
    """The model's column for each linguist language that it covers."""
    return {name: column for column, names in enumerate(linguist_labels()) for name in names}


def _by_model(found: _Open, row: Floats, *, hint: str, min_confidence: float) -> Verdict:
    """Among candidates the model may only choose between those that it knows, and only if they have its trust."""
    if not found.candidates:
        best = int(np.argmax(row))
        confidence = round(float(row[best]), 4)
        if confidence < min_confidence:
            return _verdict(UNKNOWN, hint, decided_by="none")
        return _verdict(linguist_labels()[best][0], hint, decided_by="model", confidence=confidence)
    columns = _columns()
    known = {name: float(row[columns[name]]) for name in reversed(found.candidates) if name in columns}
    trust = sum({columns[name]: value for name, value in known.items()}.values())
    if not known or trust < min_confidence:
        return _verdict(found.candidates[0], hint, decided_by="popularity")
    best_value = max(known.values())
    choice = next(name for name in found.candidates if known.get(name) == best_value)
    return _verdict(choice, hint, decided_by="model", confidence=round(best_value, 4))
