"""Which language a document is in, and why: rules on the path first, content where the path leaves a choice or lies.

The rules are tried in the order of CONFIDENCE, and the first that decides wins; `docs/languages/` has a page for each.
Shebang to signature are asked only where the path leaves several candidates or none, prose and none only without any.

The content has the last word on the pool: running text under a programming language's name is prose, and a plain text
file that the classifier is sure about is code. Markdown, HTML and other formats of prose are code here, as in the
paper's mixture; only plain prose, language "Text", belongs to the text pool.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config import Classify
from pipeline.language import kinds
from pipeline.language.classes import CLASSES, OTHER, class_of
from pipeline.language.path import Candidates, by_path
from pipeline.language.prose import is_markdown, is_prose, is_wide
from pipeline.language.rules import Open, by_rules
from pipeline.language.structure import MIN_FRAC, MIN_NAMED_FRAC, program_frac, structure_of
from pipeline.language.table import OTHER_CODE, TEXT, UNKNOWN, alias_table, languages
from pipeline.language.visible import holds_prose

# The share of right verdicts that each rule had on labelled files, rounded (docs/languages/ has them by rule); the
# classifier's own verdicts carry its calibrated probability instead. The first three are somebody's word, not doubted.
CONFIDENCE = {
    "hint": 1.0,  # the source says that everything in it is prose
    "override": 1.0,  # the mixture says so, for this source or path
    "label": 1.0,  # the source carries a language for each document
    "filename": 0.99,  # the full name belongs to one language
    "extension": 0.99,  # the longest known extension belongs to one language
    "shebang": 0.96,  # the interpreter's language
    "modeline": 0.99,  # an editor's mode in the first or last lines; outside the candidates it comes after heuristics
    "heuristic": 0.98,  # linguist's patterns for this extension
    "signature": 0.7,  # an opening that only one language has; what follows may be another (HTML with much PHP)
    "prose": 0.9,  # the content reads as a natural language
    "structure": 0.95,  # certainly code, in no language that is known here: "Other code"
    # "classifier": the likeliest of the candidates, or of all classes
    "popularity": 0.65,  # the likeliest candidate of the path
    "none": 0.0,  # no candidates, and the classifier is unsure: "Unknown"
}
# Documents that the classifier scores at once: enough to spread the cost of a call, few enough to stay in the caches.
BATCH = 1_024
# The thresholds below are plain choices: each trades one mistake against its opposite, and what they give together is
# in docs/languages/README.md, under "code or prose".
SURE = 0.8  # probability at which the content overrules a plain text file's name
MIN_TEXT = 0.5  # probability of prose for a content that the count of words and pauses does not call so
MIN_MARKUP = 0.5  # the same for a format of prose
MIN_MARKED = 0.2  # probability of Markdown at which what reads as prose counts as Markdown
MIN_DOUBT = 0.95  # probability of a programming language that beats reading as prose: COBOL reads like English
MIN_PROSE = 0.98  # probability of prose against the language of the name: a long comment is not an essay
MIN_SHARE = 0.02  # of all probability that the candidates of a tie must hold for the classifier to be believed
# Probability at which a language wins a tie that it is no candidate of: on labelled files all such verdicts were right;
# below it SuperCollider, which has no class, is taken for JavaScript.
SURE_OUTSIDE = 0.97
MIN_DOUBTED_BYTES = 100  # a shorter content says too little to speak against all candidates of its extension
MIN_CODE_BYTES = 60  # a line or two may be anything

Floats = NDArray[np.float32]


class Classification(NamedTuple):
    """One document's language. `language` is linguist's name, "Text" for plain prose, or "Unknown". `runner_up` is
    the second likeliest class where the classifier was asked. `content_kind` is what the bytes look like."""

    pool: str
    language: str
    confidence: float
    decided_by: str
    runner_up: str | None = None
    runner_up_confidence: float | None = None
    content_kind: str = "code"


class Declared(NamedTuple):
    """What others say of a document: `pool` "auto", "code" or "text"; a `language` that the mixture (`decided_by`
    "override") or the source ("label") gives it, or an empty text."""

    pool: str = "auto"
    language: str = ""
    decided_by: str = "label"


class _Asked(NamedTuple):
    """A document that waits for the classifier. `standing` is the verdict unless the classifier is sure."""

    question: Open
    standing: Classification | None
    pool: str
    look: int


def classify_one(
    path: str, content: bytes, *, declared: Declared | None = None, config: Classify | None = None
) -> Classification:
    """`classify_batch` for one document."""
    return classify_batch([path], [content], declared=[declared or Declared()], config=config)[0]


def classify_batch(
    paths: Sequence[str],
    contents: Sequence[bytes | memoryview],
    *,
    declared: Sequence[Declared] = (),
    looks: Sequence[int] | None = None,
    config: Classify | None = None,
) -> list[Classification]:
    """Verdicts in the order of `paths`, each a function of its own document alone; without `config` by its defaults.

    A few kilobytes of each content are read: enough to see what it looks like, and for the classifier the first
    `max_scan_bytes`. `declared` is empty or as long as `paths`; `looks` are the contents' kinds where they are known.
    Never raises on any path or content.
    """
    config = config or Classify()
    looks = kinds.kinds_of(contents) if looks is None else looks
    few = len(contents) <= kinds.FEW
    found: list[Classification | _Asked] = []
    for path, content, one, look in zip(paths, contents, declared or [Declared()] * len(paths), looks, strict=True):
        first = _without_classifier(by_path(path), content, one, look, config.max_scan_bytes)
        if few and isinstance(first, _Asked) and first.standing and first.question.candidates:
            first = first if is_prose(first.question.head) else first.standing  # so the classifier may stay unloaded
        found.append(first)
    answers = _by_classifier([one for one in found if isinstance(one, _Asked)], config)
    verdicts = [next(answers) if isinstance(one, _Asked) else one for one in found]
    for i, verdict in enumerate(verdicts):
        if verdict.content_kind == "code" and holds_prose(verdict.language, contents[i]):
            verdicts[i] = verdict._replace(content_kind="prose")
    renamed = {language_named(name): language_named(other) for name, other in config.merge.items()}
    return [v._replace(language=renamed.get(v.language, v.language)) for v in verdicts] if renamed else verdicts


def _without_classifier(
    path: Candidates, content: bytes | memoryview, declared: Declared, look: int, max_scan_bytes: int
) -> Classification | _Asked:
    """The verdict of everything but the classifier, or the question to it."""
    pool = declared.pool
    if declared.language:
        return _verdict(language_named(declared.language), pool, look, decided_by=declared.decided_by)
    if pool == "text":
        return _verdict(TEXT, "text", look, decided_by="hint")
    found = by_rules(path, content, wordy=look == kinds.WORDS, max_scan_bytes=max_scan_bytes)
    if isinstance(found, Open):
        return _Asked(found, None, pool, look)
    language, rule = found
    standing = _verdict(language, pool, look, decided_by=rule)
    if rule not in ("filename", "extension", "heuristic", "popularity"):
        return standing
    if look == kinds.WORDS and language != TEXT and not is_wordy(language):
        head = bytes(content[:max_scan_bytes])
        if is_wide(head):  # the classifier has no words of such scripts
            return _if_prose(head, standing, pool, None)
        return _Asked(Open((language, TEXT), head), standing, pool, look)
    if language == TEXT and look in (kinds.CODE, kinds.DATA):
        return _Asked(Open((), bytes(content[:max_scan_bytes])), standing, pool, look)
    return standing


@lru_cache(maxsize=4_096)
def is_wordy(language: str) -> bool:
    """True for formats of prose and markup, in which running text is nothing strange."""
    entry = languages().get(language)
    return entry is None or entry.type in ("prose", "markup")


@lru_cache(maxsize=4_096)
def language_named(name: str) -> str:
    """linguist's name for a name or alias in any case; the name itself if linguist has none."""
    return alias_table().get(name.strip().lower().replace(" ", "-"), name.strip())


