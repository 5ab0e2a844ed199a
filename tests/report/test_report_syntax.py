"""What the report says of parsed documents."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from pipeline.reading.work import working
from pipeline.report.syntax import ParsedLanguage, count_syntax, killers, syntax_table
from pipeline.schema import LANGUAGES

# language, share of bytes in errors, whether its parser died; two shards
SHARDS: list[list[tuple[str, float | None, bool]]] = [
    [("C", 0.0, False), ("C", 0.05, False), ("C", None, False), ("Haskell", None, True)],
    [("C", 0.1, False), ("C", 0.11, False), ("Go", 0.0, False), ("Haskell", 0.0, False), ("Text", None, False)],
]


def read(table: Any, shard: int, *, columns: list[str]) -> pa.Table:
    language, share, died = zip(*SHARDS[shard], strict=True)
    if table is LANGUAGES:
        return pa.table({"language": pa.array(language)})
    return pa.table({"parse_error_frac": pa.array(share, pa.float64()), "parser_died": pa.array(died)})


def test_shares_are_of_what_was_parsed_and_dead_parsers_are_told() -> None:
    run: Any = SimpleNamespace(
        n_shards=2, manifest={"stages": {"documents": {"counts": {}}}}, tables=SimpleNamespace(read=read)
    )
    with working() as work:
        found = count_syntax(run, work)
    assert found == (
        ParsedLanguage("C", 4, 3, 1, 0),
        ParsedLanguage("Go", 1, 0, 0, 0),
        ParsedLanguage("Haskell", 1, 0, 0, 1),
    )
    rows = syntax_table(found).rows
    assert rows[0] == ("C", 4, 0.75, 0.25, 0)
    (told,) = killers(found)
    assert told == "Documents on which a grammar crashed or did not end, so that they are not parsed: Haskell 1."
    assert list(killers(found[:2])) == []
