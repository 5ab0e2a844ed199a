"""What is measured about a document before any rule is asked: numbers for the `quality` table and for the rules.

All of it is defined on the document's characters (Unicode code points), so that a limit means the same in every
script. The counting is compiled, see `scan.py`; here the counts become named fractions.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.arrays.columns import read_only
from pipeline.quality import scan, scan_encoded, scan_text


@dataclass(frozen=True)
class Features:
    """One entry per document in every array; int64 for `n_` and `_chars`, else float64. A fraction of nothing is 0."""

    n_chars: np.ndarray
    n_lines: np.ndarray  # ended by LF, CR LF, CR or the end; the end after a line end begins no new line
    max_line_chars: np.ndarray
    long_line_frac: np.ndarray  # of characters in lines: those in lines of more than 1,000
    mean_line_chars: np.ndarray  # float; line ends are not counted
    alpha_frac: np.ndarray  # of visible characters (indentation says nothing): letters of any script
    alnum_frac: np.ndarray  # of visible characters: letters and digits
    digit_frac: np.ndarray  # of visible characters
    space_frac: np.ndarray  # of all characters
    unspaced_frac: np.ndarray  # of letters: those of scripts without spaces between words, see scan.UNSPACED_BLOCKS
    duplicate_line_frac: np.ndarray  # of characters in lines that are not blank: those in lines seen before
    encoded_frac: np.ndarray  # of characters: in base64-like, hex or \u runs
    max_encoded_run_chars: np.ndarray
    n_words: np.ndarray  # pieces between spaces with a letter or digit; an unspaced letter is a word
    mean_word_chars: np.ndarray
    alpha_word_frac: np.ndarray  # of pieces between spaces, signs included: those with a letter
    stop_word_frac: np.ndarray  # of words: English stop words
    symbol_word_frac: np.ndarray  # hashtags or ellipses, whichever are more, for each piece
    bullet_line_frac: np.ndarray  # of all lines
    ellipsis_line_frac: np.ndarray  # of all lines
    head_bytes: np.ndarray  # where the first five lines end
    is_blank: np.ndarray  # bool: no character, or white space only


def measure(data: np.ndarray, offsets: np.ndarray) -> Features:
    """Features of the documents data[offsets[k]:offsets[k + 1]]; uint8 data, int64 offsets with one entry more."""
    data, offsets = read_only(data), read_only(offsets.astype(np.int64, copy=False))
    return _name(scan_text.count(data, offsets) + scan_encoded.count(data, offsets))


def _name(counts: np.ndarray) -> Features:
    column = counts.T
    n_chars, n_lines = column[scan.N_CHARS], column[scan.N_LINES]
    n_pieces, n_words = column[scan.N_PIECES], column[scan.N_WORDS]
    n_visible = n_chars - column[scan.N_SPACES]
    n_letters, n_digits = column[scan.N_LETTERS], column[scan.N_DIGITS]
    return Features(
        n_chars=n_chars,
        n_lines=n_lines,
        max_line_chars=column[scan.MAX_LINE_CHARS],
        long_line_frac=_ratio(column[scan.N_LONG_LINE_CHARS], column[scan.N_LINE_CHARS]),
        mean_line_chars=_ratio(column[scan.N_LINE_CHARS], n_lines),
        alpha_frac=_ratio(n_letters, n_visible),
        alnum_frac=_ratio(n_letters + n_digits, n_visible),
        digit_frac=_ratio(n_digits, n_visible),
        space_frac=_ratio(column[scan.N_SPACES], n_chars),
        unspaced_frac=_ratio(column[scan.N_UNSPACED], n_letters),
        duplicate_line_frac=_ratio(column[scan.N_DUPLICATE_CHARS], column[scan.N_FILLED_CHARS]),
        encoded_frac=_ratio(column[scan.N_ENCODED_CHARS], n_chars),
        max_encoded_run_chars=column[scan.MAX_ENCODED_RUN_CHARS],
        n_words=n_words,
        mean_word_chars=_ratio(column[scan.N_WORD_CHARS], n_words),
        alpha_word_frac=_ratio(column[scan.N_ALPHA_WORDS], n_pieces),
        stop_word_frac=_ratio(column[scan.N_STOP_WORDS], n_words),
        symbol_word_frac=_ratio(np.maximum(column[scan.N_HASHTAGS], column[scan.N_ELLIPSES]), n_pieces),
        bullet_line_frac=_ratio(column[scan.N_BULLET_LINES], n_lines),
        ellipsis_line_frac=_ratio(column[scan.N_ELLIPSIS_LINES], n_lines),
        head_bytes=column[scan.HEAD_BYTES],
        is_blank=column[scan.N_SPACES] == n_chars,
    )


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.asarray(np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0))