@lru_cache(maxsize=16_384)
def _verdict(language: str, pool: str, look: int, *, decided_by: str) -> Classification:
    """A verdict with the confidence of its rule and no runner-up."""
    if pool == "auto":
        pool = "text" if language == TEXT else "code"
    # Few symbols alone do not make prose: that was asked where it mattered.
    words = look == kinds.WORDS and language not in (TEXT, UNKNOWN)
    kind = "code" if words else kinds.NAMES[look]
    return Classification(pool, language, CONFIDENCE.get(decided_by, 0.0), decided_by, content_kind=kind)


def _scored(found: Classification, confidence: float, second: str, rest: float) -> Classification:
    return found._replace(confidence=confidence, runner_up=second, runner_up_confidence=rest)


def _by_classifier(asked: list[_Asked], config: Classify) -> Iterator[Classification]:
    """Answers in the order of the questions."""
    for start in range(0, len(asked), BATCH):
        batch = asked[start : start + BATCH]
        rows = _probabilities([one.question.head for one in batch], classifier=config.classifier)
        for one, row, top in zip(batch, rows, _top_two(rows), strict=True):
            if one.question.candidates:
                yield _among(one, row, top) if one.standing is None else _or_prose(one, one.standing, row)
            elif one.standing is None or _moves_text(row[top[0]], CLASSES[top[0]]):
                yield _of_all(one, row, top, min_confidence=config.min_confidence)
            else:
                yield one.standing


