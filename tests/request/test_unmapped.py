"""Columns that public collections have, unmapped: each is named with the line to add; mapped or declined, none is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pipeline.request.heads import look_at_source
from pipeline.request.lint import LintFinding
from pipeline.request.load import load_mixture
from pipeline.request.unmapped import unmapped
from pipeline.sources import plan_slices, read_slice

CODE = "def tide(hours):\n    return hours % 12\n"
PROSE = "The tide came in over the flats, and the boats that had leaned on their keels stood up again.\n"
Row = dict[str, Any]
STACK_V2: Row = {
    "blob_id": "d" * 40,
    "directory_id": "c" * 40,
    "path": "/src/tide.py",
    "content_id": "e" * 40,
    "detected_licenses": ["MIT", "Apache-2.0"],
    "license_type": "permissive",
    "repo_name": "quay/tide",
    "snapshot_id": "a" * 40,
    "revision_id": "b" * 40,
    "branch_name": "refs/heads/main",
    "github_id": 7,
    "star_events_count": 12,
    "gha_license_id": "MIT",
    "gha_language": "Python",
    "src_encoding": "UTF-8",
    "language": "Python",
    "filename": "tide.py",
    "content": CODE,
}
STACK_V1: Row = {
    "hexsha": "f" * 40,
    "ext": "py",
    "lang": "Python",
    "max_stars_repo_path": "src/tide.py",
    "max_stars_repo_name": "quay/tide",
    "max_stars_repo_head_hexsha": "b" * 40,
    "max_stars_repo_licenses": ["MIT"],
    "max_stars_count": 12,
    "max_issues_repo_path": "src/tide.py",
    "content": CODE,
}
STAR_CODER: Row = {
    "max_stars_repo_path": "src/tide.py",
    "max_stars_repo_name": "quay/tide",
    "max_stars_count": 12,
    "id": "42",
    "content": f"<reponame>quay/tide<filename>src/tide.py\n{CODE}",
}
FINE_WEB: Row = {
    "text": PROSE,
    "id": "<urn:uuid:0>",
    "dump": "CC-MAIN-2013-20",
    "url": "https://example.org/tide",
    "date": "2013-05-18T10:42:00Z",
    "file_path": "s3://commoncrawl/crawl-data/x.warc.gz",
    "language": "en",
    "language_score": 0.98,
    "token_count": 24,
}
DOLMA: Row = {
    "id": "tide-1",
    "text": PROSE,
    "source": "books",
    "added": "2023-10-01T00:00:00.000Z",
    "created": "1901-01-01T00:00:00.000Z",
    "metadata": {"title": "Tide", "license": "CC-BY-4.0"},
}
SAVED: Row = {"content": CODE, "repository": "quay/tide", "licence": "MIT", "lang": "py", "commit": "b" * 40}
PLAIN: Row = {"content": CODE, "path": "src/tide.py", "repo": "quay/tide", "license": "MIT"}


def parquet(rows: list[Row], folder: Path) -> str:
    pq.write_table(pa.Table.from_pylist(rows), folder / "part.parquet")
    return "*.parquet"


def jsonl(rows: list[Row], folder: Path) -> str:
    (folder / "part.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return "*.jsonl"


def saved(rows: list[Row], folder: Path) -> str:
    """As `save_to_disk` writes it: an Arrow stream, and the state that names it."""
    table = pa.Table.from_pylist(rows)
    with (
        pa.OSFile(str(folder / "data-00000-of-00001.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as to,
    ):
        to.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
    return "."


KINDS: dict[str, Callable[[list[Row], Path], str]] = {"parquet": parquet, "jsonl": jsonl, "huggingface": saved}


def found(folder: Path, row: Row, *, kind: str = "parquet", pool: str = "code", **source: Any) -> list[LintFinding]:
    """Findings of a source of three such rows."""
    columns = {"content": "text"} if "text" in row else {}
    path = KINDS[kind]([row] * 3, folder)
    own = {"name": "it", "kind": kind, "path": path, "pool": pool} | source
    own["columns"] = columns | source.get("columns", {})
    other = {"name": "other", "kind": "directory", "path": ".", "pool": "text" if pool == "code" else "code"}
    (folder / "mix.yaml").write_text(yaml.safe_dump({"name": "mine", "sources": [own, other]}))
    mixture = load_mixture(folder / "mix.yaml")
    return list(unmapped(mixture.sources[0], look_at_source(mixture, mixture.sources[0]), mixture))


def offered(findings: list[LintFinding]) -> dict[str, str]:
    """Which column is to be written for which field."""
    lines = [one.write[len("columns: ") :].partition("}")[0] + "}" for one in findings]
    return {field: column for line in lines for field, column in yaml.safe_load(line).items()}


SCHEMAS: dict[str, tuple[Row, dict[str, Any], dict[str, str]]] = {
    "the-stack-v2": (
        STACK_V2,
        {},
        {"repo": "repo_name", "revision": "revision_id", "license": "detected_licenses"},
    ),
    "the-stack": (
        STACK_V1,
        {},
        {
            "path": "max_stars_repo_path",
            "repo": "max_stars_repo_name",
            "revision": "max_stars_repo_head_hexsha",
            "license": "max_stars_repo_licenses",
            "language": "lang",
        },
    ),
    "starcoderdata": (
        STAR_CODER,
        {"strip_prefix": "starcoderdata"},
        {"path": "max_stars_repo_path", "repo": "max_stars_repo_name"},
    ),
    "fineweb": (FINE_WEB, {"pool": "text"}, {}),
    "fineweb of any pool": (FINE_WEB, {"pool": "auto"}, {}),  # its file_path is that of an archive
    "dolma": (DOLMA, {"pool": "text", "kind": "jsonl"}, {"license": "metadata.license"}),
    "a folder of datasets": (
        SAVED,
        {"kind": "huggingface"},
        {"repo": "repository", "revision": "commit", "license": "licence", "language": "lang"},
    ),
    "plain": (PLAIN, {}, {"repo": "repo", "license": "license"}),  # path is taken by its name
    "plain lines": (PLAIN, {"kind": "jsonl"}, {"repo": "repo", "license": "license"}),
    "empty columns": (PLAIN | {"repo": None, "license": ""}, {"kind": "jsonl"}, {}),
    "empty columns and a source that states it": (
        PLAIN | {"repo": None, "license": ""},
        {"kind": "jsonl", "license": "MIT", "repo": "of/all"},
        {},
    ),
    "empty columns and a prefix that states it": (
        STAR_CODER | {"max_stars_repo_path": None, "max_stars_repo_name": None},
        {"kind": "jsonl", "strip_prefix": "starcoderdata"},
        {},
    ),
    "a language of two words": (
        PLAIN | {"lang": "Jupyter Notebook"},
        {},
        {"repo": "repo", "license": "license", "language": "lang"},
    ),
    "prose of a language": (PLAIN | {"lang": "deu"}, {}, {"repo": "repo", "license": "license"}),
    "an exploded list": (
        {"repo_name": "quay/tide", "files": [{"content": CODE, "path": "a.py", "licenses": ["MIT"]}]},
        {"explode": "files"},
        {"repo": "repo_name", "license": "licenses"},
    ),
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_columns_that_nothing_is_mapped_to_are_named(tmp_path: Path, name: str) -> None:
    row, source, expected = SCHEMAS[name]
    findings = found(tmp_path, row, **source)
    assert offered(findings) == expected
    for one, (field, column) in zip(findings, expected.items(), strict=True):
        assert one.key == f"sources.it.columns.{field}" and "source it" in one.seen and repr(column) in one.seen


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_mapped_or_declined_is_not_named_again(tmp_path: Path, name: str) -> None:
    row, source, expected = SCHEMAS[name]
    for columns in (expected, dict.fromkeys(expected, "")):
        assert found(tmp_path, row, **source, columns=columns) == []


def test_the_line_to_add_gives_what_the_rows_say(tmp_path: Path) -> None:
    columns = offered(found(tmp_path, STACK_V2))
    assert found(tmp_path, STACK_V2, columns=columns) == []
    (source, _) = load_mixture(tmp_path / "mix.yaml").sources
    (piece,) = plan_slices(source, shard_bytes=1_000_000)
    row = read_slice(source, piece, max_document_bytes=1_000_000).to_pylist()[0]
    assert (row["repo"], row["revision"], row["license"]) == ("quay/tide", "b" * 40, "MIT AND Apache-2.0")


def test_a_column_of_classes_of_licences_is_no_column_of_licences(tmp_path: Path) -> None:
    row = {"content": CODE, "license_type": "permissive"}
    (finding,) = found(tmp_path, row)
    assert "'license_type'" in finding.seen and "'permissive', which names no licence" in finding.seen
    assert found(tmp_path, row, columns={"license": ""}) == []


def test_a_licence_of_the_source_does_not_hide_those_of_its_rows(tmp_path: Path) -> None:
    assert offered(found(tmp_path, PLAIN, license="Apache-2.0", repo="of/all")) == {
        "repo": "repo",
        "license": "license",
    }


def test_a_name_that_could_steer_a_terminal_is_escaped(tmp_path: Path) -> None:
    nested = {"license": "MIT", "licenses": ["MIT"]}
    (finding,) = found(tmp_path, {"content": CODE, "\x1b[2J": nested}, kind="jsonl")
    assert "\x1b" not in finding.seen + finding.write
    assert offered([finding]) == {"license": "\x1b[2J.license"}
