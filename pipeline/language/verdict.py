"""Which language a document is in, and why: rules on the path first, content where the path leaves a choice or lies.

The order, the first that decides wins:

    hint         the source says that everything in it is prose
    override     the mixture says so, for this source or path
    label        the source carries a language for each document
    filename     the full name belongs to one language
    extension    the longest known extension belongs to one language
                 several candidates, or none:
    shebang      the interpreter's language
    modeline     an editor's mode in the first or last lines
    heuristic    linguist's patterns for this extension (a modeline outside the candidates comes after them)
    signature    an opening that only one language has
    prose        no candidates, and the content reads as a natural language
    classifier   the likeliest of the candidates, or of all classes
    popularity   the likeliest candidate of the path
    none         no candidates, and the classifier is unsure: "Unknown"

The content has the last word on the pool: running text under a programming language's name is prose, and a plain text
file that the classifier is sure about is code. `docs/languages.md` has a section for each rule.

Confidence is the classifier's probability for its own verdicts, else the share of right verdicts that the rule had on
labelled files (CONFIDENCE). Markdown, HTML and other formats of prose are code here, as in the paper's mixture; only
plain prose, language "Text", belongs to the text pool.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.language import kinds
from pipeline.language.classes import CLASSES, OTHER, class_of
from pipeline.language.path import Candidates
from pipeline.language.prose import is_markdown, is_prose, is_wide
from pipeline.language.rules import MAX_HEAD_BYTES, Open, by_path_cached, by_rules
from pipeline.language.table import TEXT, UNKNOWN, alias_table, languages

CONFIDENCE = {
    "hint": 1.0,
    "override": 1.0,
    "label": 1.0,
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
MIN_CONFIDENCE = 0.15
BATCH = 1_024  # documents that the classifier scores at once
SURE = 0.8  # probability at which the content overrules a plain text file's name
MIN_TEXT = 0.5  # probability of prose for a content that the count of words and pauses does not call so
MIN_MARKUP = 0.5  # the same for a format of prose
MIN_MARKED = 0.2  # probability of Markdown at which what reads as prose counts as Markdown
MIN_DOUBT = 0.95  # probability of a programming language at which a content that reads as prose is not taken for it
MIN_PROSE = 0.98  # probability of prose against the language that the name tells: a long comment is not an essay
MIN_SHARE = 0.02  # of all probability that the candidates of a tie must hold for the classifier to be believed

ClassifierName = Literal["loopmix", "guesslang"]


Floats = NDArray[np.float32]


class Verdict(NamedTuple):
    """One document's language. `language` is linguist's name, "Text" for plain prose, or "Unknown". `runner_up` is
    the second likeliest class where the classifier was asked. `content_kind` is what the bytes look like."""

    pool: str
    language: str
    confidence: float
    decided_by: str
    runner_up: str | None = None
    runner_up_confidence: float | None = None
    content_kind: str = "code"


class Options(NamedTuple):
    """What a mixture may set. `renamed` maps language names after the verdict, as in {"Batchfile": "Shell"}."""

    min_confidence: float = MIN_CONFIDENCE
    max_scan_bytes: int = MAX_HEAD_BYTES
    classifier: ClassifierName = "loopmix"
    renamed: Mapping[str, str] = {}


class Told(NamedTuple):
    """What is known of a document beside its path and content: `pool` "auto", "code" or "text"; a `language` that the
    mixture (`decided_by` "override") or the source ("label") gives it, or an empty text."""

    pool: str = "auto"
    language: str = ""
    decided_by: str = "label"


class _Asked(NamedTuple):
    """A document that waits for the classifier. `standing` is the verdict unless the classifier is sure."""

    question: Open
    standing: Verdict | None


def classify_one(path: str, content: bytes, *, pool_hint: str = "auto", options: Options | None = None) -> Verdict:
    """`classify_batch` for one document."""
    return classify_batch([path], [content], pool_hints=[pool_hint], options=options)[0]


def classify_batch(
    paths: Sequence[str],
    contents: Sequence[bytes | memoryview],
    *,
    pool_hints: Sequence[str] = (),
    told: Sequence[Told] = (),
    options: Options | None = None,
) -> list[Verdict]:
    """Verdicts in the order of `paths`, each a function of its own document alone.

    A few kilobytes of each content are read: enough to see what it looks like, and for the classifier the first
    `max_scan_bytes`. Give `told`, or `pool_hints` alone. Never raises on any path or content.
    """
    options = options or Options()
    known = told or [Told(pool) for pool in pool_hints]
    looks = kinds.kinds_of(contents)
    few = len(contents) <= kinds.FEW
    verdicts: list[Verdict] = []
    waiting: list[tuple[int, _Asked]] = []
    for i, (path, content, fact, look) in enumerate(zip(paths, contents, known, looks, strict=True)):
        found = _without_classifier(by_path_cached(path), content, fact, look, options)
        if few and isinstance(found, _Asked) and found.standing and found.question.candidates:
            found = found if is_prose(found.question.head) else found.standing  # so the classifier may stay unloaded
        if isinstance(found, _Asked):
            waiting.append((i, found))
            verdicts.append(_UNKNOWN)
        else:
            verdicts.append(found)
    for start in range(0, len(waiting), BATCH):
        batch = waiting[start : start + BATCH]
        rows = _ask(options.classifier, [asked.question.head for _, asked in batch])
        for (i, asked), row, top in zip(batch, rows, _top_two(rows), strict=True):
            verdicts[i] = _by_classifier(asked, row, top, known[i].pool, looks[i], options)
    if options.renamed:
        return [v._replace(language=options.renamed.get(v.language, v.language)) for v in verdicts]
    return verdicts


_UNKNOWN = Verdict("code", UNKNOWN, 0.0, "none")


def _without_classifier(
    path: Candidates, content: bytes | memoryview, fact: Told, look: int, options: Options
) -> Verdict | _Asked:
    """The verdict of everything but the classifier, or the question to it."""
    if fact.language:
        return _verdict(language_named(fact.language), fact.pool, look, decided_by=fact.decided_by)
    if fact.pool == "text":
        return _verdict(TEXT, "text", look, decided_by="hint")
    found = by_rules(path, content, wordy=look == kinds.WORDS, max_scan_bytes=options.max_scan_bytes)
    if isinstance(found, Open):
        return _Asked(found, None)
    language, rule = found
    named = rule in ("filename", "extension", "heuristic", "popularity")
    if look == kinds.WORDS and language != TEXT and named and not is_wordy(language):
        head = bytes(content[: options.max_scan_bytes])
        standing = _verdict(language, fact.pool, look, decided_by=rule)
        if is_wide(head):  # the classifier has no words of such scripts, and no code is written in them
            return _if_prose(head, standing, fact.pool, None)
        return _Asked(Open((language, TEXT), head), standing)
    if language == TEXT and named and look in (kinds.CODE, kinds.DATA):
        head = bytes(content[: options.max_scan_bytes])
        return _Asked(Open((), head), _verdict(language, fact.pool, look, decided_by=rule))
    return _verdict(language, fact.pool, look, decided_by=rule)


@lru_cache(maxsize=4_096)
def is_wordy(language: str) -> bool:
    """True for formats of prose and markup, in which running text is nothing strange."""
    entry = languages().get(language)
    return entry is None or entry.type in ("prose", "markup")


@lru_cache(maxsize=4_096)
def language_named(name: str) -> str:
    """linguist's name for a name or alias in any case; the name itself if linguist has none."""
    return alias_table().get(name.strip().lower().replace(" ", "-"), name.strip())