def _moves_text(confidence: np.float32, best: str) -> bool:
    """Whether a plain text file is no text: only a sure verdict for a language of code moves it."""
    return bool(confidence >= SURE) and best != OTHER and languages()[best].type != "prose"


def _or_prose(asked: _Asked, standing: Classification, row: Floats) -> Classification:
    language, text = (float(row[CLASSES.index(name)]) for name in (class_of(standing.language), TEXT))
    share = text / (text + language) if text else 0.0
    return _if_prose(asked.question.head, standing, asked.pool, share) if share >= MIN_PROSE else standing


def _probabilities(heads: list[bytes], *, classifier: str) -> Floats:
    from pipeline.language.classifier import guesslang_alone, probabilities  # late: they load numba and the weights

    return guesslang_alone(heads) if classifier == "guesslang" else probabilities(heads)


def _top_two(rows: Floats) -> list[list[int]]:
    """The columns of the largest and the second largest value of each row."""
    best = rows.argmax(axis=1)
    rest = rows.copy()
    rest[np.arange(len(rows)), best] = -1
    return np.stack((best, rest.argmax(axis=1)), axis=1).tolist()  # type: ignore[no-any-return]


def _if_prose(head: bytes, standing: Classification, pool: str, confidence: float | None) -> Classification:
    """`standing` is of a programming language by its name; here is what to say if the content is prose. A source that
    insists on code keeps the language: it is code that says nothing in it."""
    if not is_prose(head) or structure_of(head).machine >= MIN_NAMED_FRAC or is_markdown(head, prose=True):
        return standing
    if pool == "code":
        return standing._replace(content_kind="prose")
    found = _verdict(TEXT, pool, kinds.WORDS, decided_by="prose")._replace(runner_up=standing.language)
    if confidence is None:
        return found
    return _scored(found, round(confidence, 4), standing.language, round(1 - confidence, 4))


