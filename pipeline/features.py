"""Every number that is measured about a document: the columns of table `quality`, and what a rule may ask for.

All are defined on characters (Unicode code points), so that a limit means the same in every script. A name ends in its
unit: `n_` and `_chars` are counts, `_frac` is a share in [0, 1], a share of nothing is 0. A document in the other pool
than the feature's has 0, or null where the feature may be null; null fires no rule.
"""

from dataclasses import dataclass
from typing import Literal, get_args

# The sets of rules that ship, in `rules/sets/`. Here, because the command line names them before it loads any model.
SetName = Literal["loopmix", "starcoder2", "opencoder", "santacoder", "data_light", "gopher", "c4", "fineweb"]
SETS: tuple[SetName, ...] = get_args(SetName)


@dataclass(frozen=True)
class Feature:
    """What one column of `quality` holds. `pool` says where it is measured (None: in both)."""

    kind: Literal["int", "float", "bool"]
    meaning: str  # one line, with the unit and of what
    pool: Literal["code", "text"] | None = None
    nullable: bool = False  # null: not measured


# Of both pools: the walk over characters, words and lines (`quality/scan_text.py`, `quality/scan_encoded.py`).
_OF_ALL = {
    "n_chars": Feature("int", "characters"),
    "n_lines": Feature("int", "lines, ended by LF, CR LF, CR or the end; the end after a line end begins no new line"),
    "max_line_chars": Feature("int", "characters of the longest line"),
    "long_line_frac": Feature("float", "characters in lines of more than 1,000, of those in lines"),
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
    "parser_died": Feature("bool", "the grammar crashed on it or did not end; it is not parsed", "code"),
}
# Of running text (`quality/prose.py`). At equal words and sentences these are the numbers of datatrove's filters.
_GRAMS = {
    **{
        f"top_{n}_gram_frac": Feature(
            "float",
            f"characters of the commonest {n} words in a row, each time they stand there",
            "text",
            nullable=True,
        )
        for n in (2, 3, 4)
    },
    **{
        f"duplicate_{n}_gram_frac": Feature(
            "float", f"characters in {n} words in a row that stood there before", "text", nullable=True
        )
        for n in (5, 6, 7, 8, 9, 10)
    },
}
_OF_TEXT = {
    **_GRAMS,
    "repeated_line_frac": Feature("float", "lines that stood there before, empty ones aside", "text", nullable=True),
    "repeated_line_char_frac": Feature("float", "characters in such lines, of all characters", "text", nullable=True),
    "repeated_paragraph_frac": Feature("float", "paragraphs that stood there before", "text", nullable=True),
    "repeated_paragraph_char_frac": Feature("float", "characters in such paragraphs", "text", nullable=True),
    "repeated_prose_frac": Feature(
        "float",
        "characters in lines seen before outside programs, tables, banners; of lines not blank",
        "text",
        nullable=True,
    ),
    "lettered_word_frac": Feature(
        "float", "words with a letter, of words with a letter or digit", "text", nullable=True
    ),
    "plain_word_chars": Feature("float", "characters of the mean word that holds no address", "text", nullable=True),
    "hash_sign_ratio": Feature("float", "hash signs for each piece between spaces", "text", nullable=True),
    "ellipsis_ratio": Feature("float", "ellipses for each piece between spaces", "text", nullable=True),
    "n_stop_word_kinds": Feature(
        "int", "of Gopher's eight English stop words, how many stand there", "text", nullable=True
    ),
    "dash_line_frac": Feature("float", "lines that begin with - or a bullet, of all lines", "text", nullable=True),
    "stopped_line_frac": Feature(
        "float", "lines that end in a sign that ends sentences, of lines not blank", "text", nullable=True
    ),
    "short_line_frac": Feature("float", "lines of 30 characters or fewer, of lines not blank", "text", nullable=True),
    "line_word_ratio": Feature("float", "line ends for each piece between spaces", "text", nullable=True),
    "c4_line_frac": Feature("float", "lines that C4 would keep, of lines not blank", "text", nullable=True),
    "c4_sentences": Feature("int", "sentences in the lines that C4 would keep", "text", nullable=True),
    "c4_lorem_lines": Feature("int", "lines with lorem ipsum among those C4 looks at", "text", nullable=True),
    "c4_curly_lines": Feature("int", "lines with a curly bracket among those C4 looks at", "text", nullable=True),
    "link_line_frac": Feature(
        "float", "lines that are a link and nothing else, of lines not blank", "text", nullable=True
    ),
    "web_phrase_line_frac": Feature(
        "float", "short lines with words of menus and cookie notices, of lines not blank", "text", nullable=True
    ),
    "selling_line_frac": Feature(
        "float", "lines with words of shops and spam, of lines not blank", "text", nullable=True
    ),
    "mojibake_frac": Feature("float", "characters too many because an encoding was misread", "text", nullable=True),
    "prose_confidence": Feature(
        "float", "share of the prose that is in its language; null: no language could be told", "text", nullable=True
    ),
}
# Of code (`quality/code_features.py`), null where there is nothing to measure. `opencoder_`: a word is a run of letters
# and digits or of other signs once ASCII's signs are white space; code is what it does not take for comments.
_OF_PROGRAMS = {
    name: Feature("float", meaning, "code", nullable=True)
    for name, meaning in {
        "comment_frac": "characters in comments and Python's docstrings, of all; null: not known how they are written",
        "todo_line_frac": "lines of comments that say todo, fixme or your code here, of all lines",
        "replacement_frac": "replacement characters (U+FFFD), of all characters",
        "alpha_of_all_frac": "letters of any script, of all characters",
        "alnum_of_all_frac": "letters and digits, of all characters",
        "mean_ended_line_chars": "characters of the mean line, line ends included",
        "pattern_encoded_frac": "characters that match StarCoder2's three patterns of encoded data, of all characters",
        "opencoder_comment_frac": "characters in what OpenCoder takes for comments, of all characters",
        "opencoder_mean_word_chars": "characters of OpenCoder's mean word",
        "opencoder_unique_word_frac": "words that differ, of OpenCoder's words",
        **{
            f"opencoder_top_{n}_gram_frac": f"characters in the commonest {n} words in a row, of words'"
            for n in (2, 3, 4)
        },
        **{
            f"opencoder_duplicate_{n}_gram_frac": f"characters in {n} words in a row that come again, of words'"
            for n in range(5, 11)
        },
        "opencoder_repeated_line_frac": "lines that stand there several times, white space aside, of lines of code",
        "opencoder_long_string_line_frac": "lines of strings with more than 20 words, for each line of code",
        "opencoder_string_frac": "characters between two equal quotes, of those of code",
        "opencoder_long_word_frac": "characters in words of more than 20 in strings, URLs aside, of those of code",
        "hex_word_frac": "characters of numbers like 0x1F, of those of code",
        "assert_line_frac": "lines that say assert, of lines of code",
        "print_line_frac": "lines that print by the usual function, of lines of code; null: not one of seven",
        "import_line_frac": "lines that say import, of lines of code; null: no Python",
        "pass_line_frac": "lines that say pass, of lines of code; null: no Python",
        "preprocessor_line_frac": "lines of the preprocessor, with struct or using, of code; null: no C, C++; a header",
        "function_line_frac": "functions for each line of code; null: not C, C++, C#, Go, Java or Python",
        "no_logic_line_frac": "functions, classes, imports, plain variables, returns for each line of code; null: so",
        "simple_function_line_frac": "functions that only return, for each line of code; null: no Python",
        "n_mains": "entries of programs; null: no C or C++",
        "has_no_variable": "1: declares no variable; null: no Java or Python",
        "visible_chars": "characters outside tags, comments, scripts and styles; null: no HTML",
        "visible_frac": "such characters, of all; null: no HTML",
    }.items()
} | {
    "max_pattern_encoded_chars": Feature("int", "characters of the longest match of those patterns", "code"),
    "size_bytes": Feature("int", "bytes of UTF-8", "code"),
    "opencoder_n_words": Feature("int", "OpenCoder's words", "code"),
    "has_xml_head": Feature("bool", "<?xml version= in the first 100 characters", "code"),
    "opencoder_generated": Feature("bool", "generate, autogen or do not edit in the first 200 characters", "code"),
    "is_go_test": Feature("bool", "the file's name ends in _test.go", "code"),
}

