"""Each command that reads a run, with each file that means harm: one line that names it, no traceback, no wait."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from hostile_files import MANIFESTS, SHARDS, reseal, table_of
from test_asked import curate, fill, write

from pipeline.cli.main import main
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import LoopmixError
from pipeline.forget.places import touched

COMMANDS = {
    "report": ["report", "RUN"],
    "why": ["why", "RUN", "DOC"],
    "trace": ["trace", "RUN", "0"],
    "forget": ["forget", "RUN", "--list", "LIST"],
    "publish": ["publish", "RUN", "--out", "OUT"],
    "export-data": ["export-data", "RUN", "--to", "megatron", "--out", "OUT"],
    "select": ["select", "RUN"],
    "status": ["status", "RUN"],
    "verify": ["verify", "--quick", "RUN"],
}
# `select` and `status` read no packed shard; `why`, `report` and `publish` read no token ids. `verify` says what is
# broken in its own words, with an exit code of its own, and is held by its own tests.
READ_SHARDS = ("report", "trace", "export-data")
SHARD = "packed/part-00000-of-00001.arrow"


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    fill(folder)
    result = curate(write(folder), folder / "run")
    assert result.exit_code == 0, result.output
    return folder / "run"


def refused(run: Path, command: str) -> str:
    """What a command says of a run that it refuses."""
    doc = "0" * 32
    (run.parent / "list").write_text(f"doc_id:{doc}\n", encoding="utf-8")
    places = {"RUN": str(run), "DOC": doc, "LIST": str(run.parent / "list"), "OUT": str(run.parent / "out")}
    result = CliRunner().invoke(main, [places.get(word, word) for word in COMMANDS[command]])
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].isprintable()
    assert not (run / "unpickled").exists()
    assert not Path("unpickled").exists()
    return lines[0]


@pytest.mark.parametrize("kind", MANIFESTS)
def test_every_command_refuses_a_hostile_manifest(sound: Path, tmp_path: Path, kind: str, limited: None) -> None:
    run = tmp_path / "run"
    shutil.copytree(sound, run)
    MANIFESTS[kind](run / "manifest.json")
    if kind != "a pipe":
        reseal(run)
    for command in COMMANDS:
        assert str(run / "manifest.json") in refused(run, command), command


UNFIT = ("nothing", "cut", "zeros", "a pickle", "bounds that fall", "bounds beyond the end", "no bounds",
         "tokens below zero", "documents that are missing", "ids as words", "no documents")  # fmt: skip


@pytest.mark.parametrize("kind", UNFIT)
def test_every_command_refuses_a_hostile_shard(sound: Path, tmp_path: Path, kind: str, limited: None) -> None:
    run = tmp_path / "run"
    shutil.copytree(sound, run)
    SHARDS[kind](run / SHARD)
    reseal(run)
    for command in READ_SHARDS:
        assert SHARD in refused(run, command), command


@pytest.mark.parametrize("kind", UNFIT)
def test_forget_names_a_hostile_shard_by_its_whole_path(sound: Path, tmp_path: Path, kind: str) -> None:
    run = tmp_path / "run"
    shutil.copytree(sound, run)
    SHARDS[kind](run / SHARD)
    reseal(run)
    with pytest.raises(LoopmixError) as error:
        touched(RunFiles(open_store(str(run))), pa.array(["0" * 32]))
    assert str(error.value).startswith(f"{run / SHARD}: ")
    assert str(error.value).isprintable()


def test_a_sound_run_is_refused_by_none(sound: Path, tmp_path: Path) -> None:
    """Written anew and sealed anew, as the hostile ones are: what refuses those is what was changed in them."""
    run = tmp_path / "run"
    shutil.copytree(sound, run)
    table = table_of(run / SHARD)
    assert table.num_rows
    reseal(run)
    for command in ("report", "trace", "select", "status"):
        result = CliRunner().invoke(main, [word if word != "RUN" else str(run) for word in COMMANDS[command]])
        assert result.exit_code == 0, (command, result.output)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", ["nothing", "nope://bucket/run"])
def test_where_no_run_is_every_command_says_so_and_writes_nothing(tmp_path: Path, command: str, place: str) -> None:
    (tmp_path / "list").write_text("path:a.py\n", encoding="utf-8")
    run = place if "://" in place else str(tmp_path / place)
    places = {"RUN": run, "DOC": "0" * 32, "LIST": str(tmp_path / "list"), "OUT": str(tmp_path / "out")}
    result = CliRunner().invoke(main, [places.get(word, word) for word in COMMANDS[command]])
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert run in line
    assert [path.name for path in tmp_path.iterdir()] == ["list"]
