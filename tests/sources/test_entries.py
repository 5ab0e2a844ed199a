"""Rows that hold a list of files, prefixes that a source writes before contents, columns taken by their name."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, StoreError
from pipeline.request.load import load_mixture
from pipeline.sources import plan_slices, read_slice

SHIPPED = Path(__file__).resolve().parents[2] / "mixture_configs" / "stack_v3.yaml"
REPOSITORIES = [
    {
        "repo_path": "me/one",
        "commit_id": "c1",
        "github_metadata": {"stars": 7},
        "num_files": 4,
        "files": [
            {"content_id": "1", "content": "a = 1\n", "path": "a.py"},
            {"content_id": "2", "content": "b = 2\n", "path": "b.py"},
            {"content_id": "1", "content": "a = 1\n", "path": "a.py"},
            {"content_id": "1", "content": "a = 1\n", "path": "copy/a.py"},
        ],
    },
    {"repo_path": "me/none", "commit_id": "c2", "github_metadata": None, "num_files": 0, "files": []},
    {"repo_path": "me/null", "commit_id": "c3", "github_metadata": {"stars": None}, "num_files": 0, "files": None},
    {
        "repo_path": "me/two",
        "commit_id": "c4",
        "github_metadata": {"stars": 1},
        "num_files": 2,
        "files": [
            {"content_id": "1", "content": "a = 1\n", "path": "a.py"},
            {"content_id": None, "content": None, "path": "gone.py"},
        ],
    },
]
EXPECTED = [
    ("me/one", "a.py", b"a = 1\n", None, 0),
    ("me/one", "b.py", b"b = 2\n", None, 1),
    ("me/one", "a.py", b"", "repeated_entry", 2),
    ("me/one", "copy/a.py", b"a = 1\n", None, 3),
    (None, None, b"", "no_files", 0),
    (None, None, b"", "unreadable_row", 0),
    ("me/two", "a.py", b"a = 1\n", None, 0),
    ("me/two", "gone.py", b"", "unreadable_row", 1),
]


def _stack(folder: Path, *, kind: str) -> Source:
    (shipped,) = (s for s in load_mixture(SHIPPED).sources if s.explode)
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(REPOSITORIES), folder / "a.parquet", row_group_size=2)
    else:
        lines = "".join(json.dumps(row) + "\n" for row in REPOSITORIES)
        (folder / "a.jsonl").write_text(lines.replace('"c4"', '"c4", "score": NaN, "odd": "\\ud800"'))
    return shipped.model_copy(update={"path": str(folder), "kind": kind})


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_shipped_mixture_reads_repositories_with_lists_of_files(tmp_path: Path, rows_of: Any, kind: str) -> None:
    source = _stack(tmp_path, kind=kind)
    rows = rows_of(source)
    found = [
        (r["repo"], r["path"] if r["repo"] else None, r["content"], r["problem"], r["input_row"] % 2**24) for r in rows
    ]
    assert found == EXPECTED
    assert [row["revision"] for row in rows if row["repo"]] == ["c1"] * 4 + ["c4"] * 2
    assert [row["stars"] for row in rows if row["repo"]] == [7] * 4 + [1] * 2
    assert len({row["doc_id"] for row in rows}) == len(rows)
    assert rows_of(source, shard_bytes=1) == rows


def test_damaged_entry_costs_itself_alone(tmp_path: Path, rows_of: Any) -> None:
    files = '[{"path": "a", "content": "x\\ud800"}, {"path": "b\\ud800", "content": "y"}, {"path": "c"}, 5]'
    (tmp_path / "a.jsonl").write_text(f'{{"files": {files}}}\n')
    rows = rows_of(Source(name="s", kind="jsonl", path=str(tmp_path), explode="files"))
    found = [(row["content"].decode(), row["problem"], row["lost_fields"]) for row in rows]
    assert found == [
        ("x\ufffd", None, []),
        ("y", None, ["path"]),
        ("", "unreadable_row", []),
        ("", "unreadable_row", []),
    ]


def test_every_entry_of_random_rows_has_one_row(tmp_path: Path, rows_of: Any) -> None:
    dice = random.Random(5)
    rows = [
        {
            "repo": str(k),
            "files": [{"path": dice.choice("abc"), "content": dice.choice("xyz")} for _ in range(dice.randrange(9))],
        }
        for k in range(60)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet", row_group_size=7)
    source = Source(name="s", kind="parquet", path=str(tmp_path), explode="files", columns=Columns(repo="repo"))
    found = rows_of(source)
    assert len(found) == sum(max(1, len(row["files"])) for row in rows)
    distinct = sum(len({(f["path"], f["content"]) for f in row["files"]}) for row in rows)
    assert sum(row["problem"] is None for row in found) == distinct


def test_list_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "a.parquet")
    source = Source(name="s", kind="parquet", path=str(tmp_path), explode="files")
    with pytest.raises(ConfigError, match=r"sources\.s\.explode: .*'files', which is not there; found \['content'\]"):
        plan_slices(source, shard_bytes=100)
    pq.write_table(pa.Table.from_pylist(REPOSITORIES), tmp_path / "b.parquet")
    bad, *_ = plan_slices(source, shard_bytes=100)
    with pytest.raises(StoreError, match=r"a\.parquet: `explode` names the column 'files', which is not there"):
        read_slice(source, bad, max_document_bytes=100)


def _texts(tmp_path: Path, rows_of: Any, texts: list[str], **more: Any) -> list[dict[str, Any]]:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"content": text, "repo": "own"}) + "\n" for text in texts))
    found: list[dict[str, Any]] = rows_of(Source(name="s", kind="jsonl", path=str(tmp_path), **more))
    return found


def test_markers_of_starcoderdata_are_stripped_and_fill_the_columns(tmp_path: Path, rows_of: Any) -> None:
    texts = [
        "<reponame>me/mine<filename>src/a.py<gh_stars>10-100\nx = 1\n",
        "<filename>b.py\n<reponame>is text\n",
        "<gh_stars>1000+\ny",
        "<gh_stars>0\n",
        "z = '<reponame>'\n",
        "",
    ]
    rows = _texts(tmp_path, rows_of, texts, strip_prefix="starcoderdata")
    found = [(row["content"].decode(), row["repo"], row["path"], row["stars"], row["problem"]) for row in rows]
    starts = [row["input_row"] for row in rows]
    assert found == [
        ("x = 1\n", "me/mine", "src/a.py", 10, None),
        ("<reponame>is text\n", None, "b.py", None, None),
        ("y", None, f"a.jsonl#{starts[2]}", 1000, None),
        ("", None, f"a.jsonl#{starts[3]}", 0, "empty"),
        ("z = '<reponame>'\n", None, f"a.jsonl#{starts[4]}", None, None),
        ("", None, f"a.jsonl#{starts[5]}", None, "empty"),
    ]
    assert [row["n_bytes"] for row in rows] == [len(text) for text, *_ in found]
    mapped = _texts(tmp_path, rows_of, texts, strip_prefix="starcoderdata", columns=Columns(repo="repo"))
    assert {row["repo"] for row in mapped} == {"own"}


def test_pattern_of_ones_own_is_stripped_in_linear_time(tmp_path: Path, rows_of: Any) -> None:
    pattern = r"(?:a|a)*(?:a|a)*(?:a|a)*b|# path: (?P<path>\S+)\n"
    rows = _texts(tmp_path, rows_of, ["a" * 50_000, "# path: é/x.py\nbody", "text # path: y\n"], strip_prefix=pattern)
    assert [row["content"].decode() for row in rows] == ["a" * 50_000, "body", "text # path: y\n"]
    assert rows[1]["path"] == "é/x.py"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [(r"(a)\1", "no pattern of RE2"), ("(x", "no pattern of RE2"), ("(?P<who>x)", "the group 'who' names no column")],
)
def test_pattern_is_refused_when_it_cannot_be_meant(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Source(name="s", kind="jsonl", path="x", strip_prefix=pattern)


@pytest.mark.parametrize(
    ("pool", "columns", "path", "labels"),
    [
        ("code", {}, "p.py", ["Python", "en"]),
        ("auto", {}, "p.py", ["Python", None]),
        ("text", {}, "p.py", [None, None]),
        ("auto", {"path": "", "language": ""}, None, [None, None]),
        ("auto", {"language": "language"}, "p.py", ["Python", "en"]),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_path_and_language_are_taken_by_their_names(
    tmp_path: Path,
    rows_of: Any,
    kind: str,
    pool: str,
    columns: dict[str, str],
    path: str | None,
    labels: list[str | None],
) -> None:
    rows = [{"content": "x", "path": "p.py", "language": label} for label in ("Python", "en")]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    else:
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source(name="s", kind=kind, path=str(tmp_path), pool=pool, columns=Columns(**columns))
    found = rows_of(source)
    assert [row["language_label"] for row in found] == labels
    assert all(row["path"] == (path or f"a.{kind}#{row['input_row']}") for row in found)


@pytest.mark.parametrize("explode", [None, "files"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_the_number_of_a_row_of_json_is_the_byte_where_it_starts_unpacked(
    tmp_path: Path, end: str, explode: str | None
) -> None:
    """As `docs/ingest.md` has it, so that whoever reads a number finds the row."""
    wanted = ["tide", "\u03c4\u03b5\u03b9\u03c7", "lamp"]
    rows = [{"content": one, "files": [{"content": f"{one}{k}"} for k in range(2)]} for one in wanted]
    whole = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode() + b"\n"
    (tmp_path / f"a.jsonl{end}").write_bytes(gzip.compress(whole) if end else whole)
    source = Source(name="it", kind="jsonl", path=str(tmp_path), pool="code", explode=explode)
    found = [
        (row["input_row"], row["content"].decode())
        for piece in plan_slices(source, shard_bytes=1 << 20)
        for row in read_slice(source, piece, max_document_bytes=1 << 20).to_pylist()
    ]
    assert len(found) == (6 if explode else 3)
    for number, content in found:
        at, place = divmod(number, 2**24) if explode else (number, None)
        row = json.loads(whole[at:].split(b"\n")[0])
        assert (row["files"][place] if explode else row)["content"] == content
