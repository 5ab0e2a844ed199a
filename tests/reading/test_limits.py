"""Which limit a document crossed: the right one of several, its value in the run, and a change that lets it in."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from handmade import judged

from pipeline.config import Against, Ingest, Mixture, NearDups, Select, Source
from pipeline.features import SETS
from pipeline.filters import CodeRules, Quality, Rule, TextRules
from pipeline.reading.limits import Limit, limits_of
from pipeline.reasons import REASONS, SETTINGS
from pipeline.rules.resolve import resolve
from pipeline.yaml_file import validate

LINES = "".join(f"row{n} = column{n} + {n}\n" for n in range(30))
PROSE = "The ferry left at six and the last lorry came aboard with its lights still on. " * 5 + "\n"


def mixture(**parts: Any) -> Mixture:
    return Mixture(name="hand", sources=(Source(name="web", kind="directory", path="/w"),), **parts)


def with_change(old: Mixture, change: str) -> Mixture:
    """The mixture with one line of YAML written into it."""

    def merge(into: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
        return into | {k: merge(into[k], v) if isinstance(v, dict) else v for k, v in new.items()}

    return validate(Mixture, merge(old.model_dump(mode="json"), yaml.safe_load(change)), where="change")


def fired(text: str, *, language: str, config: Quality) -> list[dict[str, Any]]:
    """What fires on a document."""
    pool = "text" if language == "Text" else "code"
    return judged([(pool, language, text.encode(), None)], config=config)[0]


def document(*reasons: str, language: str = "Python", **columns: Any) -> dict[str, Any]:
    """A row of the ledger with its row of overlaps."""
    pool = "text" if language == "Text" else "code"
    own = {"license": "MIT", "similarity": None, "matches": [], "fired": []}
    return {"reasons": list(reasons), "pool": pool, "language": language} | own | columns


def limit_of(mixture: Mixture, row: dict[str, Any], reason: str) -> Limit:
    (limit,) = [limit for limit in limits_of(mixture, row) if limit.reason == reason]
    return limit


STRICT = Quality(
    parse="all",
    code=CodeRules(max_lines=40, max_markup_line_chars=100_001, max_data_lines=20, max_parse_error_frac=0.4),
    text=TextRules(max_words=300, min_mean_word_chars=2.25, max_line_chars=3_000),
)
UNSURE = "def area(width, height):\n    return width * height\n\n\n"
# text, language, reason, measured, crossed, key below `quality`, its value
FIRED = [
    (UNSURE[:40], "Python", "too_short", 40, "below", "code.min_chars", 50),
    (LINES * 2, "Python", "too_many_lines", 60, "above", "code.max_lines", 40),
    (LINES + "# " + "word " * 200, "Python", "long_line", 1_002, "above", "code.max_line_chars", 1_000),
    ("<p>" + "word " * 32_042, "HTML", "long_line", 160_213, "above", "code.max_markup_line_chars", 100_001),
    (("# " + "some word " * 17 + "\n") * 60, "C", "long_mean_line", 172, "above", "code.max_mean_line_chars", 150),
    ("x1 = [" + "12, 34, " * 140 + "]\n", "C", "low_alpha", 1 / 845, "below", "code.min_alpha_frac", 0.25),
    ("+-*/ " * 20, "WebAssembly", "low_alpha", 0, "below", "code.min_alpha_frac", 0.25),
    ("k: v\n" * 5 + LINES, "JSON", "data_too_long", 35, "above", "code.max_data_lines", 20),
    (UNSURE * 12, "Python", "duplicate_lines", 11 / 12, "above", "code.max_duplicate_line_frac", 0.9),
    ("K = '" + "ab12" * 300 + "'\n", "Python", "long_encoded_run", 1200, "above", "code.max_encoded_run_chars", 1_024),
    ("K = '" + "ab12" * 300 + "'\n", "Python", "encoded_data", 1200 / 1207, "above", "code.max_encoded_frac", 0.5),
    ("def def def (:\n" * 5, "Python", "parse_errors", 1, "above", "code.max_parse_error_frac", 0.4),
    ("Back at noon. " * 9, "Text", "few_words", 27, "below", "text.min_words", 30),
    (PROSE * 4, "Text", "many_words", 320, "above", "text.max_words", 300),
    ("a b c d " * 10, "Text", "word_length", 1, "below", "text.min_mean_word_chars", 2.25),
    ("Lebensversicherungsgesellschaft " * 40, "Text", "word_length", 31, "above", "text.max_mean_word_chars", 25),
    ("#sun and #sea for all of us " * 6, "Text", "symbols", 2 / 7, "above", "text.max_symbol_word_frac", 0.1),
    ("12 34 56 78 word " * 9, "Text", "few_alpha_words", 1 / 5, "below", "text.min_alpha_word_frac", 0.4),
    ("- take one along too\n" * 12, "Text", "bullets", 1, "above", "text.max_bullet_line_frac", 0.9),
    ("and then there came one more ...\n" * 6, "Text", "ellipses", 1, "above", "text.max_ellipsis_line_frac", 0.5),
    (PROSE * 4, "Text", "text_duplicate_lines", 3 / 4, "above", "text.max_duplicate_line_frac", 0.5),
    (PROSE[:-1] * 8, "Text", "text_long_line", 3_160, "above", "text.max_line_chars", 3_000),
]


@pytest.mark.parametrize(("text", "language", "reason", "measured", "crossed", "key", "value"), FIRED)
def test_a_rule_that_fired_leads_to_its_limit_and_the_change_lets_the_document_pass(
    text: str, language: str, reason: str, measured: float, crossed: str, key: str, value: float
) -> None:
    old = mixture(quality=STRICT)
    rules = fired(text, language=language, config=old.quality)
    limit = limit_of(old, document(reason, language=language, fired=rules), reason)
    assert limit.measured == pytest.approx(measured, abs=5e-3)
    assert (limit.crossed, limit.key, limit.value) == (crossed, f"quality.{key}", value)
    asked = [one for one in resolve(old.quality) if one.rule.reason == reason and one.key == f"quality.{key}"]
    source = asked[0].rule.source
    assert limit.source == source or reason == "low_alpha"
    assert limit.change is not None
    assert limit.change.startswith(f"quality: {{{key[:4]}: {{{key[5:]}: ")
    new = with_change(old, limit.change)
    assert reason not in {f["rule"] for f in fired(text, language=language, config=new.quality)}


def test_a_large_fraction_is_written_as_a_number_that_yaml_reads() -> None:
    rules = [{"rule": "long_mean_line", "value": 1_234_567.8901}]
    limit = limit_of(mixture(), document("long_mean_line", fired=rules), "long_mean_line")
    assert limit.change == "quality: {code: {max_mean_line_chars: 1234567.891}}"


def test_low_alpha_names_the_rule_of_its_language() -> None:
    rules = [{"rule": "low_alpha", "value": 0.1}]
    for language in ("C", "WebAssembly"):
        limit = limit_of(mixture(), document("low_alpha", language=language, fired=rules), "low_alpha")
        assert ("digits" in limit.source) == (language == "WebAssembly")


def test_a_rule_without_a_setting_is_moved_by_its_reason() -> None:
    own = Quality(rules=(Rule(reason="many_rows", feature="n_lines", above=20, source="hand"),))
    rules = fired(LINES, language="Python", config=own)
    limit = limit_of(mixture(quality=own), document("many_rows", fired=rules), "many_rows")
    assert (limit.measured, limit.key, limit.source) == (30, "quality.limits.many_rows", "hand")
    assert limit.change == "quality: {limits: {many_rows: 30}}"


def test_a_mark_has_no_limit_and_is_let_pass_by_its_name() -> None:
    rules = fired("# autogenerated\n" + LINES, language="Python", config=Quality())
    limit = limit_of(mixture(), document("generated_content", fired=rules), "generated_content")
    assert (limit.measured, limit.key, limit.value) == (None, "quality.without", None)
    assert limit.change == "quality: {without: [generated_content]}"


@pytest.mark.parametrize("reason", ["unreadable_row", "empty", "binary", "exact_duplicate"])
def test_what_no_setting_changes_says_that_it_is_fixed(reason: str) -> None:
    limit = limit_of(mixture(), document(reason), reason)
    assert (limit.key, limit.value, limit.change) == (None, None, None)


def test_too_large_names_the_limit_of_ingest_though_its_size_is_gone() -> None:
    old = mixture(ingest=Ingest(max_document_bytes=22_000))
    limit = limit_of(old, document("too_large", fired=[{"rule": "too_large", "value": 0.0}]), "too_large")
    assert (limit.measured, limit.key, limit.value) == (None, "ingest.max_document_bytes", 22_000)
    said = "ingest: {max_document_bytes: N}, where N is at least its own, which the run did not keep"
    assert limit.change == said


def test_an_undecidable_encoding_says_what_to_write_though_how_sure_it_was_is_gone() -> None:
    limit = limit_of(mixture(), document("undecidable_encoding"), "undecidable_encoding")
    own = "at most its own, which the run did not keep; 0 lets everything in"
    assert limit.change == f"ingest: {{min_encoding_confidence: N}}, where N is {own}"
    with_change(mixture(), "ingest: {min_encoding_confidence: 0.0}")  # may be written


@pytest.mark.parametrize("reason", ["near_duplicate", "known_duplicate"])
@pytest.mark.parametrize(
    ("similarity", "wanted"),
    [(0.8125, 0.813), (0.8, 0.801), (0.79, 0.791), (0.99, 0.991), (0.9995, 1.0), (1.0, None)],
)
def test_a_near_duplicate_names_threshold_and_similarity(reason: str, similarity: float, wanted: float | None) -> None:
    old = mixture(near_dups=NearDups(min_similarity=0.75))
    limit = limit_of(old, document(reason, similarity=similarity), reason)
    assert (limit.measured, limit.crossed) == (similarity, "at least")
    assert (limit.key, limit.value) == ("near_dups.min_similarity", 0.75)
    if wanted is None:
        assert limit.change is None
    else:
        assert limit.change is not None
        assert with_change(old, limit.change).near_dups.min_similarity == wanted > similarity


def test_a_near_duplicate_of_unknown_similarity_leaves_the_new_value_open() -> None:
    limit = limit_of(mixture(), document("near_duplicate"), "near_duplicate")
    assert (limit.measured, limit.change) == (
        None,
        "near_dups: {min_similarity: N}, where N is above its own, which the run did not keep",
    )


def test_a_dropped_language_leaves_the_list_and_no_other() -> None:
    old = mixture(select=Select(drop_languages=("Gettext Catalog", "SVG")))
    limit = limit_of(old, document("dropped_language", language="SVG"), "dropped_language")
    assert (limit.measured, limit.key) == ("SVG", "select.drop_languages")
    assert limit.value == ("Gettext Catalog", "SVG")
    assert limit.change is not None
    assert with_change(old, limit.change).select.drop_languages == ("Gettext Catalog",)


@pytest.mark.parametrize("group", ["HTML", "HTML prose"])
def test_prose_in_a_format_takes_that_format_off_the_list(group: str) -> None:
    old = mixture(select=Select(drop_prose_in=("XML", "HTML")))
    limit = limit_of(old, document("prose_in_format", language="HTML", group=group), "prose_in_format")
    assert (limit.measured, limit.key, limit.value) == ("HTML", "select.drop_prose_in", ("XML", "HTML"))
    assert limit.change == 'select: {drop_prose_in: ["XML"]}'
    assert with_change(old, limit.change).select.drop_prose_in == ("XML",)


def test_a_dropped_licence_leaves_the_list_by_its_class() -> None:
    old = mixture(select=Select(drop_licenses=("unknown", "other")))
    limit = limit_of(old, document("dropped_license", license="GPL-3.0-only"), "dropped_license")
    assert (limit.measured, limit.key, limit.value) == ("other", "select.drop_licenses", ("unknown", "other"))
    assert limit.change is not None
    assert with_change(old, limit.change).select.drop_licenses == ("unknown",)
    assert limit_of(old, document("dropped_license", license=None), "dropped_license").measured == "unknown"


@pytest.mark.parametrize(
    ("license_id", "dropped", "measured", "left"),
    [
        ("GPL-3.0", ("copyleft", "other"), "copyleft", ()),  # `other` alone would keep it out too
        ("SSPL-1.0", ("copyleft", "other"), "other", ("copyleft",)),
        ("MIT OR GPL-2.0", ("permissive", "copyleft"), "permissive", ("permissive",)),  # one choice is enough
    ],
)
def test_the_change_for_a_licence_leaves_no_class_that_keeps_it_out(
    license_id: str, dropped: Any, measured: str, left: tuple[str, ...]
) -> None:
    old = mixture(select=Select(drop_licenses=dropped))
    limit = limit_of(old, document("dropped_license", license=license_id), "dropped_license")
    assert limit.measured == measured
    assert limit.change is not None
    assert with_change(old, limit.change).select.drop_licenses == left


def test_a_shared_judgement_names_the_limit_that_its_equal_crossed() -> None:
    old = mixture(select=Select(drop_licenses=("copyleft",)), against=(EXAM,))
    match = {"benchmark": EXAM.name, "n_telling_words": 4, "contained_frac": 0.0}
    shared = {"license": "GPL-2+", "matches": [match]}
    less = [match | {"n_telling_words": 3}]
    row = document("dropped_license", "contaminated", license=None, judged=shared, matches=less)
    assert limit_of(old, row, "dropped_license").measured == "copyleft"
    assert limit_of(old, row, "contaminated").key == f"against.{EXAM.name}.min_telling_words"


def test_an_unknown_language_names_the_switch() -> None:
    limit = limit_of(mixture(), document("unknown_language", language="Unknown"), "unknown_language")
    assert (limit.key, limit.value) == ("select.drop_unknown", True)
    assert limit.change is not None
    assert not with_change(mixture(), limit.change).select.drop_unknown


EXAM = Against(name="exam.v1", kind="jsonl", path="/e", min_telling_words=4, min_contained_frac=0.6)
OTHER = Against(name="other", kind="jsonl", path="/o")
RUN = Against(name="old", kind="run", path="/r")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([("exam.v1", 0, 0.6)], {"min_contained_frac": 0.6}),
        ([("exam.v1", 4, 0.59)], {"min_telling_words": 4}),
        ([("exam.v1", 4, 0.1), ("exam.v1", 9, 0.9)], {"min_telling_words": 9, "min_contained_frac": 0.9}),
        ([("exam.v1", 3, 0.59), ("other", 1, 0.1)], {}),
        ([("exam.v1", 5, 1.0)], {"min_telling_words": 5, "min_contained_frac": 1.0}),
    ],
)
def test_a_contaminated_document_names_the_limits_that_it_reaches(
    found: list[tuple[str, int, float]], expected: dict[str, float]
) -> None:
    matches = [{"benchmark": b, "n_telling_words": n, "contained_frac": share} for b, n, share in found]
    row = document("contaminated", matches=matches)
    limits = limits_of(mixture(against=(RUN, OTHER, EXAM)), row)
    assert {limit.key: limit.measured for limit in limits} == {
        f"against.exam.v1.{field}": value for field, value in expected.items()
    }
    for limit in limits:
        field = str(limit.key).rpartition(".")[2]
        assert (limit.crossed, limit.value) == ("at least", getattr(EXAM, field))
        if limit.measured == 1.0:
            assert limit.change is None  # no share lets a copy in
            continue
        (entry,) = yaml.safe_load(limit.change or "")["against"]
        assert entry["name"] == "exam.v1"
        assert entry[field] > limit.measured


def test_limits_stand_in_the_order_of_reasons_when_several_are_crossed() -> None:
    rules = [{"rule": "long_line", "value": 2000.0}, {"rule": "parse_errors", "value": 0.9}]
    row = document("long_line", "parse_errors", "near_duplicate", fired=rules, similarity=0.9)
    assert [limit.reason for limit in limits_of(mixture(quality=STRICT), row)] == [
        "long_line",
        "parse_errors",
        "near_duplicate",
    ]


def test_every_reason_is_a_rule_or_has_a_setting_that_exists() -> None:
    of_rules = {one.rule.reason for one in resolve(Quality(sets=SETS))}
    of_settings = {setting.reason for setting in SETTINGS}
    assert not of_rules & of_settings
    assert of_settings == REASONS.keys()
    for setting in SETTINGS:
        assert setting.source
        if setting.key is not None:
            part: Any = mixture()
            for name in setting.key.removeprefix("against.{benchmark}.").split("."):
                part = getattr(EXAM if "{benchmark}" in setting.key else part, name)
