"""The pages of commands, from the command itself: what it does, its options by subject, and where to read on."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from pipeline.cli.helping import by_group, by_subject, summary
from pipeline.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"
MADE = "<!-- Made from the command's own help: LOOPMIX_WRITE_DOCS=1 pytest tests/docs. -->"


def pages() -> dict[str, str]:
    """Every page of the folder `commands`, by its name."""
    names = main.list_commands(click.Context(main))
    return {"index.md": index(names)} | {f"{name}.md": page(name) for name in names}


def index(names: list[str]) -> str:
    """All commands by what one does with them."""
    lines = [MADE, "# Commands", "", summary(main), ""]
    for heading, here in by_group(names):
        lines += [f"## {heading}", "", "| command | what it does |", "|---|---|"]
        lines += [f"| [`{name}`]({name}.md) | {cell(summary(main.commands[name]))} |" for name in here]
        lines.append("")
    lines += ["```{toctree}", ":hidden:", ":glob:", "", "*", "```", "", "## All of them", ""]
    lines += [
        "`loopmix --help` prints this list, `loopmix COMMAND --help` the page of a command, `loopmix --version` the"
    ]
    lines += [
        "version; `loopmix --debug COMMAND` adds the traceback of an error. Exit codes: 0 done, 1 an error, 2 wrong"
    ]
    lines += ["arguments, 3 a broken promise or a verdict FAIL. [Shells complete](../completion.md) all of it."]
    return "\n".join(lines) + "\n"


def page(name: str) -> str:
    """What one command does and takes."""
    command = main.commands[name]
    context = click.Context(command, info_name=f"loopmix {name}")
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    lines = [MADE, f"# `loopmix {name}`", "", *paragraphs[0].split("\n"), ""]
    lines += [f"    {line}" for line in command.get_usage(context).removeprefix("Usage: ").split("\n")] + [""]
    for paragraph in paragraphs[1:]:
        lines += [*paragraph.split("\n"), ""]
    for subject, params in by_subject(command.get_params(context)).items():
        lines += [f"## {subject}", "", "| option | meaning |", "|---|---|", *map(row, params), ""]
    if found := [f"[{title(path)}](../{path.name})" for path in mentioning(name)]:
        lines += ["## Read on", "", ", ".join(found), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def row(param: click.Parameter) -> str:
    """One option."""
    assert isinstance(param, click.Option)
    takes = "" if param.is_flag or isinstance(param.type, click.Choice) else f" {param.metavar or takes_of(param)}"
    said = [(param.help or "").rstrip(".")] if param.help else []
    if isinstance(param.type, click.Choice):
        said.append(f"one of {', '.join(f'`{choice}`' for choice in param.type.choices)}")
    if param.required:
        said.append("must be given")
    elif param.multiple:
        said.append("may be given more than once")
    elif param.show_default and param.default is not None:
        said.append(f"default: {param.default}")
    names = ", ".join(param.opts)
    return f"| `{names}{takes}` | {cell('; '.join(said))} |"


def takes_of(param: click.Option) -> str:
    """The kind of value, in a word."""
    if isinstance(param.type, click.Path):
        return "FOLDER" if not param.type.file_okay else "FILE"
    return {"integer": "N", "integer range": "N", "float": "X", "float range": "X"}.get(param.type.name, "TEXT")


def mentioning(name: str) -> Iterator[Path]:
    """The pages, written by hand, that show the command."""
    for path in sorted(DOCS.glob("*.md")):
        text = path.read_text(encoding="utf-8")
        if f"loopmix {name} " in text and path.name not in ("index.md", "errors.md"):
            yield path


def title(path: Path) -> str:
    """The first heading of a page."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("# ")).removeprefix("# ")


def cell(text: str) -> str:
    """Text in a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
