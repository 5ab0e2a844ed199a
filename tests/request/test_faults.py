"""What a source cannot be read for has the key that is at fault, and a remedy that fits: each kind by its own error."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Mixture, Source
from pipeline.request.lint_inputs import lint
from pipeline.targets import Balance, PoolBalance

WEB = {"text": "The tide came in.", "url": "https://example.org/tide", "score": 0.5}
FILE = {"content": "x = 1\n", "path": "a.py"}
IDS = {"blob_id": "d" * 40, "content_id": "e" * 40, "path": "a.py"}
LISTED = {"repo_name": "quay/tide", "files": [FILE]}


def lines(*rows: dict[str, Any]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def write(folder: Path, name: str, content: Any) -> None:
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        pq.write_table(pa.Table.from_pylist([content]), folder / name)


WEB_GZ = gzip.compress(lines(*[WEB | {"text": str(i) * 50} for i in range(500)]))
SKIP = "`curate --on-bad-shard skip` goes on without it"
# Name of the file, what it holds, the source: key, and remedy.
FAULTS: dict[str, tuple[str, Any, dict[str, Any], str, str]] = {
    "a slip in a column": (
        "a.parquet", WEB, {"columns": {"content": "txt"}},
        "columns.content", "columns: {content: text} in source it",
    ),
    "a slip in a key": (
        "a.jsonl", lines(WEB), {"columns": {"content": "txt"}},
        "columns.content", "columns: {content: text} in source it",
    ),
    "a slip in another column": (
        "a.parquet", WEB, {"columns": {"content": "text", "path": "ulr"}},
        "columns.path", "columns: {path: url} in source it, or no path",
    ),
    "no column like it": (
        "a.parquet", WEB, {"columns": {"content": "text", "repo": "repository"}},
        "columns.repo", "columns: {repo: NAME} in source it, the column that holds it, or no repo",
    ),
    "a column of another type is not offered": (
        "a.parquet", {"text": "x", "url_n": 0.5}, {"columns": {"content": "text", "path": "url"}},
        "columns.path", "columns: {path: NAME} in source it, the column that holds it, or no path",
    ),
    "a column of another type": (
        "a.parquet", WEB, {"columns": {"content": "text", "revision_time": "score"}},
        "columns.revision_time",
        "columns: {revision_time: NAME} in source it, a column of a timestamp or ISO 8601 text, or no revision_time",
    ),
    "ids without texts": (
        "a.parquet", IDS, {},
        "columns.content",
        "a set that holds the texts: these rows only name them, so fetch each by its blob_id and write it beside the "
        "other columns as content",
    ),
    "a list of files": ("a.parquet", LISTED, {}, "columns.content", "explode: files in source it"),
    "a list of files in JSON": ("a.jsonl", lines(LISTED), {}, "columns.content", "explode: files in source it"),
    "no list": (
        "a.parquet", FILE, {"explode": "files"},
        "explode", "explode: NAME in source it, of a column that is a list of structs, or no `explode`",
    ),
    "another kind": (
        "a.parquet", FILE, {"kind": "jsonl", "path": "*.parquet"},
        "kind", "kind: parquet in source it, or exclude such files",
    ),
    "another kind, the other way": (
        "a.jsonl", lines(FILE), {"kind": "parquet", "path": "*.jsonl"},
        "kind", "kind: jsonl in source it, or exclude such files",
    ),
    "cut": (
        "cut.jsonl.gz", WEB_GZ[:-20], {"columns": {"content": "text"}},
        "path",
        f"the file fetched again, or exclude: [cut.jsonl.gz] in source it; {SKIP}",
    ),
    "empty": (
        "empty.parquet", b"", {},
        "path",
        f"the file fetched again, or exclude: [empty.parquet] in source it; {SKIP}",
    ),
    "nothing there": ("a.txt", b"", {"kind": "parquet"}, "path", "a path that holds documents"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_key_and_a_remedy_that_fits(tmp_path: Path, name: str) -> None:
    file, content, more, key, remedy = FAULTS[name]
    write(tmp_path, file, content)
    kind = "jsonl" if ".jsonl" in file else "parquet"
    source = Source(
        **({"name": "it", "kind": kind, "pool": "code"} | more | {"path": str(tmp_path / more.get("path", ""))})
    )
    (finding,) = [one for one in lint(Mixture(name="m", sources=(source,))) if one.key.startswith("sources.it")]
    assert (finding.key, finding.write) == (f"sources.it.{key}", remedy), finding.seen
    assert not finding.seen.startswith("sources.")


def test_a_mixture_whose_shares_leave_all_others_out_is_told_to_add_them() -> None:
    source = Source(name="it", kind="directory", path="/nowhere", pool="code")
    balance = Balance(code=PoolBalance(shares={"Zig": 1.0}))
    mixture = Mixture(name="m", sources=(source,), balance=balance)
    (finding,) = [one for one in lint(mixture) if one.key == "balance.code.shares"]
    assert finding.write == "`others: 1`, or its weight, among them, so that all that is not named has a share"
