"""Help in groups, whole and within 80 columns; and what shells complete."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from pipeline.cli.helping import GROUPS, OTHERS, SUBJECTS, Sectioned, by_group, by_subject, summary
from pipeline.cli.main import main

COMMANDS = main.list_commands(click.Context(main))


def help_of(*arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--help"], prog_name="loopmix", env={"COLUMNS": "200"})
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_whole_within_80_columns(command: str) -> None:
    text = help_of(*([command] if command else []))
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"(?<!\bARGS\])(?<!PATHS)(?<!DIRECTORY)\.\.\.", text)


def test_help_has_every_command_once_below_its_group_with_its_whole_first_sentence() -> None:
    lines = help_of().splitlines()
    headings = [line.removesuffix(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options", *GROUPS]
    below: dict[str, list[str]] = {}
    for line in lines:
        if line.endswith(":") and not line.startswith(" "):
            below[line.removesuffix(":")] = []
        elif line.startswith("  ") and line[2:3].strip() and below:
            below[list(below)[-1]].append(line.split()[0])
    assert {heading: tuple(names) for heading, names in below.items() if heading in GROUPS} == GROUPS
    said = " ".join(help_of().split())
    assert [name for name in COMMANDS if summary(main.commands[name]) not in said] == []


def test_a_command_that_no_group_lists_is_shown_all_the_same() -> None:
    assert dict(by_group(["curate", "another"])) == {"Make a mixture": ["curate"], OTHERS: ["another"]}


def test_options_are_by_subject_where_they_are_many_and_each_stands_once() -> None:
    used = set()
    for name in COMMANDS:
        params = main.commands[name].get_params(click.Context(main.commands[name]))
        found = by_subject(params)
        options = [param for param in params if isinstance(param, click.Option)]
        assert sorted(p.name or "" for listed in found.values() for p in listed) == sorted(
            o.name or "" for o in options
        )
        assert (len(found) > 1) == (len(options) > 5), name
        assert len(found) == 1 or isinstance(main.commands[name], Sectioned), f"{name}: write cls=Sectioned"
        used |= {(subject, p.name) for subject, listed in found.items() for p in listed if len(found) > 1}
    said = {(subject, name) for subject, listed in SUBJECTS.items() for name in listed}
    assert said <= used, "a name in SUBJECTS is of no option"
    text = help_of("curate")
    assert text.index("Where the work runs:") < text.index("--executor") < text.index("What is not sound:")


def completed(*typed: str) -> list[tuple[str, str]]:
    *before, last = typed
    items = ShellComplete(main, {}, "loopmix", "_LOOPMIX_COMPLETE").get_completions(before, last)
    return [(item.type, item.value) for item in items]


def test_shells_complete_commands_options_choices_examples_and_files() -> None:
    assert completed("for") == [("plain", "forecast"), ("plain", "forget")]
    assert ("plain", "--executor") in completed("curate", "--e")
    assert completed("curate", "m.yaml", "--executor", "pro") == [("plain", "processes")]
    assert completed("export-data", "run", "--to", "me") == [("plain", "megatron")]
    assert completed("config", "--example", "train_1") == [("plain", f"train_{n}") for n in ("100m", "10m", "1b")]
    assert completed("curate", "mix") == [("file", "mix")]
    for typed in (("verify", "r"), ("report", "r"), ("export-data", "r"), ("forget", "r"), ("curate", "--out", "r")):
        assert completed(*typed) == [("dir", "r")], typed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_and_option_that_is_a_path_is_completed_as_one(command: str) -> None:
    """By its name: what is called so and takes text only would leave the reader typing."""
    for param in main.commands[command].params:
        if param.name in (
            "run",
            "out",
            "mixture",
            "model",
            "data",
            "config",
            "against",
            "tokenizer",
            "scratch",
            "listed",
        ):
            assert isinstance(param.type, click.Path), param.name


@pytest.mark.skipif(shutil.which("bash") is None, reason="asks bash itself")
def test_bash_completes_what_is_typed(tmp_path: Path) -> None:
    program = tmp_path / "loopmix"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pipeline "$@"\n')
    program.chmod(0o755)
    root = str(Path(__file__).parents[2])
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": root}
    script = """
        eval "$(_LOOPMIX_COMPLETE=bash_source loopmix)"
        COMP_WORDS=(loopmix fore); COMP_CWORD=1
        _loopmix_completion loopmix; echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["forecast"], done.stderr
