# ruff: noqa: RUF001 (signs that look like others are the subject)
"""How likely a text is in each of LANGUAGES, by character trigrams. What a legacy encoding is judged by.

A text is cut into words, runs of letters of one script. A word costs -log P(letters, end) in nats, by an interpolated
trigram model (Witten and Bell 1991) of its language; letters are folded to lower case and the pattern of capitals is
paid for apart. The tables are hashes of trigrams and one byte of cost each, learned by `jobs/train_spelling.py`: no
text. Signs that are no letters have fixed costs, the same in all languages.
"""

import math
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.arrays.compiled import compiled, inlined

_LATIN_LANGUAGES = "en fr de es pt it nl sv da nb fi is ca cs sk pl hu hr sl ro sq tr lt lv et vi"
_OTHER_LANGUAGES = "ru uk be bg sr mk el he ar fa th zhs zht ja ko"  # zhs, zht: Chinese, simplified and traditional
LANGUAGES = (*_LATIN_LANGUAGES.split(), *_OTHER_LANGUAGES.split())
COST_STEPS = 16  # a nat; costs are bytes, so the dearest is 15.9 nats
UNIGRAM, BIGRAM, TRIGRAM, BACK_TO_UNIGRAM, BACK_TO_BIGRAM = range(5)  # kinds of entries
_DATA = Path(__file__).parent / "data" / "spelling.npz"
_BUCKET_BITS = 18  # some two entries a bucket
_KNOWN_BITS = 14  # places of `KnownCosts`: a quarter of a megabyte, which the second cache of a core holds

SPACE, LATIN, GREEK, CYRILLIC, HEBREW, ARABIC, THAI, EAST_ASIAN, OTHER_LETTER, SYMBOL = range(10)
_SCRIPTS = (
    (0x00C0, 0x0250, LATIN), (0x1E00, 0x1F00, LATIN), (0x0370, 0x0400, GREEK), (0x0400, 0x0530, CYRILLIC),
    (0x0590, 0x0600, HEBREW), (0x0600, 0x0700, ARABIC), (0x0E00, 0x0E80, THAI),
    (0x1100, 0x1200, EAST_ASIAN), (0x3000, 0x3100, EAST_ASIAN), (0x3130, 0x3190, EAST_ASIAN),
    (0x3400, 0xA000, EAST_ASIAN),
    (0xAC00, 0xD7A4, EAST_ASIAN), (0xF900, 0xFB00, EAST_ASIAN), (0xFF01, 0xFFEF, EAST_ASIAN),
)  # fmt: skip
# Costs of signs in nats, by how often they stand in code of some 90 languages that is UTF-8.
_SIGNS = {
    3.0: "©",  # rights comments
    4.0: "’“”‘–—…«»\xa0\ufeff•°€",
    6.0: "®™·§´£±×²³µ¿¡„→½ºª÷¼¾‚′″←≤≥≠",
    9.0: "¶¬¦¤¢¥¨¸¯¹‹›†‡‰ˆ˜∞√∂∑∏∫≈⇒∀∈∧∨№−",
}
_DRAWING = (0x2500, 0x25A0)  # lines and blocks of a terminal
_DRAWING_COST, _REPEATED_COST, _LOST_COST, _RARE_COST, _CONTROL_COST = 10.0, 1.0, 14.0, 12.0, 16.0
_NEXT_STROKE_COST = 3.0  # another sign of a drawing
_NO_WORD_COST = 1.5  # beside the cost of the sign itself: most of what is not ASCII is words
_BETWEEN_LETTERS = "’‘´·–—…\xad"  # signs that stand between two letters without breaking a word
_NEVER_AFTER_LETTERS = "‚„¡¿“«†‡ˆ˜"  # signs that open something or stand alone
_NEVER_ALONE = "…\xa0‚„¡¿’ˆ˜"  # signs with a word at one side at least
_MISPLACED_COST = 4.0  # any other sign between two letters, one that opens after a letter, one alone
_ONE_LETTER_COST = 7.0  # in every language: tables of letters are sentences in none
_UNSEEN_COST = 14.0  # a letter that the language does not have
_MIXED_COST = 5.0  # a letter of another script in the same word; East Asian scripts mix
_CASE_COSTS = (0.2, 2.0, 2.6, 6.0)  # lower, Title, UPPER, mIXed; as in comments
_OTHER_LANGUAGE = 0.1  # share of words that are names or loans from another language of the same encoding


class LetterCosts(NamedTuple):
    """Sorted hashes of entries, their costs, and where each bucket of the high bits begins."""

    keys: npt.NDArray[np.uint32]
    costs: npt.NDArray[np.uint8]
    starts: npt.NDArray[np.int64]


class KnownCosts(NamedTuple):
    """What letters cost that were looked up before, each at a place of its hash until another takes that place."""

    keys: npt.NDArray[np.uint64]  # language and three letters; 0: nothing yet
    costs: npt.NDArray[np.float64]


