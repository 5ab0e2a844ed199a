"""Places at which a second look is worth it: one linear pass over the bytes, compiled, and the same by hyperscan.

Two passes. `sign_places` looks at signs: `=` and `:` behind a name and before a value, quotes behind a name, `://`,
`@`, dots between numbers, colons between hexadecimal groups. `literal_places` finds the literals of tokens with the
first bytes of what follows them. Hyperscan does the second where it is installed; the finds are equal.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.arrays.compiled import compiled, inlined
from pipeline.privacy.kinds import tokens, words

MAX_HEAD = 12  # bytes after a literal that the first look checks; more would hardly send fewer to the second
# What `sign_places` says of a place.
ASSIGNMENT, COMPARISON, ARGUMENT, URL, EMAIL, IPV4, IPV6 = range(7)

_DIGITS = b"0123456789"
_LETTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_HEX = _DIGITS + b"abcdefABCDEF"


def _set(members: bytes) -> np.ndarray:
    table = np.zeros(256, np.bool_)
    table[np.frombuffer(members, np.uint8)] = True
    return table


_IS_SIGN = _set(b"=:@.\"'`")
_IS_DIGIT, _IS_HEX, _IS_ALNUM = _set(_DIGITS), _set(_HEX), _set(_DIGITS + _LETTERS)
_IS_LETTER = _set(_LETTERS)
_IS_WORD = _set(_DIGITS + _LETTERS + b"_-")
_AFTER_NAME = _set(b"\"'`]) \t[(0123456789")  # the digits of an array's length, and those of a name, which end it too
_NO_NAME = _set(b"=:<>+*/%&|^~?")  # before a sign: it is the second byte of another
_IS_QUOTE = _set(b"\"'`")
_ENDS_VALUE = _set(b"\"'` \t\r\n")
MIN_VALUE = 8  # bytes of an assigned value: shorter ones are words, or too weak to look random
_MAX_GAP = 12  # white space and quotes around a sign; more is a layout in columns, and the pass must stay linear
_MAX_NAME = 64  # bytes of a name, which is as long as compilers and people bear
_MAX_URL = 194  # bytes of user and password, as `personal.py` bounds them
_MAX_LOOK = 64  # bytes of a value that the first look reads


_BLOCK = 1 << 16  # bytes between two looks at whether there is room for more finds
_HASH_BITS = 15  # 32,768 places of two bytes: the first cache of a core


def _place(a: int, b: int, c: int) -> int:
    """Three bytes as a place in the table: the high bits of a product with 2^32 over the golden ratio."""
    return (((a & 0xFF) | (b & 0xFF) << 8 | (c & 0xFF) << 16) * 2654435769 & 0xFFFFFFFF) >> (32 - _HASH_BITS)


_hash = inlined(_place)


@dataclass(frozen=True)
class Literals:
    """The literals of all tokens as arrays. Literal k is `text[starts[k]:starts[k + 1]]`, of token `kind[k]`; `need[k]`
    bytes of `heads[row[k]]` must follow it. It is looked for by the three bytes at `sign[k]`, the strangest of it:
    `bucket` holds the first literal for each hash of three bytes (-1: none), `following` the next one with the same."""

    text: np.ndarray
    starts: np.ndarray
    kind: np.ndarray
    need: np.ndarray
    heads: np.ndarray
    row: np.ndarray
    sign: np.ndarray
    bucket: np.ndarray
    following: np.ndarray


@lru_cache(maxsize=1)
def literals() -> Literals:
    rows = [(number, token, text) for number, token in enumerate(tokens()) for text in token.literals]
    heads: list[bytes] = []
    row, need, sign = np.zeros((3, len(rows)), np.int64)
    bucket = np.full(1 << _HASH_BITS, -1, np.int16)
    following = np.full(len(rows), -1, np.int16)
    for k, (_, token, text) in reversed(list(enumerate(rows))):
        members, least = token.head
        if members not in heads:
            heads.append(members)
        row[k], need[k] = heads.index(members), min(least, MAX_HEAD)
        sign[k] = min(range(len(text) - 2), key=lambda at: -_strangeness(text[at : at + 3]))
        place = _place(*text[sign[k] : sign[k] + 3])
        following[k] = bucket[place]
        bucket[place] = k
    return Literals(
        np.frombuffer(b"".join(text for _, _, text in rows), np.uint8),
        np.cumsum([0, *(len(text) for _, _, text in rows)]),
        np.array([number for number, _, _ in rows], np.int64),
        need,
        np.stack([_set(members) for members in heads]),
        row,
        sign,
        bucket,
        following,
    )


def _strangeness(three: bytes) -> float:
    """How seldom text has these bytes, roughly: small letters are everywhere, capitals and signs nearly nowhere."""
    return sum(1.0 if 97 <= byte <= 122 else 2.0 if 48 <= byte <= 57 else 3.0 for byte in three)


def literal_places(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a literal begins, and its number in `literals()`; int64, in the order of the bytes."""
    t = literals()
    hits = _hits(data, t.bucket)
    places, rows = _literals(data, hits, t.text, t.starts, t.need, t.heads, t.row, t.sign, t.bucket, t.following)
    order = np.lexsort((rows, places))
    return places[order], rows[order]


