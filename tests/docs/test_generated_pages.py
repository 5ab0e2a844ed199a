"""Pages that are made from the code are what the code says. LOOPMIX_WRITE_DOCS=1 writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import click
import pytest
from page_commands import pages
from page_peers import peers
from page_settings import MADE, body

from pipeline.cli.helping import GROUPS
from pipeline.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS = DOCS / "commands"
WRITES = bool(os.environ.get("LOOPMIX_WRITE_DOCS"))
AGAIN = "write it with LOOPMIX_WRITE_DOCS=1 pytest tests/docs"


def test_the_pages_of_commands_are_what_their_help_says() -> None:
    made = pages()
    if WRITES:
        COMMANDS.mkdir(exist_ok=True)
        for old in COMMANDS.iterdir():
            old.unlink()
        for name, text in made.items():
            (COMMANDS / name).write_text(text, encoding="utf-8")
    standing = {path.name: path.read_text(encoding="utf-8") for path in COMMANDS.iterdir()}
    assert sorted(standing) == sorted(made), AGAIN
    assert [name for name, text in made.items() if standing[name] != text] == [], AGAIN


def test_every_command_has_its_group_and_a_page_of_docs_or_says_enough() -> None:
    """One line in `GROUPS` of pipeline/cli/helping.py for each; none twice, none that there is not."""
    listed = [name for names in GROUPS.values() for name in names]
    assert sorted(listed) == sorted(main.list_commands(click.Context(main)))


def test_the_page_of_settings_is_what_the_models_say() -> None:
    pytest.importorskip("torch")  # the room of training files cannot be imported without
    path = DOCS / "settings.md"
    head = path.read_text(encoding="utf-8").partition(MADE)[0]
    if WRITES:
        path.write_text(head + MADE + body(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == head + MADE + body(), AGAIN


def test_the_page_of_peers_has_the_tables_of_the_pages_that_measure() -> None:
    path = DOCS / "peers.md"
    if WRITES:
        path.write_text(peers(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == peers(), AGAIN
