"""The tables of docs/data.md as the code has them: formats, columns of packed shards, columns of every table.

Types come from the schemas, meanings from the comments beside them in `schema.py`.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pyarrow as pa

from pipeline import schema
from pipeline.export import FORMATS
from pipeline.publish.markdown import table
from pipeline.publish.words import PACKED_COLUMNS

_SOURCE = Path(schema.__file__).read_text(encoding="utf-8")
_MAKERS = ("_required", "_required_list", "field")


def comments() -> dict[int, str]:
    """Every comment by its line."""
    tokens = tokenize.generate_tokens(io.StringIO(_SOURCE).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def meanings(name: str) -> dict[str, str]:
    """What a table's columns mean: the comment behind the column, or else the ones right above it."""
    made, *_ = (  # the first: `balance` of runs with phases has the same columns and two more
        node.value
        for node in ast.parse(_SOURCE).body
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and node.value.args
        and getattr(node.value.func, "id", "") == "_table"
        and getattr(node.value.args[0], "value", "") == name
    )
    said, code, found = comments(), _SOURCE.splitlines(), {}
    for call in made.args[1:]:
        if isinstance(call, ast.Call) and isinstance(call.args[0], ast.Constant):
            assert (getattr(call.func, "id", None) or getattr(call.func, "attr", None)) in _MAKERS
            above, line = [], call.lineno - 1
            while code[line - 1].lstrip().startswith("#"):
                above.insert(0, said[line])
                line -= 1
            behind = said.get(call.end_lineno or call.lineno)
            found[str(call.args[0].value)] = " ".join([*above, *([behind] if behind else [])])
    return found


def kind(field: pa.Field) -> str:
    """The type of a column, as short as it can be said."""
    words = str(field.type).replace("element: ", "").replace(" not null", "")
    return f"`{words}`, or null" if field.nullable else f"`{words}`"


def explained_by(column: str, *, before: tuple[schema.Table, ...]) -> str:
    """The latest table that says what the column is, else the first that has it."""
    having = [t.name for t in before if column in t.schema.names and t is not schema.SIMILAR]
    saying = [name for name in having if meanings(name).get(column)]
    return f"as in `{[*having[:1], *saying][-1]}`" if having else ""


def rows_of(made: schema.Table, *, before: tuple[schema.Table, ...]) -> list[tuple[str, str, str]]:
    """A row for each column; one without words of its own by an earlier table."""
    said = meanings(schema.NEAR_DUPS.name if made is schema.SIMILAR else made.name)
    measured = set(made.schema.names) - said.keys()  # by names that another file holds
    rows = [] if not measured else [("...", "", "what was measured, a column each: `docs/quality.md`")]
    for field in (f for f in made.schema if f.name not in measured):
        words = said[field.name] or explained_by(field.name, before=before)
        rows.append((f"`{field.name}`", kind(field), words.replace("|", "\\|")))
    return rows


def tables() -> str:
    """A section for each table, in the order of work."""
    lines: list[str] = []
    at = schema.TABLES.index(schema.TOKENS)
    every = (*schema.TABLES[:at], *schema.OPTIONAL, *schema.TABLES[at:])
    for number, made in enumerate(every):
        each = "A row for each row of `documents`." if made.aligned else "A row for each pair."
        each = f"{each[:-1]}, in runs whose mixture asks for it." if made in schema.OPTIONAL else each
        rows = rows_of(made, before=every[:number])
        lines += [f"### `{made.name}`", "", each, "", *table(("column", "type", "meaning"), rows), ""]
    return "\n".join(lines)


def formats() -> str:
    rows = [(f"`{f.name}`", f.reader, ", ".join(f.kept), ", ".join(f.lost) or "nothing") for f in FORMATS.values()]
    return "\n".join([*table(("`--to`", "read by", "kept", "lost"), rows), ""])


def packed() -> str:
    columns = schema.packed_schema(4096, joined=True)
    kinds = [kind(columns.field(name)).replace("4096", "L") for name in PACKED_COLUMNS]
    rows = [(f"`{name}`", words, said) for words, (name, said) in zip(kinds, PACKED_COLUMNS.items(), strict=True)]
    return "\n".join([*table(("column", "type", "meaning"), rows), ""])


SECTIONS = {"packed": packed, "formats": formats, "tables": tables}
