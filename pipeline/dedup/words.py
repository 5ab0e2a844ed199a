"""Beyond ASCII: write a document down again so that a word is a run of bytes of one class.

What a word is: a run of letters, digits, marks (Unicode categories L, N, M) and `_`, of the text in NFC. Characters
that are not seen (the property Default_Ignorable_Code_Point: joiners, direction marks, soft hyphens, variation
selectors) and the tatweel, which only stretches a line, do not count at all: a word goes on across them. Runs of a
script that is written without spaces are cut where a hash of two neighbouring characters says so: after every second
character on average in Han and kana, after every fourth in Thai, Lao, Khmer, Burmese and Tibetan, which is about the
length of their words. The cuts need no dictionary and depend on two characters only, so an edit moves none but those
beside it.

The rewritten text is read by the same kernel as plain ASCII, and holds

    ASCII                as it stands
    letters, digits      as UTF-8, in small letters where these are asked for: bytes 0x80 to 0xF7
    symbols (category S) 0x7F, then seven bytes 0xF8 to 0xFF of three bits each: operators
    other visible        0x7F: it separates, and counts where visible characters are counted
    all else             a space
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any
from unicodedata import normalize

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from pipeline.arrays.columns import read_only
from pipeline.arrays.compiled import compiled, inlined

SEPARATOR, WORD, HAN, THAI, IGNORED, OPERATOR, VISIBLE = range(7)
_CUTS = np.array([0, 0, 1, 3, 0, 0, 0], np.int64)  # a word of that class ends where these bits of a hash are 0
_END = 0x30000  # the tables cover planes 0 to 2; beyond them plane 3 holds ideographs and 14 ignored characters
_SUSPECT = 255  # in the table of combining classes (which end at 240): the text may not be in NFC
_GROWTH = 4  # a two-byte symbol becomes eight bytes, and nothing grows more
_IGNORED = (
    (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x0640, 0x0640), (0x115F, 0x1160), (0x17B4, 0x17B5),
    (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
# first and last code point of scripts without spaces between words; words of a few characters, and of about four
_UNSPACED = {
    HAN: (
        (0x2E80, 0x2FDF), (0x3040, 0x30FF), (0x3100, 0x312F), (0x31A0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
        (0xA000, 0xA4CF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F),
    ),
    THAI: (
        (0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0xA9E0, 0xA9FF),
        (0xAA60, 0xAA7F),
    ),
}  # fmt: skip
# Vowels and final consonants of Hangul compose by arithmetic, so no decomposition in the database names them.
_HANGUL_PARTS = (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))
_DROPPED = re.compile("[" + "".join(f"{chr(a)}-{chr(b)}" for a, b in _IGNORED) + "]")


class _ClassOf(dict[str, int]):
    """The class of a category, worked out once for each."""

    def __missing__(self, category: str) -> int:
        if category[0] in "LMN":
            found = WORD
        elif category[0] in "ZC" and category not in ("Co", "Cn"):  # private and unassigned characters are seen
            found = SEPARATOR
        else:
            found = OPERATOR if category[0] == "S" else VISIBLE
        self[category] = found
        return found


def _small_letters(characters: list[str]) -> list[tuple[int, int]]:
    """Those that have a small letter of one character, by their place, and that."""
    pairs = enumerate(zip(characters, map(str.lower, characters), strict=True))
    return [(code, ord(small)) for code, (letter, small) in pairs if letter != small and len(small) == 1]


@lru_cache(maxsize=1)
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For every code point below 0x30000: class, small letter if that is one character, itself, combining class.

    `_SUSPECT` stands in the last for what NFC replaces or may join to the character before.
    """
    classes, small, order = np.zeros(_END, np.uint8), np.arange(_END, dtype=np.uint32), np.zeros(_END, np.uint8)
    classes[0x20000:] = HAN  # plane 2 holds nothing else
    order[0x2F800:0x2FA20] = _SUSPECT  # compatibility ideographs
    characters = list(map(chr, range(0x20000)))
    # Each step here is taken 131,072 times by every process, so it is one of C's where it can be.
    classes[:0x20000] = np.fromiter(map(_ClassOf().__getitem__, map(unicodedata.category, characters)), np.uint8)
    classes[ord("_")] = WORD
    classes[0xFFFD] = VISIBLE  # the replacement character stands where nobody knows what stood: it says nothing
    order[:0x20000] = np.fromiter(map(unicodedata.combining, characters), np.uint8)
    for code, letter in _small_letters(characters):
        small[code] = letter
    forms = map(unicodedata.decomposition, characters)
    for code, form in [(code, form) for code, form in enumerate(forms) if form and form[0] != "<"]:
        parts = form.split()
        if not unicodedata.is_normalized("NFC", chr(code)):
            order[code] = _SUSPECT
        for part in parts[1:]:
            order[int(part, 16)] = _SUSPECT
    order[list(_HANGUL_PARTS)] = _SUSPECT
    for kind, ranges in _UNSPACED.items():
        for first, last in ranges:
            span = classes[first : last + 1]
            span[span == WORD] = kind
    for first, last in _IGNORED:
        classes[first : last + 1] = IGNORED
        order[first : last + 1] = 0
    return classes, small, np.arange(_END, dtype=np.uint32), order


