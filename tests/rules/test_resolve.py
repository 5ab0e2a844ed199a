"""What a mixture makes of the rule sets: its limits, what it does without, its own rules, and what it names wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
from handmade import judged
from pydantic import ValidationError

from pipeline.errors import ConfigError
from pipeline.features import SETS
from pipeline.filters import CodeRules, Quality, Rule, TextRules
from pipeline.request.load import load_mixture
from pipeline.rules.meanings import meanings
from pipeline.rules.resolve import resolve
from pipeline.rules.sets import shipped

CODE = "def area(width, height):\n    return width * height\n\n\nprint(area(3, 4))\n"
MIXTURE = "name: hand\nsources:\n- {{name: web, kind: directory, path: .}}\nquality: {quality}\n"


def limits(quality: Quality, reason: str) -> list[float]:
    return [asked.limit for asked in resolve(quality) if asked.rule.reason == reason]


def test_every_setting_of_code_and_text_is_the_limit_of_a_rule() -> None:
    settings = {row.setting for row in shipped("loopmix").rows if row.setting}
    wanted = {f"code.{name}" for name in CodeRules.model_fields} | {f"text.{name}" for name in TextRules.model_fields}
    assert settings == wanted


def test_every_file_of_a_set_is_a_set() -> None:
    folder = Path(__file__).parents[2] / "pipeline" / "rules" / "sets"
    assert {path.stem for path in folder.iterdir()} == set(SETS)


def test_a_setting_moves_its_rule_and_no_other() -> None:
    moved = Quality(code=CodeRules(max_line_chars=7))
    assert limits(moved, "long_line") == [7, 100_000]
    assert limits(moved, "too_short") == limits(Quality(), "too_short")


def test_limits_move_a_rule_by_its_reason_and_without_takes_it_out() -> None:
    own = Rule(reason="many_calls", feature="n_lines", above=2)
    assert limits(Quality(rules=(own,), limits={"many_calls": 3}), "many_calls") == [3]
    assert limits(Quality(without=("generated_content",)), "generated_content") == []
    assert len(resolve(Quality(without=("long_line",)))) == len(resolve(Quality())) - 2


def test_own_rules_judge_after_the_sets_and_can_be_moved_like_theirs() -> None:
    own = Rule(reason="many_calls", feature="n_lines", above=2, pool="code", why="hand")
    quality = Quality(rules=(own,))
    assert resolve(quality)[-1].key == "quality.limits.many_calls"
    row = ("code", "Python", CODE.encode(), None)
    assert judged([row], config=quality) == [[{"rule": "many_calls", "value": 5.0}]]
    assert judged([row], config=Quality(rules=(own,), limits={"many_calls": 5})) == [[]]
    assert meanings(quality)["many_calls"] == "hand (n_lines above quality.limits.many_calls)"


def test_a_reason_of_a_rule_stands_between_what_a_document_is_and_whom_it_repeats() -> None:
    order = list(meanings(Quality(rules=(Rule(reason="mine", feature="n_lines", above=2),))))
    assert order.index("contaminated") < order.index("too_short") < order.index("mine")
    assert order[-3:] == ["exact_duplicate", "known_duplicate", "near_duplicate"]


@pytest.mark.parametrize(
    ("quality", "message"),
    [
        ("{without: [long_lines]}", "no rule has the reason 'long_lines'; did you mean long_line"),
        ("{limits: {long_line: 3}}", "key of its own, quality.code.max_line_chars and quality.code.max_markup_line"),
        ("{rules: [{reason: near_duplicate, feature: n_chars, above: 1}]}", "a reason of another kind"),
        ("{rules: [{reason: long_line, feature: n_chars, above: 1}]}", "the reason of a rule that ships"),
        ("{rules: [{reason: a, feature: n_bytes, above: 1}]}", "'n_bytes' is no feature"),
        ("{rules: [{reason: a, feature: n_chars}]}", "give one of `above` and `below` for n_chars"),
        ("{rules: [{reason: a, feature: n_chars, above: 1, below: 0}]}", "give one of `above` and `below`"),
        ("{rules: [{reason: a, feature: n_chars, above: 1, languages: [Pithon]}]}", "did you mean Python"),
        ("{sets: [loopmixx]}", "loopmixx"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, quality: str, message: str) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(MIXTURE.format(quality=quality))
    with pytest.raises(ConfigError, match=r"mix.yaml: line 4") as error:
        load_mixture(path)
    assert message in str(error.value)


def test_languages_of_own_rules_may_be_aliases(tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    path.write_text(MIXTURE.format(quality="{rules: [{reason: a, feature: n_chars, above: 1, languages: [python]}]}"))
    assert load_mixture(path).quality.rules[0].languages == ("Python",)


def test_a_share_that_stays_is_a_share() -> None:
    with pytest.raises(ValidationError):
        Rule(reason="a", feature="n_chars", above=1, keep_frac=1.5)
