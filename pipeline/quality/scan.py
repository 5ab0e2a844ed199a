"""What the compiled passes behind `features.py` count, and what a character is to them.

Bytes of many documents go in, one row of integer counts per document comes out: of characters, words and lines
(`scan_text.py`) and of encoded runs (`scan_encoded.py`).
"""

from functools import lru_cache

import numpy as np

# Bits of a character's class. LETTER is 1, so that `flags & LETTER` counts; the others are shifted down.
LETTER, DIGIT, SPACE, UNSPACED = 1, 2, 4, 8

# Columns of a row of counts. All are characters unless the name says otherwise.
(
    N_CHARS,
    N_LETTERS,
    N_DIGITS,
    N_SPACES,
    N_UNSPACED,  # letters of scripts that put no space between words
    N_HASHTAGS,
    N_ELLIPSES,  # runs of three dots or more, and the one-character form
    N_PIECES,  # see `scan_text._pieces`
    N_WORDS,
    N_ALPHA_WORDS,
    N_WORD_CHARS,
    N_STOP_WORDS,
    N_LINES,
    N_LINE_CHARS,  # without line ends
    MAX_LINE_CHARS,
    N_LONG_LINE_CHARS,  # in lines of more than LONG_LINE_CHARS
    N_FILLED_CHARS,  # in lines that are not blank
    N_DUPLICATE_CHARS,  # in lines that stood in the document before, blank ones aside
    N_BULLET_LINES,
    N_ELLIPSIS_LINES,
    HEAD_BYTES,  # bytes of the first HEAD_LINES lines
    N_ENCODED_CHARS,
    MAX_ENCODED_RUN_CHARS,
) = range(23)
N_COUNTS = 23

LONG_LINE_CHARS = 1_000  # StarCoder2's limit for a line of code
HEAD_LINES = 5  # StarCoder2 looks for a generator's marker in the first five lines
STOP_WORDS = ("the", "be", "to", "of", "and", "that", "have", "with")  # of Gopher, section A.1.1
MIN_ENCODED_CHARS = 64  # StarCoder2's, for a base64-like run; a shorter one may be a name or a path
# Shorter lines do not continue a base64-like run. A plain choice: half the 64 of PEM (RFC 7468), less than half the 76
# of MIME.
MIN_ENCODED_LINE = 32
MIN_ESCAPES = 8  # StarCoder2's, for both kinds of escape

# Scripts whose words are not set off by spaces: Han with its radicals and iteration marks, kana, bopomofo, Thai, Lao,
# Tibetan, Myanmar, Khmer. Hangul has spaces. First and last code point of Unicode blocks, neighbours joined.
UNSPACED_BLOCKS = (
    (0x0E00, 0x0FFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x2E80, 0x2FDF),
    (0x3005, 0x3007),
    (0x3040, 0x312F),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D),
    (0x20000, 0x3FFFF),
)


# No letter, digit or space stands from here on: planes 4 to 13 are empty, 14 holds tags, 15 and 16 nobody's characters.
LAST_LETTER = 0x40000


@lru_cache(maxsize=1)
def character_classes() -> np.ndarray:
    """LETTER, DIGIT, SPACE and UNSPACED bits of every code point, by the running Python's Unicode tables.

    A letter is `str.isalpha`, a digit `str.isdecimal`, a space `str.isspace`. Letters that a later Unicode version adds
    change class with the Python version; all of 14.0 (Python 3.11) are stable.
    """
    characters = np.arange(LAST_LETTER, dtype=np.uint32).view("U1")
    letters = np.char.isalpha(characters)
    classes = np.zeros(0x110000, np.uint8)
    classes[:LAST_LETTER] = (
        letters * LETTER + np.char.isdecimal(characters) * DIGIT + np.char.isspace(characters) * SPACE
    )
    for first, last in UNSPACED_BLOCKS:
        classes[first : last + 1] += letters[first : last + 1] * np.uint8(UNSPACED)
    return classes


def byte_set(members: bytes) -> np.ndarray:
    table = np.zeros(256, np.bool_)
    table[np.frombuffer(members, np.uint8)] = True
    return table


DIGITS, LETTERS = b"0123456789", b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