@inlined
def _decode(data: np.ndarray, i: int, stop: int) -> tuple[int, int]:
    """Code point and length of the UTF-8 sequence at i; what is no sequence counts as one separating byte."""
    byte = int(data[i])
    length = 1 if byte < 0xC2 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
    if length == 1 or byte > 0xF4 or i + length > stop:
        return 0, 1
    code = byte & (0xFF >> (length + 1))
    for k in range(i + 1, i + length):
        if data[k] & 0xC0 != 0x80:
            return 0, 1
        code = code << 6 | int(data[k] & 0x3F)
    # overlong forms, halves of pairs and what lies beyond Unicode are no characters
    if (length == 3 and code < 0x800) or 0xD800 <= code < 0xE000 or (length == 4 and not 0x10000 <= code < 0x110000):
        return 0, 1
    return code, length


@compiled
def _look(
    data: np.ndarray, starts: np.ndarray, stops: np.ndarray, classes: np.ndarray, order: np.ndarray, out: np.ndarray
) -> None:
    """out[d]: 0 for plain ASCII, 1 for other text in NFC, 2 for what may not be in NFC."""
    for d in range(starts.size):
        i, stop = starts[d], stops[d]
        high = np.uint8(0)
        for byte in data[i:stop]:  # a slice, because numba does many bytes at once only where no index can be negative
            high |= byte
        out[d] = high >> 7
        before = 0
        while high >= 0x80 and i < stop:
            if data[i] < 0x80:
                before = 0
                i += 1
                continue
            code, length = _decode(data, i, stop)
            i += length
            here = int(order[code]) if code < 0x30000 else 0
            if here == 255 or (here and here < before):
                out[d] = 2
                break
            if code >= 0x30000 or classes[code] != 4:
                before = here


@inlined
def _pair_hash(before: int, letter: int) -> int:
    """Some bits of two neighbouring characters."""
    h = (before * 0x9E3779B1 + letter * 0x85EBCA77) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 0x2C1B3C6D) & 0xFFFFFFFF
    return (h ^ (h >> 12)) >> 8


@inlined
def _write(text: np.ndarray, place: int, code: int) -> int:
    """Write a letter as UTF-8; return the place behind it."""
    if code < 0x80:
        text[place] = code
        return place + 1
    n = 2 if code < 0x800 else 3 if code < 0x10000 else 4
    for k in range(n - 1, 0, -1):
        text[place + k] = 0x80 | code & 0x3F
        code >>= 6
    text[place] = (0xF00 >> n) & 0xFF | code
    return place + n


@inlined
def _write_symbol(text: np.ndarray, place: int, code: int) -> int:
    text[place] = 0x7F
    for k in range(7):
        text[place + 1 + k] = 0xF8 | code >> (18 - 3 * k) & 7
    return place + 8


