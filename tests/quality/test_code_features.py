"""Features of programs by name: values worked out by hand, and what has none."""

import dataclasses

import numpy as np
import pytest

from pipeline.features import FEATURES
from pipeline.quality import code_features, features


def measure(*documents: tuple[str, str, str]) -> dict[str, np.ndarray]:
    """Features of programs given as language, path, text."""
    raw = [text.encode() for _, _, text in documents]
    data, offsets = np.frombuffer(b"".join(raw), np.uint8), np.cumsum([0, *map(len, raw)]).astype(np.int64)
    languages, paths = np.array([d[0] for d in documents]), np.array([d[1] for d in documents])
    return code_features.measure(
        code_features.Programs(data, offsets, languages, paths), features.measure(data, offsets)
    )


def one(language: str, text: str, path: str = "a") -> dict[str, float]:
    """The features of a document that stands between two others."""
    found = measure(("C", "x.c", "int a; // b\n"), (language, path, text), ("Python", "y.py", "import a\n"))
    return {name: values[1].item() for name, values in found.items()}


PYTHON = '# todo: é\n"""doc"""\nimport os\ndef f(a):\n    return "0x1F" + a\nprint(0x1F)\n'  # 74 characters
CODE_CHARS, CODE_LINES = 74 - 9 - 9, 4  # without the comment and the string that is one


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("comment_frac", 18 / 74),
        ("opencoder_comment_frac", 17 / 74),  # which leaves out the number sign
        ("todo_line_frac", 1 / 6),
        ("size_bytes", 75),
        ("replacement_frac", 0),
        ("mean_ended_line_chars", 74 / 6),
        ("opencoder_n_words", 13),
        ("import_line_frac", 1 / CODE_LINES),
        ("print_line_frac", 1 / CODE_LINES),
        ("pass_line_frac", 0),
        ("assert_line_frac", 0),
        ("function_line_frac", 1 / CODE_LINES),
        ("simple_function_line_frac", 1 / CODE_LINES),
        ("no_logic_line_frac", 3 / CODE_LINES),  # function, import, return
        ("has_no_variable", 0),  # the argument is one
        ("hex_word_frac", 8 / CODE_CHARS),
        ("opencoder_string_frac", 4 / CODE_CHARS),
        ("opencoder_repeated_line_frac", 0),
        ("has_xml_head", False),
        ("opencoder_generated", False),
    ],
)
def test_a_program_in_python(name: str, value: float) -> None:
    assert len(PYTHON) == 74
    assert one("Python", PYTHON)[name] == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(
    ("language", "text", "name", "value"),
    [
        ("C", "ab\ufffd\ufffd", "replacement_frac", 0.5),
        ("C", "ab 12  \n\n", "alpha_of_all_frac", 2 / 9),
        ("C", "ab 12  \n\n", "alnum_of_all_frac", 4 / 9),
        ("C", "a\nb\n", "mean_ended_line_chars", 2),
        ("C", "/* a */ int b;", "comment_frac", 7 / 14),
        ("CMake", "# a\nb()", "comment_frac", 3 / 7),
        ("CMake", "# a\nb()", "opencoder_comment_frac", 0),  # to which CMake's comments are code
        ("Dune", "# a\n(b)", "opencoder_comment_frac", 1),  # read by hand: a comment never ends
        ("Python", "\n", "opencoder_comment_frac", 0),
        ("C", "a" * 64 + "(" * 64, "pattern_encoded_frac", 0.5),
        ("C", "a" * 64 + "(" * 64, "max_pattern_encoded_chars", 64),
        ("C", "a b a b c c", "opencoder_unique_word_frac", 0.5),
        ("C", "aa (b)\nc", "opencoder_mean_word_chars", 4 / 3),
        ("C", "a b a b c c", "opencoder_top_2_gram_frac", 4 / 6),
        ("C", "a b c a b c a", "opencoder_top_3_gram_frac", 6 / 7),
        ("C", "a b c d a b c d", "opencoder_top_4_gram_frac", 1),
        ("C", "a b c d e a b c d e f g", "opencoder_duplicate_5_gram_frac", 10 / 12),
        ("C", "a b c d e f a b c d e g", "opencoder_duplicate_6_gram_frac", 0),
        ("C", "b a " * 10 + "c", "opencoder_duplicate_10_gram_frac", 20 / 21),
        ("C", " ab\na b\nc\n}\n}\n},\n},\n", "opencoder_repeated_line_frac", 2 / 7),
        ("C", "'" + "a " * 21 + "'\nb\n", "opencoder_long_string_line_frac", 1 / 2),
        ("C", "'" + "a " * 20 + "'\nb\n", "opencoder_long_string_line_frac", 0),
        ("C", "'" + "a" * 21 + "'bc", "opencoder_long_word_frac", 21 / 25),
        ("C", "'" + "a" * 20 + "'bc", "opencoder_long_word_frac", 0),
        ("C", "'http://" + "a" * 21 + "'bc", "opencoder_long_word_frac", 0),
        ("C", "int main() {}\nint main() {}", "n_mains", 2),
        ("C", "#define A\n#if B\nint c;\n", "preprocessor_line_frac", 2 / 3),
        ("C#", "using A;\n\nint F(a)\n", "no_logic_line_frac", 1),
        ("Go", "func f() {\n}\n", "function_line_frac", 1 / 2),
        ("Java", "int a;\n", "has_no_variable", 0),
        ("Java", "a = 1;\n", "has_no_variable", 1),
        ("Python", "def f(): return 1\n", "has_no_variable", 1),
        ("HTML", "<p>ab</p>é", "visible_chars", 3),
        ("HTML", "<p>ab</p>é", "visible_frac", 3 / 10),
        ("XML", " " * 86 + "<?xml version=", "has_xml_head", True),
        ("XML", " " * 87 + "<?xml version=", "has_xml_head", False),
        ("C", "é" * 189 + "DO not EDIT", "opencoder_generated", True),
        ("C", "é" * 190 + "DO not EDIT", "opencoder_generated", False),
        ("C", "ReGenerated", "opencoder_generated", True),
        ("C", "autogen", "opencoder_generated", True),
        ("C", "gene rate auto gen", "opencoder_generated", False),
        ("C", "// FIXME\n/* Your Code Here\n todo todo */ int todo;\n", "todo_line_frac", 1),
    ],
)
def test_a_value_worked_out_by_hand(language: str, text: str, name: str, value: float) -> None:
    assert one(language, text)[name] == pytest.approx(value, abs=1e-12)