@compiled
def _hits(data: np.ndarray, bucket: np.ndarray) -> np.ndarray:
    """Where three bytes stand that may be a literal's sign.

    Each place costs one look: a few hundred literals fill a hundredth of a table that the first cache of a core holds.
    (Longer steps, after Wu and Manber, take longer: too many pairs are a literal's, and each branch that is guessed
    wrong costs more than a byte.)
    """
    found = np.empty(_BLOCK, np.int64)
    n = 0
    for block in range(0, data.size - 2, _BLOCK):
        found = _with_room(found, n)
        n = _hits_of_block(data[block : block + _BLOCK + 2], block, bucket, found, n)
    return found[:n].copy()


@compiled
def _hits_of_block(block: np.ndarray, start: int, bucket: np.ndarray, found: np.ndarray, n: int) -> int:
    # Counted from 0, so that no index can be negative: numba would ask at each byte.
    for i in range(block.size - 2):
        if bucket[_hash(block[i], block[i + 1], block[i + 2])] >= 0:
            found[n] = start + i
            n += 1
    return n


@compiled
def _literals(
    data: np.ndarray,
    hits: np.ndarray,
    text: np.ndarray,
    starts: np.ndarray,
    need: np.ndarray,
    heads: np.ndarray,
    row: np.ndarray,
    sign: np.ndarray,
    bucket: np.ndarray,
    following: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where a literal begins whose sign is at one of `hits`, and which it is."""
    found = np.empty((2, 1024), np.int64)
    n = 0
    for i in hits:
        k = bucket[_hash(data[i], data[i + 1], data[i + 2])]
        while k >= 0:
            at = i - sign[k]
            if _stands(data, at, text[starts[k] : starts[k + 1]], need[k], heads[row[k]]):
                if n == found.shape[1]:
                    found = np.concatenate((found, np.empty_like(found)), axis=1)
                found[0, n], found[1, n] = at, k
                n += 1
            k = following[k]
    return found[0, :n].copy(), found[1, :n].copy()


@compiled
def _stands(data: np.ndarray, i: int, literal: np.ndarray, need: int, head: np.ndarray) -> bool:
    end = i + literal.size
    if i < 0 or end + need > data.size:
        return False
    for k in range(literal.size):
        if data[i + k] != literal[k]:
            return False
    for k in range(end, end + need):  # noqa: SIM110 - numba compiles no generator
        if not head[data[k]]:
            return False
    return True


def sign_places(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where a sign stands that a second look is worth, and which of ASSIGNMENT ... IPV6 it may be; int64."""
    places, kinds = _signs(data, _openings())
    return places, kinds


@lru_cache(maxsize=1)
def _openings() -> np.ndarray:
    """Which three letters open a word of `words()`; five bits a letter, the first one highest, as `_opens` reads."""
    table = np.zeros(1 << 15, np.bool_)
    for word in words():
        a, b, c = (ord(letter) & 31 for letter in word[:3])
        table[a << 10 | b << 5 | c] = True
    return table


@compiled
def _signs(data: np.ndarray, openings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    places, kinds = np.empty(_BLOCK, np.int64), np.empty(_BLOCK, np.int64)
    n = 0
    for block in range(1, data.size - 1, _BLOCK):
        places, kinds = _with_room(places, n), _with_room(kinds, n)
        n = _signs_of_block(data, block, min(block + _BLOCK, data.size - 1), places, kinds, n, openings)
    return places[:n].copy(), kinds[:n].copy()


@compiled
def _with_room(found: np.ndarray, n: int) -> np.ndarray:
    """`found` with room for a block's finds behind the first n. Not in the loop over bytes: an array that may be
    another at each step is looked up anew each time, which makes the pass six times as slow."""
    return found if n + _BLOCK <= found.size else np.concatenate((found, np.empty(found.size + _BLOCK, np.int64)))


@compiled
def _signs_of_block(
    data: np.ndarray, start: int, stop: int, places: np.ndarray, kinds: np.ndarray, n: int, openings: np.ndarray
) -> int:
    for i in range(start, stop):
        byte = data[i]
        if not _IS_SIGN[byte]:
            continue
        kind = -1
        before, after = data[i - 1], data[i + 1]
        if byte == 34 or byte == 39 or byte == 96:  # a quote
            if (before == 32 or before == 40) and _is_named(data, i, openings) and _has_value(data, i):
                places[n], kinds[n] = i, ARGUMENT
                n += 1
            continue
        if byte == 46:  # .
            if _IS_DIGIT[before] and _IS_DIGIT[after] and _is_ipv4(data, i):
                kind = IPV4
        elif byte == 64:  # @
            if (_IS_ALNUM[before] or before == 95) and _IS_ALNUM[after]:
                kind = EMAIL
        elif byte == 58 and after == 47 and i + 2 < data.size and data[i + 2] == 47:  # ://
            if _has_password(data, i + 3):
                kind = URL
        elif byte == 58 and _is_ipv6(data, i):
            kind = IPV6
        elif not _NO_NAME[before] and _is_named(data, i, openings) and _has_value(data, i):
            kind = ASSIGNMENT
        elif byte == 61 and (after == 61 or before == 33) and before != 61 and _is_compared(data, i, openings):
            kind = COMPARISON
        if kind >= 0:
            places[n], kinds[n] = i, kind
            n += 1
    return n


@compiled
def _has_password(data: np.ndarray, i: int) -> bool:
    """Whether user, colon, password and at sign stand at i, where a URL has its host."""
    last = min(i + _MAX_URL, data.size)
    colon = False
    while i < last and data[i] > 32 and data[i] != 47 and not _IS_QUOTE[data[i]]:
        if data[i] == 64:
            return colon
        colon |= data[i] == 58
        i += 1
    return False


@compiled
def _is_ipv4(data: np.ndarray, i: int) -> bool:
    """Whether the dot at i is the first of three between numbers of up to three digits."""
    start = i - 1
    while start > 0 and i - start < 4 and _IS_DIGIT[data[start - 1]]:
        start -= 1
    if i - start > 3 or (start > 0 and (_IS_WORD[data[start - 1]] or data[start - 1] == 46)):
        return False
    for _ in range(2):
        i += 1
        digits = 0
        while i < data.size and digits < 4 and _IS_DIGIT[data[i]]:
            i += 1
            digits += 1
        if digits == 0 or digits > 3 or i + 1 >= data.size or data[i] != 46:
            return False
    return bool(_IS_DIGIT[data[i + 1]])


@compiled
def _is_ipv6(data: np.ndarray, i: int) -> bool:
    """Whether the colon at i ends a first group of 2000::/3, the space of public addresses, and another follows."""
    if i < 4 or not (data[i - 4] == 50 or data[i - 4] == 51):  # 2 or 3
        return False
    if i > 4 and (_IS_WORD[data[i - 5]] or data[i - 5] == 58 or data[i - 5] == 46):
        return False
    for k in range(i - 3, i):
        if not _IS_HEX[data[k]]:
            return False
    return bool(_IS_HEX[data[i + 1]] or data[i + 1] == 58)


@compiled
def _is_named(data: np.ndarray, i: int, openings: np.ndarray) -> bool:
    """Whether a name ends before the sign at i, of which three letters open a word that names of secrets hold."""
    least = max(i - _MAX_GAP, 0)
    k = i - 1
    if data[k] == 33:  # the first byte of !=
        k -= 1
    while k > least and _AFTER_NAME[data[k]]:
        k -= 1
    return _opens(data, k, openings)


@compiled
def _opens(data: np.ndarray, k: int, openings: np.ndarray) -> bool:
    """Whether three letters of the name that ends at byte k open a word; capitals and signs aside."""
    least = max(k - _MAX_NAME, 0)
    key = 0  # the last three letters, five bits each
    while k >= least and (_IS_WORD[data[k]] or data[k] == 46):
        if _IS_LETTER[data[k]]:
            key = key >> 5 | (data[k] & 31) << 10
            if openings[key]:
                return True
        k -= 1
    return False


@compiled
def _is_compared(data: np.ndarray, i: int, openings: np.ndarray) -> bool:
    """Whether a string ends before the == at i, and a name follows it."""
    least = max(i - _MAX_GAP, 0)
    k = i - 1
    while k > least and (data[k] == 33 or data[k] == 32 or data[k] == 9):
        k -= 1
    if not _IS_QUOTE[data[k]]:
        return False
    last = min(i + _MAX_GAP, data.size)
    while i < last and (data[i] == 61 or data[i] == 32):
        i += 1
    last = min(i + _MAX_NAME, data.size)
    while i < last and (_IS_WORD[data[i]] or data[i] == 46):
        i += 1
    return _opens(data, i - 1, openings)


@compiled
def _has_value(data: np.ndarray, i: int) -> bool:
    """Whether MIN_VALUE bytes or more follow the sign, without white space, that are no word."""
    last = min(i + _MAX_GAP, data.size)
    while i < last and (data[i] == 61 or data[i] == 58 or data[i] == 62):  # = : >
        i += 1
    while i < last and (data[i] == 32 or data[i] == 9 or data[i] == 64):  # white space; the @ of C#
        i += 1
    if i < last and (data[i] | 32 == 98 or data[i] | 32 == 114 or data[i] | 32 == 117) and i + 1 < last:
        i += _IS_QUOTE[data[i + 1]]  # the prefix of a string
    quoted = i < last and _IS_QUOTE[data[i]]
    start = i + quoted
    i = start
    last = min(start + _MAX_LOOK, data.size)
    n_digits = n_letters = n_signs = 0
    while i < last and not _ENDS_VALUE[data[i]]:
        n_digits += _IS_DIGIT[data[i]]
        n_letters += _IS_ALNUM[data[i]] and not _IS_DIGIT[data[i]]
        n_signs += not _IS_ALNUM[data[i]]
        i += 1
    # A digit, or the signs that passwords have and words have not, or a word longer than words are.
    no_word = n_digits > 0 or (n_letters > 0 and n_signs > (2 if quoted else 5)) or (quoted and n_letters >= 20)
    return i - start >= MIN_VALUE and no_word