class Signs(NamedTuple):
    """Tables over the basic plane: lower case, script, cost of a sign, capital or not; where signs may not stand."""

    lower: npt.NDArray[np.uint16]
    script: npt.NDArray[np.uint8]
    cost: npt.NDArray[np.float64]
    is_capital: npt.NDArray[np.bool_]
    joins: npt.NDArray[np.bool_]
    opens: npt.NDArray[np.bool_]
    leans: npt.NDArray[np.bool_]


@cache
def model() -> LetterCosts:
    """Read once, where the first text in a legacy encoding is met."""
    with np.load(_DATA, allow_pickle=False) as saved:
        keys, costs = np.cumsum(saved["gaps"], dtype=np.uint32), saved["costs"]
    starts = np.searchsorted(keys >> (32 - _BUCKET_BITS), np.arange((1 << _BUCKET_BITS) + 1))
    return LetterCosts(keys, costs, starts)


@cache
def signs() -> Signs:
    """What each character of the basic plane is."""
    n = 0x10000
    flags = [np.zeros(n, dtype=bool) for _ in range(4)]
    tables = Signs(np.arange(n, dtype=np.uint16), np.zeros(n, np.uint8), np.full(n, _RARE_COST), *flags)
    for code in range(n):
        _describe(tables, code, chr(code))
    for first, last, script in _SCRIPTS:
        letters = tables.script[first:last] == OTHER_LETTER
        tables.script[first:last][letters | (script == EAST_ASIAN)] = script
    for cost, members in _SIGNS.items():
        codes = [ord(c) for c in members]
        tables.script[codes], tables.cost[codes] = SYMBOL, cost
    for comma, cedilla in zip("ȘșȚț", "şşţţ", strict=True):  # Romanian is written with either, old encodings have one
        tables.lower[ord(comma)] = ord(cedilla)
    tables.cost[_DRAWING[0] : _DRAWING[1]] = _DRAWING_COST
    tables.cost[0xFFFD] = _LOST_COST
    for flag, members in zip(flags[1:], (_BETWEEN_LETTERS, _NEVER_AFTER_LETTERS, _NEVER_ALONE), strict=True):
        flag[[ord(c) for c in members]] = True
    return tables


def _describe(tables: Signs, code: int, sign: str) -> None:
    if code < 0x80:
        tables.script[code] = LATIN if sign.isalpha() else SPACE
    elif unicodedata.category(sign)[0] in "LM":
        tables.script[code] = OTHER_LETTER
    else:
        tables.script[code] = SYMBOL
        if unicodedata.category(sign)[0] == "C":
            tables.cost[code] = _CONTROL_COST
    lower = sign.lower()
    if len(lower) == 1 and ord(lower) < 0x10000:
        tables.lower[code] = ord(lower)
        tables.is_capital[code] = lower != sign


def nothing_known() -> KnownCosts:
    """To be handed to `costs_of` for one text in many encodings, in which its ASCII words are the same. Its own, so
    that threads have none in common."""
    return KnownCosts(np.zeros(1 << _KNOWN_BITS, np.uint64), np.zeros(1 << _KNOWN_BITS))


def costs_of(
    text: str, *, languages: list[int], limit: float, known: KnownCosts | None = None
) -> npt.NDArray[np.float64]:
    """-log P(text) in nats under each of `languages` (indices into LANGUAGES); English words may stand in any.

    Once all are above `limit`, they are infinite: no more is read than it takes to be sure.
    """
    codes = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), dtype=np.uint32)
    codes = np.where(codes < 0x10000, codes, 0xE000).astype(np.uint16)  # beyond the basic plane: one rare sign
    numbers = np.array([0, *languages], dtype=np.int64)
    totals: npt.NDArray[np.float64] = _costs(codes, numbers, *model(), *(known or nothing_known()), *signs(), limit)
    return totals[1:]


@compiled
def key_of(language: int, kind: int, a: int, b: int, c: int) -> Any:
    """A 32-bit hash of one entry."""
    h = np.uint64(language * 8 + kind) * np.uint64(0x9E3779B97F4A7C15)
    h ^= (np.uint64(a) << np.uint64(32)) ^ (np.uint64(b) << np.uint64(16)) ^ np.uint64(c)
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.uint32((h ^ (h >> np.uint64(31))) & np.uint64(0xFFFFFFFF))


@inlined
def _look(keys: Any, costs: Any, starts: Any, key: Any) -> float:
    """The cost of an entry, or -1."""
    bucket = key >> (32 - _BUCKET_BITS)
    found = -1.0
    for i in range(starts[bucket], starts[bucket + 1]):
        if keys[i] == key:
            found = costs[i] / COST_STEPS
            break
    return found


@inlined
def _letter(keys: Any, costs: Any, starts: Any, language: int, a: int, b: int, c: int) -> float:
    """The cost of `c` after `a`, `b`; 0 stands for the edge of a word."""
    found = _look(keys, costs, starts, key_of(language, TRIGRAM, a, b, c))
    if found >= 0:
        return found
    back = max(0.0, _look(keys, costs, starts, key_of(language, BACK_TO_BIGRAM, 0, a, b)))
    found = _look(keys, costs, starts, key_of(language, BIGRAM, 0, b, c))
    if found >= 0:
        return back + found
    back += max(0.0, _look(keys, costs, starts, key_of(language, BACK_TO_UNIGRAM, 0, 0, b)))
    found = _look(keys, costs, starts, key_of(language, UNIGRAM, 0, 0, c))
    return min(_UNSEEN_COST, back + found) if found >= 0 else _UNSEEN_COST


