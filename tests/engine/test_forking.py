"""The server that processes are forked from, in interpreters of their own: a process can have but one."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.engine import forking
from pipeline.engine.processes import MAX_STARTS

PACKAGE = Path(forking.__file__).parents[1]
_SCRIPT = """
import os
import signal
import sys
from multiprocessing import forkserver
from pipeline.engine.forking import begin_server
from pipeline.engine.processes import processes


def held(names):
    return [name in sys.modules for name in names]


def is_interrupted(_):
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def interrupted(*preload):
    with processes(1, preload=preload) as executor:
        ((_, found),) = executor.map(is_interrupted, [0], name="t")
    return executor._method, found


def in_worker(*preload):
    with processes(1, preload=preload) as executor:
        ((_, found),) = executor.map(held, [("wave", "colorsys")], name="t")
    return executor._method, found


def lose(n):
    # What begins next waits for a server that is killed before it answers, n times.
    server, read, left = forkserver._forkserver, forkserver.read_signed, [n]
    ensure_running = server.ensure_running

    def hold():
        ensure_running()
        if left[0]:
            os.kill(server._forkserver_pid, signal.SIGSTOP)

    def read_lost(fd):
        if left[0]:
            left[0] -= 1
            os.kill(server._forkserver_pid, signal.SIGKILL)
        return read(fd)

    server.ensure_running, forkserver.read_signed = hold, read_lost


if __name__ == "__main__":
    {body}
"""


def said(folder: Path, body: str) -> list[str]:
    """What a script says, line by line."""
    script = folder / "script.py"
    script.write_text(_SCRIPT.format(body="\n    ".join(body.splitlines())), encoding="utf-8")
    paths = {"PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=paths)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_workers_have_what_the_server_imported_and_never_what_another_run_asked_it_to(tmp_path: Path) -> None:
    found = said(tmp_path, 'print(in_worker("wave"))\nprint(in_worker("colorsys"))\nprint(in_worker("wave"))')
    assert found == [
        "('forkserver', [True, False])",
        "('spawn', [False, False])",
        "('forkserver', [True, False])",
    ]


def test_the_server_runs_as_soon_as_it_was_asked_for(tmp_path: Path) -> None:
    said_so = 'print(begin_server(("wave",)), forkserver._forkserver._forkserver_pid is not None)'
    assert said(tmp_path, said_so) == ["forkserver True"]


def test_only_the_driver_is_interrupted_from_the_terminal(tmp_path: Path) -> None:
    found = said(tmp_path, 'print(interrupted("wave"))\nprint(interrupted("colorsys"))\nprint(is_interrupted(0))')
    assert found == ["('forkserver', False)", "('spawn', False)", "True"]


def test_an_interrupted_command_says_so_in_one_line(tmp_path: Path) -> None:
    # A shell's background job, as tests may be, ignores the signal, and so would all that it begins.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    started = f"{heard}; from pipeline.cli.main import main; main(prog_name='loopmix')"
    command = [sys.executable, "-c", started, "curate", str(PACKAGE.parent / "tests/data/mixture.yaml")]
    command += ["--out", str(tmp_path / "run"), "--executor", "processes", "--quiet"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not list(tmp_path.glob("run/logs/*")):  # the server is still at its imports
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        assert process.communicate()[1] == "loopmix: stopped; run the same line again to go on\n"
    assert process.returncode == 130


def test_a_server_that_somebody_ended_begins_again(tmp_path: Path) -> None:
    body = 'print(in_worker("wave"))\nforkserver._forkserver._stop()\nprint(in_worker("wave"))'
    assert said(tmp_path, body) == ["('forkserver', [True, False])"] * 2


def test_a_server_that_is_lost_with_what_it_was_to_begin_begins_again(tmp_path: Path) -> None:
    assert said(tmp_path, f'lose({MAX_STARTS - 1})\nprint(in_worker("wave"))') == ["('forkserver', [True, False])"]


def test_a_server_that_is_lost_each_time_is_one_error_that_says_so(tmp_path: Path) -> None:
    tried = f"lose({MAX_STARTS})\ntry:\n    in_worker()\nexcept StageError as error:\n    print(error)"
    (line,) = said(tmp_path, f"from pipeline.errors import StageError\n{tried}")
    assert f"the server that they are forked from ended {MAX_STARTS} times" in line


def test_nothing_of_ours_is_imported_before_the_server_begins() -> None:
    code = "import sys, pipeline.engine.forking; print(sorted({'numpy', 'pyarrow', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def imports_of(path: Path) -> set[str]:
    """Modules of ours that a file imports anywhere but for types alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return {name for name in names if name.startswith("pipeline.")}


def test_what_the_stages_import_when_they_have_work_is_imported_beforehand() -> None:
    recipe = ast.parse((PACKAGE / "recipe.py").read_text(encoding="utf-8"))
    late = {
        node.module or ""
        for function in ast.walk(recipe)
        if isinstance(function, ast.FunctionDef) and len(function.body) == 2  # an import and a call
        for node in function.body
        if isinstance(node, ast.ImportFrom)
    }
    # Of few mixtures: forms alone, and phases.
    assert late - imports_of(PACKAGE / "preloaded.py") == {"pipeline.forms.assign", "pipeline.mix.phasing"}
    assert len(late) > 10


@pytest.mark.parametrize(
    ("executor", "more", "n"), [("processes", "", 1), ("processes", "plugins", 0), ("auto", "", 0), ("inline", "", 0)]
)
def test_the_command_begins_it_first_where_it_knows_that_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str, more: str, n: int
) -> None:
    from pipeline.cli import curating

    begun: list[object] = []
    monkeypatch.setattr(curating, "begin_server", begun.append)
    file = tmp_path / "mixture.yaml"
    file.write_text(f"name: x\n# {more}\n")
    curating._begin_early(file, executor)  # type: ignore[arg-type]
    assert begun == [forking.PRELOADED] * n
    curating._begin_early(tmp_path, "processes")  # whoever reads the mixture says what is wrong
    curating._begin_early(tmp_path / "missing", "processes")
    assert len(begun) == n
