"""Which words of a benchmark's item tell it from any other text, so that what many texts say anyway is no leak.

Runs of equal words alone flag lists of digits, the alphabet, loops over two indices, imports and licences: of the flags
of a plain 13-gram rule on half a gigabyte of real code, all that were read were of that kind. A word tells if it has
three letters and is none that programs and lists share, a number if it has three digits and is not round. Imports and
rights comments tell nothing.
"""

import re

import numpy as np

from pipeline.dedup.headers import find_headers
from pipeline.dedup.shingles import shingle
from pipeline.dedup.words import plain_of

_MIN_LETTERS = 3  # or digits; shorter ones are indices, operators, abbreviations, and parts of sequences

# Keywords, types and everyday names of programs in a dozen languages; then the lists that stand everywhere.
_COMMON = frozenset(
    b"""
    and any append arg args argument arguments arr array arrays assert async auto await begin bool boolean break
    byte case catch char class const console continue count counter cur curr current data def default define del
    delete dict do done double each echo elem elif else elseif elsif end endif enum err error errors exit export
    extends extern false final finally float for foreach from func function get goto hashmap has have idx implements
    import include index init inline input int integer interface into isinstance item items iter java join key keys
    lambda left len length let line list local long loop low high main map mat math matrix max mid min mod module
    mut namespace new next nil node none not null num number nums object one open or out output override package
    parse pass pop prev print printf println private protected public push put raise range ref require res result
    results ret return returns right row rows col cols self set shift short size sizeof sort sorted split start
    static std stdin stdout step stop str strcmp string struct sub substr substring sum super swap switch sys system
    temp template test tests text then this throw throws tmp true try tuple two type typedef typeof undefined union
    unsigned upper lower use using util val value values var vec vector virtual void volatile when where while with
    word words write yield zip
    january february march april may june july august september october november december jan feb mar apr jun jul
    aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thur
    thurs fri sat sun
    zero three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
    nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion
    first second third fourth fifth sixth seventh eighth ninth tenth red green blue black white yellow orange purple
    lorem ipsum dolor sit amet consectetur adipiscing elit sed eiusmod tempor incididunt labore dolore magna aliqua
    quick brown fox jumps over the lazy dog foo bar baz qux hello world
    """.split()
)
_WORD = re.compile(rb"[0-9A-Za-z_\x80-\xf7]+")  # of text that `words.plain_of` wrote
# Of words that prose begins lines with too, only what stands alone with one name.
_IMPORT = re.compile(
    rb"\s*(?:import\b|from\s+\S+\s+import\b|#\s*include\b"
    rb"|(?:using|package|use|require|require_once|open)\b\s*\(?\s*[^\s{]+(?:\{[^}]*\})?\s*\)?\s*;?\s*$)"
)


def telling_words(data: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    """For each word of each item the number of the telling word that it is, from 0 in each item; -1: it tells nothing.

    Item i is data[offsets[i]:offsets[i + 1]], uint8; words are those of `shingle(..., kind="unicode", fold_case=True)`.
    """
    starts, stops = offsets[:-1], offsets[1:]
    plain = plain_of(data, np.column_stack((starts, starts, starts, stops)).astype(np.int64), fold_case=True)
    # how many words stand before a rights comment and to its end
    headers = find_headers(data, starts, stops)
    before = np.diff(shingle(data, starts, headers[:, 0], n_words=1, kind="unicode", fold_case=True)[1])
    until = np.diff(shingle(data, starts, headers[:, 1], n_words=1, kind="unicode", fold_case=True)[1])
    found = []
    for i in range(starts.size):
        buffer = plain.text if plain.is_text[i] else plain.data
        numbers = _numbered(buffer[plain.bounds[i, 0] : plain.bounds[i, 3]].tobytes())
        if headers[i, 1] > headers[i, 0]:
            numbers[before[i] : until[i]] = -1
        found.append(numbers)
    return found


def _numbered(text: bytes) -> np.ndarray:
    known: dict[bytes, int] = {}
    numbers: list[int] = []
    for line in text.split(b"\n"):
        says_nothing = _IMPORT.match(line) is not None
        for word in _WORD.findall(line):
            small = word.lower()
            tells = not says_nothing and _tells(small)
            numbers.append(known.setdefault(small, len(known)) if tells else -1)
    return np.array(numbers, np.int64)


def _tells(word: bytes) -> bool:
    """A word beyond ASCII is a word of prose: a character of Chinese says as much as three letters."""
    if word.isdigit():
        return len(word) >= _MIN_LETTERS and not _is_round(int(word))
    return word not in _COMMON and (max(word) >= 0x80 or sum(97 <= byte <= 122 for byte in word) >= _MIN_LETTERS)


def _is_round(number: int) -> bool:
    """Hundreds, and powers of two with their neighbours, stand in tables everywhere."""
    return number % 100 == 0 or any((number + k) & (number + k - 1) == 0 for k in (-1, 0, 1))
