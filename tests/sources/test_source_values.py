"""Column values to what `documents` wants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Columns
from pipeline.select.licenses import PERMISSIVE, UNKNOWN, dropped_class, license_class
from pipeline.sources.values import Metadata, count_of, find, license_of, metadata_of, micros_of, text_of

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("MIT", "MIT"), ("", None), (None, None), (7, "7"), (True, None), (1.5, None), (b"a\xff", r"a\xff"), ({}, None)],
)
def test_text_is_absent_when_the_value_is_of_another_kind(value: Any, expected: str | None) -> None:
    assert text_of(value) == expected


def test_text_is_utf8_when_it_held_a_lone_surrogate() -> None:
    assert text_of("a\ud800") == "a\\ud800"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["MIT", "Apache-2.0"], "MIT AND Apache-2.0"),
        (["MIT OR GPL-2.0", "ISC"], "(MIT OR GPL-2.0) AND ISC"),
        (["MIT/ISC", "GPL-2 or later"], "(MIT/ISC) AND (GPL-2 or later)"),
        (["MIT OR GPL-2.0"], "MIT OR GPL-2.0"),
        (["MIT", None, "MIT", "", " ", "\t"], "MIT"),
        ([" "], None),
        ([], None),
        ("MIT", "MIT"),
        ([b"GPL-3.0"], "GPL-3.0"),
    ],
)
def test_licenses_are_joined_when_there_are_several(value: Any, expected: str | None) -> None:
    assert license_of(value) == expected


@pytest.mark.parametrize("strict", ["GPL-3.0-only", "GPL 2 or later", "GPL-2.0/AGPL-3.0", "SSPL-1.0", "CC-BY-NC-4.0"])
@pytest.mark.parametrize(
    "free", ["MIT", "Apache License, Version 2.0", "MIT OR Apache-2.0", "MIT/ISC", "MIT) OR (ISC", "MIT OR ISC)"]
)
def test_a_free_licence_in_a_list_lets_no_strict_one_pass(free: str, strict: str) -> None:
    for listed in ([free, strict], [strict, free], [free, None, strict, "ISC"]):
        assert license_class(license_of(listed)) == license_class(strict) != PERMISSIVE
        assert dropped_class(license_of(listed), ["copyleft", "other"]) == dropped_class(strict, ["copyleft", "other"])
    assert license_class(license_of([free, "ISC"])) == PERMISSIVE
    assert license_class(license_of([free, "NOASSERTION"])) == UNKNOWN, "what was found and says nothing frees nothing"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, 3),
        (3.0, 3),
        ("12", 12),
        (b"12", 12),
        (3.5, None),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        (2**63, None),
        ("many", None),
        ("9" * 30, None),
    ],
)
def test_count_is_absent_when_it_is_no_whole_number(value: Any, expected: int | None) -> None:
    assert count_of(value) == expected


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1),
        ("1970-01-01T01:00:01+01:00", 1),
        ("1970-01-02", 86_400),
        (b"1970-01-01 00:00:02.000", 2),
        (datetime(1970, 1, 1, 0, 0, 3, tzinfo=UTC), 3),
        (datetime(1970, 1, 1, 2, 0, 3, tzinfo=timezone(timedelta(hours=2))), 3),
    ],
)
def test_time_is_utc_when_it_names_no_zone(value: Any, seconds: int) -> None:
    assert micros_of(value) == seconds * 1_000_000


@pytest.mark.parametrize("value", ["yesterday", "", 1_700_000_000, None, "0000-01-01"])
def test_time_is_absent_when_it_cannot_be_told(value: Any) -> None:
    assert micros_of(value) is None


def test_key_steps_into_nested_mappings_unless_it_exists_as_it_is() -> None:
    row = {"a": {"b": {"c": 1}}, "a.b": 2}
    assert find(row, key="a.b") == 2
    assert find({"a": {"b": {"c": 1}}}, key="a.b.c") == 1
    assert find({"a": [1]}, key="a.b") is None
    assert find(row, key=None) is None


@given(st.dictionaries(st.sampled_from("abcdef"), ANYTHING))
def test_metadata_never_fail_when_values_are_any(row: dict[str, Any]) -> None:
    columns = Columns(path="a", repo="b", revision="c", revision_time="d", license="e", stars="f")
    metadata = metadata_of(row, columns=columns)
    assert isinstance(metadata, Metadata)
    for text in (metadata.path, metadata.repo, metadata.revision, metadata.license):
        assert text is None or text.encode("utf-8")
    assert metadata.stars is None or -(2**63) <= metadata.stars < 2**63
