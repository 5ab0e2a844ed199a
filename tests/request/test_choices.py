"""A prefix that no row begins with is named, with the name that was meant; so are splits that nobody chose."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Mixture, Source
from pipeline.request.choices import choices
from pipeline.request.heads import look_at_source
from pipeline.request.lint import LintFinding

CODE = "def tide(hours):\n    return hours % 12\n"
MARKED = f"<reponame>quay/tide<filename>src/tide.py<gh_stars>10-100\n{CODE}"


def found(folder: Path, kind: str, **more: Any) -> list[LintFinding]:
    source = Source(**({"name": "it", "kind": kind, "path": str(folder), "pool": "code"} | more))
    mixture = Mixture(name="m", sources=(source,))
    return list(choices(source, look_at_source(mixture, source), mixture))


def marked(folder: Path, *contents: str) -> None:
    pq.write_table(pa.table({"content": contents}), folder / "a.parquet")


def test_a_name_of_a_prefix_with_a_slip_is_told_with_the_name(tmp_path: Path) -> None:
    marked(tmp_path, CODE, MARKED, MARKED)
    (finding,) = found(tmp_path, "parquet", strip_prefix="starcoder")
    assert (finding.kind, finding.key) == ("prefix_fits_nothing", "sources.it.strip_prefix")
    assert finding.seen == "'starcoder' fits 0 of 3 rows looked at; did you mean starcoderdata?"
    assert finding.write == "strip_prefix: starcoderdata in source it, or leave it out"


@pytest.mark.parametrize("pattern", ["// file: .*\n", "x*"])  # the second fits all, and takes nothing off
def test_an_expression_that_takes_nothing_off_is_told(tmp_path: Path, pattern: str) -> None:
    marked(tmp_path, CODE, MARKED)
    (finding,) = found(tmp_path, "parquet", strip_prefix=pattern)
    assert finding.seen.endswith("fits 0 of 2 rows looked at") and "did you mean" not in finding.seen


@pytest.mark.parametrize("pattern", ["starcoderdata", "<reponame>[^<]*", None])
def test_a_prefix_that_one_row_has_is_fine(tmp_path: Path, pattern: str | None) -> None:
    marked(tmp_path, CODE, CODE, MARKED)
    assert found(tmp_path, "parquet", strip_prefix=pattern) == []


def saved(folder: Path) -> None:
    """One data set, as `save_to_disk` writes it."""
    folder.mkdir(parents=True)
    table = pa.table({"content": [CODE]})
    with pa.OSFile(str(folder / "data.arrow"), "wb") as opened, pa.ipc.new_stream(opened, table.schema) as to:
        to.write_table(table)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data.arrow"}]}))


def test_splits_that_nobody_chose_are_named(tmp_path: Path) -> None:
    for split in ("validation", "train", "test"):
        saved(tmp_path / "in" / split)
    (finding,) = found(tmp_path / "in", "huggingface")
    assert (finding.kind, finding.key) == ("all_splits", "sources.it.include")
    assert finding.seen == "all 3 splits of source it are read: test, train, validation"
    assert finding.write == "include: [/train/] in source it, or [/test/, /train/, /validation/] where all are meant"


def test_splits_that_were_chosen_and_a_single_one_are_fine(tmp_path: Path) -> None:
    for split in ("train", "test"):
        saved(tmp_path / "in" / split)
    for chosen in ({"include": ("/train/",)}, {"include": ("/train/", "/test/")}, {"exclude": ("/test/",)}):
        assert found(tmp_path / "in", "huggingface", **chosen) == []
    assert found(tmp_path / "in" / "train", "huggingface") == []
