"""docs/first-hour.md is true: its commands run in its order, and say what it shows."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "first-hour.md"
DOTS = "..."


def steps() -> list[tuple[str, list[str]]]:
    """Each command that is typed, and the lines that are shown below it."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            else:
                found[-1][1].append(line)
    return found


def run(command: str, place: Path) -> list[str]:
    """What a command says, on a terminal of 80 columns."""
    if not command.startswith("loopmix "):
        return subprocess.run(
            command, shell=True, cwd=place, check=True, capture_output=True, text=True
        ).stdout.splitlines()
    said, _, file = command.partition(" > ")
    arguments = re.findall(r'"[^"]*"|\S+', said)[1:]
    output = CliRunner().invoke(main, arguments, prog_name="loopmix", env={"COLUMNS": "80"}).output
    if file:
        (place / file).write_text(output, encoding="utf-8")
        return []
    return output.splitlines()


def missing(shown: list[str], said: list[str]) -> str | None:
    """The first shown line that was not said where it is shown: dots stand for any lines, and for the rest of one."""
    rest, may_skip = [line.rstrip() for line in said], False
    for line in shown:
        if line == DOTS:
            may_skip = True
            continue
        start = line.removesuffix(DOTS)
        at = next((i for i, one in enumerate(rest) if one == line or (start != line and one.startswith(start))), None)
        if at is None or (at > 0 and not may_skip):
            return line
        rest, may_skip = rest[at + 1 :], False
    return None if may_skip or not rest else f"and no more, but it went on: {rest[0]}"


def test_the_commands_of_the_first_hour_say_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    shutil.copytree(ROOT / "tests" / "data", tmp_path / "first")
    monkeypatch.chdir(tmp_path / "first")
    wrong = []
    for command, shown in steps():
        said = run(command, tmp_path / "first")
        if (line := missing(shown, said)) is not None:
            wrong.append(f"$ {command}\nshown: {line}\nsaid:\n" + "\n".join(said))
    assert len(steps()) > 12
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["a", "b"], None),
        (["..."], None),
        (["a", "..."], None),
        (["...", "b"], None),
        (["a"], "and no more, but it went on: b"),
        (["b"], "b"),
        (["...", "c"], "c"),
        (["b", "a"], "b"),
        (["...", "b", "a"], "a"),
    ],
)
def test_a_shown_line_that_was_not_said_is_found(shown: list[str], found: str | None) -> None:
    assert missing(shown, ["a", "b"]) == found
