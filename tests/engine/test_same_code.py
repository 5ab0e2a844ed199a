"""What two processes compare before one works for the other."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.engine.same_code import LIBRARIES, OPTIONAL, differences, own_code

ROOT = Path(__file__).resolve().parents[2]
# Dependencies that decide no byte of a table: the command line, YAML, checks, the console, where files are.
HARMLESS = {"click", "fsspec", "pydantic", "PyYAML", "rich"}


def test_nothing_differs_from_itself() -> None:
    assert differences(own_code(), own_code()) == ""


@pytest.mark.parametrize("name", ["loopmix", "files", "pyarrow", "numba", "tree-sitter", "hyperscan"])
def test_another_version_or_none_is_said_with_both(name: str) -> None:
    ours = own_code() | {name: "1.2.3"}
    theirs = {k: v for k, v in ours.items() if k != name}
    assert differences(ours, theirs | {name: "1.2.4"}) == f"{name} 1.2.4 (driver: 1.2.3)"
    assert differences(ours, theirs) == f"{name} missing (driver: 1.2.3)"
    assert differences(theirs, ours) == f"{name} 1.2.3 (driver: missing)"


def test_pythons_differ_by_minor_version_alone() -> None:
    assert differences({"Python": "3.11.7"}, {"Python": "3.11.9"}) == ""
    assert differences({"Python": "3.11.7"}, {"Python": "3.12.7"}) == "Python 3.12.7 (driver: 3.11.7)"


@pytest.mark.parametrize("name", OPTIONAL)
def test_what_only_some_mixtures_need_is_compared_where_both_have_it(name: str) -> None:
    assert differences({name: "1"}, {}) == differences({}, {name: "1"}) == ""
    assert differences({name: "1"}, {name: "2"}) == f"{name} 2 (driver: 1)"


def test_the_version_comes_first_and_the_rest_by_name() -> None:
    ours = {"regex": "1", "loopmix": "1", "Python": "3.11.1", "files": "a"}
    theirs = {"regex": "2", "loopmix": "2", "Python": "3.11.1", "files": "b"}
    assert differences(ours, theirs) == "loopmix 2 (driver: 1), files b (driver: a), regex 2 (driver: 1)"


def test_every_dependency_is_compared_or_decides_no_byte() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = {re.split(r"[\[<>=;]", line)[0].strip() for line in project["dependencies"]}
    assert named == set(LIBRARIES) | HARMLESS


def test_the_hash_is_that_of_code_and_data_and_of_nothing_that_lies_beside_them(tmp_path: Path) -> None:
    for room in ("pipeline", "tokenizer"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__", "plt", "ruin"))

    def found() -> str:
        code = "from pipeline.engine.same_code import own_code; print(own_code()['files'])"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    first = found()
    (tmp_path / "pipeline" / "__pycache__").mkdir(exist_ok=True)
    (tmp_path / "pipeline" / "__pycache__" / "left.nbc").write_bytes(b"compiled")
    (tmp_path / "pipeline" / ".swap.py").write_text("x = 1")
    (tmp_path / "pipeline" / "examples").mkdir()
    (tmp_path / "pipeline" / "examples" / "demo.yaml").write_text("name: demo")
    assert found() == first
    data = tmp_path / "pipeline" / "reasons.py"
    data.write_text(data.read_text() + "# one more line\n")
    second = found()
    assert second != first
    tokens = tmp_path / "tokenizer" / "tokenizer.json"
    tokens.write_text(tokens.read_text().replace("1", "2", 1))
    assert found() != second
