"""The bytes that each stage makes of one small corpus. A stage whose output changes must raise its version.

`golden.json` holds, for each stage, its version and the hash of its table. A run begun by older code is redone from the
first stage whose version was raised, and only then; so a change that is not announced would leave old and new rows side
by side. After raising a version, write the file anew: `LOOPMIX_WRITE_GOLDEN=1 pytest tests/test_golden.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.config import Against, Mixture
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.manifest import read_manifest
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.store import open_store
from pipeline.recipe import curate, stages
from pipeline.request.load import load_mixture
from pipeline.sources.documents import plan

GOLDEN = Path(__file__).with_name("golden.json")
MIXTURE = Path(__file__).parent / "data" / "mixture.yaml"
Golden = dict[str, dict[str, Any]]


def mixture_in(folder: Path) -> Mixture:
    """The small corpus, so cut that crowds form, beside a benchmark that one of its documents contains."""
    text = (MIXTURE.parent / "code" / "store" / "keep__ledger.py").read_text(encoding="utf-8")
    (folder / "benchmark.jsonl").write_text(json.dumps({"content": text[200:900]}) + "\n", encoding="utf-8")
    mixture = load_mixture(MIXTURE)
    near = mixture.near_dups.model_copy(update={"max_bucket_docs": 2})
    against = (Against(name="tasks", kind="jsonl", path=str(folder / "benchmark.jsonl")),)
    return mixture.model_copy(update={"near_dups": near, "against": against})


def values(column: pa.ChunkedArray) -> Iterator[str]:
    """Each value as text. Floats are cut to six digits: the last bits of a sum may depend on the processor."""

    def plain(value: Any) -> Any:
        if isinstance(value, float):
            return f"{value:.6g}"
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        return [plain(v) for v in value] if isinstance(value, list) else value

    return (repr(plain(value)) for value in column.to_pylist())


def digest(files: list[Path]) -> str:
    """SHA-256 over names, types and values of all columns of a table's files; not over how Parquet packs them."""
    found = hashlib.sha256()
    for file in files:
        table = pq.read_table(file) if file.suffix == ".parquet" else pa.ipc.open_file(file).read_all()
        for field in table.schema:
            found.update(f"{field.name} {field.type} {table.num_rows}\n".encode())
            found.update("\n".join(values(table[field.name])).encode())
    return found.hexdigest()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Golden:
    """What the stages make now."""
    folder = tmp_path_factory.mktemp("golden")
    run = Run(open_store(str(folder / "run")), mixture_in(folder), InlineExecutor(), silent())
    curate(run)
    entries = read_manifest(run.store)["stages"]
    return {
        name: {"version": e["version"], "sha256": digest([folder / "run" / f["path"] for f in e["files"]])}
        for name, e in entries.items()
    }


def complaints(golden: Golden, made: Golden, *, reads: dict[str, set[str]]) -> list[str]:
    """What is wrong between the file and the code. `reads`: the stages that each stage reads, in the order of work."""
    found: list[str] = []
    raised: set[str] = set()
    for name, before in reads.items():
        old, new = golden.get(name), made[name]
        if old is None or old["version"] != new["version"]:
            raised.add(name)
            found.append(f"{name} has another version than in golden.json: write it anew")
        elif before & raised:
            raised.add(name)  # its input changed, so its output may: no version of its own is asked for
        elif old["sha256"] != new["sha256"]:
            found.append(f"output of {name} changed: raise its version in recipe.py")
    return found


def reads_of(folder: Path) -> dict[str, set[str]]:
    mixture = mixture_in(folder)
    return {stage.name: {t.name for t in stage.reads} for stage in stages(mixture, plan(mixture))}


def test_no_output_changed_without_its_version(made: Golden, tmp_path: Path) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    found = complaints(golden, made, reads=reads_of(tmp_path))
    if os.environ.get("LOOPMIX_WRITE_GOLDEN") and not any("raise its version" in line for line in found):
        GOLDEN.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        found = []
    assert found == []
    assert os.environ.get("LOOPMIX_WRITE_GOLDEN") or golden == made, "outputs changed with a version: write them anew"


def test_the_corpus_reaches_what_stages_decide(made: Golden, tmp_path: Path) -> None:
    """A golden table that is empty would hold anything."""
    run = Run(open_store(str(tmp_path / "run")), mixture_in(tmp_path), InlineExecutor(), silent())
    curate(run)
    counts = {name: e["counts"] for name, e in read_manifest(run.store)["stages"].items()}
    assert set(counts) == set(made)
    assert counts["near_dups"]["n_pairs"] > 0
    assert counts["exact_dups"]["n_duplicates"] > 0
    overlaps = pa.concat_tables(pq.read_table(p) for p in sorted((tmp_path / "run/tables/overlaps").iterdir()))
    matches = [match for found in overlaps["matches"].to_pylist() for match in found]
    assert [match["benchmark"] for match in matches] == ["tasks"] * 2  # the document and its copy


READS = {"a": set[str](), "b": {"a"}, "c": {"b"}}
OLD = {name: {"version": 1, "sha256": "x"} for name in READS}


def test_a_changed_output_is_named_until_its_version_is_raised() -> None:
    assert complaints(OLD, OLD, reads=READS) == []
    changed = OLD | {"b": {"version": 1, "sha256": "y"}}
    assert complaints(OLD, changed, reads=READS) == ["output of b changed: raise its version in recipe.py"]
    raised = OLD | {"b": {"version": 2, "sha256": "y"}, "c": {"version": 1, "sha256": "z"}}
    assert complaints(OLD, raised, reads=READS) == ["b has another version than in golden.json: write it anew"]
    early = OLD | {"a": {"version": 1, "sha256": "y"}, "b": {"version": 2, "sha256": "y"}}
    assert "output of a changed: raise its version in recipe.py" in complaints(OLD, early, reads=READS)
