"""Who may import whom. Each rule names the file that breaks it."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [p for room in ("pipeline", "tokenizer", "jobs") for p in sorted((ROOT / room).rglob("*.py"))]


def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere, type checking blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def breaks(path: Path, *forbidden: str) -> list[str]:
    return sorted(m for m in imports(path) if any(m == f or m.startswith(f + ".") for f in forbidden))


@pytest.mark.parametrize("path", FILES, ids=room_of)
def test_only_the_right_rooms_import_heavy_libraries(path: Path) -> None:
    room = room_of(path)
    if room not in ("pipeline/executor.py", "jobs/train_ray.py"):
        assert not breaks(path, "ray"), "ray belongs in executor.py, and Ray Train in its job"
    if not room.startswith("pipeline/plt/"):
        assert not breaks(path, "torch"), "torch belongs in plt/"
    if room not in ("pipeline/cli.py", "pipeline/commands_plt.py") and not room.startswith("jobs/"):
        assert not breaks(path, "click"), "click belongs in cli.py, commands_plt.py and jobs/"
    if not room.startswith("pipeline/sources/"):
        assert not breaks(path, "datatrove"), "datatrove belongs in sources/"


@pytest.mark.parametrize("path", FILES, ids=room_of)
def test_rooms_keep_to_their_neighbours(path: Path) -> None:
    room = room_of(path)
    if not room.startswith("jobs/"):
        assert not breaks(path, "jobs")
    if room.startswith("tokenizer/"):
        assert not breaks(path, "pipeline")
    if room.startswith(("pipeline/text/", "pipeline/language/")):
        assert not breaks(path, "pyarrow", "fsspec", "pipeline.store", "pipeline.stage", "pipeline.stages")
    if room.startswith("pipeline/stages/"):
        assert not breaks(path, "pipeline.stages", "pipeline.recipe", "pipeline.cli"), "stages know tables, not stages"
    if room.startswith("pipeline/plt/"):
        allowed = ("pipeline.schema", "pipeline.config", "pipeline.errors", "pipeline.plt")
        assert not [m for m in breaks(path, "pipeline") if not m.startswith(allowed) and m != "pipeline"]
        assert not breaks(path, "rich", "fsspec", "xxhash", "numba", "tokenizers")
    if room.startswith("jobs/"):
        allowed = ("pipeline.cli", "pipeline.language") if "classifier" in room else ("pipeline.cli",)
        assert not [m for m in breaks(path, "pipeline") if not m.startswith(allowed)]


def test_starting_the_command_loads_neither_ray_nor_torch() -> None:
    code = "import sys, pipeline.cli; print([m for m in ('ray', 'torch', 'pyarrow', 'numba') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", FILES, ids=room_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, f"{room_of(path)} has more than 400 lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            assert length <= 60, f"{room_of(path)}: {node.name} has {length} lines"


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [d for group in project["optional-dependencies"].values() for d in group]
    open_ended = [d for d in [*project["dependencies"], *extras] if ">=" not in d or "<" not in d]
    assert not open_ended