def _verdict(language: str, pool: str, look: int, *, decided_by: str) -> Verdict:
    confidence = CONFIDENCE.get(decided_by, 0.0)
    return Verdict(_pool(language, pool), language, confidence, decided_by, None, None, _kind(language, look))


def _pool(language: str, pool: str) -> str:
    return pool if pool != "auto" else "text" if language == TEXT else "code"


def _kind(language: str, look: int) -> str:
    """What the content looks like. Few symbols alone do not make prose: that was asked where it mattered."""
    return "code" if look == kinds.WORDS and language not in (TEXT, UNKNOWN) else kinds.NAMES[look]


def _ask(classifier: ClassifierName, heads: list[bytes]) -> Floats:
    from pipeline.language.classifier import guesslang_alone, probabilities  # late: they load numba and the weights

    return guesslang_alone(heads) if classifier == "guesslang" else probabilities(heads)


def _if_prose(head: bytes, standing: Verdict, pool: str, confidence: float | None) -> Verdict:
    """`standing` is of a programming language by its name; here is what to say if the content is prose. A source that
    insists on code keeps the language: it is code that says nothing in it."""
    if not is_prose(head) or is_markdown(head, prose=True):
        return standing
    if pool == "code":
        return standing._replace(content_kind="prose")
    if confidence is None:
        return Verdict(_pool(TEXT, pool), TEXT, CONFIDENCE["prose"], "prose", standing.language, None, "prose")
    mine, other = round(confidence, 4), round(1 - confidence, 4)
    return Verdict(_pool(TEXT, pool), TEXT, mine, "prose", standing.language, other, "prose")


