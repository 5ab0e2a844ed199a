"""What a rule measured stands on the pages as a person writes it."""

from __future__ import annotations

from pipeline.reading.rule_effects import RuleEffects, RuleExample
from pipeline.reading.samples import Shown
from pipeline.report.markup import Html
from pipeline.report.rule_tables import examples
from pipeline.report.samples_page import _sample

LARGE, WRITTEN = 123456.0, "123,456"


def test_examples_of_rules_show_large_values_whole() -> None:
    one = RuleExample("too_long", "0" * 32, "a.c", "C", LARGE, alone=False)
    table = examples(RuleEffects((), (one,), 1, 1, 1, 1, 0, 0, 0))
    cells = [column.cell(value) for column, value in zip(table.columns, table.rows[0], strict=True)]
    assert WRITTEN in cells


def test_samples_show_large_values_whole() -> None:
    said = {"fate": "dropped", "keep": False, "reasons": ["too_long"], "fired": [{"rule": "too_long", "value": LARGE}]}
    row = {"language": "C", "n_bytes": 5, "path": "a.c", "source": "s", "repo": "", "revision": "", "license": ""}
    shown = _sample(Shown(row | said | {"doc_id": "0" * 32}, 5, (), 0, ()), body=Html(""))
    assert f"rules that fired: too_long {WRITTEN}<" in shown
