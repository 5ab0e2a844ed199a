"""A run with a plug-in of another package, a fastText and an ONNX scorer, and rules over their numbers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from handmade import digests
from small_models import fasttext_by_hand, write_fasttext, write_strings
from test_plugins import install

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.schema import LEDGER, QUALITY

MIXTURE = """
name: extra
sources:
  - {name: code, kind: directory, path: code, pool: code}
  - {name: prose, kind: directory, path: prose, pool: text}
ingest: {shard_bytes: 1024}
quality:
  sets: []
  plugins: [PLUGIN]
  scorers:
    - {name: nice, kind: fasttext, path: models/nice.bin, label: yes_, pool: text}
    - {name: only_go, kind: onnx, path: models/strings.onnx, languages: [golang]}
  rules:
    - {reason: mine.large, feature: extra.n_bytes, above: 600, pool: code}
    - {reason: mine.not_nice, feature: extra.nice, below: 0.5}
    - {reason: mine.go, feature: extra.only_go, above: 0}
pack: {seq_len: 64, n_shards: 1, n_partitions: 1}
""".replace("yes_", "'yes'")


def prepare(folder: Path, plugin: str = "lengths") -> Path:
    """The mixture, its files and its models; the package `toy-measures` beside them."""
    install(folder / "packages")
    for name in ("code", "prose", "models"):
        (folder / name).mkdir()
    for i in range(8):
        (folder / f"code/{i}.c").write_text("".join(f"int f{i}_{k}(void);\n" for k in range(10 + 8 * i)))
    (folder / "code/x.go").write_text("package x\n")
    for i in range(6):
        (folder / f"prose/{i}.txt").write_text(f"Line {i} of a text that is {'good' if i % 2 else 'bad'} {i} .\n" * 9)
    write_fasttext(folder / "models/nice.bin")
    write_strings(folder / "models/strings.onnx")
    mixture = folder / "mixture.yaml"
    mixture.write_text(MIXTURE.replace("PLUGIN", plugin))
    return mixture


def curate(mixture: Path, out: str, *more: str) -> subprocess.CompletedProcess[str]:
    paths = [str(mixture.parent / "packages"), str(Path(__file__).parents[2])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
    line = [sys.executable, "-m", "pipeline", "curate", str(mixture), "--out", str(mixture.parent / out), *more]
    return subprocess.run(line, capture_output=True, text=True, env=env, cwd=mixture.parent)


def test_rules_of_a_mixture_drop_by_numbers_of_other_packages(tmp_path: Path) -> None:
    mixture = prepare(tmp_path)
    done = curate(mixture, "run")
    assert done.returncode == 0, done.stderr
    run = RunFiles(open_store(str(tmp_path / "run")))
    rows = {row["path"]: row for t in run.shards(LEDGER) for row in t.to_pylist()}
    ids = {row["doc_id"]: path for path, row in rows.items()}
    extra = {ids[r["doc_id"]]: dict(r["extra"]) for t in run.shards(QUALITY) for r in t.to_pylist()}
    assert run.n_shards > 2
    for path, row in rows.items():
        kind, size = ("code" if path.endswith((".c", ".go")) else "prose"), row["n_bytes"]
        assert extra[path]["n_bytes"] == size
        assert extra[path]["is_c"] == path.endswith(".c")
        assert ("nice" in extra[path], "only_go" in extra[path]) == (kind == "prose", path == "x.go")
        if kind == "prose":
            by_hand = fasttext_by_hand((tmp_path / "prose" / path).read_text())
            assert extra[path]["nice"] == pytest.approx(by_hand, abs=2e-5)
            assert row["reasons"] == ([] if by_hand >= 0.5 else ["mine.not_nice"])
        else:
            assert row["reasons"] == (["mine.go"] if path == "x.go" else ["mine.large"] if size > 600 else [])
    reasons = {reason for row in rows.values() for reason in row["reasons"]}
    assert reasons == {"mine.large", "mine.not_nice", "mine.go"}


def test_a_plug_in_that_fails_is_named_with_its_shard(tmp_path: Path) -> None:
    done = curate(prepare(tmp_path, plugin="fails"), "run")
    assert done.returncode == 1
    assert "quality: shard 0: plug-in fails (toy-measures 1.2) failed: KeyError: 'no such column'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.ray
def test_bytes_are_equal_on_ray(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    mixture = prepare(tmp_path)
    for out, more in (("inline", ()), ("ray", ("--ray-address", "local"))):
        done = curate(mixture, out, *more)
        assert done.returncode == 0, done.stderr
    assert digests(tmp_path / "inline/tables/quality") == digests(tmp_path / "ray/tables/quality")
    assert digests(tmp_path / "inline/packed") == digests(tmp_path / "ray/packed")