@inlined
def _word(keys: Any, costs: Any, starts: Any, known: Any, known_costs: Any, language: int, letters: Any) -> float:
    a, b, total = 0, 0, 0.0
    for i in range(len(letters) + 1):
        c = letters[i] if i < len(letters) else 0
        # No two have one key: a letter of the basic plane has 16 bits, and English, language 0, is counted from 1.
        key = np.uint64(language + 1) << np.uint64(48) | np.uint64(a) << np.uint64(32) | np.uint64(b) << np.uint64(16)
        key |= np.uint64(c)
        at = (key * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _KNOWN_BITS)
        if known[at] != key:
            known[at], known_costs[at] = key, _letter(keys, costs, starts, language, a, b, c)
        total += known_costs[at]
        a, b = b, c
    return total


@inlined
def _case(codes: Any, is_capital: Any) -> float:
    n = 0
    for code in codes:
        n += is_capital[code]
    if n == 0:
        return _CASE_COSTS[0]
    if n == 1 and is_capital[codes[0]]:
        return _CASE_COSTS[1]
    return _CASE_COSTS[2] if n == len(codes) else _CASE_COSTS[3]


@inlined
def _sign(codes: Any, i: int, script: Any, cost: Any, joins: Any, opens: Any, leans: Any) -> float:
    """The cost of a sign, and of its place."""
    code = codes[i]
    before = script[codes[i - 1]] if i > 0 else SPACE
    after = script[codes[i + 1]] if i < len(codes) - 1 else SPACE
    if i > 0 and codes[i - 1] == code:
        return _REPEATED_COST
    if i > 0 and cost[codes[i - 1]] == cost[code] == _DRAWING_COST:
        return _NEXT_STROKE_COST
    follows, leads = LATIN <= before <= THAI, LATIN <= after <= THAI
    misplaced = (follows and leads and not joins[code]) or (follows and opens[code])
    alone = before == SPACE and after == SPACE and leans[code] and (i == 0 or codes[i - 1] <= 32)
    total: float = cost[code] + _NO_WORD_COST + (_MISPLACED_COST if misplaced or alone else 0.0)
    return total


@compiled
def _add(one: float, other: float) -> float:
    """-log of the sum of two probabilities that are given by their costs."""
    low, high = min(one, other), max(one, other)
    return low - math.log1p(math.exp(low - high))


@inlined
def _add_word(words: Any, totals: Any, is_ascii: bool) -> float:
    """Add the costs of a word, which may be English, or of another language of the same encoding; the least total."""
    n = len(words)
    lowest, mean, least = words[0], 0.0, math.inf
    for k in range(n):
        if is_ascii and k > 0:
            words[k] = math.log(2.0) + _add(words[k], words[0])
        lowest = min(lowest, words[k])
    for k in range(n):
        mean += math.exp(lowest - words[k]) / n
    other = lowest - math.log(mean * _OTHER_LANGUAGE)
    for k in range(n):
        totals[k] += _add(words[k] - math.log(1 - _OTHER_LANGUAGE), other)
        if k > 0:
            least = min(least, totals[k])
    return least


@compiled
def _costs(
    codes: Any, languages: Any, keys: Any, costs: Any, starts: Any, known: Any, known_costs: Any,
    lower: Any, script: Any, sign: Any, is_capital: Any, joins: Any, opens: Any, leans: Any,
    limit: float,
) -> Any:  # fmt: skip
    """Totals for each language; the first is English, which lends its words to all others. Above `limit`: infinite."""
    totals, words = np.zeros(len(languages)), np.zeros(len(languages))
    shared = 0.0  # what costs the same in every language
    i = 0
    while i < len(codes):
        kind = script[codes[i]]
        before = script[codes[i - 1]] if i > 0 else SPACE
        if kind in (SPACE, SYMBOL):
            shared += _sign(codes, i, script, sign, joins, opens, leans) if kind == SYMBOL else 0.0
            i += 1
            continue
        end, is_ascii = i, True
        while end < len(codes) and script[codes[end]] == kind:
            is_ascii = is_ascii and codes[end] < 0x80
            end += 1
        if LATIN <= before <= OTHER_LETTER and kind != EAST_ASIAN and before != EAST_ASIAN:
            shared += _MIXED_COST
        shared += _case(codes[i:end], is_capital) if end - i > 1 else 0.0
        letters = lower[codes[i:end]]
        for k in range(len(languages)):
            words[k] = _word(keys, costs, starts, known, known_costs, languages[k], letters)
            if len(letters) == 1 and kind != EAST_ASIAN:
                words[k] = words[k] if is_ascii else _ONE_LETTER_COST
        i = end
        if _add_word(words, totals, is_ascii) + shared > limit:
            totals[:] = math.inf
            break
    return totals + shared
