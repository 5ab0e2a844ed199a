"""What a run says of input that it leaves out, and of a folder that it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from pipeline.cli.main import main

DATA = Path(__file__).parents[1] / "data"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_folder_of_somebody_else_gets_no_log_when_curate_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear reader")
    result = call("curate", DATA / "mixture.yaml", "--out", tmp_path, "--executor", "inline")
    assert result.exit_code == 1
    assert [p.name for p in tmp_path.iterdir()] == ["letter.txt"]


def test_skipped_shard_is_a_warning_when_a_run_ends(tmp_path: Path) -> None:
    for name in ("code", "text", "records.jsonl", "vendored", "benchmark"):
        (tmp_path / name).symlink_to(DATA / name)
    (tmp_path / "bad.jsonl.gz").write_bytes(b"no gzip")
    text = (DATA / "mixture.yaml").read_text(encoding="utf-8")
    text = text.replace("sources:\n", "sources:\n  - {name: bad, kind: jsonl, path: bad.jsonl.gz}\n")
    (tmp_path / "mixture.yaml").write_text(text, encoding="utf-8")
    skip = ("--executor", "inline", "--on-bad-shard", "skip")
    made = call("curate", tmp_path / "mixture.yaml", "--out", tmp_path / "run", *skip)
    assert made.exit_code == 0, made.output
    assert "warning: documents: shard 0 was skipped" in made.output
    (log,) = (tmp_path / "run/logs").iterdir()
    warnings = [e["message"] for e in map(json.loads, log.read_text().splitlines()) if e["event"] == "warning"]
    (skipped,) = [message for message in warnings if "skipped" in message]
    assert "bad.jsonl.gz" in skipped


def test_what_was_skipped_is_said_where_the_run_fails_for_want_of_it(tmp_path: Path) -> None:
    """And the page of what stood before is gone: it shows another run."""
    (tmp_path / "text").symlink_to(DATA / "text")
    rows = [{"content": p.read_text("utf-8", "replace"), "path": p.name} for p in sorted((DATA / "code").rglob("*.py"))]
    (tmp_path / "code.jsonl").write_text("\n".join(map(json.dumps, rows)))
    text = """
        name: small
        seed: 1
        sources:
          - {name: code, kind: jsonl, path: code.jsonl*, pool: code, columns: {path: path}}
          - {name: text, kind: directory, path: text, pool: text}
        select: {max_loss: 1.0}
        pack: {seq_len: 64}
    """
    (tmp_path / "mixture.yaml").write_text(text, encoding="utf-8")
    arguments = ("curate", tmp_path / "mixture.yaml", "--out", tmp_path / "run", "--executor", "inline")
    assert call(*arguments).exit_code == 0
    assert (tmp_path / "run/report/index.html").exists()
    (tmp_path / "code.jsonl").unlink()
    (tmp_path / "code.jsonl.gz").write_bytes(b"no gzip")
    result = call(*arguments, "--on-bad-shard", "skip")
    assert result.exit_code == 1
    assert "code.jsonl.gz" in result.output
    assert "shard 0 was skipped" in result.output
    assert not (tmp_path / "run/report").exists()
