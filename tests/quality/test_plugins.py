"""Plug-ins of packages that are installed beside this one: found by entry point, held to rows and numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import ConfigError, StageError
from pipeline.filters import Quality
from pipeline.installed import find_installed
from pipeline.quality.extra import extra_column
from pipeline.quality.plugins import find_plugin, measure_with
from pipeline.quality.settings import measuring_with

SOURCE = """
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

def lengths(table):
    assert table.column_names == ["doc_id", "source", "repo", "path", "license", "content", "language", "pool"]
    n = pc.binary_length(table["content"])
    return {"n_bytes": n, "is_c": pc.equal(table["language"], "C"), "odd": [None, *range(1, len(table))]}

def arrow(table):
    return pa.table({"one": np.arange(len(table), dtype=np.float32)})

def short(table): return {"x": [1.0] * (len(table) - 1)}
def text(table): return {"x": ["a"] * len(table)}
def nan(table): return {"x": [float("nan")] * len(table)}
def infinite(table): return {"x": np.full(len(table), np.inf)}
def fails(table): raise KeyError("no such column")
def bare(table): return [1.0] * len(table)
def mixed(table): return {"x": [1.0, "b", *range(2, len(table))]}
def nothing(table): return {}
def numpy(table): return {"x": np.ones((len(table), 2))}
not_callable = 3
"""
NAMES = ("lengths", "arrow", "short", "text", "nan", "infinite", "fails", "bare", "mixed", "nothing", "numpy",
         "not_callable", "gone")  # fmt: skip


def install(folder: Path, *, package: str = "toy-measures", module: str = "toy_measures", version: str = "1.2") -> Path:
    """What an installer leaves: a module and its metadata with entry points."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(SOURCE)
    info = folder / f"{module}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    lines = [f"{name} = {module}:{name}" for name in NAMES] + ["nowhere = no_such_module_anywhere:f"]
    (info / "entry_points.txt").write_text("[loopmix.features]\n" + "\n".join(lines) + "\n")
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    def make(**more: str) -> Path:
        folder = install(tmp_path / str(len(list(tmp_path.iterdir()))), **more)
        monkeypatch.syspath_prepend(str(folder))
        find_installed.cache_clear()
        return folder

    make()
    yield make
    find_installed.cache_clear()
    for name in ("toy_measures", "other_measures"):
        sys.modules.pop(name, None)


TABLE = pa.table(
    {
        "doc_id": ["0" * 32, "1" * 32, "2" * 32],
        "source": ["s"] * 3,
        "repo": pa.nulls(3, pa.string()),
        "path": ["a.c", "b.go", "c.txt"],
        "license": pa.nulls(3, pa.string()),
        "content": pa.array([b"int x;", b"package b", b""], pa.large_binary()),
        "language": ["C", "Go", "Text"],
        "pool": ["code", "code", "text"],
    }
)


def test_columns_of_a_plug_in_are_numbers_and_nulls(installed: object) -> None:
    found = measure_with(find_plugin("lengths"), TABLE)
    assert found["n_bytes"].tolist() == [6.0, 9.0, 0.0]
    assert found["is_c"].tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(found["odd"][0]) and found["odd"][1:].tolist() == [1.0, 2.0]
    assert measure_with(find_plugin("arrow"), TABLE)["one"].tolist() == [0.0, 1.0, 2.0]
    assert measure_with(find_plugin("nothing"), TABLE) == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("short", r"column 'x': has 2 rows, expected 3, one for each document"),
        ("text", r"column 'x': has type string, expected numbers or booleans"),
        ("nan", r"column 'x': 3 values are NaN or infinite; write null"),
        ("infinite", r"column 'x': 3 values are NaN or infinite"),
        ("fails", r"failed: KeyError: 'no such column'"),
        ("bare", r"returned list, expected columns by name"),
        ("mixed", r"column 'x': is no column of numbers"),
        ("numpy", r"column 'x': is no column of numbers"),
    ],
)
def test_what_is_no_column_of_numbers_is_said_with_the_plug_in(installed: object, name: str, said: str) -> None:
    with pytest.raises(StageError, match=rf"plug-in {name} \(toy-measures 1\.2\),? ?{said}"):
        measure_with(find_plugin(name), TABLE)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("absent", r"no installed package offers 'absent' in loopmix\.features; there: .*arrow"),
        ("not_callable", r"not_callable \(toy-measures 1\.2\) is int, expected a function"),
        ("gone", r"gone \(toy-measures 1\.2\) cannot be imported: AttributeError"),
        ("nowhere", r"nowhere \(toy-measures 1\.2\) cannot be imported: ModuleNotFoundError"),
    ],
)
def test_what_cannot_be_found_is_said(installed: object, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"quality\.plugins: {said}"):
        find_plugin(name)


def test_a_name_that_two_packages_offer_is_refused(installed: Callable[..., Path]) -> None:
    installed(package="other-measures", module="other_measures")
    with pytest.raises(ConfigError, match=r"several packages offer 'arrow': other-measures 1\.2, toy-measures 1\.2"):
        find_plugin("arrow")


def column(config: Quality) -> list[dict[str, float] | None]:
    with_versions = measuring_with(config.measuring())
    language, pool = (np.array(TABLE[name].to_pylist()) for name in ("language", "pool"))
    documents = TABLE.drop_columns(["language", "pool"])
    found = extra_column(documents, config=with_versions, sound=np.array([True] * 3), language=language, pool=pool)
    return [None if row is None else dict(row) for row in found.to_pylist()]


def test_the_column_holds_what_was_measured_and_no_more(installed: object) -> None:
    assert column(Quality()) == [None] * 3
    assert column(Quality(plugins=("lengths", "arrow"))) == [
        {"is_c": 1.0, "n_bytes": 6.0, "one": 0.0},
        {"is_c": 0.0, "n_bytes": 9.0, "odd": 1.0, "one": 1.0},
        {"is_c": 0.0, "n_bytes": 0.0, "odd": 2.0, "one": 2.0},
    ]
    assert column(Quality(plugins=("nothing",))) == [{}] * 3


def test_two_that_give_one_name_are_refused(installed: object) -> None:
    with pytest.raises(StageError, match=r"plug-in arrow and plug-in arrow both give extra\.one"):
        column(Quality(plugins=("arrow", "arrow")))


def test_the_version_is_in_the_configuration_and_another_one_later_is_refused(installed: object) -> None:
    config = measuring_with(Quality(plugins=("arrow",)).measuring())
    assert config.plugin_versions == ("toy-measures 1.2",)
    other = config.model_copy(update={"plugin_versions": ("toy-measures 1.1",)})
    texts = np.array(["C"] * 3)
    with pytest.raises(ConfigError, match=r"arrow is of toy-measures 1\.2 here and was of toy-measures 1\.1 at the"):
        extra_column(TABLE, config=other, sound=np.ones(3, bool), language=texts, pool=texts)
