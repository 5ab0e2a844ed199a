"""The wheel in an environment of its own, away from the checkout: everything that the command needs is inside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.wheel

CHECKOUT = Path(__file__).resolve().parents[2]
DATA = CHECKOUT / "tests" / "data"


def called(folder: Path, program: str, *arguments: object) -> str:
    """The output of a program of the wheel's environment, run where no path leads to the checkout."""
    away = folder / "away"
    away.mkdir(exist_ok=True)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    command = [str(folder / "env/bin" / program), *map(str, arguments)]
    done = subprocess.run(command, cwd=away, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel in `dist` and an environment in `env` that holds it and sees the libraries of this one.

    The libraries come by a .pth file, which brings packages but not the other .pth files beside them: the editable
    install of the checkout stays out of sight.
    """
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder / "dist", CHECKOUT], check=True)
    venv.create(folder / "env", symlinks=True)
    (wheel,) = (folder / "dist").iterdir()
    python = folder / "env/bin/python"
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (site,) = (folder / "env/lib").glob("python*/site-packages")
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """The small corpus, curated by the wheel."""
    output = called(place, "loopmix", "curate", DATA / "mixture.yaml", "--out", place / "run", "--executor", "inline")
    assert "balance  exact" in output
    return place / "run"


def test_packages_come_from_the_wheel_when_imported(place: Path) -> None:
    code = "import pipeline, tokenizer; print(pipeline.__file__, tokenizer.__file__, sep='\\n')"
    found = [Path(line) for line in called(place, "python", "-c", code).splitlines()]
    assert len(found) == 2
    assert all(file.is_relative_to(place / "env") for file in found), found
    assert called(place, "loopmix", "--version").startswith("loopmix, version ")


def test_every_data_file_is_in_the_wheel_when_built(place: Path) -> None:
    (wheel,) = (place / "dist").iterdir()
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        file.relative_to(CHECKOUT).as_posix().replace("mixture_configs/", "pipeline/examples/")
        for room in ("pipeline", "tokenizer", "mixture_configs")
        for file in (CHECKOUT / room).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert {"pipeline/examples/demo.yaml", "tokenizer/tokenizer.json"} <= wanted
    assert wanted <= inside, sorted(wanted - inside)
    assert not [name for name in inside if name.startswith(("tests/", "jobs/"))]


def test_examples_are_printed_when_asked_for(place: Path) -> None:
    shipped = (CHECKOUT / "mixture_configs/demo.yaml").read_text(encoding="utf-8")
    assert called(place, "loopmix", "config", "--example", "demo").strip() == shipped.strip()


def test_languages_are_read_from_content_when_classified(place: Path) -> None:
    """Content alone: the classifier's weights and the heuristics decide, not the names."""
    systems = DATA / "code/systems"
    files = {
        systems / "keep__roman.rs": "Rust",
        systems / "keep__scheduler.go": "Go",
        systems / "keep__Trie.hs": "Haskell",
    }
    output = called(place, "loopmix", "classify", "--json", "--content-only", *files)
    found = [json.loads(line) for line in output.splitlines()]
    assert {Path(row["path"]): row["language"] for row in found} == files
    (named,) = called(place, "loopmix", "classify", "--json", DATA / "code/scripts/keep__maze.lua").splitlines()
    assert json.loads(named)["language"] == "Lua"


def test_run_is_verified_and_reported_when_curated(place: Path, run: Path) -> None:
    assert "every promise holds" in called(place, "loopmix", "verify", run)
    assert "Rust" in called(place, "loopmix", "report", run)
    assert "<style>" in (run / "report/index.html").read_text(encoding="utf-8")


def test_shipped_tokenizer_is_held_when_a_run_names_it(place: Path, run: Path) -> None:
    pytest.importorskip("torch")
    code = "import sys, pathlib, pipeline.plt.vocabulary as v; print(v.run_tokenizer(pathlib.Path(sys.argv[1])))"
    found = Path(called(place, "python", "-c", code, run).strip())
    assert found == run / "tokenizer.json"