FEATURES: dict[str, Feature] = {**_OF_ALL, **_OF_CODE, **_OF_PROGRAMS, **_OF_TEXT}

# What a rule may name beside a feature: a mark (1 where the document has it), a number of a plug-in or scorer.
MARK, EXTRA = "mark.", "extra."

# What a document is, by its path, its first comments and the shape of its lines (`quality/marks/`).
MARKS: dict[str, str] = {
    "generated_path": "a program wrote it, says its path: an editor's project, a compiler's output",
    "generated_content": "a program wrote it, say its first comments or the words that a tool leaves",
    "build_output": "what a build or a test put out: a bundle, compiled code, a log, coverage, a snapshot",
    "minified": "a script, a page or data without line ends",
    "source_map": "positions in a bundle, for a debugger",
    "lock_file": "exact versions that a package manager chose",
    "package_record": "what a package manager or a packer noted, sums of files included",
    "data_dump": "tables, records, drawings and meshes: data, in whatever language it is wrapped",
    "word_list": "one word a line, or a few",
    "localisation": "messages for people, with keys",
    "licence_only": "a licence or a notice of rights, and nothing else",
    "vendored": "somebody else's code, copied in",
    "test_data": "inputs and expected outputs of tests",
    "changelog": "what changed from release to release",
    "documentation": "manuals, guides and the files that explain a project",
    "linguist_generated": "generated by linguist's predicates, as go-enry has them and StarCoder2 asks",
}
