"""A finished run from Python: what it says is what its files hold, wherever they lie, and nothing in it changes."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest
from export.export_runs import Truth, export_run
from hand_run import SHARDS
from obstore.store import MemoryStore

import pipeline as loopmix
from pipeline.engine import disks
from pipeline.engine import store as stores
from pipeline.engine.object_disk import ObjectDisk
from pipeline.engine.store import open_store
from pipeline.report import NUMBERS, save
from pipeline.report.compute import compute

N = sum(len(shard) for shard in SHARDS)


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    return export_run(tmp_path / "run")


@pytest.fixture(params=["local", "s3"])
def opened(truth: Truth, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> loopmix.FinishedRun:
    """The same run on a disk and on an object store."""
    if request.param == "local":
        return loopmix.open_run(truth.run.store.root)
    place = MemoryStore()
    disk = ObjectDisk("s3://memory/run", place, place)
    monkeypatch.setattr(disks, "_server", lambda root, settings: disk)
    monkeypatch.setattr(stores, "_SEEN", {})
    root = Path(truth.run.store.root)
    remote = open_store("s3://memory/run")
    for path in root.rglob("*"):
        if path.is_file():
            remote.write_bytes(path.relative_to(root).as_posix(), path.read_bytes())
    return loopmix.open_run("s3://memory/run")


def read_alone(root: Path, name: str) -> list[dict[str, Any]]:
    """A table read by pyarrow alone."""
    files = sorted((root / "tables" / name).iterdir())
    tables = [pq.read_table(f) if f.suffix == ".parquet" else ipc.open_file(f).read_all() for f in files]
    return [row for table in tables for row in table.to_pylist()]


def test_every_table_is_what_its_files_hold(opened: loopmix.FinishedRun, truth: Truth) -> None:
    root = Path(truth.run.store.root)
    names = [name for name in opened.tables if name not in ("packed", "similar")]
    assert "documents" in names and "tokens" in names
    for name in names:
        table, alone = opened.table(name), read_alone(root, name)
        assert list(table) == alone, name
        assert len(table) == len(alone)
        assert table.arrow().to_pylist() == alone
        assert table.columns == tuple(table.schema.names)
    assert list(opened.table("packed")) == truth.rows
    assert len(opened.table("packed")) == len(truth.rows)
    assert list(opened.ledger) == read_alone(root, "ledger")
    assert [row["doc_id"] for row in opened.documents()] == [row["doc_id"] for row in read_alone(root, "documents")]


def test_columns_are_chosen_and_no_others_are_read(
    opened: loopmix.FinishedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    read = stores.Store.read_parquet

    def spied(self: stores.Store, path: str, **options: Any) -> pa.Table:
        asked.append(tuple(options["columns"]))
        return read(self, path, **options)

    monkeypatch.setattr(stores.Store, "read_parquet", spied)
    chosen = opened.ledger.select("path", "keep")
    assert asked == []  # nothing is read before somebody asks
    assert chosen.head(2) == [{"path": d.path, "keep": not d.reasons} for d in SHARDS[0][:2]]
    assert asked == [("path", "keep")]  # one shard of two
    assert len(chosen) == N
    assert len(asked) == 3 and asked[1] == asked[2] and len(asked[1]) == 1
    with pytest.raises(loopmix.SchemaError, match="ledger: has no column 'langage'; did you mean language"):
        opened.ledger.select("langage")
    assert chosen.select("n_bytes").columns == ("n_bytes",)


def test_iterating_holds_one_shard(opened: loopmix.FinishedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    whole = loopmix.RunTable._read
    monkeypatch.setattr(loopmix.RunTable, "_read", lambda self, path: (read.append(path), whole(self, path))[1])
    rows = iter(opened.documents())
    next(rows)
    assert len(read) == 1
    for _ in range(len(SHARDS[0]) - 1):
        next(rows)
    assert len(read) == 1
    next(rows)
    assert len(read) == 2


def test_unknown_tables_and_phases_are_answered_with_the_nearest(opened: loopmix.FinishedRun) -> None:
    with pytest.raises(
        loopmix.ConfigError, match="table 'ledgre': this run has none of that name; did you mean ledger"
    ):
        opened.table("ledgre")
    with pytest.raises(loopmix.ConfigError, match="phase 'long'"):
        opened.table("packed", phase="long")
    with pytest.raises(loopmix.ConfigError, match="is not divided into phases"):
        opened.table("ledger", phase="long")
    assert opened.phases == ()


def equal(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    ids = np.array_equal(found["token_ids"], expected["token_ids"])
    return ids and {k: v for k, v in found.items() if k != "token_ids"} == {
        k: v for k, v in expected.items() if k != "token_ids"
    }


def test_sequences_are_those_of_the_stream(opened: loopmix.FinishedRun, truth: Truth) -> None:
    found = list(opened.sequences())
    for row, expected in zip(found, truth.rows, strict=True):
        assert row["token_ids"].dtype == np.uint32
        wanted = {name: expected[name] for name in ("token_ids", "n_real", "cu_seqlens", "doc_ids", "groups", "pool")}
        assert equal(row, wanted)


@pytest.mark.parametrize(
    ("rank", "n_ranks", "start"), [(0, 1, 0), (0, 1, 3), (1, 2, 0), (2, 3, 1), (0, 4, 7), (3, 4, 20)]
)
def test_ranks_read_what_the_trainers_stream_reads(truth: Truth, rank: int, n_ranks: int, start: int) -> None:
    pytest.importorskip("torch")
    from pipeline.plt import SequenceStream

    found = list(loopmix.open_run(truth.run.store.root).sequences(rank=rank, n_ranks=n_ranks, start=start))
    expected = list(SequenceStream(truth.run.store.root, rank=rank, n_ranks=n_ranks, start=start))
    assert len(found) == len(expected)
    assert all(equal(a, b) for a, b in zip(found, expected, strict=True))


def test_ranks_that_cannot_be_are_refused_at_once(opened: loopmix.FinishedRun) -> None:
    for options in ({"rank": 1}, {"n_ranks": 0}, {"rank": -1}, {"start": -1}):
        with pytest.raises(loopmix.ConfigError, match="expected 0 <= rank < n_ranks, start >= 0"):
            opened.sequences(**options)


def test_a_damaged_shard_gives_none_of_its_sequences(truth: Truth) -> None:
    shard = max((Path(truth.run.store.root) / "packed").iterdir())
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    rows = loopmix.open_run(truth.run.store.root).sequences()
    assert len([next(rows) for _ in range(5)]) == 5  # of the shard before it
    with pytest.raises(loopmix.StoreError, match="is missing or damaged"):
        next(rows)


def test_questions_are_answered_as_by_the_command(opened: loopmix.FinishedRun, truth: Truth) -> None:
    (row,) = opened.why("src/c.js")
    assert (row["path"], row["license"], row["keep"]) == ("src/c.js", "GPL-3.0", True)
    assert row["doc_id"] == opened.why(row["doc_id"])[0]["doc_id"]
    with pytest.raises(loopmix.LoopmixError, match="no document of this run has that doc_id"):
        opened.why("nothing.py")
    with pytest.raises(loopmix.LoopmixError, match="the run has sequences 0 to"):
        opened.trace(10_000)
    assert [piece["tokens"] for piece in opened.trace(0)] == [
        [a, b] for a, b in zip(truth.rows[0]["cu_seqlens"], truth.rows[0]["cu_seqlens"][1:], strict=False)
    ]
    findings = opened.verify(quick=True)
    assert {one.promise for one in findings} >= {"files", "alignment", "ledger", "balance"}
    assert all(isinstance(one, loopmix.Finding) for one in findings)
    assert next(one for one in findings if one.promise == "files").kept
    with pytest.raises(loopmix.ConfigError, match="workers 0: expected 1 or more"):
        opened.verify(workers=0)


def test_the_report_is_that_of_the_file(truth: Truth) -> None:
    run = loopmix.open_run(truth.run.store.root)
    save(truth.run, compute(truth.run))
    written = json.loads((Path(run.root) / NUMBERS).read_text())
    assert json.loads(json.dumps(dataclasses.asdict(run.report()))) == written
    assert run.report().totals.n_docs == N


def test_facts_are_copies_of_the_manifest(opened: loopmix.FinishedRun, truth: Truth) -> None:
    found = opened.manifest
    assert found == json.loads((Path(truth.run.store.root) / "manifest.json").read_text())
    found["stages"].clear()
    assert opened.manifest["stages"]
    assert (opened.name, opened.stages[0], opened.stages[-1]) == ("hand", "documents", "ledger")
    assert isinstance(opened.mixture, loopmix.Mixture) and opened.mixture.pack.seq_len == 16
    assert opened.root.endswith("/run")


def test_nothing_in_a_run_changes(truth: Truth) -> None:
    root = Path(truth.run.store.root)

    def hashes() -> dict[str, str]:
        return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()}

    before = hashes()
    run = loopmix.open_run(root)
    for name in run.tables:
        len(run.table(name))
    list(run.sequences()), run.why("src/c.js"), run.verify(quick=True), run.report(), run.trace(0)
    assert hashes() == before


def test_what_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(loopmix.StoreError, match="does not exist; make the run with"):
        loopmix.open_run(tmp_path)
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(loopmix.StoreError):
        loopmix.open_run(tmp_path)


@pytest.mark.parametrize("value", [None, 3, b"run", "", ["run"]])
def test_what_is_no_path_is_refused_in_one_line(value: Any) -> None:
    with pytest.raises(loopmix.ConfigError) as error:
        loopmix.open_run(value)
    assert str(error.value) == f"run {value!r}: expected the folder or URL of a run, as text or as a Path"


def test_a_file_is_named_once(tmp_path: Path) -> None:
    file = tmp_path / "mix.yaml"
    file.write_text("name: mine")
    with pytest.raises(loopmix.StoreError) as error:
        loopmix.open_run(file)
    assert str(error.value) == f"{file}: is no folder; name another one for the run"


# --- libraries of others ---------------------------------------------------------------------------------------------


@pytest.fixture
def ledger(opened: loopmix.FinishedRun) -> Iterator[loopmix.RunTable]:
    yield opened.ledger


def test_arrow_takes_a_table_as_it_is(ledger: loopmix.RunTable) -> None:
    assert pa.table(ledger) == ledger.arrow()
    assert pa.RecordBatchReader.from_stream(ledger).read_all().num_rows == N
    assert ledger.reader().schema == ledger.schema


def test_pandas_gets_the_rows(ledger: loopmix.RunTable) -> None:
    pytest.importorskip("pandas")
    frame = ledger.select("path", "n_bytes").pandas()
    assert frame.to_dict("records") == [{"path": d.path, "n_bytes": d.n_bytes} for s in SHARDS for d in s]


def test_polars_reads_what_a_query_needs(ledger: loopmix.RunTable, monkeypatch: pytest.MonkeyPatch) -> None:
    polars = pytest.importorskip("polars", reason="pip install polars: lazy frames were not tried")
    asked: list[tuple[str, ...]] = []
    whole = loopmix.RunTable._read
    monkeypatch.setattr(
        loopmix.RunTable, "_read", lambda self, path: (asked.append(self.columns), whole(self, path))[1]
    )
    lazy = ledger.polars()
    assert asked == []
    query = lazy.filter(polars.col("keep")).group_by("language").agg(polars.col("n_tokens").sum())
    found = {row["language"]: row["n_tokens"] for row in query.collect().to_dicts()}
    expected: dict[str, int] = {}
    for doc in (d for shard in SHARDS for d in shard if not d.reasons):
        expected[doc.language] = expected.get(doc.language, 0) + doc.n_tokens
    assert found == expected
    assert set(asked[0]) == {"keep", "language", "n_tokens"}
    assert lazy.head(3).collect().height == 3
    assert lazy.filter(polars.col("n_bytes") > 50).head(2).collect()["n_bytes"].to_list() == [100, 100]
    assert lazy.collect().height == N == polars.DataFrame(ledger).height


def test_duckdb_asks_as_often_as_it_likes(ledger: loopmix.RunTable) -> None:
    duckdb = pytest.importorskip("duckdb", reason="pip install duckdb: relations were not tried")
    relation = ledger.select("language", "n_packed_tokens").duckdb(duckdb.connect())
    expected = sum(d.n_copies * d.n_tokens + d.cut for shard in SHARDS for d in shard)
    for _ in range(2):
        assert relation.aggregate("sum(n_packed_tokens)").fetchall() == [(expected,)]
    assert relation.columns == ["language", "n_packed_tokens"]


@pytest.mark.parametrize("package", ["polars", "pandas", "duckdb"])
def test_a_library_that_is_not_there_is_named(truth: Truth, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    table = loopmix.open_run(truth.run.store.root).ledger
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(loopmix.ConfigError, match=f"{package} is not installed here .*; pip install {package}"):
        getattr(table, package)()


def test_no_other_library_is_loaded_by_reading(truth: Truth) -> None:
    code = (
        "import sys, pipeline; r = pipeline.open_run(sys.argv[1])\n"
        "list(r.ledger), list(r.sequences()), r.why('src/c.js')\n"
        "print([m for m in ('torch', 'ray', 'polars', 'duckdb', 'datatrove') if m in sys.modules])"
    )
    root = Path(importlib.import_module("pipeline").__file__ or "").parents[1]
    line = [sys.executable, "-c", code, truth.run.store.root]
    assert subprocess.run(line, capture_output=True, text=True, check=True, cwd=root).stdout.strip() == "[]"


REFUSED: dict[str, tuple[Callable[[loopmix.FinishedRun], object], str]] = {
    "why of nothing": (lambda run: run.why(None), "document None: expected text"),  # type: ignore[arg-type]
    "why of bytes": (lambda run: run.why(b"a.py"), "document b'a.py': expected text"),  # type: ignore[arg-type]
    "trace of text": (lambda run: run.trace("0"), "sequence '0': expected a whole number"),  # type: ignore[arg-type]
    "half a token": (lambda run: run.trace(0, offset=1.5), "offset 1.5: expected a whole number"),  # type: ignore[arg-type]
    "no rank": (lambda run: run.sequences(rank="0"), "rank '0': expected a whole number"),  # type: ignore[arg-type]
    "a table of no name": (lambda run: run.table(7), "table 7: expected text"),  # type: ignore[arg-type]
    "a column of no name": (lambda run: run.ledger.select(None), "column None: expected text"),  # type: ignore[arg-type]
    "head of text": (lambda run: run.ledger.head("5"), "n '5': expected a whole number"),  # type: ignore[arg-type]
    "head below nothing": (lambda run: run.ledger.head(-1), "n -1: expected 0 or more"),
    "no workers": (lambda run: run.why("a.py", workers=None), "workers None: expected a whole number"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("asked", REFUSED)
def test_what_no_question_asks_for_is_refused_in_words(truth: Truth, asked: str) -> None:
    ask, said = REFUSED[asked]
    with pytest.raises(loopmix.ConfigError, match=f"^{re.escape(said)}$"):
        ask(loopmix.open_run(truth.run.store.root))


def test_numbers_of_numpy_and_paths_are_taken_and_more_rows_than_there_are_are_all(truth: Truth) -> None:
    run = loopmix.open_run(truth.run.store.root)
    assert run.trace(np.int32(0), offset=np.uint8(1)) == run.trace(0, offset=1)
    assert run.why(Path("src/a.py")) == run.why("src/a.py")
    assert len(run.ledger.head(2**70)) == len(run.ledger) == N