def test_what_a_language_does_not_have_is_not_measured() -> None:
    text = "import a\npass\nint main() {}\nprint(1)\n#if 1\n<p>a</p>\n"
    unmeasured = {
        language: {name for name, value in one(language, text, path).items() if np.isnan(value)}
        for language, path in (
            ("C", "a.c"),
            ("C++", "a.HPP"),
            ("Python", "a"),
            ("Java", "a"),
            ("HTML", "a"),
            ("Dune", "a"),
        )
    }
    page, declared = {"visible_chars", "visible_frac"}, {"function_line_frac", "no_logic_line_frac"}
    python = {"import_line_frac", "pass_line_frac", "simple_function_line_frac"}
    c = {"n_mains", "preprocessor_line_frac"}
    assert unmeasured == {
        "C": page | python | {"has_no_variable"},
        "C++": page | python | {"has_no_variable", "preprocessor_line_frac"},
        "Python": page | c,
        "Java": page | c | python,
        "HTML": c | python | declared | {"has_no_variable", "print_line_frac"},
        "Dune": page | c | python | declared | {"has_no_variable", "print_line_frac"},
    }
    assert np.isnan(one("Text", "a")["comment_frac"])


def test_a_test_of_go_is_known_by_its_name() -> None:
    names = ("a_test.go", "b/C_TEST.GO", "test.go", "a_test.go.txt", "a_test.gox")
    assert measure(*(("Go", name, "a") for name in names))["is_go_test"].tolist() == [True, True, False, False, False]


def test_every_feature_of_programs_is_named_and_of_its_kind() -> None:
    found = measure(("C", "a.c", "int a;\n"))
    programs = {n: f for n, f in FEATURES.items() if n in found}
    assert len(programs) == len(found)
    kinds = {"float": np.float64, "int": np.int64, "bool": np.bool_}
    for name, feature in programs.items():
        assert found[name].dtype == kinds[feature.kind], name
        assert feature.pool == "code"
        assert feature.nullable == (feature.kind == "float"), name
    assert not set(found) & {f.name for f in dataclasses.fields(features.Features)}


def test_no_document_has_no_features() -> None:
    assert {values.size for values in measure().values()} == {0}
