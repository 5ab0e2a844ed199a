"""Run a notebook's code cells in their order, as a kernel would: what they print, and the value of a last line."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import Any


def executed(notebook: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell, as notebooks store them. Raises what a cell raises."""
    names: dict[str, Any] = {"__name__": "__main__"}
    found = []
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for count, cell in enumerate(code, start=1):
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        printed, value = io.StringIO(), None
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module(body, []), f"cell {count}", "exec"), names)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), names)
        found.append(_outputs(printed.getvalue(), value, count=count))
    return found


def _outputs(printed: str, value: Any, *, count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    if printed:
        made.append({"name": "stdout", "output_type": "stream", "text": printed.splitlines(keepends=True)})
    if value is not None:
        shown = repr(value).splitlines(keepends=True)
        result = {"data": {"text/plain": shown}, "execution_count": count, "metadata": {}}
        made.append({**result, "output_type": "execute_result"})
    return made


if __name__ == "__main__":  # NOTEBOOK FOLDER: run in a folder, and print the outputs as JSON
    with Path(sys.argv[1]).open(encoding="utf-8") as opened:
        given = json.load(opened)
    os.chdir(sys.argv[2])
    print(json.dumps(executed(given)))
