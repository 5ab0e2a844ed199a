"""A run is no training data, wherever it lies; what the names of the files cannot meet is said before they are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Classify, Mixture, Override, Select, Source
from pipeline.errors import ConfigError
from pipeline.request.inputs import named_languages, refuse_misplaced, refuse_runs, refuse_unmeetable
from pipeline.sources import InputFile, Slice, plan_slices
from pipeline.targets import Balance, PoolBalance


def source(path: Path, **more: Any) -> Source:
    return Source(**({"name": "all", "kind": "directory", "path": str(path)} | more))


def mixture(*sources: Source, **more: Any) -> Mixture:
    return Mixture(name="m", sources=sources, **more)


def files(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")


# --- the run folder itself -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["directory", "parquet", "jsonl"])
def test_a_run_folder_inside_its_source_is_refused_before_it_is_there(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(ConfigError, match=r"holds the run folder .*/runs/a, .*exclude: \[/runs/a/\] for this source"):
        refuse_misplaced(mixture(source(tmp_path, kind=kind)), run=str(tmp_path / "runs/a"))


def test_a_run_folder_that_the_source_would_not_read_is_fine(tmp_path: Path) -> None:
    files(tmp_path, "a.jsonl")
    run = str(tmp_path / "run")
    for fine in (
        source(tmp_path, exclude=("/run/",)),
        source(tmp_path, include=("*.py",)),
        source(tmp_path / "*.jsonl", kind="jsonl"),
        source(tmp_path / "a.jsonl", kind="jsonl"),
        source(tmp_path, kind="git"),
        source(tmp_path / "nowhere"),
        source(tmp_path / "*/x/*.parquet", kind="parquet"),
    ):
        refuse_misplaced(mixture(fine), run=run)
    refuse_misplaced(mixture(source(tmp_path)), run=f"{tmp_path}-run")  # begins alike, lies beside
    refuse_misplaced(mixture(source(tmp_path)), run="memory://run")


def test_a_run_folder_that_a_glob_reaches_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds the run folder"):
        refuse_misplaced(mixture(source(tmp_path / "**/*.parquet", kind="parquet")), run=str(tmp_path / "run"))


def test_links_hide_no_run_folder(tmp_path: Path) -> None:
    files(tmp_path, "data/a.py")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    with pytest.raises(ConfigError, match=r"exclude: \[/run/\]"):
        refuse_misplaced(mixture(source(tmp_path / "link")), run=str(tmp_path / "data/run"))
    with pytest.raises(ConfigError, match=r"exclude: \[/run/\]"):
        refuse_misplaced(mixture(source(tmp_path / "data")), run=str(tmp_path / "link/run"))


def test_a_relative_run_folder_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"exclude: \[/run/\]"):
        refuse_misplaced(mixture(source(tmp_path)), run="run")


@pytest.mark.parametrize("name", ["", "code", "code/a.jsonl", "code/*.jsonl", "*/a.jsonl"])
def test_a_source_inside_the_run_folder_is_refused(tmp_path: Path, name: str) -> None:
    files(tmp_path, "run/code/a.jsonl")
    inside = source(tmp_path / "run" / name, kind="jsonl")
    with pytest.raises(ConfigError, match=r"lies in the run folder .*choose another --out"):
        refuse_misplaced(mixture(inside), run=str(tmp_path / "run"))


def test_a_source_inside_a_run_folder_of_a_remote_store_is_refused() -> None:
    reader = Source(name="all", kind="datatrove", reader="JsonlReader", path="memory://bucket/run/code")
    with pytest.raises(ConfigError, match="lies in the run folder memory://bucket/run;"):
        refuse_misplaced(mixture(reader), run="memory://bucket/run")
    refuse_misplaced(mixture(reader), run="memory://bucket/ru")


# --- runs of before --------------------------------------------------------------------------------------------------

SHARD = "tables/documents/part-00000-of-00001.parquet"


def finished(folder: Path) -> None:
    files(folder, SHARD, "packed/part-00000-of-00001.arrow", "state/x/y/z/00000.json")
    (folder / "manifest.json").write_text(json.dumps({"format": 2, "stages": {}}))


def check(*sources: Source, run: str = "/elsewhere") -> None:
    made = mixture(*sources)
    refuse_runs(made, [s for one in sources for s in plan_slices(one, shard_bytes=10**6)], run=run)


def test_an_earlier_run_in_a_source_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "a.py", "b/c.py")
    check(source(tmp_path))
    finished(tmp_path / "old/run1")
    with pytest.raises(ConfigError, match=r"is of a run of loopmix, .*exclude: \[/old/run1/\] for this source"):
        check(source(tmp_path))
    check(source(tmp_path, exclude=("/old/run1/",)))
    check(source(tmp_path, include=("*.py",)))


def test_an_earlier_run_that_is_the_source_is_refused_unless_its_table_is_named(tmp_path: Path) -> None:
    finished(tmp_path)
    with pytest.raises(ConfigError, match=r"path: \.\.\./tables/documents/\*\.parquet"):
        check(source(tmp_path))
    check(source(tmp_path / "tables/documents", kind="parquet"))


def test_the_log_of_a_start_that_failed_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "a.jsonl", "run/logs/20261126T001122Z-0a1b2c3d.jsonl")
    with pytest.raises(ConfigError, match=r"exclude: \[/run/\]"):
        check(source(tmp_path))


def test_what_only_looks_like_a_run_is_read(tmp_path: Path) -> None:
    files(tmp_path, SHARD, "web/manifest.json", "logs/today.jsonl", "tables/mine/part-00000-of-00001.parquet")
    (tmp_path / "manifest.json").write_text('{"manifest_version": 3}')  # of a browser's extension
    check(source(tmp_path))


def test_a_link_into_the_run_folder_is_refused(tmp_path: Path) -> None:
    files(tmp_path, "run/report/report.json", "data/a.json")
    (tmp_path / "data/b.json").symlink_to(tmp_path / "run/report/report.json")
    made = source(tmp_path / "data/*.json")
    with pytest.raises(ConfigError, match=r"b\.json leads into the run folder"):
        check(made, run=str(tmp_path / "run"))
    check(made, run=str(tmp_path / "other"))


# --- wishes ----------------------------------------------------------------------------------------------------------

CODE, TEXT = source(Path("/code"), name="code", pool="code"), source(Path("/text"), name="text", pool="text")


def listed(paths: Sequence[str], *, name: str = "code") -> list[Slice]:
    return [Slice(name, tuple(InputFile(path, 1, "") for path in paths))]


def code(**more: Any) -> dict[str, Any]:
    return {"balance": Balance(code=PoolBalance(**more))}


WISHES: dict[str, tuple[dict[str, Any], str]] = {
    "one language under a cap": (
        code(max_frac={"Python": 0.5}),
        r"balance\.code\.max_frac: allows Python 0\.5 = 0\.5 of the code tokens.*by their names .* are Python",
    ),
    "no language that has a share": (
        code(shares={"Rust": 1.0}),
        "balance.code.shares names Rust alone, of which there is nothing: by their names the files of code are Python",
    ),
    "no language that stays": (
        {"select": Select(drop_languages=("Python",))},
        "select.drop_languages drops all code: by their names the files of code are Python",
    ),
    "a language that counts as another": (
        {**code(shares={"Python": 1.0}), "classify": Classify(merge={"Python": "Cython"})},
        "the files of code are Cython",
    ),
}


@pytest.mark.parametrize("name", WISHES)
def test_a_wish_that_the_names_of_the_files_cannot_meet_is_refused(name: str) -> None:
    wish, message = WISHES[name]
    with pytest.raises(ConfigError, match=message):
        refuse_unmeetable(mixture(CODE, TEXT, **wish), listed(["a.py", "b/c.py"]))


@pytest.mark.parametrize("name", WISHES)
@pytest.mark.parametrize("other", ["b.h", "b", "b.txt", "b.unheard-of"])
def test_a_wish_is_not_refused_where_a_name_leaves_it_open(name: str, other: str) -> None:
    refuse_unmeetable(mixture(CODE, TEXT, **WISHES[name][0]), listed(["a.py", other]))


def test_a_wish_is_not_refused_where_rows_or_overrides_tell_the_language() -> None:
    rows = source(Path("/code"), name="code", pool="code", kind="jsonl")
    told = Classify(overrides=(Override(path="*.py", language="C"),))
    prose = Classify(prose_in={"XML": "apart"})
    for made in (mixture(rows, TEXT), mixture(CODE, TEXT, classify=told), mixture(CODE, TEXT, classify=prose)):
        assert named_languages(made, listed(["a.py"])) is None


def test_languages_are_those_of_files_that_can_be_code() -> None:
    made = mixture(CODE, TEXT)
    slices = listed(["a.py", "b.java"]) + listed(["c.go"], name="text")
    assert named_languages(made, slices) == {"Python", "Java"}
    refuse_unmeetable(made.model_copy(update=code(max_frac={"Python": 0.5, "Java": 0.5})), slices)
