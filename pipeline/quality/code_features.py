"""What is measured about programs beyond `features.py`: comments, strings, words, declarations, encoded data.

Names that begin with `opencoder_` are its counts (arXiv 2411.04905, filter code), which differ from ours in what a
word, a line, a string or a comment is: its rules need them to drop what they drop there. NaN: no such feature here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.quality import (
    code_lines,
    code_strings,
    code_words,
    comments,
    declarations,
    encoded,
    html_text,
    notes,
    opencoder_code,
    python_shapes,
    statements,
)
from pipeline.quality.features import Features

_HEADER_ENDINGS = (".h", ".hpp", ".hxx", ".hh", ".h++")  # OpenCoder counts no directives in them


@dataclass(frozen=True)
class Programs:
    """Documents of the code pool: data[offsets[k]:offsets[k + 1]] (uint8; int64), linguist's names and paths (text)."""

    data: np.ndarray
    offsets: np.ndarray
    languages: np.ndarray
    paths: np.ndarray

    def by_language(self, function: Callable[[str], int]) -> np.ndarray:
        """int64 [n]: asked once for each name."""
        names, places = np.unique(self.languages, return_inverse=True)
        return np.array([function(str(name)) for name in names], np.int64)[places]

    def place_in(self, names: Sequence[str]) -> np.ndarray:
        """1 and up for the languages of `names`, 0 for others."""
        return self.by_language(lambda name: names.index(name) + 1 if name in names else 0)


