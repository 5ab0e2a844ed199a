"""The rule sets that ship, read from `sets/NAME.yaml`: a sentence about the source and a list of rows.

A row is a `filters.Rule`. In set loopmix a row may have `setting` in place of `above` or `below`: a field of
`quality.code` or `quality.text`, whose name says the direction (min_: it fires below, max_: above).
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pipeline.features import SetName
from pipeline.filters import Quality, Rule
from pipeline.yaml_file import parse_shipped


@dataclass(frozen=True)
class Row:
    """A rule of a set as it ships, and the field of the mixture that holds its limit (None: its reason in `limits`)."""

    rule: Rule
    setting: str | None


@dataclass(frozen=True)
class RuleSet:
    """A set as it ships, with the limits of its source."""

    name: SetName
    about: str
    rows: tuple[Row, ...]


@cache
def shipped(name: SetName) -> RuleSet:
    """The set of that name, with default limits."""
    text = files("pipeline.rules").joinpath(f"sets/{name}.yaml").read_text(encoding="utf-8")
    data = parse_shipped(text)
    return RuleSet(name, data["about"], tuple(_row(row) for row in data["rules"]))


def _row(data: dict[str, Any]) -> Row:
    setting = data.pop("setting", None)
    if setting is not None:
        pool, _, field = setting.partition(".")
        data |= {"pool": pool, side_of(setting): getattr(getattr(Quality(), pool), field)}
    return Row(Rule.model_validate_json(json.dumps(data)), setting)  # strict, and a list is a tuple only in JSON


def side_of(setting: str) -> str:
    """On which side of a setting its rule fires."""
    return "below" if setting.rpartition(".")[2].startswith("min_") else "above"
