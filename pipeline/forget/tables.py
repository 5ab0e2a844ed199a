"""The rows of tables that change: of what is gone, and of what takes its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa

from pipeline.forget.plan import Gone, Planned
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import BALANCE, DOCUMENTS, LEDGER, REDACTED, SELECT, Table

Change = Callable[[pa.Table, Sequence[Gone], Sequence[Planned]], dict[str, dict[int, Any]]]  # column -> row -> value

_DUPLICATES = {"exact_duplicate", "known_duplicate", "near_duplicate"}


def with_rows(table: pa.Table, new: dict[str, dict[int, Any]]) -> pa.Table:
    """The table with other values in some rows of some columns."""
    for name, values in new.items():
        if values:
            place = table.schema.get_field_index(name)
            table = table.set_column(place, table.schema.field(name), _replaced(table[name], values))
    return table


def _replaced(column: pa.ChunkedArray, values: dict[int, Any]) -> pa.ChunkedArray:
    """A column of which few rows change: the others are slices of what they were."""
    pieces, first = [], 0
    for row in sorted(values):
        pieces += [*column.slice(first, row - first).chunks, pa.array([values[row]], column.type)]
        first = row + 1
    return pa.chunked_array([*pieces, *column.slice(first).chunks], column.type)


def _documents(table: pa.Table, gone: Sequence[Gone], _: Sequence[Planned]) -> dict[str, dict[int, Any]]:
    return {"content": {g.row: b"" for g in gone}, "problem": {g.row: TAKEN_BACK for g in gone}}


def _redacted(table: pa.Table, gone: Sequence[Gone], _: Sequence[Planned]) -> dict[str, dict[int, Any]]:
    held = table["content"].is_valid().to_numpy()
    return {"content": {g.row: None for g in gone if held[g.row]}}


def _select(table: pa.Table, gone: Sequence[Gone], _: Sequence[Planned]) -> dict[str, dict[int, Any]]:
    return _decided(table, gone)


def _decided(table: pa.Table, gone: Sequence[Gone]) -> dict[str, dict[int, Any]]:
    """What speaks against a document by itself stays said; that it was a duplicate does not, as it has no words now."""
    before = {g.row: table["reasons"][g.row].as_py() for g in gone}
    reasons = {
        row: [TAKEN_BACK, *(r for r in said if r not in _DUPLICATES and r != TAKEN_BACK)]
        for row, said in before.items()
    }
    nothing = dict.fromkeys(before)
    new: dict[str, dict[int, Any]] = {"keep": dict.fromkeys(before, False), "reasons": reasons}
    return new | {"keeper_id": nothing, "similarity": nothing, "judged_id": nothing}


def _balance(table: pa.Table, gone: Sequence[Gone], planned: Sequence[Planned]) -> dict[str, dict[int, Any]]:
    zero = dict.fromkeys([g.row for g in gone], 0)
    return {
        "n_tokens": zero,
        "n_copies": zero | {p.row: p.n_copies for p in planned},
        "cut_tokens": zero | {p.row: p.cut_tokens for p in planned},
        "over_cap": dict.fromkeys(zero),
    }


def _ledger(table: pa.Table, gone: Sequence[Gone], planned: Sequence[Planned]) -> dict[str, dict[int, Any]]:
    zero = dict.fromkeys([g.row for g in gone], 0)
    fates: dict[int, Any] = dict.fromkeys(zero, "dropped")
    fates |= {p.row: "packed" if p.n_copies else "cut" for p in planned}
    return _decided(table, gone) | {
        "fate": fates,
        "n_tokens": zero,
        "n_copies": zero | {p.row: p.n_copies for p in planned},
        "n_packed_tokens": zero | {p.row: p.n_packed_tokens for p in planned},
        "over_cap": dict.fromkeys(zero),
        "form": dict.fromkeys(zero),
    }


# What is written as Parquet, in the order of writing; `tokens` and `packed` are changed where they stand.
CHANGES: tuple[tuple[Table, Change], ...] = (
    (DOCUMENTS, _documents),
    (REDACTED, _redacted),
    (SELECT, _select),
    (BALANCE, _balance),
    (LEDGER, _ledger),
)


def changed_columns(
    change: Change, table: pa.Table, gone: Sequence[Gone], planned: Sequence[Planned]
) -> dict[str, dict[int, Any]]:
    """The rows of each column that say something else afterwards; columns without any are left out."""
    found = {}
    for name, values in change(table, gone, planned).items():
        column = table[name]
        other = {row: value for row, value in values.items() if column[row].as_py() != value}
        if other:
            found[name] = other
    return found