@intrinsic
def _copy8(typing_context: Any, data: Any, i: Any, text: Any, place: Any) -> Any:
    """Copy eight bytes of one uint8 array into another; returns them as one little-endian word. The caller keeps inside
    both arrays."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (
            builder.bitcast(
                builder.gep(context.make_array(kind)(context, builder, array).data, [at]), ir.IntType(64).as_pointer()
            )
            for kind, array, at in (
                (signature.args[0], arguments[0], arguments[1]),
                (signature.args[2], arguments[2], arguments[3]),
            )
        )
        word = builder.load(source)
        word.align = 1
        builder.store(word, target).align = 1
        return word

    return types.uint64(data, types.int64, text, types.int64), generate


@inlined
def _copy_ascii(data: np.ndarray, i: int, stop: int, text: np.ndarray, place: int) -> int:
    """Copy the bytes below 0x80 at `i` to `text`, which has eight places more than it needs; returns how many."""
    first = i
    while i + 8 <= stop:
        high = _copy8(data, i, text, place) & np.uint64(0x8080808080808080)
        if high:
            # what was copied behind the last of them is written over
            while not high & np.uint64(0x80):
                high >>= np.uint64(8)
                i += 1
            return i - first
        i += 8
        place += 8
    while i < stop and data[i] < 0x80:
        text[place] = data[i]
        place += 1
        i += 1
    return i - first


@compiled
def _rewrite(
    data: np.ndarray,
    start: int,
    stop: int,
    tables: tuple[np.ndarray, np.ndarray],
    cuts: np.ndarray,
    text: np.ndarray,
    place: int,
) -> int:
    """Write data[start:stop] to `text` from `place` on; return the place behind it."""
    classes, small = tables
    i, before, last = start, 0, 0  # before: the letter before in this run of one class, last: that class
    while i < stop:
        if data[i] < 0x80:
            if last > 1 and classes[data[i]] == 1:
                text[place] = 32
                place += 1
            n = _copy_ascii(data, i, stop, text, place)
            i += n
            place += n
            before, last = 0, int(classes[data[i - 1]] == 1)
            continue
        code, length = _decode(data, i, stop)
        i += length
        kind = int(classes[code]) if code < 0x30000 else 2 if code < 0x40000 else 4 if code >> 12 == 0xE0 else 6
        if kind == 4:
            continue
        is_letter = 0 < kind < 4
        if kind != last:
            if is_letter and last:
                text[place] = 32
                place += 1
            before, last = 0, kind if is_letter else 0
        if is_letter:
            letter = int(small[code]) if code < 0x30000 else code
            place = _write(text, place, letter)
            if kind > 1:
                if not _pair_hash(before, letter) & cuts[kind]:
                    text[place] = 32
                    place += 1
                before = letter
        elif kind == 5:
            place = _write_symbol(text, place, code)
        else:
            text[place] = 0x7F if kind == 6 else 32
            place += 1
    return place


@compiled
def _rewrite_all(
    data: np.ndarray,
    bounds: np.ndarray,
    tables: tuple[np.ndarray, np.ndarray],
    cuts: np.ndarray,
    text: np.ndarray,
    out: np.ndarray,
) -> None:
    place = 0
    for d in range(bounds.shape[0]):
        out[d, 0] = place
        for part in range(3):
            place = _rewrite(data, bounds[d, part], bounds[d, part + 1], tables, cuts, text, place)
            out[d, part + 1] = place


@dataclass(frozen=True)
class Plain:
    """Documents as bytes of one class a word. Document d lies in `data`, or in `text` where is_text[d], at bounds[d]:
    where it begins, where its gap begins and ends, where it ends (int64 [n, 4])."""

    data: np.ndarray
    text: np.ndarray
    is_text: np.ndarray
    bounds: np.ndarray


def plain_of(data: np.ndarray, bounds: np.ndarray, *, fold_case: bool) -> Plain:
    """Rewrite the documents that hold more than ASCII; the others stay where they are."""
    classes, small, same, order = _tables()
    letters = small if fold_case else same
    state, data = np.zeros(bounds.shape[0], np.uint8), read_only(data)
    _look(data, bounds[:, 0].copy(), bounds[:, 3].copy(), classes, order, state)
    out, texts, place = bounds.copy(), [], 0
    for wanted in (1, 2):
        rows = np.flatnonzero(state == wanted)
        if not rows.size:
            continue
        source, mine = (data, bounds[rows]) if wanted == 1 else _normalised(data, bounds[rows])
        text = np.empty(_GROWTH * int((mine[:, 3] - mine[:, 0]).sum()) + 8, np.uint8)
        found = np.empty_like(mine)
        _rewrite_all(source, mine, (classes, letters), _CUTS, text, found)
        texts.append(text[: found[-1, 3]])
        out[rows] = found + place
        place += int(found[-1, 3])
    text = np.concatenate(texts) if texts else np.zeros(0, np.uint8)
    return Plain(data, read_only(text), state > 0, out)


def _normalised(data: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same documents in NFC, without what does not count, so that a mark joins its letter across a joiner."""
    parts = []
    for row in bounds.tolist():
        for a, b in pairwise(row):
            # By lines, because nothing is composed across one, and most need nothing.
            lines = bytes(data[a:b]).decode("utf-8", "surrogateescape").split("\n")
            lines = [line if line.isascii() else normalize("NFC", _DROPPED.sub("", line)) for line in lines]
            parts.append("\n".join(lines).encode("utf-8", "surrogateescape"))
    ends = np.concatenate(([0], np.cumsum([len(p) for p in parts]))).astype(np.int64)
    rows = np.arange(bounds.shape[0])[:, None] * 3 + np.arange(4)[None, :]
    return np.frombuffer(b"".join(parts), np.uint8), ends[rows]
