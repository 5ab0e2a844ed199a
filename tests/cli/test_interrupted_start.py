"""Ctrl-C while the command still imports what it needs: one line, and the code that shells give."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACE, _, NAME = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["loopmix"].partition(":")
BEGINNINGS = {
    "script": f"from {PLACE} import {NAME}; {NAME}()",
    "module": "import runpy; runpy.run_module('pipeline', run_name='__main__')",
}
# As a terminal sends it, when the import of one module begins.
CODE = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.{handler})
class Interrupts:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == {at!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupts)
sys.argv = ["loopmix", *{words!r}]
{begin}
"""


def ended(at: str, *words: str, begin: str = "script", handler: str = "default_int_handler") -> tuple[int, str]:
    code = CODE.format(at=at, words=words, begin=BEGINNINGS[begin], handler=handler)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.returncode, done.stderr


@pytest.mark.parametrize("at", ["pipeline.cli.main", "click", "pipeline.cli.tokenizers"])
@pytest.mark.parametrize("begin", BEGINNINGS)
def test_a_command_that_is_interrupted_while_it_starts_says_one_line(at: str, begin: str) -> None:
    assert ended(at, "--version", begin=begin) == (130, "loopmix: stopped\n")


def test_later_the_command_itself_hears_it(tmp_path: Path) -> None:
    said = ended("pipeline.api.making", "curate", "nothing.yaml", "--out", str(tmp_path / "run"))
    assert said == (130, "loopmix: stopped; run the same line again to go on\n")


def test_it_ends_with_the_code_and_not_by_the_signal_wherever_it_was_struck(tmp_path: Path) -> None:
    """Within an `exec` of text, as of a class of data, with none after it; only `-m` shows it."""
    (tmp_path / "sitecustomize.py").write_text("""
import sys
class Interrupts:
    @staticmethod
    def find_spec(name, path, target=None):
        if name == "pipeline.arrays.pandas_unasked":
            exec("raise KeyboardInterrupt")
sys.meta_path.insert(0, Interrupts)
""")
    command = [sys.executable, "-m", "pipeline", "curate", "nothing.yaml", "--out", str(tmp_path / "run")]
    paths = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=paths)
    assert (done.returncode, done.stderr) == (130, "loopmix: stopped; run the same line again to go on\n")


def test_a_command_that_is_to_ignore_it_does() -> None:
    assert ended("click", "--version", handler="SIG_IGN") == (0, "")
