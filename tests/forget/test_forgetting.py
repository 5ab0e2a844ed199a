"""`loopmix forget` as it is typed, and what other commands say of a run that has forgotten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from forget_runs import ledger

from pipeline.cli.main import main


def call(*arguments: Any) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def ok(*arguments: Any) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "list.txt"
    path.write_text("# asked for on Monday\npath:m0.py\nt7.txt\n", encoding="utf-8")
    return path


def test_it_says_what_it_found_what_it_did_and_what_is_proven(run: Path, listed: Path) -> None:
    lines = ok("forget", run, "--list", listed).splitlines()
    assert lines[:2] == ["          1  line 2: path:m0.py", "          1  line 3: t7.txt"]
    assert lines[2] == "forgot 3 documents: 2 listed, 1 of equal bytes, 0 of equal words"
    assert any("text/prose" in line and "refilled" in line for line in lines)
    assert any("bytes removed" in line and "for each" in line for line in lines)
    assert lines[-2] == "proof: 3 documents are forgotten: no text, no token id and no piece of them is left"
    assert lines[-1].startswith("proof: 0 of ")
    again = ok("forget", run, "--list", listed).splitlines()
    assert again[-2:] == ["2 documents were forgotten before", "nothing is to be forgotten"]


def test_json_is_what_the_manifest_has(run: Path, listed: Path) -> None:
    said = json.loads(ok("forget", run, "--list", listed, "--json"))
    assert [said] == json.loads((run / "manifest.json").read_bytes())["forgotten"]


def test_a_dry_run_says_so(run: Path, listed: Path) -> None:
    lines = ok("forget", run, "--list", listed, "--dry-run").splitlines()
    assert lines[2].startswith("would forget 3 documents")
    assert lines[-1].endswith("bytes would go; nothing was changed")
    assert not any("forgotten" in row["reasons"] for row in ledger(run))


def test_what_matches_nothing_is_one_line_and_changes_nothing(run: Path, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("path:nowhere.py\n", encoding="utf-8")
    result = call("forget", run, "--list", path)
    assert result.exit_code == 1
    assert "1 entries match no document of this run: line 1: path:nowhere.py" in result.output
    assert ok("forget", run, "--list", path, "--allow-missing").splitlines()[-1] == "nothing is to be forgotten"
    assert call("forget", run).exit_code == 2


def test_other_commands_know_of_it(run: Path, listed: Path) -> None:
    ok("report", run)
    assert (run / "report/index.html").exists()
    ok("forget", run, "--list", listed)
    assert not (run / "report").exists()  # it showed what is gone
    assert "forgotten" in ok("why", run, "m0.py")
    assert "every promise holds" in ok("verify", run)
    assert "every promise that was recounted holds" in ok("verify", run, "--quick")
    assert "forgotten" in ok("report", run)


def test_an_export_of_it_holds_what_took_the_places(run: Path, listed: Path, tmp_path: Path) -> None:
    gone = {row["doc_id"] for row in ledger(run) if row["path"] in ("m0.py", "m60.py", "t7.txt")}
    ok("forget", run, "--list", listed)
    ok("export-data", run, "--to", "parquet", "--out", tmp_path / "out")
    rows = [row for p in (tmp_path / "out").rglob("*.parquet") for row in pq.read_table(p)["doc_ids"].to_pylist()]
    held = {i for row in rows for i in row}
    assert held
    assert not held & gone
