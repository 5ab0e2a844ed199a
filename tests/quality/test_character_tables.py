"""Tables of all characters, which are made in steps of arrays: the same by asking Python about one after the other."""

import unicodedata

import numpy as np

from pipeline.dedup import words
from pipeline.quality import code_words, prose_words, scan

EVERY = list(map(chr, range(0x110000)))


def test_classes_of_prose_are_what_python_says_of_each_character():
    blocks = {code for first, last in scan.UNSPACED_BLOCKS for code in range(first, last + 1)}
    plain = [
        c.isalpha() * scan.LETTER
        + c.isdecimal() * scan.DIGIT
        + c.isspace() * scan.SPACE
        + (c.isalpha() and ord(c) in blocks) * scan.UNSPACED
        for c in EVERY
    ]
    assert scan.character_classes().tolist() == plain


def told(c: str) -> int:
    """What a character of code becomes: its first small letter in NFKC, if that is one character, and a class."""
    if ord(c) in code_words._REMOVED:
        return code_words._NOTHING
    small = c.lower()[0]
    plain = unicodedata.normalize("NFKC", small)
    small = plain if len(plain) == 1 else small
    if ord(c) in code_words._BLANKED or c in code_words._SIGNS + code_words._TYPOGRAPHIC or (c + small).isspace():
        return code_words._SPACE
    if c.isspace() or small.isspace():
        return code_words._SPACE
    kind = code_words._WORD if small.isalnum() or small == "_" else code_words._SIGN
    return ord(small) << code_words._CLASS_BITS | kind


def test_classes_of_code_are_what_python_says_of_each_character():
    assert code_words.character_table().tolist() == [told(c) for c in EVERY]


def test_classes_of_words_follow_categories():
    classes, small, _, combining = words._tables()
    special = {
        code for ranges in (words._IGNORED, *words._UNSPACED.values()) for a, b in ranges for code in range(a, b + 1)
    }
    for code in range(0x20000):
        category, lowered = unicodedata.category(chr(code)), chr(code).lower()
        assert small[code] == (ord(lowered) if len(lowered) == 1 else code)
        if code in special:
            continue
        assert combining[code] in (unicodedata.combining(chr(code)), words._SUSPECT)
        if category[0] in "LMN" or code == ord("_"):
            assert classes[code] == words.WORD
        elif category[0] in "ZC" and category not in ("Co", "Cn"):
            assert classes[code] == words.SEPARATOR
        else:
            is_operator = category[0] == "S" and code != 0xFFFD
            assert classes[code] == (words.OPERATOR if is_operator else words.VISIBLE)


def test_the_factor_of_stop_words_is_the_first_that_tells_them_apart():
    keys = [int.from_bytes(word.encode(), "little") for word in scan.STOP_WORDS]
    factor = next(f for f in range(3, 1 << 20, 2) if len({key * f % (1 << 32) >> 28 for key in keys}) == len(keys))
    assert factor == prose_words._STOP_FACTOR
    assert np.count_nonzero(prose_words._STOPS[:, 1]) == len(keys)
