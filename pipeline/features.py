"""Every number that is measured about a document: the columns of table `quality`, and what a rule may ask for.

All are defined on characters (Unicode code points), so that a limit means the same in every script. A name ends in its
unit: `n_` and `_chars` are counts, `_frac` is a share in [0, 1], a share of nothing is 0. A document in the other pool
than the feature's has 0, or null where the feature may be null; null fires no rule.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Feature:
    """What one column of `quality` holds. `pool` says where it is measured (None: in both)."""

    kind: Literal["int", "float", "bool"]
    meaning: str  # one line, with the unit and of what
    pool: Literal["code", "text"] | None = None
    nullable: bool = False  # null: not measured


# Of both pools: the walk over characters, words and lines (`quality/scan.py`).
_OF_ALL = {
    "n_chars": Feature("int", "characters"),
    "n_lines": Feature("int", "lines, ended by LF, CR LF, CR or the end; the end after a line end begins no new line"),
    "max_line_chars": Feature("int", "characters of the longest line"),
    "mean_line_chars": Feature("float", "characters of the mean line, without line ends"),
    "alpha_frac": Feature("float", "letters of any script, of visible characters (indentation says nothing)"),
    "alnum_frac": Feature("float", "letters and digits, of visible characters"),
    "digit_frac": Feature("float", "digits, of visible characters"),
    "space_frac": Feature("float", "white space, of all characters"),
    "unspaced_frac": Feature("float", "letters of scripts without spaces between words, of letters"),
    "duplicate_line_frac": Feature("float", "characters in lines seen before, of those in lines that are not blank"),
    "encoded_frac": Feature("float", "characters in base64-like, hex or \\u runs, of all characters"),
    "max_encoded_run_chars": Feature("int", "characters of the longest such run"),
    "n_words": Feature("int", "pieces between spaces with a letter or digit; an unspaced letter is a word"),
    "mean_word_chars": Feature("float", "characters of the mean word"),
    "alpha_word_frac": Feature("float", "pieces with a letter, of pieces between spaces, signs included"),
    "stop_word_frac": Feature("float", "Gopher's eight English stop words, of words", "text"),
    "symbol_word_frac": Feature("float", "hashtags or ellipses, whichever are more, for each piece"),
    "bullet_line_frac": Feature("float", "lines that begin with a bullet, of all lines"),
    "ellipsis_line_frac": Feature("float", "lines that end in an ellipsis, of all lines"),
    "is_blank": Feature("bool", "no character, or white space only"),
}
_OF_CODE = {
    "generated_line": Feature(
        "int", "line of the first five that says a program wrote the file, from 1; 0: none", "code"
    ),
    "parse_error_frac": Feature("float", "visible bytes in syntax errors; null: not parsed", "code", nullable=True),
}
_PRIVATE = {
    "n_secrets": Feature("int", "likely secrets"),
    "n_personal": Feature("int", "likely personal data: e-mail addresses, IPv4 addresses"),
}

FEATURES: dict[str, Feature] = {**_OF_ALL, **_OF_CODE, **_PRIVATE}

# What a rule may name beside a feature: a mark (1 where the document has it), a number of a plug-in or scorer.
MARK, EXTRA = "mark.", "extra."
