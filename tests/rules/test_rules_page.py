"""docs/quality.md lists every reason as the tables of rules and settings do."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import Any

from pipeline.config import Against, Mixture, Source
from pipeline.reasons import SETTINGS, Setting

PAGE = Path(__file__).parents[2] / "docs" / "quality.md"
MIXTURE = Mixture(name="hand", sources=(Source(name="web", kind="directory", path="/w"),))
BENCHMARK = Against(name="exam", kind="jsonl", path="/e")


def shown(value: Any) -> str:
    if isinstance(value, tuple | bool):
        return str(list(value) if isinstance(value, tuple) else value).lower()
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


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
