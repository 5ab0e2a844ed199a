"""When a name alone decides, and when a content that it does not fit is asked first."""

import pytest

from pipeline.language import rules
from pipeline.language.heuristics import generic_extensions
from pipeline.language.own_rules import CONTESTED
from pipeline.language.path import by_path
from pipeline.language.rules import Open, by_name, by_rules
from pipeline.language.table import extension_table


def test_a_common_language_of_its_own_extension_or_file_name_needs_no_content() -> None:
    assert by_name(by_path("src/a.py")) == ("Python", "extension")
    assert by_name(by_path("Dockerfile")) == ("Dockerfile", "filename")
    assert by_rules(by_path("a.py"), b"<?xml version='1.0'?><a/>", wordy=False, max_scan_bytes=99) == by_name(
        by_path("a.py")
    )


@pytest.mark.parametrize("extension", sorted({*generic_extensions(), *CONTESTED}))
def test_an_extension_that_others_use_too_asks_the_content(extension: str) -> None:
    assert by_name(by_path("a" + extension)) is None


@pytest.mark.parametrize("path", ["a.h", "a.txt", "README", "a.unheard_of", "a.self"])
def test_a_choice_a_text_nothing_and_a_rare_language_ask_the_content(path: str) -> None:
    assert by_name(by_path(path)) is None
    assert path != "a.self" or len(extension_table()[".self"]) == 1


def test_what_opens_as_another_language_is_believed_against_a_rare_one_only() -> None:
    xml = b"<?xml version='1.0'?>\n<settings/>\n"
    assert by_rules(by_path("a.self"), xml, wordy=False, max_scan_bytes=99) == ("XML", "signature")
    assert isinstance(by_rules(by_path("a.unheard_of"), b"a b c", wordy=False, max_scan_bytes=99), Open)


def test_a_contested_extension_asks_the_content_though_its_language_is_common(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "CONTESTED", frozenset((".py",)))
    by_name.cache_clear()
    assert by_name(by_path("a.py")) is None
    by_name.cache_clear()