def _of_all(asked: _Asked, row: Floats, top: list[int], *, min_confidence: float) -> Classification:
    """The likeliest of all classes, or prose, or Unknown with what it would have been as runner-up."""
    pool, look = asked.pool, asked.look
    best, second = (CLASSES[i] for i in top)
    confidence, doubt = (round(float(row[i]), 4) for i in top)
    marked = second == "Markdown" and doubt >= MIN_MARKED
    unsure = best in (TEXT, OTHER) or confidence < (MIN_MARKUP if is_wordy(best) else MIN_DOUBT)
    head = asked.question.head
    undecided = best == OTHER or confidence < (MIN_TEXT if best == TEXT else min_confidence)
    program = machine = 0.0
    if look == kinds.WORDS or best == TEXT:  # of others no more than `program` is asked, which takes half the time
        program, machine = structure_of(head) if unsure or undecided else (0.0, 0.0)
    elif undecided:
        program = program_frac(head)
    if asked.question.wordy and unsure and machine < MIN_FRAC and is_prose(head):
        marked = marked or is_markdown(head, prose=True)
        return _verdict("Markdown" if marked else TEXT, pool, look, decided_by="prose")
    if best == TEXT and marked:
        return _scored(_verdict(second, pool, look, decided_by="classifier"), doubt, TEXT, confidence)
    if undecided or (best == TEXT and machine >= MIN_FRAC):
        guess = (second, doubt) if best == OTHER else (best, confidence)
        certain = program >= MIN_FRAC and len(head) >= MIN_CODE_BYTES
        name, rule = (OTHER_CODE, "structure") if certain else (UNKNOWN, "none")
        found = _scored(_verdict(name, pool, look, decided_by=rule), CONFIDENCE[rule], *guess)
        listed = found.content_kind == "prose" and machine >= MIN_FRAC  # a log's words are few symbols, but no prose
        return found._replace(content_kind="data") if listed else found
    found = _verdict(best, pool, look, decided_by=_rule(best))
    return _scored(found, confidence, UNKNOWN if second == OTHER else second, doubt)


def _among(asked: _Asked, row: Floats, top: list[int]) -> Classification:
    """The likeliest of a tie's candidates. Those without a class share the class OTHER, likeliest first."""
    values: dict[str, float] = {}
    names: dict[str, list[str]] = {}
    for name in asked.question.candidates:
        own = class_of(name)
        names.setdefault(own, []).append(name)
        values[own] = float(row[CLASSES.index(own)])
    total = sum(values.values())
    ranked = sorted(values, key=lambda own: -values[own])
    if total < MIN_SHARE and len(asked.question.head) >= MIN_DOUBTED_BYTES:
        return _outside(asked, row, top)
    if total < MIN_SHARE or len(names[ranked[0]]) > 1 or len(ranked) < 2:
        first = asked.question.candidates[0] if total < MIN_SHARE else names[ranked[0]][0]
        return _verdict(first, asked.pool, asked.look, decided_by="popularity")  # no class tells them apart
    first, second = (names[own][0] for own in ranked[:2])
    mine, rest = (round(values[own] / total, 4) for own in ranked[:2])
    return _scored(_verdict(first, asked.pool, asked.look, decided_by=_rule(first)), mine, second, rest)


def _outside(asked: _Asked, row: Floats, top: list[int]) -> Classification:
    """A tie whose candidates the content speaks against: another language if the classifier is sure, else none.

    Where no format of prose is among them, the extension says that a machine reads it: so it is code in no language
    that is known here, unless it reads as prose."""
    pool, look, head = asked.pool, asked.look, asked.question.head
    best, confidence = CLASSES[top[0]], round(float(row[top[0]]), 4)
    types = {languages()[name].type for name in asked.question.candidates}
    if _is_program(best) and "programming" in types and confidence >= SURE_OUTSIDE:
        return _scored(
            _verdict(best, pool, look, decided_by="classifier"), confidence, asked.question.candidates[0], 0.0
        )
    certain = program_frac(head) >= MIN_FRAC or ("prose" not in types and not is_prose(head))
    name, rule = (OTHER_CODE, "structure") if certain else (UNKNOWN, "none")
    return _scored(_verdict(name, pool, look, decided_by=rule), CONFIDENCE[rule], best, confidence)


def _is_program(name: str) -> bool:
    return name != OTHER and languages()[name].type != "prose" and name not in ("Markdown", "TeX")


def _rule(language: str) -> str:
    return "prose" if language == TEXT else "classifier"
