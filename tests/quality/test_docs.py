"""docs/quality.md lists every reason as the tables of rules and settings do."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

from pipeline.config import Against, Mixture, Source
from pipeline.quality import code_rules, text_rules
from pipeline.quality.rules import Rule
from pipeline.reasons import SETTINGS, Setting

PAGE = Path(__file__).parents[2] / "docs" / "quality.md"
MIXTURE = Mixture(name="hand", sources=(Source(name="web", kind="directory", path="/w"),))
BENCHMARK = Against(name="exam", kind="jsonl", path="/e")


def shown(value: Any) -> str:
    if isinstance(value, tuple | bool):
        return str(list(value) if isinstance(value, tuple) else value).lower()
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def languages(rule: Rule) -> str:
    if rule.only is not None:
        return ", ".join(sorted(rule.only))
    if rule.exempt:
        return "all but " + ", ".join(sorted(rule.exempt))
    return "in scripts with spaces" if rule.spaced_only else "all"


def rule_row(pool: str, rule: Rule) -> str:
    limit, default = "fixed", ""
    if rule.threshold is not None:
        limit = f"`quality.{pool}.{rule.threshold}`"
        default = shown(getattr(getattr(MIXTURE.quality, pool), rule.threshold))
    feature = f"`{rule.feature}` {rule.fires}"
    return f"| `{rule.reason}` | {feature} | {limit} | {default} | {languages(rule)} | {rule.source} |"


def setting_row(setting: Setting) -> str:
    if setting.key is None:
        return f"| `{setting.reason}` | fixed | | {setting.source} |"
    root: Any = BENCHMARK if "{benchmark}" in setting.key else MIXTURE
    value = reduce(getattr, setting.key.removeprefix("against.{benchmark}.").split("."), root)
    key = setting.key.format(benchmark="NAME")
    return f"| `{setting.reason}` | {setting.applies} `{key}` | {shown(value)} | {setting.source} |"


def test_the_page_lists_every_rule_and_setting_as_the_tables_do() -> None:
    wanted = [rule_row("code", rule) for rule in code_rules.RULES]
    wanted += [rule_row("text", rule) for rule in text_rules.RULES]
    wanted += [setting_row(setting) for setting in SETTINGS]
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert rows == wanted, "docs/quality.md should hold:\n" + "\n".join(wanted)
