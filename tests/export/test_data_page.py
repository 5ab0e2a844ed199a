"""docs/data.md: its tables are what the code says, and each of its programs runs."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.export import FORMATS
from pipeline.export.card import table
from pipeline.export.columns import PACKED_COLUMNS
from pipeline.schema import packed_schema

PAGE = (Path(__file__).parents[2] / "docs/data.md").read_text(encoding="utf-8")


def between(name: str) -> str:
    """The part of the page that the code decides."""
    (found,) = re.findall(f"<!-- {name} -->\n(.*?)<!-- end -->", PAGE, re.DOTALL)
    return str(found)


def shown(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"


def test_the_page_says_what_each_format_keeps() -> None:
    rows = [(f"`{f.name}`", f.reader, ", ".join(f.kept), ", ".join(f.lost) or "nothing") for f in FORMATS.values()]
    expected = shown(table(("`--to`", "read by", "kept", "lost"), rows))
    assert between("formats") == expected, expected


def test_the_page_says_what_the_columns_of_packed_shards_are() -> None:
    schema = packed_schema(4096)
    assert list(PACKED_COLUMNS) == schema.names
    kinds = {
        name: str(schema.field(name).type).replace("element: ", "").replace(" not null", "") for name in schema.names
    }
    rows = [(f"`{name}`", kinds[name].replace("4096", "L"), meaning) for name, meaning in PACKED_COLUMNS.items()]
    expected = shown(table(("column", "type", "meaning"), rows))
    assert between("packed") == expected, expected
