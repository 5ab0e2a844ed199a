"""Sources that other packages read: found by entry point, called for each rank, named with their version."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.installed import find_installed
from pipeline.sources import plan_slices, read_slice

ROOT = Path(__file__).resolve().parents[2]
READER = """
from datetime import datetime

def numbered(*, path, rank, n_ranks, n, word="text"):
    for i in range(rank, n, n_ranks):
        yield {"content": f"def f{i}():\\n    return '{path} {word} {i}' * {i}\\n", "path": f"{i}.py", "license": "MIT",
               "repo": "some/where", "stars": i, "revision_time": datetime(2026, 1, 1)}

def odd(*, path, rank, n_ranks):
    yield {"content": b"bytes"}
    yield {"content": None}
    yield {"content": "\\ud800"}
    yield {"content": "x", "license": 3.5, "name": "mapped"}

def fails(*, path, rank, n_ranks):
    yield {"content": "one"}
    raise OSError("the server went away")

def bare(*, path, rank, n_ranks):
    yield "text"

value = 3
"""
NAMES = ("numbered", "odd", "fails", "bare", "value", "gone")


def install(folder: Path, *, version: str = "1.0", package: str = "toy-sources") -> Path:
    """What an installer leaves: a module and its metadata with entry points."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy_sources.py").write_text(READER)
    for old in folder.glob("toy_sources-*.dist-info"):
        for file in old.iterdir():
            file.unlink()
        old.rmdir()
    info = folder / f"toy_sources-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    points = "\n".join(f"{name} = toy_sources:{name}" for name in NAMES)
    (info / "entry_points.txt").write_text(f"[loopmix.sources]\n{points}\n")
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    def make(**more: str) -> Path:
        folder = install(tmp_path / "packages", **more)
        monkeypatch.syspath_prepend(str(folder))
        find_installed.cache_clear()
        return folder

    make()
    yield make
    find_installed.cache_clear()
    sys.modules.pop("toy_sources", None)


def source(reader: str, *, n_slices: int = 1, columns: Columns | None = None, **options: Any) -> Source:
    return Source(
        name="toy",
        kind="plugin",
        path="place",
        reader=reader,
        reader_options=options,
        n_slices=n_slices,
        columns=columns or Columns(),
    )


def rows_of(of: Source) -> list[dict[str, Any]]:
    pieces = plan_slices(of, shard_bytes=1024)
    return [row for piece in pieces for row in read_slice(of, piece, max_document_bytes=10**6).to_pylist()]


def test_documents_come_rank_by_rank_with_what_the_function_says(installed: object) -> None:
    rows = rows_of(source("numbered", n_slices=2, n=5, word="w"))
    assert [row["path"] for row in rows] == ["0.py", "2.py", "4.py", "1.py", "3.py"]
    assert [row["input_row"] for row in rows] == [0, 1, 2, 2**40, 2**40 + 1]
    assert rows[1]["content"] == b"def f2():\n    return 'place w 2' * 2\n"
    assert (rows[1]["license"], rows[1]["repo"], rows[1]["stars"]) == ("MIT", "some/where", 2)
    assert rows[1]["revision_time"].year == 2026
    assert {row["input_file"] for row in rows} == {"numbered"}
    assert len({row["doc_id"] for row in rows}) == 5


def test_what_has_no_text_is_a_row_and_columns_may_be_mapped(installed: object) -> None:
    rows = rows_of(source("odd", columns=Columns(path="name", stars="")))
    assert [row["problem"] for row in rows] == [None, "unreadable_row", "unreadable_row", None]
    assert [row["path"] for row in rows] == ["odd#0", "odd#1", "odd#2", "mapped"]
    assert rows[3]["lost_fields"] == ["license"]


def test_the_version_is_in_the_plan_and_another_one_at_work_is_refused(installed: Callable[..., Path]) -> None:
    of = source("numbered", n=3)
    (before,) = plan_slices(of, shard_bytes=1024)
    assert before.home == "toy-sources 1.0"
    installed(version="2.0")
    (after,) = plan_slices(of, shard_bytes=1024)
    assert after.home == "toy-sources 2.0" and before.to_dict() != after.to_dict()
    with pytest.raises(
        ConfigError, match=r"numbered is of toy-sources 2\.0 here and was of toy-sources 1\.0 at the start"
    ):
        read_slice(of, before, max_document_bytes=10**6)


@pytest.mark.parametrize(
    ("reader", "options", "said"),
    [
        (
            "absent",
            {},
            r"no installed package offers 'absent' in loopmix\.sources; there: bare, fails.*install the package",
        ),
        ("value", {}, r"value \(toy-sources 1\.0\) is int, expected a function"),
        ("gone", {}, r"gone \(toy-sources 1\.0\) cannot be imported: AttributeError"),
        ("numbered", {"m": 3}, r"numbered \(toy-sources 1\.0\) refuses them: "),
    ],
)
def test_what_cannot_be_read_is_said_before_any_work(installed: object, reader: str, options: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"sources\.toy\.reader.*{said}"):
        plan_slices(source(reader, **options), shard_bytes=1024)


@pytest.mark.parametrize(
    ("reader", "said"),
    [("fails", r"failed: OSError: the server went away"), ("bare", r"gave str, expected a mapping for each document")],
)
def test_what_a_function_does_wrong_names_it(installed: object, reader: str, said: str) -> None:
    with pytest.raises(StoreError, match=rf"sources\.toy: {reader} \(toy-sources 1\.0\), rank 0 of 1: {said}"):
        rows_of(source(reader))


MIXTURE = """
name: plugged
sources:
  - {name: toy, kind: plugin, reader: numbered, reader_options: {n: 9}, n_slices: 2, pool: code}
  - {name: prose, kind: directory, path: prose, pool: text}
quality: {sets: []}
near_dups: {min_similarity: 1.0}
pack: {seq_len: 64, n_shards: 1, n_partitions: 1}
"""


def curate(folder: Path, *places: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (*places, ROOT)))}
    line = [sys.executable, "-m", "pipeline", "curate", str(folder / "m.yaml"), "--out", str(folder / "run")]
    return subprocess.run(line, capture_output=True, text=True, env=env, cwd=folder, check=False)


def test_a_run_goes_on_only_with_the_package_and_reads_anew_with_another(tmp_path: Path) -> None:
    (tmp_path / "prose").mkdir()
    for i in range(4):
        (tmp_path / f"prose/{i}.txt").write_text(f"Some words about {i} things that differ in {i * i} ways.\n" * 4)
    (tmp_path / "m.yaml").write_text(MIXTURE)
    packages = install(tmp_path / "packages")
    done = curate(tmp_path, packages)
    assert done.returncode == 0, done.stderr
    read = [r for f in sorted((tmp_path / "run/tables/ledger").iterdir()) for r in pq.read_table(f).to_pylist()]
    assert sum(row["source"] == "toy" for row in read) == 9
    again = curate(tmp_path, packages)
    assert again.returncode == 0 and "done before" in again.stdout
    gone = curate(tmp_path)
    assert gone.returncode == 1
    assert "no installed package offers 'numbered' in loopmix.sources; there: none" in gone.stderr
    install(packages, version="1.1")
    newer = curate(tmp_path, packages)
    assert newer.returncode == 0, newer.stderr
    lines = [line for line in newer.stdout.splitlines() if line.strip().startswith("documents")]
    assert lines and not any("done before" in line for line in lines)
