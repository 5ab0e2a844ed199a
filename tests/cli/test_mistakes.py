"""Each typical mistake is answered by one line with place, value and remedy; docs/errors.md is made of them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mistakes import GOOD, Mistake, lay
from mistakes_made import MISTAKES
from test_asked import fill as fill_inputs

from pipeline.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
MARK = "<!-- Below: made from tests/cli/mistakes.py and from what the command says. -->\n"
EVERY = [mistake for listed in MISTAKES.values() for mistake in listed]


def fill(folder: Path) -> None:
    """A mixture, its input and its finished run."""
    folder.mkdir(parents=True, exist_ok=True)
    fill_inputs(folder)
    (folder / "mix.yaml").write_text(GOOD, encoding="utf-8")
    done = CliRunner().invoke(main, ["curate", str(folder / "mix.yaml"), "--out", str(folder / "run"), "--quiet"])
    assert done.exit_code == 0, done.output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mistakes") / "here"
    fill(folder)
    return folder


def said_of(mistake: Mistake, made: Path, place: Path) -> tuple[int, list[str]]:
    """Exit code and the lines that the command says in a fresh copy of the folder, whose own path is left out."""
    shutil.copytree(made, place)
    lay(mistake, place)
    with pytest.MonkeyPatch.context() as changed:
        changed.chdir(place)
        if mistake.without:
            changed.setitem(sys.modules, mistake.without, None)
            changed.delitem(sys.modules, "pipeline.engine.object_disk", raising=False)  # loaded by other tests, with it
        result = CliRunner().invoke(main, mistake.command.split(), prog_name="loopmix")
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    shown = re.sub(f"(?:{re.escape(str(place))}|{re.escape(str(made))})/?", "", result.output)
    shutil.rmtree(place)
    return result.exit_code, shown.rstrip("\n").split("\n")


def told(lines: list[str], *, draws: bool) -> list[str]:
    """What is said of the mistake: the last line, with the two that are drawn; steps done before it are not."""
    return lines[-3:] if draws else lines[-1:]


@pytest.mark.parametrize("mistake", EVERY, ids=lambda mistake: mistake.did)
def test_a_mistake_is_told_in_one_line_with_place_value_and_remedy(
    mistake: Mistake, made: Path, tmp_path: Path
) -> None:
    if mistake.needs:
        pytest.importorskip(mistake.needs)
    code, lines = said_of(mistake, made, tmp_path / "here")
    line, *drawn = told(lines, draws=mistake.draws)
    assert code == mistake.code, lines
    assert line.startswith(("loopmix: ", "loopmix ")), lines
    assert [part for part in mistake.parts if part not in line] == [], line
    assert len(mistake.parts) >= 2, "a place or value, and a remedy"
    assert str(tmp_path) not in line, line
    assert not [noise for noise in ("Traceback", "[Errno", "<class") if noise in line], line
    if mistake.draws:
        row, column = map(int, re.findall(r"mix\.yaml:(\d+):(\d+): ", line)[0])
        wrong = str(mistake.files["mix.yaml"]).split("\n")[row - 1].replace("\t", "→")
        assert drawn == [f"  {wrong}".rstrip(), f"  {' ' * (column - 1)}^"]


def page_of(said: dict[str, list[str]]) -> str:
    """The made part of docs/errors.md."""
    lines: list[str] = []
    for heading, listed in MISTAKES.items():
        lines += ["", f"## {heading}", ""]
        for mistake in listed:
            lines += [f"**{mistake.did[:1].upper()}{mistake.did[1:]}**", ""]
            lines += ["```text", f"$ loopmix {mistake.command}", *said[mistake.did], "```", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def standing() -> dict[str, list[str]]:
    """What docs/errors.md says of each mistake."""
    blocks = re.findall(r"^```text\n\$ .*\n((?:.*\n)*?)```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(blocks) == len(EVERY), "write it with LOOPMIX_WRITE_DOCS=1"
    return dict(zip([one.did for one in EVERY], [block.splitlines() for block in blocks], strict=True))


def test_the_page_of_errors_has_every_mistake_with_its_remedy(made: Path, tmp_path: Path) -> None:
    """LOOPMIX_WRITE_DOCS=1 writes it anew. Words of libraries may have changed since; ours may not."""
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0] + MARK
    if os.environ.get("LOOPMIX_WRITE_DOCS"):
        said = {one.did: told(said_of(one, made, tmp_path / "here")[1], draws=one.draws) for one in EVERY}
        PAGE.write_text(head + page_of(said), encoding="utf-8")
    said = standing()
    assert PAGE.read_text(encoding="utf-8") == head + page_of(said), "write it with LOOPMIX_WRITE_DOCS=1"
    assert [(one.did, part) for one in EVERY for part in one.parts if part not in said[one.did][0]] == []
