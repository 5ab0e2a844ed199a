"""Who may import whom: a whitelist. Each rule names the file that breaks it."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = [p for room in ("pipeline", "tokenizer", "jobs") for p in sorted((ROOT / room).rglob("*.py"))]

COMMON = {
    "schema",
    "config",
    "targets",
    "features",
    "fields",
    "filters",
    "yaml_file",
    "slips",
    "globs",
    "reasons",
    "errors",
    "sequences",
    "phases",
    "phased",
    "listed",
    "sealed",
    "publication",
    "installed",
    "arrow_bodies",
    "arrow_files",
}
SUBJECT = {"arrays", "engine"} | COMMON
# A room and what it may use of ours beside itself. What is not listed is forbidden.
ROOMS: dict[str, set[str]] = {
    "jobs": {"cli", "language", "arrays", "sources", "plt", "ruin"},
    "cli": {
        "recipe",
        "request",
        "rules",
        "tokenizer_sample",
        "sources",
        "language",
        "reading",
        "report",
        "plt",
        "tokenizer",
    }
    | {"api", "browse", "compare", "forecast", "forget", "propose", "export", "publish"}
    | SUBJECT,
    "api": {"recipe", "request", "sources", "reading", "report", "export", "publish"} | SUBJECT,
    "recipe": {"request", "sources", "language", "quality", "rules", "dedup", "select", "mix", "privacy", "forms"}
    | SUBJECT,
    # What tasks import, for the server that they are forked from.
    "preloaded": {"recipe", "sources", "language", "quality", "rules", "dedup", "select", "mix", "privacy"}
    | {"reading", "report"},
    "forecast": {"recipe", "request", "sources", "mix"} | SUBJECT,
    "request": {"sources", "language", "rules", "select", "privacy"} | COMMON,
    "tokenizer_sample": {"sources", "language", "quality", "rules", "mix"} | SUBJECT,
    "reading": {"sources", "language", "rules", "dedup", "select", "privacy", "mix", "forms", "forget", "tokenizer"}
    | SUBJECT,
    "report": {"sources", "language", "quality", "rules", "dedup", "select", "privacy", "mix", "reading", "results"}
    | {"publish"}
    | SUBJECT,
    "browse": {"language", "mix", "reading", "report", "rules"} | SUBJECT,
    "compare": {"report", "reading", "results", "rules", "privacy", "sources"} | SUBJECT,
    "forget": {"mix"} | SUBJECT,
    "export": {"publish", "tokenizer"} | SUBJECT,
    "publish": {"language"} | SUBJECT,
    "propose": {"plt", "mix", "language", "results"} | SUBJECT,
    "plt": {"results", "ruin", "tokenizer"} | COMMON,
    "ruin": {"results", "language", "tokenizer", "arrays", "errors"},
    "sources": SUBJECT,
    "language": SUBJECT,
    "quality": SUBJECT | {"syntax"},
    "syntax": {"arrays", "errors"},
    "forms": SUBJECT | {"syntax"},
    "dedup": SUBJECT | {"sources"},  # against and overlaps read what a mixture is compared with
    "select": SUBJECT,
    "privacy": SUBJECT,
    "rules": {"arrays"} | COMMON,
    "mix": SUBJECT | {"tokenizer", "rules", "forms"},
    "engine": {"arrays"} | COMMON,
    "results": {"errors"},
    "arrays": {"errors"},
    "config": {"fields", "filters", "phases", "publication", "targets"},
    "publication": {"fields"},
    "phased": {"config", "phases", "schema", "targets"},
    "phases": {"features", "fields"},
    "targets": {"fields"},
    "filters": {"features", "fields"},
    "fields": {"globs"},
    "features": set(),
    "yaml_file": {"errors", "slips"},
    "slips": set(),
    "globs": set(),
    "schema": {"errors", "features"},
    "sequences": {"schema", "errors"},
    "listed": {"errors"},
    "sealed": {"errors"},
    "arrow_files": {"arrow_bodies"},
    "arrow_bodies": set(),
    "reasons": set(),
    "errors": set(),
    "installed": {"errors"},
    "tokenizer": set(),
}
# In rooms of one subject these files do the stage's work between shards; all others are functions on bytes, text and
# arrays, which anybody can call: they know no run folder, and no mixture but by the config models named below.
WITH_ENGINE = {
    "sources": {"documents", "cutting"},
    "language": set[str](),
    "quality": set[str](),
    "forms": {"assign", "repositories"},
    "dedup": {"against", "corpora", "exact_dups", "near_dups", "similar"},
    "privacy": set[str](),
    "select": {"components", "losses", "own_reasons", "select", "stars"},
    "mix": {
        "balance",
        "capping",
        "kept",
        "packed",
        "packed_shard",
        "placing",
        "phasing",
        "piece_ids",
        "piece_runs",
        "places",
        "planned",
        "tree",
    },
}
WITH_CONFIG = {
    "privacy": {"redacted"},
    "language": {"decide", "languages"},
    "quality": {"datatrove_filter", "extra", "quality", "scorers", "settings", "syntax"},
    "forms": {"settings", "splits", "fim"},
    "dedup": {"against", "benchmark_items", "exact_dups", "settings", "shingling"},
    "select": {"losses", "own_reasons", "select", "settings", "shut_out"},
    "mix": {"balance", "capping", "ledger", "phase_budgets", "phasing", "planned", "settings", "unmet"},
}
# Heavy libraries, and the only files that may import them.
LIBRARIES: dict[str, tuple[str, ...]] = {
    "ray": ("pipeline/engine/executor.py", "pipeline/engine/ray_", "jobs/train_ray.py"),
    "torch": ("pipeline/plt/",),
    "transformers": ("pipeline/plt/hf/",),
    "click": ("pipeline/cli/", "jobs/"),
    "datatrove": ("pipeline/quality/datatrove_filter.py", "pipeline/sources/datatrove.py"),
    "obstore": ("pipeline/engine/object_disk.py",),
    "starlette": ("pipeline/browse/",),
    "uvicorn": ("pipeline/browse/",),
}


def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere, type checking blocks included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            # Code that travels with an export is a package of its own, wherever that is put.
            assert node.level == 0 or path.parent.name == "hf", f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "pipeline":
                found |= {f"pipeline.{alias.name}" for alias in node.names}
    return found


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(module: str) -> str:
    """The room of a dotted module of ours; the package itself, which knows only its version, is none."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "pipeline" else first


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_room_imports_only_what_is_listed(path: Path) -> None:
    room = room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    if room in ("__init__", "__main__"):
        room = "cli"
    assert room in ROOMS, f"{name_of(path)}: its room is not listed"
    ours = {m for m in imports(path) if m.partition(".")[0] in ("pipeline", "tokenizer", "jobs")}
    used = {room_of(m) for m in ours} - {room, "", "__version__"}
    assert used <= ROOMS[room], f"{name_of(path)} imports {sorted(used - ROOMS[room])}"