def _top_two(rows: Floats) -> list[list[int]]:
    """The columns of the largest and the second largest value of each row."""
    best = rows.argmax(axis=1)
    rest = rows.copy()
    rest[np.arange(len(rows)), best] = -1
    return np.stack((best, rest.argmax(axis=1)), axis=1).tolist()  # type: ignore[no-any-return]


def _by_classifier(asked: _Asked, row: Floats, order: list[int], pool: str, look: int, options: Options) -> Verdict:
    best, second = (CLASSES[i] for i in order)
    question, standing = asked
    if standing is not None and question.candidates:
        language, text = (float(row[CLASSES.index(name)]) for name in (class_of(standing.language), TEXT))
        share = text / (text + language) if text else 0.0
        return _if_prose(question.head, standing, pool, share) if share >= MIN_PROSE else standing
    if standing is not None:  # a plain text file: only a sure verdict for a language of code moves it
        if row[order[0]] < SURE or best in (TEXT, OTHER) or languages()[best].type == "prose":
            return standing
    elif question.candidates:
        return _among(question.candidates, row, pool, look)
    confidence, doubt = round(float(row[order[0]]), 4), round(float(row[order[1]]), 4)
    marked = second == "Markdown" and doubt >= MIN_MARKED
    if question.wordy and (best in (TEXT, OTHER) or confidence < (MIN_MARKUP if is_wordy(best) else MIN_DOUBT)):
        head = question.head
        if is_prose(head):
            marked = marked or is_markdown(head, prose=True)
            return _verdict("Markdown" if marked else TEXT, pool, look, decided_by="prose")
    if best == TEXT and marked:
        return Verdict(_pool(second, pool), second, doubt, "classifier", TEXT, confidence, _kind(second, look))
    if best == OTHER or confidence < (MIN_TEXT if best == TEXT else options.min_confidence):
        other = (second, doubt) if best == OTHER else (best, confidence)
        return Verdict(_pool(UNKNOWN, pool), UNKNOWN, 0.0, "none", *other, _kind(UNKNOWN, look))
    rule = "prose" if best == TEXT else "classifier"
    runner_up = UNKNOWN if second == OTHER else second
    return Verdict(_pool(best, pool), best, confidence, rule, runner_up, doubt, _kind(best, look))


def _among(candidates: tuple[str, ...], row: Floats, pool: str, look: int) -> Verdict:
    """The likeliest of a tie's candidates. Those without a class share the class OTHER, likeliest first."""
    values: dict[str, float] = {}
    for name in candidates:
        own = class_of(name)
        if own not in values:
            values[own] = float(row[CLASSES.index(own)])
    total = sum(values.values())
    ranked = sorted(values, key=lambda name: -values[name])
    if total < MIN_SHARE or len(ranked) < 2:
        return _verdict(candidates[0], pool, look, decided_by="popularity")
    first, second = (next(name for name in candidates if class_of(name) == own) for own in ranked[:2])
    rule = "prose" if first == TEXT else "classifier"
    mine, other = (round(values[name] / total, 4) for name in ranked[:2])
    return Verdict(_pool(first, pool), first, mine, rule, second, other, _kind(first, look))
