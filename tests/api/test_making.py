"""`curate` from Python: the bytes of the command, its events, and where it is stopped it goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from handmade import ShuffledExecutor

import pipeline as loopmix
from pipeline.api import making
from pipeline.cli.main import main
from pipeline.publish import PAPERS

DATA = Path(__file__).resolve().parents[1] / "data"
ROOT = DATA.parents[1]


def files_of(root: Path) -> dict[str, bytes]:
    """Tables, sequences and papers."""
    found = (p for folder in ("tables", "packed") for p in (root / folder).rglob("*.*"))
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in (*found, *(root / name for name in PAPERS))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[str, dict[str, Any]]]]:
    """A run from a dict, and what was heard of it."""
    given = yaml.safe_load((DATA / "mixture.yaml").read_text())
    for source in (*given["sources"], *given["against"]):
        source["path"] = str(DATA / source["path"])
    heard: list[tuple[str, dict[str, Any]]] = []
    out = tmp_path_factory.mktemp("made") / "run"
    run = loopmix.curate(given, out, executor="inline", progress=lambda event, values: heard.append((event, values)))
    assert isinstance(run, loopmix.FinishedRun) and run.root == str(out)
    return out, heard


def run_script(script: Path) -> subprocess.CompletedProcess[str]:
    """What a script of a user's own, which finds this checkout, says and returns."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, cwd=ROOT, env=env)


def test_it_gives_the_bytes_of_the_command(made: tuple[Path, Any], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["curate", str(DATA / "mixture.yaml"), "--out", str(tmp_path / "run"), "--quiet"])
    assert done.exit_code == 0, done.output
    assert files_of(made[0]) == files_of(tmp_path / "run")


def test_what_happens_is_heard_as_it_is_logged(made: tuple[Path, list[tuple[str, dict[str, Any]]]]) -> None:
    out, heard = made
    names = [event for event, _ in heard]
    assert (names[0], names[-1]) == ("start", "end") and heard[-1][1]["ok"] is True
    (log,) = (out / "logs").iterdir()
    logged = [yaml.safe_load(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in logged] == names
    steps = [values["step"] for event, values in heard if event == "step_end"]
    assert {step.partition(".")[0] for step in steps} >= {"documents", "select", "packed"}
    assert all(values["n_done"] == values["n_items"] for event, values in heard if event == "step_end")


def test_a_run_that_stands_is_opened_and_nothing_is_printed(
    made: tuple[Path, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    before = files_of(made[0])
    heard: list[str] = []
    mixture = loopmix.load_mixture(DATA / "mixture.yaml")
    run = loopmix.curate(mixture, str(made[0]), executor=ShuffledExecutor(3), progress=lambda e, _: heard.append(e))
    assert files_of(made[0]) == before and "skipped" in heard and "step" not in heard
    assert len(run.ledger) == 120
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "")


class EnoughError(Exception):
    """What somebody's function raises."""


def test_a_function_that_raises_stops_the_run_which_goes_on(made: tuple[Path, Any], tmp_path: Path) -> None:
    def stop(event: str, values: dict[str, Any]) -> None:
        if event == "step_end" and values["step"].startswith("similar"):
            raise EnoughError

    with pytest.raises(EnoughError):
        loopmix.curate(DATA / "mixture.yaml", tmp_path / "run", executor="inline", progress=stop)
    with pytest.raises(loopmix.StoreError, match="are not done"):
        loopmix.open_run(tmp_path / "run")
    loopmix.curate(DATA / "mixture.yaml", tmp_path / "run", executor="inline")
    assert files_of(tmp_path / "run") == files_of(made[0])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"out": None}, "out None: expected the folder or URL of a run, as text or as a Path"),
        ({"out": 7}, "out 7: expected the folder"),
        ({"out": b"run"}, "out b'run': expected the folder"),
        ({"out": ""}, "out '': expected the folder"),
        ({"executor": "threads"}, "executor 'threads': expected auto, inline, processes or ray"),
        ({"executor": None}, "executor None: expected auto, inline, processes or ray"),
        ({"ray_address": 6379}, "ray_address 6379: expected auto, local, HOST:PORT or ray://HOST:PORT"),
        *(
            (
                {"executor": name, "ray_address": "auto"},
                f"a Ray address and executor {name} exclude each other: leave one of them out",
            )
            for name in ("inline", "processes")
        ),
        (
            {"executor": ShuffledExecutor(3), "ray_address": "auto"},
            "a Ray address and an executor of your own exclude each other",
        ),
    ],
)
def test_what_no_run_can_be_made_with_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(loopmix.ConfigError) as error:
        loopmix.curate(DATA / "mixture.yaml", **({"out": "run"} | given))
    assert str(error.value).startswith(said) and "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_is_said_before_any_work(tmp_path: Path) -> None:
    mixture = DATA / "mixture.yaml"
    with pytest.raises(loopmix.ConfigError, match="no share of the input"):
        loopmix.curate(mixture, tmp_path / "run", sample=2.0)
    assert not (tmp_path / "run").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(loopmix.StoreError):
        loopmix.curate(mixture, tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_script_that_a_worker_imports_does_not_begin_again(tmp_path: Path) -> None:
    """Worker processes import their parent's script under another name."""
    script = tmp_path / "script.py"
    script.write_text(
        "from multiprocessing import get_context\n"
        "import pipeline as loopmix\n"
        "def nothing(): pass\n"
        "if __name__ == '__mp_main__':\n"
        f"    loopmix.curate({str(DATA / 'mixture.yaml')!r}, {str(tmp_path / 'run')!r})\n"
        "if __name__ == '__main__':\n"
        "    worker = get_context('spawn').Process(target=nothing)\n"
        "    worker.start(); worker.join(); raise SystemExit(worker.exitcode)\n"
    )
    done = run_script(script)
    assert done.returncode == 1
    assert "call it under if __name__ == '__main__':" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_script_without_a_guard_is_refused_and_no_document_is_suspected(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    call = f"loopmix.curate({str(DATA / 'mixture.yaml')!r}, {str(tmp_path / 'run')!r}, executor='processes')"
    script.write_text(f"import pipeline as loopmix\n{call}\n")
    done = run_script(script)
    assert done.returncode == 1
    assert "ConfigError: worker processes end while they start" in done.stderr.splitlines()[-1]
    assert "call curate(...) under if __name__ == '__main__':" in done.stderr.splitlines()[-1]
    assert done.stderr.count("Traceback") == 1, "Python's own, of the script's call"
    assert not (tmp_path / "run" / "state").exists()


def test_an_executor_of_ones_own_is_used_as_it_is() -> None:
    mixture = loopmix.load_mixture(DATA / "mixture.yaml")
    own = ShuffledExecutor(1)
    with making._workers(own, None, n_bytes=10**12, mixture=mixture) as found:
        assert found is own


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"check": "Hash"}, "check 'Hash': expected 'hash' or 'size'"),
        ({"check": True}, "check True: expected 'hash' or 'size'"),
        ({"on_bad_shard": "x"}, "on_bad_shard 'x': expected 'stop' or 'skip'"),
        ({"replace": "no"}, "replace 'no': expected True or False"),
        ({"replace": 1}, "replace 1: expected True or False"),
        ({"progress": 3}, "progress 3: expected True, False or a function"),
        ({"sample": "a"}, "sample 'a': expected a share"),
        ({"sample": True}, "sample True: expected a share"),
    ],
)
def test_options_that_there_are_not_are_refused_before_anything_is_touched(
    options: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(loopmix.ConfigError, match=said):
        loopmix.curate(DATA / "mixture.yaml", tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()
