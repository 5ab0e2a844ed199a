from pipeline.language.shares import OTHERS, PAPER_LANGUAGES, PAPER_SHARES
from pipeline.language.table import (
    EXTENSION_DEFAULTS,
    MODE_NAMES,
    alias_table,
    by_popularity,
    extension_table,
    filename_table,
    group_of,
    interpreter_table,
    languages,
)


def test_the_paper_names_ten_languages_and_pools_ninety_three() -> None:
    assert len(PAPER_LANGUAGES) == len(set(PAPER_LANGUAGES)) == 103
    assert set(PAPER_SHARES) - {OTHERS} == set(PAPER_LANGUAGES[:10])
    assert round(sum(PAPER_SHARES.values()), 1) == 99.9
    assert PAPER_SHARES["Markdown"] == 8.7 and PAPER_SHARES[OTHERS] == 30.5


def test_every_name_we_use_is_linguists() -> None:
    used = {*PAPER_LANGUAGES, *EXTENSION_DEFAULTS.values(), *MODE_NAMES.values(), "Text"}
    assert used <= set(languages())
    assert len(languages()) > 800 and len(extension_table()) > 1400


def test_a_default_is_a_candidate_of_its_extension() -> None:
    for extension, default in EXTENSION_DEFAULTS.items():
        assert extension in languages()[default].extensions
        assert extension_table()[extension][0] == default


def test_tables_put_the_likeliest_candidate_first() -> None:
    assert extension_table()[".rs"] == ("Rust", "RenderScript", "XML")
    assert filename_table()["README"] == ("Text",)
    assert interpreter_table()["node"] == ("JavaScript", "TypeScript")
    assert by_popularity(["V", "TSX", "Zig", "TypeScript"]) == ("TypeScript", "TSX", "Zig", "V")


def test_aliases_include_names_and_editor_modes() -> None:
    table = alias_table()
    assert (
        table["c++"] == "C++"
        and table["emacs-lisp"] == "Emacs Lisp"
        and table["golang"] == "Go"
        and table["make"] == "Makefile"
    )


def test_group_of_is_the_language_that_statistics_count() -> None:
    assert (group_of("TSX"), group_of("Python"), group_of("Unknown")) == ("TypeScript", "Python", "Unknown")
