"""docs/recipes.md: each mixture loads, and reads rows with the columns that its collection was published with."""

from __future__ import annotations

import datetime
import gzip
import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Source
from pipeline.request.load import load_mixture
from pipeline.request.without_effect import without_effect
from pipeline.sources import plan_slices, read_slice

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
RECIPES = {
    text.splitlines()[0].removeprefix("name: "): text
    for text in re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
}
CODE = "def tide(hours):\n    return hours % 12\n"
PROSE = "The tide came in over the flats, and the boats that had leaned on their keels since noon stood up again.\n"
WHEN = datetime.datetime(2023, 9, 1, 12, 30)
# The Stack v2: columns of a repository and of a file. Its rows have both beside each other, its `train` sets a list.
_STACK_REPO = {
    "repo_name": "quay/tide",
    "snapshot_id": "a" * 40,
    "revision_id": "b" * 40,
    "directory_id": "c" * 40,
    "branch_name": "refs/heads/main",
    "visit_date": WHEN + datetime.timedelta(days=2),
    "revision_date": WHEN,
    "committer_date": WHEN + datetime.timedelta(days=1),
    "github_id": 7,
    "star_events_count": 12,
    "fork_events_count": 1,
    "gha_license_id": "MIT",
    "gha_language": "Python",
}
_STACK_FILE = {
    "blob_id": "d" * 40,
    "content_id": "e" * 40,
    "path": "/src/tide.py",
    "language": "Python",
    "detected_licenses": ["MIT", "Apache-2.0"],
    "license_type": "permissive",
    "src_encoding": "UTF-8",
    "is_vendor": False,
    "is_generated": False,
    "length_bytes": len(CODE),
    "content": CODE,
}
_STAR_CODER = {
    "max_stars_repo_path": "src/tide.py",
    "max_stars_repo_name": "quay/tide",
    "max_stars_count": 12,
    "id": "42",
    "content": f"<reponame>quay/tide<filename>src/tide.py<gh_stars>10-100\n{CODE}",
}
_STAR_CODER_FOLDERS = {
    "python": _STAR_CODER,
    "github-issues-filtered-structured": {
        "repo_name": "quay/tide",
        "issue_id": "7",
        "content": "<issue_start>text: hi",
    },
    "git-commits-cleaned": {"id": "42", "content": "<commit_before>a<commit_msg>b<commit_after>c"},
    "jupyter-scripts-dedup-filtered": {"id": "42", "content": CODE},
    "jupyter-structured-clean-dedup": {"id": "42", "content": "<jupyter_start>"},
}
_FINE_WEB = {
    "text": PROSE,
    "id": "<urn:uuid:0>",
    "dump": "CC-MAIN-2013-20",
    "url": "https://example.org/tide",
    "date": "2013-05-18T10:42:00Z",
    "file_path": "s3://commoncrawl/x.warc.gz",
    "language": "en",
    "language_score": 0.98,
    "token_count": 24,
}
_DOLMA = {
    "id": "tide-1",
    "text": PROSE,
    "source": "books",
    "added": "2023-10-01T00:00:00.000Z",
    "created": "1901-01-01T00:00:00.000Z",
    "metadata": {"title": "Tide"},
}
_PLAIN = {"content": CODE, "path": "src/tide.py", "repo_name": "quay/tide", "license": "MIT"}
_WEB = {"text": PROSE, "url": "https://example.org/tide"}


def parquet(rows: list[dict[str, Any]]) -> Callable[[Path], object]:
    return lambda path: pq.write_table(pa.Table.from_pylist(rows), path)


def json_gz(row: dict[str, Any]) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(gzip.compress(json.dumps(row).encode()))


def saved(path: Path) -> None:
    pytest.importorskip("datasets").Dataset.from_list([_WEB]).save_to_disk(path)


def checkout(path: Path) -> None:
    path.mkdir()
    (path / "src").mkdir()
    (path / "src/tide.py").write_text(CODE)
    (path / "vendor").mkdir()
    (path / "vendor/other.py").write_text(CODE)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *command], cwd=path, check=True)


@dataclass(frozen=True)
class Made:
    """The files that a recipe reads, and of its documents the fields that must be filled, by source."""

    files: dict[str, Callable[[Path], object]]
    filled: dict[str, dict[str, Any]]


