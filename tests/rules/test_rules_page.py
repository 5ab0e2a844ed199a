"""docs/quality.md lists every reason as the tables of rules and settings do."""

from __future__ import annotations

import os
from functools import reduce
from pathlib import Path
from typing import Any

from pipeline.config import Against, Mixture, Source
from pipeline.features import SETS
from pipeline.filters import Quality
from pipeline.reasons import SETTINGS, Setting
from pipeline.rules.page import MARK, evidence, page
from pipeline.rules.resolve import resolve

FILTERS = Path(__file__).parents[2] / "docs" / "filters.md"
PAGE = Path(__file__).parents[2] / "docs" / "quality.md"
MIXTURE = Mixture(name="hand", sources=(Source(name="web", kind="directory", path="/w"),))
BENCHMARK = Against(name="exam", kind="jsonl", path="/e")


def shown(value: Any) -> str:
    if isinstance(value, dict):
        return str(value)
    if isinstance(value, tuple | bool):
        return str(list(value) if isinstance(value, tuple) else value).lower()
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def test_the_page_of_rules_is_made_from_the_sets() -> None:
    text = FILTERS.read_text(encoding="utf-8")
    if os.environ.get("LOOPMIX_WRITE_PAGE"):
        FILTERS.write_text(text.partition(MARK)[0] + page(), encoding="utf-8")
        return
    assert text.partition(MARK)[1:] == page().partition(MARK)[1:], (
        "write it anew: LOOPMIX_WRITE_PAGE=1 pytest " + __file__
    )


def test_what_was_read_of_a_rule_is_of_a_rule_that_ships() -> None:
    reasons = {asked.rule.reason for asked in resolve(Quality(sets=SETS))}
    assert set(evidence()) <= reasons
    for reason, known in evidence().items():
        assert 0 <= known.get("wrong", 0) <= known.get("read", 0) <= 100, reason
        assert 0 <= known.get("alone_frac", 0) <= known.get("dropped_frac", 1) <= 1, reason


def setting_row(setting: Setting) -> str:
    if setting.key is None:
        return f"| `{setting.reason}` | fixed | | {setting.source} |"
    root: Any = BENCHMARK if "{benchmark}" in setting.key else MIXTURE
    value = reduce(getattr, setting.key.removeprefix("against.{benchmark}.").split("."), root)
    key = setting.key.format(benchmark="NAME")
    return f"| `{setting.reason}` | {setting.applies} `{key}` | {shown(value)} | {setting.source} |"


def test_the_page_lists_every_setting_as_the_table_does() -> None:
    wanted = [setting_row(setting) for setting in SETTINGS]
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows == wanted, "docs/quality.md should hold:\n" + "\n".join(wanted)
