"""Of sources whose files hold rows, names with `.` or `_` in front are passed over, unless the mixture means them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.config import Mixture, Source
from pipeline.errors import ConfigError
from pipeline.request.lint_inputs import lint
from pipeline.sources import passed_over, plan_slices

APPLE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "  # how the files begin that macOS writes beside others
READ = ("a", "_lang=go/b", "more/c")
LEFT = ("._a", ".ipynb_checkpoints/a-checkpoint", "_temporary/0/a", "more/_tmp", "more/.x=y")


def files(folder: Path, kind: str) -> None:
    """Rows, beside what Spark, macOS and Jupyter leave there."""
    for name in (*READ, *LEFT):
        file = folder / f"{name}.{kind}"
        file.parent.mkdir(parents=True, exist_ok=True)
        if name == "._a":
            file.write_bytes(APPLE)
        elif kind == "jsonl":
            file.write_text("".join(json.dumps({"content": f"x = {i}\n"}) + "\n" for i in range(5)))
        else:
            pq.write_table(pa.table({"content": ["x = 1\n"] * 5}), file)
    for marker in ("_SUCCESS", f".a.{kind}.crc"):
        (folder / marker).write_bytes(b"")


def source(path: Path, kind: str, **more: Any) -> Source:
    return Source(**({"name": "it", "kind": kind, "path": str(path), "pool": "code"} | more))


def names(one: Source) -> set[str]:
    pieces = plan_slices(one, shard_bytes=1 << 20)
    return {file.path.rpartition(".")[0] for piece in pieces for file in piece.files}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("glob", ["", "**/*", "**"])
def test_a_folder_and_a_glob_pass_over_hidden_names(tmp_path: Path, kind: str, glob: str) -> None:
    files(tmp_path, kind)
    one = source(tmp_path / glob, kind)
    assert names(one) == set(READ)
    assert sorted(passed_over(one)) == sorted(f"{name}.{kind}" for name in LEFT)


def test_the_largest_is_named_first_as_it_may_be_data(tmp_path: Path) -> None:
    files(tmp_path, "jsonl")
    (tmp_path / "_data").mkdir()
    (tmp_path / "_data/big.jsonl").write_text('{"content": "x"}\n' * 1_000)
    assert passed_over(source(tmp_path, "jsonl"))[0] == "_data/big.jsonl"


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_who_writes_the_sign_means_it(tmp_path: Path, kind: str) -> None:
    files(tmp_path, kind)
    assert names(source(tmp_path, kind, include=("*", "_*"))) == {*READ, "_temporary/0/a", "more/_tmp"}
    assert names(source(tmp_path, kind, include=("*", "!_*"))) == {"a", "more/c"}
    assert names(source(tmp_path, kind, include=("*", "!/more/_none"))) == set(READ), "taken back, not meant"
    assert names(source(tmp_path, kind, include=("*", "./a*", "../x/*"))) == set(READ), "a way, no name"
    assert names(source(tmp_path / "more" / "_*", kind)) == {"_tmp"}
    assert names(source(tmp_path / "more" / f".x=y.{kind}", kind)) == {".x=y"}
    assert names(source(tmp_path / "_temporary" / "0", kind)) == {"a"}, "a folder that is named whole"
    assert names(source(tmp_path / "_temp*" / "0" / "*", kind)) == {"_temporary/0/a"}


def test_nothing_but_hidden_files_is_a_slip_that_says_so(tmp_path: Path) -> None:
    files(tmp_path, "jsonl")
    with pytest.raises(ConfigError, match=r"no file of .* matches; .* 1 left out for `\.` or `_` in front"):
        plan_slices(source(tmp_path, "jsonl", include=("*tmp*",)), shard_bytes=1 << 20)


def test_of_files_that_are_documents_none_is_hidden(tmp_path: Path) -> None:
    for name in (".github/a.py", "__init__.py", "_x/.b.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    one = source(tmp_path, "directory")
    assert names(one) == {".github/a", "__init__", "_x/.b"} and passed_over(one) == []


def test_a_saved_data_set_in_a_hidden_folder_is_none_and_its_own_files_are_meant(tmp_path: Path) -> None:
    table = pa.table({"content": ["x = 1\n"]})
    for folder in ("train", ".cache/train"):
        file = tmp_path / folder / "_data.arrow"
        file.parent.mkdir(parents=True)
        with pa.OSFile(str(file), "wb") as opened, pa.ipc.new_stream(opened, table.schema) as to:
            to.write_table(table)
        (file.parent / "state.json").write_text(json.dumps({"_data_files": [{"filename": "_data.arrow"}]}))
    assert names(source(tmp_path, "huggingface")) == {"train/_data"}


def test_lint_names_what_is_passed_over_until_it_is_excluded_or_read(tmp_path: Path) -> None:
    files(tmp_path, "jsonl")

    def found(**more: Any) -> list[tuple[str, str]]:
        mixture = Mixture(name="m", sources=(source(tmp_path, "jsonl", **more),))
        return [(one.seen, one.write) for one in lint(mixture) if one.kind == "files_passed_over"]

    ((seen, write),) = found()
    assert seen.startswith("5 files are passed over, with `.` or `_` in front of a name: .ipynb_checkpoints/")
    assert write.startswith('exclude: [".*", "_*"] in source it')
    assert found(exclude=(".*", "_*", "!_lang=go/")) == []
    (tmp_path / "._a.jsonl").unlink()
    assert found(include=("*", "_*", ".*")) == []


def test_a_run_says_what_it_passes_over_and_lists_no_folder_twice_for_it(
    tmp_path: Path, walked: list[str], mixture_of: Callable[[str], Path]
) -> None:
    files(tmp_path / "in", "jsonl")
    mixture = mixture_of("kind: jsonl, path: in, pool: code")
    said = CliRunner().invoke(main, ["curate", str(mixture), "--out", str(tmp_path / "run")]).output
    assert (
        "warning: source it: 5 files are passed over, with `.` or `_` in front of a name: .ipynb_checkpoints/" in said
    )
    assert walked == [str(tmp_path / "in")]