def measure(programs: Programs, found: Features) -> dict[str, np.ndarray]:
    """Every feature of these documents by its name; `found` are those of `features.measure` of the same."""
    readings = programs.by_language(opencoder_code.reading_of)
    parts = opencoder_code.code_of(programs.data, programs.offsets, readings)
    lines = code_lines.count(parts.code, parts.code_offsets, programs.place_in(code_lines.LANGUAGES))
    strings = code_strings.count(parts.code, parts.code_offsets)
    seen = notes.count(parts.comments, parts.comment_offsets)
    return {
        **_comments(programs, found, readings, seen),
        **_of_all(programs, found),
        **_heads(programs),
        **_encoded(programs, found),
        **_words(programs),
        **_lines(programs, lines, strings),
        **_declarations(programs, parts, lines),
        **_page(programs, found),
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """NaN of nothing."""
    return np.asarray(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _comments(programs: Programs, found: Features, readings: np.ndarray, seen: np.ndarray) -> dict[str, np.ndarray]:
    """Comments as they are, and as OpenCoder sees them."""
    syntaxes = programs.by_language(opencoder_code.syntax_of)
    n_true, n_theirs = seen[:, notes.N_CHARS].copy(), seen[:, notes.N_CHARS].copy()
    other = readings != syntaxes
    if other.any():
        wanted = np.where(other, syntaxes, -1)
        tables = opencoder_code.all_syntaxes()
        n_true[other] = comments.count_chars(programs.data, programs.offsets, wanted, tables)[other]
    is_python = programs.languages == "Python"
    n_theirs[is_python] -= seen[is_python, notes.N_NUMBER_SIGNS]  # which it takes out of Python's comments
    true = _ratio(n_true, found.n_chars)
    true[syntaxes < 0] = np.nan
    return {
        "comment_frac": true,
        "opencoder_comment_frac": _ratio(n_theirs, found.n_chars),
        "todo_line_frac": _ratio(seen[:, notes.N_ASKING_LINES], found.n_lines),
    }


def _of_all(programs: Programs, found: Features) -> dict[str, np.ndarray]:
    """Shares of all characters, where `features.py` has them of visible ones; and lines with their ends."""
    visible = 1.0 - found.space_frac
    return {
        "size_bytes": np.diff(programs.offsets),
        "replacement_frac": _ratio(notes.replacements(programs.data, programs.offsets), found.n_chars),
        "alpha_of_all_frac": found.alpha_frac * visible,
        "alnum_of_all_frac": found.alnum_frac * visible,
        "mean_ended_line_chars": _ratio(found.n_chars, found.n_lines),
    }


def _heads(programs: Programs) -> dict[str, np.ndarray]:
    heads = notes.heads(programs.data, programs.offsets)
    is_test = np.array([str(path).lower().endswith("_test.go") for path in programs.paths], np.bool_)
    return {"has_xml_head": heads[:, 0], "opencoder_generated": heads[:, 1], "is_go_test": is_test}


def _encoded(programs: Programs, found: Features) -> dict[str, np.ndarray]:
    counts = encoded.count(programs.data, programs.offsets)
    return {"pattern_encoded_frac": _ratio(counts[:, 0], found.n_chars), "max_pattern_encoded_chars": counts[:, 1]}


def _words(programs: Programs) -> dict[str, np.ndarray]:
    counts = code_words.count(programs.data, programs.offsets).T
    n_words, n_chars = counts[code_words.N_WORDS], counts[code_words.N_WORD_CHARS]
    names = [f"opencoder_top_{n}_gram_frac" for n in (2, 3, 4)]
    names += [f"opencoder_duplicate_{n}_gram_frac" for n in range(5, 11)]
    return {
        "opencoder_n_words": n_words,
        "opencoder_mean_word_chars": _ratio(n_chars, n_words),
        "opencoder_unique_word_frac": _ratio(counts[code_words.N_UNIQUE], n_words),
        **{name: _ratio(column, n_chars) for name, column in zip(names, counts[code_words.TOP_2 :], strict=True)},
    }


_OF_LINES = {
    "opencoder_repeated_line_frac": code_lines.N_REPEATED,
    "assert_line_frac": code_lines.N_ASSERT,
    "print_line_frac": code_lines.N_PRINT,
    "import_line_frac": code_lines.N_IMPORT,
    "pass_line_frac": code_lines.N_PASS,
    "preprocessor_line_frac": code_lines.N_PREPROCESSOR,
}
_ONLY_IN = {  # where a feature is searched for; elsewhere it is unknown, not 0
    "print_line_frac": code_lines.LANGUAGES,
    "import_line_frac": ("Python",),
    "pass_line_frac": ("Python",),
    "preprocessor_line_frac": ("C", "C++"),
}


def _lines(programs: Programs, counts: np.ndarray, strings: np.ndarray) -> dict[str, np.ndarray]:
    column = counts.T
    n_lines, n_chars = column[code_lines.N_LINES], column[code_lines.N_CHARS]
    result = {name: _ratio(column[place], n_lines) for name, place in _OF_LINES.items()}
    result["hex_word_frac"] = _ratio(column[code_lines.N_HEX_CHARS], n_chars)
    in_strings = strings.T
    result["opencoder_string_frac"] = _ratio(in_strings[code_strings.N_CHARS], n_chars)
    result["opencoder_long_word_frac"] = _ratio(in_strings[code_strings.N_LONG_WORD_CHARS], n_chars)
    result["opencoder_long_string_line_frac"] = _ratio(in_strings[code_strings.N_LONG_LINES], n_lines)
    for name, languages in _ONLY_IN.items():
        result[name][programs.place_in(languages) == 0] = np.nan
    is_header = np.array([str(path).lower().endswith(_HEADER_ENDINGS) for path in programs.paths], np.bool_)
    result["preprocessor_line_frac"][is_header] = np.nan
    return result


def _declarations(programs: Programs, parts: comments.Parts, lines: np.ndarray) -> dict[str, np.ndarray]:
    """Of the six languages for which OpenCoder finds them (JavaScript's need a parse and are not measured)."""
    kinds = programs.place_in(declarations.LANGUAGES)
    functions = declarations.count(parts.code, parts.code_offsets, kinds)
    plain = statements.count(parts.code, parts.code_offsets, kinds)
    is_python = programs.languages == "Python"
    python = python_shapes.count(programs.data, programs.offsets, is_python)
    n_functions = functions[:, declarations.N_FUNCTIONS] + python[:, python_shapes.N_FUNCTIONS]
    n_plain = n_functions + plain[:, : statements.N_VARIABLES].sum(axis=1)
    n_plain += python[:, [python_shapes.N_CLASSES, python_shapes.N_CLASS_VARIABLES]].sum(axis=1)
    n_plain += python_shapes.count_returns(parts.code, parts.code_offsets, is_python)
    n_plain += lines[:, code_lines.N_IMPORT]
    n_variables = plain[:, statements.N_VARIABLES] + python[:, python_shapes.N_VARIABLES]
    n_lines = lines[:, code_lines.N_LINES]
    known = (kinds > 0) | is_python
    is_c = np.isin(programs.languages, ("C", "C++"))
    has_variables = is_python | (programs.languages == "Java")
    return {
        "function_line_frac": np.where(known, _ratio(n_functions, n_lines), np.nan),
        "no_logic_line_frac": np.where(known, _ratio(n_plain, n_lines), np.nan),
        "simple_function_line_frac": np.where(
            is_python, _ratio(python[:, python_shapes.N_SIMPLE_FUNCTIONS], n_lines), np.nan
        ),
        "n_mains": np.where(is_c, functions[:, declarations.N_MAINS], np.nan),
        "has_no_variable": np.where(has_variables, n_variables == 0, np.nan),
    }


def _page(programs: Programs, found: Features) -> dict[str, np.ndarray]:
    is_page = programs.languages == "HTML"
    n_visible = html_text.visible_chars(programs.data, programs.offsets, is_page)
    return {
        "visible_chars": np.where(is_page, n_visible, np.nan),
        "visible_frac": np.where(is_page, _ratio(n_visible, found.n_chars), np.nan),
    }