_REVISION = {"revision": "b" * 40, "revision_time": WHEN.replace(tzinfo=datetime.UTC)}
_OF_STACK = {"path": "/src/tide.py", "repo": "quay/tide", "stars": 12, "license": "MIT AND Apache-2.0", **_REVISION}
_OF_WEB = {"content": PROSE.encode(), "path": "https://example.org/tide"}
_OF_CODE = {"content": CODE.encode(), "path": "src/tide.py", "repo": "quay/tide"}
MADE = {
    "stack-v2": Made(
        {"the-stack-v2/Python/train-0.parquet": parquet([_STACK_REPO | _STACK_FILE])},
        {"the-stack-v2": {"content": CODE.encode(), **_OF_STACK}},
    ),
    "stack-v2-train": Made(
        {"the-stack-v2-train/train-0.parquet": parquet([_STACK_REPO | {"files": [_STACK_FILE], "num_files": 1}])},
        {"the-stack-v2": {"content": CODE.encode(), **_OF_STACK}},
    ),
    "starcoderdata": Made(
        {f"starcoderdata/{folder}/train-0.parquet": parquet([row]) for folder, row in _STAR_CODER_FOLDERS.items()},
        {"starcoderdata": {**_OF_CODE, "stars": 12}},
    ),
    "fineweb": Made(
        {"fineweb/sample/10BT/000.parquet": parquet([_FINE_WEB])},
        {"fineweb": {**_OF_WEB, "license": "ODC-By-1.0", "revision": "CC-MAIN-2013-20"}},
    ),
    "dolma": Made(
        {"dolma/books-0000.json.gz": json_gz(_DOLMA), "dolma/wiki-0000.json.gz": json_gz(_DOLMA)},
        {name: {"content": PROSE.encode(), "path": "tide-1"} for name in ("books", "wiki")},
    ),
    "from-datasets": Made({"saved": saved}, {"saved": _OF_WEB}),
    "checkouts": Made(
        {"checkouts/tide": checkout}, {"repos": {"content": CODE.encode(), "path": "src/tide.py", "repo": "tide"}}
    ),
    "folder": Made(
        {"notes/a.md": lambda path: path.write_text(PROSE), "notes/b.bin": lambda path: path.write_bytes(b"\0")},
        {"notes": {"content": PROSE.encode(), "path": "a.md", "license": "LicenseRef-mine"}},
    ),
    "on-a-cluster": Made(
        {"code/python/0.parquet": parquet([_PLAIN]), "web/0.parquet": parquet([_WEB])},
        {"code": {**_OF_CODE, "license": "MIT"}, "web": _OF_WEB},
    ),
    "both": Made(
        {"code/0.parquet": parquet([_PLAIN]), "web/0.parquet": parquet([_WEB])}, {"code": _OF_CODE, "web": _OF_WEB}
    ),
}


# What a recipe for one pool takes of the other.
OTHER_POOL = {
    "code": Made({"code/0.parquet": parquet([_PLAIN])}, {"code": _OF_CODE}),
    "web": Made({"web/0.parquet": parquet([_WEB])}, {"web": _OF_WEB}),
}


def documents(source: Source) -> list[dict[str, Any]]:
    pieces = plan_slices(source, shard_bytes=1 << 20)
    return [row for piece in pieces for row in read_slice(source, piece, max_document_bytes=1 << 20).to_pylist()]


def test_every_recipe_of_the_page_is_tried() -> None:
    assert list(RECIPES) == list(MADE)


@pytest.mark.parametrize("name", MADE)
def test_a_recipe_reads_the_rows_that_it_is_for(name: str, tmp_path: Path) -> None:
    made = MADE[name]
    others = [
        other for key, other in OTHER_POOL.items() if f"{{name: {key}," in RECIPES[name] and key not in made.filled
    ]
    files = {path: write for one in (made, *others) for path, write in one.files.items()}
    filled = {source: fields for one in (made, *others) for source, fields in one.filled.items()}
    for path, write in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        write(tmp_path / path)
    text = re.sub(r"path: (?:/data|s3://bucket)/", f"path: {tmp_path}/", RECIPES[name])
    (tmp_path / "mixture.yaml").write_text(text, encoding="utf-8")
    mixture = load_mixture(tmp_path / "mixture.yaml")
    assert {source.name for source in mixture.sources} == set(filled)
    assert list(without_effect(mixture)) == []
    for source in mixture.sources:
        (row,) = documents(source)
        assert {field: row[field] for field in filled[source.name]} == filled[source.name]
        assert row["lost_fields"] == []
