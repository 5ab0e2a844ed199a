"""A mapped column that some files lack is named, with how many files, which, and how to leave them out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Mixture, Source
from pipeline.request import missing as module
from pipeline.request.heads import look_at_source
from pipeline.request.lint import LintFinding
from pipeline.request.missing import missing

Row = dict[str, Any]
ROW: Row = {"content": "x = 1\n", "repo": {"name": "quay/tide"}, "license": "MIT"}
OTHER: Row = {"content": "x = 1\n", "repo": {"name": "quay/tide"}, "licence": "MIT"}
NULL: Row = ROW | {"license": None}


def parquet(folder: Path, name: str, rows: list[Row]) -> None:
    file = folder / f"{name}.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), file)


def jsonl(folder: Path, name: str, rows: list[Row]) -> None:
    file = folder / f"{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def huggingface(folder: Path, name: str, rows: list[Row]) -> None:
    table, file = pa.Table.from_pylist(rows), folder / name / "data.arrow"
    file.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(file), "wb") as opened, pa.ipc.new_stream(opened, table.schema) as to:
        to.write_table(table)
    (file.parent / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))


KINDS: dict[str, Callable[[Path, str, list[Row]], None]] = {
    "parquet": parquet,
    "jsonl": jsonl,
    "huggingface": huggingface,
}
COLUMNS = {"content": "content", "repo": "repo.name", "license": "license"}


def found(folder: Path, kind: str, **more: Any) -> list[LintFinding]:
    source = Source(**({"name": "it", "kind": kind, "path": str(folder), "pool": "code", "columns": COLUMNS} | more))
    mixture = Mixture(name="m", sources=(source,))
    head = look_at_source(mixture, source)
    assert head.problem is None
    return list(missing(source, head))


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_that_one_file_lacks_is_named_with_the_file(tmp_path: Path, kind: str) -> None:
    for name, row in (("a", ROW), ("b", OTHER), ("c", NULL)):
        KINDS[kind](tmp_path, name, [row] * 5)
    (finding,) = found(tmp_path, kind)
    assert (finding.kind, finding.key) == ("column_missing_in_files", "sources.it.columns.license")
    assert finding.seen.startswith("1 of 3 files looked at has no ") and "'license'" in finding.seen
    place = {"parquet": "b.parquet", "jsonl": "b.jsonl", "huggingface": "b/"}[kind]
    assert finding.seen.endswith(f": {place}") and finding.write.startswith(f"exclude: [/{place}] in source it; or ")
    assert found(tmp_path, kind, exclude=(f"/{place}",)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_all_files_have_are_not_named_null_or_not(tmp_path: Path, kind: str) -> None:
    for name, row in (("a", ROW), ("b", NULL)):
        KINDS[kind](tmp_path, name, [row] * 5)
    assert found(tmp_path, kind) == []


def test_folders_of_another_kind_are_named_whole(tmp_path: Path) -> None:
    for name, row in (("python/0", ROW), ("python/1", ROW), ("issues/0", OTHER), ("issues/1", OTHER)):
        parquet(tmp_path, name, [row])
    (finding,) = found(tmp_path, "parquet")
    assert finding.seen == "2 of 4 files looked at have no column 'license': issues/"
    assert finding.write.startswith("exclude: [/issues/] in source it; or ")
    assert finding.why == "their documents have no license, and all that uses it does without"
    (finding,) = found(tmp_path, "parquet", license="MIT")
    assert finding.why == "their documents have the license that the source states, whatever their rows say"


def test_few_lines_of_json_say_nothing_and_a_parent_that_is_null_lacks_nothing(tmp_path: Path) -> None:
    jsonl(tmp_path, "a", [ROW] * 5)
    jsonl(tmp_path, "few", [OTHER] * 4)
    jsonl(tmp_path, "null", [ROW | {"repo": None}] * 5)
    assert found(tmp_path, "jsonl") == []
    jsonl(tmp_path, "null", [ROW | {"repo": {}}] * 5)
    assert [one.key for one in found(tmp_path, "jsonl")] == ["sources.it.columns.repo"]


def test_a_key_that_no_file_has_is_a_slip(tmp_path: Path) -> None:
    for name in ("a", "b"):
        jsonl(tmp_path, name, [OTHER] * 5)
    (finding,) = found(tmp_path, "jsonl")
    assert finding.seen.startswith("2 of 2 files looked at have no key 'license'")
    assert finding.write == "the name that the column has, or leave it out of the columns of source it"


def test_a_file_without_the_list_to_explode_is_named_as_that(tmp_path: Path) -> None:
    parquet(tmp_path, "z", [{"id": 1, "repo": {"name": "a/b"}}])
    for name in "abcdefgh":  # of which the first, the last and two between are read by the look, z beyond them not
        parquet(tmp_path, f"{name}/0", [{"repo": {"name": "a/b"}, "files": [{"content": "x", "license": "MIT"}]}])
        parquet(tmp_path, f"zz/{name}", [{"repo": {"name": "a/b"}, "files": [{"content": "x", "license": "MIT"}]}])
    (finding,) = found(tmp_path, "parquet", explode="files")
    assert finding.key == "sources.it.explode"
    assert finding.seen == "1 of 17 files looked at has no column 'files': z.parquet"
    assert finding.why == "such a file gives no document, and the run stops there"


def test_of_many_files_each_folder_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_FILES", 4)
    for i in range(12):  # so that neither the ends nor what lies evenly between them is the file that lacks it
        parquet(tmp_path, f"python/{i:02}", [ROW])
        parquet(tmp_path, f"sql/{i:02}", [ROW])
    parquet(tmp_path, "ruby/0", [OTHER])
    (finding,) = found(tmp_path, "parquet")
    assert finding.seen == "1 of 4 files looked at has no column 'license': ruby/"


@pytest.mark.parametrize(("kind", "what"), [("parquet", "no columns"), ("jsonl", "no keys")])
def test_what_the_same_files_lack_is_one_finding(tmp_path: Path, kind: str, what: str) -> None:
    columns = COLUMNS | {"stars": "stars", "revision": "revision"}
    full = ROW | {"stars": 1, "revision": "a"}
    for name, row in (("a/0", full), ("b/0", {"content": "x"}), ("c/0", {k: full[k] for k in full if k != "stars"})):
        KINDS[kind](tmp_path, name, [row] * 5)
    several, one = found(tmp_path, kind, columns=columns, license="MIT")
    if one.key == "sources.it.columns":
        several, one = one, several
    assert (several.key, one.key) == ("sources.it.columns", "sources.it.columns.stars")
    assert several.seen.startswith(f"1 of 3 files looked at has {what} 'repo.name', 'revision', 'license'")
    assert several.seen.endswith(": b/") and several.write.startswith("exclude: [/b/] in source it; or ")
    assert several.why == (
        "their documents have the license that the source states, whatever their rows say; "
        "their documents have no repo and no revision, and all that uses it does without"
    )
    assert one.seen.endswith(": b/, c/") and one.seen.startswith("2 of 3 files looked at have")