def drawing() -> str:
    """The whitelist as CONTRIBUTING shows it."""
    lines = []
    for room in ROOMS:
        used = (ROOMS[room] - COMMON) | ({"common"} if ROOMS[room] >= COMMON else ROOMS[room] & COMMON)
        lines.append(f"    {room:<17} -> {', '.join(sorted(used)) or 'nothing'}")
    return "\n".join(lines)


def test_the_drawing_in_contributing_is_the_whitelist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert drawing() in text, f"put this into CONTRIBUTING.md:\n{drawing()}"


def test_every_room_says_what_it_is_for_and_the_readme_names_files_that_exist() -> None:
    for room in {p.parent for p in FILES if p.parent.parent.name == "pipeline"}:
        first = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
        assert first and len(first.split()) > 4, room
    named = re.findall(r"`(pipeline/[\w/]+\.py)`", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) == 8
    assert [name for name in named if not (ROOT / name).is_file()] == []


_MIXTURE = tuple(f"pipeline.{name}" for name in ("config", "fields", "filters", "phased", "phases", "targets"))


@pytest.mark.parametrize("room", WITH_ENGINE)
def test_pure_files_know_neither_engine_nor_mixture(room: str) -> None:
    for allowed, name in ((WITH_ENGINE, "pipeline.engine"), (WITH_CONFIG, _MIXTURE)):
        if room in allowed:
            found = {p.stem for p in FILES if p.parent.name == room and any(m.startswith(name) for m in imports(p))}
            assert found == allowed[room], f"pipeline/{room}: these import {name}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_stay_in_their_files(path: Path) -> None:
    name = name_of(path)
    tops = {m.partition(".")[0] for m in imports(path)}
    for library, places in LIBRARIES.items():
        assert library not in tops or name.startswith(places), f"{name} imports {library}"


def test_starting_the_command_loads_neither_ray_nor_torch() -> None:
    heavy = "('ray', 'torch', 'pyarrow', 'numba', 'numpy', 'pydantic', 'yaml')"
    code = f"import sys, pipeline.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 400, f"{name_of(path)} has more than 400 lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            length = node.end_lineno - node.lineno + 1
            assert length <= 50, f"{name_of(path)}: {node.name} has {length} lines"


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(name_of(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_every_dependency_has_a_lower_and_an_upper_bound() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [d for group in project["optional-dependencies"].values() for d in group]
    open_ended = [d for d in [*project["dependencies"], *extras] if ">=" not in d or "<" not in d]
    assert not open_ended
