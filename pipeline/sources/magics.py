"""What IPython adds to Python in the cells of a notebook, commented out so that a script is left.

A line is a magic only where a statement may begin: `% x` behind an open bracket is arithmetic, and a line of a long
string is text. Forms after IPython's reference, "Magic command system" and "System shell access".
"""

import re

_LINE = re.compile(r"\s*(?:%{1,2}[A-Za-z_]|!|\?)|(?:pip3?|conda|mamba)\s+install\b|\s*[\w.*%]+\?{1,2}\s*(?:#.*)?\Z")
# `files = !ls` and `t = %timeit -o f()`: no expression of Python begins with either sign.
_ASSIGNED = re.compile(r"\s*[A-Za-z_][\w., ]*=\s*(?:!|%[A-Za-z_])")
_CELL = re.compile(r"%%([A-Za-z_]\w*)")
# Magics whose cell is code of the kernel's own language; of all others the cell is another language or a file.
_RUN_HERE = frozenset(("capture", "memit", "prun", "pypy", "python", "python2", "python3", "time", "timeit"))
_TOKEN = re.compile(r"""#.*|\"{3}|'{3}|"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|[()\[\]{}]""")
_LONG = ('"""', "'''")


def is_cell_magic(code: str) -> bool:
    """Whether the whole cell is for another interpreter than the kernel."""
    found = _CELL.match(code.lstrip())
    return found is not None and found[1] not in _RUN_HERE


def without_magics(code: str) -> str:
    """A cell of Python with its magics as comments; inside a block `pass` stands before one, which may be alone in it.

    One pass over the lines, each read once.
    """
    lines: list[str] = []
    quote, depth, goes_on, in_magic = "", 0, False, False
    for line in code.split("\n"):
        starts = not quote and depth == 0 and not goes_on
        in_magic = in_magic or (starts and (_LINE.match(line) or _ASSIGNED.match(line)) is not None)
        goes_on = line.endswith("\\")
        if in_magic:
            lines.append(_commented(line) if starts else f"# {line}")
            in_magic = goes_on  # a shell command over several lines
        else:
            quote, depth = _after(line, quote=quote, depth=depth)
            lines.append(line)
    return "\n".join(lines)


def _commented(line: str) -> str:
    command = line.lstrip()
    indent = line[: len(line) - len(command)]
    return f"{indent}pass  # {command}" if indent else f"# {command}"


def _after(line: str, *, quote: str, depth: int) -> tuple[str, int]:
    """The long string that is open behind a line, and how many brackets are; before it, `quote` and `depth` were."""
    at = 0
    while True:
        if quote:
            end = _closing(line, quote, at)
            if end < 0:
                return quote, depth
            quote, at = "", end
        for token in _TOKEN.finditer(line, at):
            if token[0] in _LONG:
                quote, at = token[0], token.end()
                break
            if len(token[0]) == 1 and token[0] in "()[]{}":
                depth = depth + 1 if token[0] in "([{" else max(0, depth - 1)
        else:
            return "", depth


def _closing(line: str, quote: str, start: int) -> int:
    """The place behind the next `quote` that no backslash escapes; -1 if there is none."""
    at = start
    while at < len(line):
        if line[at] == "\\":
            at += 2
        elif line.startswith(quote, at):
            return at + len(quote)
        else:
            at += 1
    return -1
