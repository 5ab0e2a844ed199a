"""No control character of a name reaches the terminal, whatever the command says it in."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.main import _show_defect, main
from pipeline.cli.output import MAX_LINE_CHARS

DATA = Path(__file__).parent.parent / "data"
# Sets a title, turns the line round, takes it back, and begins another: ESC, CSI, CR, LF, right-to-left override.
EVIL = "\x1b]0;owned\x07\x9b31m\r\n\u202eevil.py"
_BAD = ("\x1b", "\x9b", "\x07", "\r", "\u202e", "\x00")


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments))
    return result.output


def _check(text: str) -> None:
    assert not [bad for bad in _BAD if bad in text], text
    assert "\n" + "\u202e"[0] not in text and "\\x1b]0;owned" in text


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run over a document of an evil name, and files to be wrong about."""
    folder = tmp_path_factory.mktemp("evil")
    shutil.copytree(DATA, folder / "data")
    (folder / "data/code/store" / EVIL).write_bytes(b"import os\n\n\ndef evil(value: int) -> int:\n    return value\n")
    (folder / EVIL).write_bytes(b"def evil(): pass\n")
    assert CliRunner().invoke(main, ["curate", str(folder / "data/mixture.yaml"), "--out", str(folder / "run"),
                                     "--quiet"]).exit_code == 0  # fmt: skip
    return folder


@pytest.mark.parametrize(
    "command",
    [
        ["classify", "{here}/{evil}"],
        ["classify", "{here}/nothing{evil}"],
        ["why", "{here}/run", "code/store/{evil}"],
        ["why", "{here}/run", "{evil}"],
        ["report", "{here}/{evil}"],
        ["verify", "{here}/{evil}"],
        ["curate", "{here}/{evil}.yaml", "--out", "{here}/other"],
        ["export-data", "{here}/run", "--to", "{evil}"],
        ["--debug", "report", "{here}/{evil}"],
        ["{evil}"],
        ["report", "{here}/run", "{evil}"],
        ["curate", "--{evil}"],
    ],
    ids=lambda command: " ".join(command)[:40].replace("{evil}", "EVIL"),
)
def test_names_are_shown_and_not_sent(place: Path, command: list[str]) -> None:
    _check(_said(*(part.format(here=place, evil=EVIL) for part in command)))


@pytest.mark.parametrize(
    "command",
    [["why", "{here}/run", "{long}"], ["trace", "{here}/run", "{long}"], ["status", "{long}"], ["{long}"]],
    ids=str,
)
def test_a_value_that_fills_screens_is_shortened_and_the_remedy_stays(place: Path, command: list[str]) -> None:
    long = "x" * 1_000_000
    (line,) = _said(*(part.format(here=place, long=long) for part in command)).splitlines()
    assert len(line) < MAX_LINE_CHARS + 100
    assert "characters left out] xxx" in line
    assert not line.endswith("x")


def test_the_traceback_of_a_defect_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(EVIL)
    except ValueError:
        _show_defect(*sys.exc_info())  # type: ignore[arg-type]
    _check(capsys.readouterr().err)
