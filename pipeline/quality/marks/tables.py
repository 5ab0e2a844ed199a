"""The tables of marks beside this file, read once."""

from functools import cache
from importlib.resources import files
from typing import Any

from pipeline.yaml_file import parse_shipped


@cache
def read_table(name: str) -> Any:
    """The YAML file of that name in this folder as plain data."""
    return parse_shipped(files("pipeline.quality.marks").joinpath(name).read_text(encoding="utf-8"))


def pattern_of(written: str | list[str]) -> str:
    """An expression as the tables hold it: alternatives as a list, long ones broken into lines."""
    return "|".join(part.replace("\n", "") for part in ([written] if isinstance(written, str) else written))
