"""Every promise that `verify` checks is reported broken when it is broken, and by the check that is for it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline.engine.executor import InlineExecutor
from pipeline.engine.processes import processes
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.engine.tables import Tables
from pipeline.mix import arrowfile
from pipeline.reading import verify_duplicates, verify_trace
from pipeline.reading import work as work_module
from pipeline.reading.verify import verify
from pipeline.reading.work import working
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.schema import ALIGNED, DOCUMENTS, LEDGER, NEAR_DUPS, SELECT, TOKENS, Table, packed_schema

MIXTURE = Path(__file__).parents[1] / "data" / "mixture.yaml"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verified")
    curate(Run(open_store(str(folder)), load_mixture(MIXTURE), InlineExecutor(), silent()))
    return folder


@pytest.fixture
def run(reference: Path, tmp_path: Path) -> RunFiles:
    shutil.copytree(reference, tmp_path / "run")
    return RunFiles(open_store(str(tmp_path / "run")))


def broken(run: RunFiles) -> set[str]:
    """The promises that do not hold. Hashes are not among them: every test here changes files."""
    return {f.promise for f in verify(run) if not f.kept} - {"files"}


def rewrite(run: RunFiles, table: Table, change: Callable[[Rows], Rows | None]) -> None:
    """Put the rows of the first shard in which `change` finds something to change in the place of the old ones."""
    tables = Tables(run.store, run.n_shards)
    for shard in range(run.n_shards):
        rows = tables.read(table, shard).to_pylist()
        if (changed := change(rows)) is not None:
            tables.write(table, shard, data=pa.Table.from_pylist(changed, schema=table.schema))
            return
    raise AssertionError(f"nothing in {table.name} to change")


def repack(run: RunFiles, change: Callable[[Rows], Rows]) -> None:
    """Change the rows of the packed stream, in its order."""
    files = [f["path"] for f in run.manifest["stages"]["packed"]["files"]]
    tables = [t.to_pylist() for t in run.packed()]
    rows = change([row for table in tables for row in table])
    schema = packed_schema(run.mixture.pack.seq_len)
    for name, old in zip(files, tables, strict=True):
        mine, rows = rows[: len(old)], rows[len(old) :]
        batch = pa.RecordBatch.from_pylist(mine, schema=schema)
        run.store.write_stream(name, partial(arrowfile.write, batches=[batch], schema=schema))


def first(rows: Rows, wanted: Callable[[dict[str, Any]], bool], **changes: Any) -> Rows | None:
    """The rows with the first wanted one changed; None if there is none."""
    for i, row in enumerate(rows):
        if wanted(row):
            return [*rows[:i], row | changes, *rows[i + 1 :]]
    return None


def test_an_untouched_run_keeps_every_promise(run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(verify(run))
    assert [f.promise for f in found if not f.kept] == []
    repack(run, lambda rows: rows)
    assert [f.promise for f in verify(run) if not f.kept] == []  # so what the tests below break is what they change
    monkeypatch.setattr(work_module, "MIN_TASKS", 2)  # so that one reads several shards, as of large runs
    assert list(verify(run)) == found


def test_the_same_is_found_in_any_tasks_partitions_and_processes(run: RunFiles) -> None:
    """Also of a run that is broken: one id stands in two shards, and a keeper is not there."""
    whole = list(verify(run))
    other = run.tables.read(DOCUMENTS, run.n_shards - 1).to_pylist()[-1]["doc_id"]
    for table in ALIGNED:
        if "doc_id" in table.schema.names:
            rewrite(run, table, lambda rows: [rows[0] | {"doc_id": other}, *rows[1:]])
    rewrite(run, LEDGER, lambda rows: first(rows, lambda r: r["keeper_id"], keeper_id="f" * 32))
    found = list(verify(run))
    assert found != whole
    said = {f.promise: f.detail for f in found if not f.kept}
    n = run.manifest["stages"]["documents"]["counts"]["n_docs"]
    assert said["alignment"] == f"{n:,} documents, each with one row in every table; {n - 1:,} distinct ids"
    assert "name a keeper not kept" in said["ledger"]
    for sizes in ({"rows_per_part": 1}, {"rows_per_part": 7, "rows_per_task": 1}):
        with working(**sizes) as work:
            assert list(verify(run, work=work)) == found
    with processes(2) as executor, working(executor, rows_per_part=5) as work:
        assert list(verify(run, work=work)) == found


@pytest.mark.parametrize("n_more", [0, -1])
def test_token_ids_that_the_tokenizer_has_not_are_found(
    run: RunFiles, monkeypatch: pytest.MonkeyPatch, n_more: int
) -> None:
    largest = max(token for table in run.packed() for row in table["token_ids"].to_pylist() for token in row)
    monkeypatch.setattr(verify_trace, "_n_ids", lambda run: largest + 1 + n_more)
    (found,) = (f for f in verify(run) if f.promise == "trace")
    assert found.kept == (n_more == 0)
    assert (f"token id {largest}, but tokenizer.json has {largest} entries" in found.detail) != found.kept


def test_how_many_ids_there_are_is_what_the_tokenizer_file_of_the_run_says(run: RunFiles) -> None:
    said = json.loads(Path(run.store.full("tokenizer.json")).read_bytes())
    ids = {*said["model"]["vocab"].values(), *(token["id"] for token in said["added_tokens"])}
    assert verify_trace._n_ids(run) == len(ids) == max(ids) + 1


def test_quick_says_what_it_left_out_and_recounts_the_rest(run: RunFiles) -> None:
    found = {f.promise: f for f in verify(run, quick=True)}
    assert list(found) == [f.promise for f in verify(run)]
    assert {p for p, f in found.items() if f.kept is None} == {
        "bytes", "similarity", "agreement", "trace", "text", "privacy",
    }  # fmt: skip
    assert [p for p, f in found.items() if f.kept is False] == []
    assert "sizes of the manifest" in found["files"].detail
    shard = Path(run.store.full(run.manifest["stages"]["tokens"]["files"][0]["path"]))
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert "files" in {f.promise for f in verify(run) if f.kept is False}
    assert "files" not in {f.promise for f in verify(run, quick=True) if f.kept is False}  # by size alone
    shard.write_bytes(data[:-1])
    assert "files" in {f.promise for f in verify(run, quick=True) if f.kept is False}
    rewrite(run, SELECT, lambda rows: rows[:-1] if len(rows) > 1 else None)
    assert "alignment" in {f.promise for f in verify(run, quick=True) if f.kept is False}


def test_quick_reads_no_text_and_no_token_ids_of_a_table(run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[tuple[str, str]] = set()
    read = Tables.read

    def recording(self: Tables, table: Table, shard: int, *, columns: list[str] | None = None) -> pa.Table:
        asked.update((table.name, column) for column in columns or table.schema.names)
        return read(self, table, shard, columns=columns)

    monkeypatch.setattr(Tables, "read", recording)
    bulky = {("documents", "content"), ("redacted", "content"), ("tokens", "token_ids")}
    list(verify(run, quick=True))
    assert not asked & bulky
    list(verify(run))
    assert bulky <= asked


@pytest.mark.parametrize("place", ["packed/part-00002-of-00003.arrow", "tables/tokens/part-00009-of-00010.arrow"])
def test_a_file_that_is_not_of_this_run_is_found(run: RunFiles, place: str) -> None:
    Path(run.store.full(place)).write_bytes(b"who opens the folder would read me")
    found = {f.promise: f.detail for f in verify(run) if not f.kept}
    assert found == {"files": f"1 files are not of this run: [{place!r}]"}


def test_rows_in_another_order_break_alignment(run: RunFiles) -> None:
    rewrite(run, TOKENS, lambda rows: [rows[1], rows[0], *rows[2:]] if len(rows) > 1 else None)
    assert "alignment" in broken(run)


def test_a_missing_row_breaks_alignment(run: RunFiles) -> None:
    rewrite(run, SELECT, lambda rows: rows[:-1] if len(rows) > 1 else None)
    assert "alignment" in broken(run)


def test_an_id_that_two_documents_bear_breaks_alignment(run: RunFiles) -> None:
    for table in ALIGNED:
        if "doc_id" in table.schema.names:
            rewrite(run, table, lambda rows: [rows[0], rows[1] | {"doc_id": rows[0]["doc_id"]}, *rows[2:]])
    details = {f.promise: f.detail for f in verify(run) if not f.kept}
    n = run.manifest["stages"]["documents"]["counts"]["n_docs"]
    assert details["alignment"] == f"{n:,} documents, each with one row in every table; {n - 1:,} distinct ids"


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        (lambda r: not r["keep"], {"reasons": [], "keeper_id": None}),
        (lambda r: r["keep"], {"reasons": ["empty"]}),
        (lambda r: r["keeper_id"], {"keeper_id": "0" * 32}),
        (lambda r: not r["keep"], {"n_packed_tokens": 1}),
    ],
    ids=["dropped silently", "kept with a reason", "keeper not kept", "dropped yet packed"],
)
def test_a_ledger_that_contradicts_itself_is_broken(run: RunFiles, wanted: Any, changes: dict[str, Any]) -> None:
    rewrite(run, LEDGER, lambda rows: first(rows, wanted, **changes))
    assert "ledger" in broken(run)


@pytest.mark.parametrize(
    ("name", "value"),
    [("license", "X"), ("path", "x"), ("language", "X"), ("fired", [{"rule": "x", "value": 0.5}]), ("n_tokens", 7)],
)
def test_a_ledger_that_says_otherwise_than_its_tables_is_broken(run: RunFiles, name: str, value: Any) -> None:
    rewrite(run, LEDGER, lambda rows: first(rows, lambda r: r["fate"] == "dropped", **{name: value}))
    assert "ledger" in broken(run)


def test_another_reason_in_the_ledger_than_the_decision_is_found(run: RunFiles) -> None:
    rewrite(run, SELECT, lambda rows: first(rows, lambda r: not r["keep"], reasons=["too_short", "binary"]))
    assert "ledger" in broken(run)


def test_equal_bytes_that_no_table_calls_equal_are_found(run: RunFiles) -> None:
    """Two kept documents with one text: neither hashes nor groups nor pairs know of it."""

    def repeat(rows: Rows) -> Rows:
        kept = run.tables.read(SELECT, 0)["keep"].to_pylist()
        a, b = [i for i, is_kept in enumerate(kept) if is_kept][:2]
        return [row | {"content": rows[a]["content"]} if i == b else row for i, row in enumerate(rows)]

    rewrite(run, DOCUMENTS, repeat)
    assert "bytes" in broken(run)


def test_a_verified_pair_of_another_similarity_is_found(run: RunFiles) -> None:
    path = next(f["path"] for f in run.manifest["stages"]["near_dups"]["files"]
                if run.store.read_parquet(f["path"], schema=NEAR_DUPS.schema).num_rows)  # fmt: skip
    rows = run.store.read_parquet(path, schema=NEAR_DUPS.schema).to_pylist()
    rows[0]["similarity"] += -1e-6 if rows[0]["similarity"] > 0.9 else 1e-6
    run.store.write_parquet(path, pa.Table.from_pylist(rows, schema=NEAR_DUPS.schema), schema=NEAR_DUPS.schema)
    assert "similarity" in broken(run)


@pytest.mark.parametrize("reason", ["exact_duplicate", "near_duplicate"])
def test_a_duplicate_that_is_kept_beside_its_keeper_is_found(run: RunFiles, reason: str) -> None:
    rewrite(run, SELECT, lambda rows: first(rows, lambda r: r["reasons"] == [reason], keep=True))
    assert "duplicates" in broken(run)


def test_a_pair_below_the_threshold_is_found(run: RunFiles) -> None:
    path = next(f["path"] for f in run.manifest["stages"]["near_dups"]["files"]
                if run.store.read_parquet(f["path"], schema=NEAR_DUPS.schema).num_rows)  # fmt: skip
    rows = run.store.read_parquet(path, schema=NEAR_DUPS.schema).to_pylist()
    rows[0]["similarity"] = run.mixture.near_dups.min_similarity - 1e-6
    run.store.write_parquet(path, pa.Table.from_pylist(rows, schema=NEAR_DUPS.schema), schema=NEAR_DUPS.schema)
    assert "duplicates" in broken(run)


@pytest.mark.parametrize("change", [1e-6, -0.4])
def test_a_similarity_that_is_not_true_is_found(run: RunFiles, change: float) -> None:
    def move(rows: Rows) -> Rows | None:
        near = [r for r in rows if r["similarity"] is not None and r["similarity"] < 1]
        return first(rows, lambda r: r in near, similarity=near[0]["similarity"] + change) if near else None

    rewrite(run, SELECT, move)
    assert "similarity" in broken(run)


def test_texts_that_agree_far_less_than_said_are_found(run: RunFiles) -> None:
    """A text whose shingles are said to be those of another: no word of the first definition is asked."""

    def join(rows: Rows) -> Rows | None:
        alone = [r for r in rows if r["keep"]]
        if len(alone) < 2:
            return None
        return first(rows, lambda r: r is alone[0], keep=False, reasons=["near_duplicate"], similarity=1.0,
                     keeper_id=alone[1]["doc_id"])  # fmt: skip

    rewrite(run, SELECT, join)
    assert "agreement" in broken(run)


def test_a_few_pairs_that_agree_less_are_named_and_break_nothing(
    run: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify_duplicates, "agreement", lambda one, two: 0.0)
    monkeypatch.setattr(verify_duplicates, "MAX_FAR_FRAC", 1.0)
    found = next(f for f in verify(run) if f.promise == "agreement")
    assert found.kept
    assert "agrees 0.00 with" in found.detail


@pytest.mark.parametrize(("n_far", "agrees", "kept"), [(1, 0.3, True), (2, 0.3, False), (1, 0.01, False)])
def test_one_pair_of_few_may_be_a_matter_of_definition_but_not_one_that_is_unlike(
    run: RunFiles, monkeypatch: pytest.MonkeyPatch, n_far: int, agrees: float, kept: bool
) -> None:
    asked = iter([agrees] * n_far)
    monkeypatch.setattr(verify_duplicates, "agreement", lambda one, two: next(asked, 1.0))
    found = next(f for f in verify(run) if f.promise == "agreement")
    assert found.kept is kept
    assert next(asked, None) is None


def test_one_token_too_many_breaks_the_balance(run: RunFiles) -> None:
    def longer(rows: Rows) -> Rows:
        changed = first(rows, lambda r: r["n_real"] < len(r["token_ids"]))
        assert changed is not None
        row = next(r for r in rows if r["n_real"] < len(r["token_ids"]))
        row["n_real"] += 1
        row["cu_seqlens"][-1] += 1
        return rows

    repack(run, longer)
    assert {"balance", "trace"} <= broken(run)


@pytest.mark.parametrize("n_ahead", [1, 2])
def test_a_prefix_may_be_off_by_one_sequence_and_no_more(run: RunFiles, n_ahead: int) -> None:
    """Whole code sequences first: one is the most that the promise allows, two are too many."""

    def reorder(rows: Rows) -> Rows:
        full = [r for r in rows if r["pool"] == "code" and r["n_real"] == len(r["token_ids"])][:n_ahead]
        assert len(full) == n_ahead
        rest = [r for r in rows if not any(r is f for f in full)]
        code = [r for r in rest if r["pool"] == "code"]
        text = [r for r in rest if r["pool"] == "text"]
        out, surplus = list(full), sum(r["n_real"] for r in full)
        while code or text:  # from here on whatever brings both pools together again
            row = text.pop(0) if text and (surplus > 0 or not code) else code.pop(0)
            surplus += row["n_real"] if row["pool"] == "code" else -row["n_real"]
            out.append(row)
        return out

    repack(run, reorder)
    assert broken(run) == (set() if n_ahead == 1 else {"balance"})


@pytest.mark.parametrize("damage", ["start", "end", "step", "pieces"])
def test_bounds_of_pieces_that_cannot_be_are_found(run: RunFiles, damage: str) -> None:
    def bend(rows: Rows) -> Rows:
        row = next(r for r in rows if len(r["cu_seqlens"]) > 2)
        match damage:
            case "start":
                row["cu_seqlens"][0] = 1
            case "end":
                row["cu_seqlens"][-1] -= 1
            case "step":
                row["cu_seqlens"][1] = 0
            case "pieces":
                row["groups"] = row["groups"][:-1]
        return rows

    repack(run, bend)
    assert "sequences" in broken(run)


@pytest.mark.parametrize("damage", ["token", "offset", "beyond", "stranger"])
def test_pieces_that_are_not_their_documents_are_found(run: RunFiles, damage: str) -> None:
    def bend(rows: Rows) -> Rows:
        row = next(r for r in rows if r["cu_seqlens"][1] > 2)
        match damage:
            case "token":
                row["token_ids"][0] ^= 1
            case "offset":
                row["doc_offsets"][0] += 1
            case "beyond":
                row["doc_offsets"][0] += 10**6
            case "stranger":
                row["doc_ids"][0] = "0" * 32
        return rows

    repack(run, bend)
    assert "trace" in broken(run)


def test_a_document_that_is_packed_otherwise_than_the_ledger_says_is_found(run: RunFiles) -> None:
    rewrite(run, LEDGER, lambda rows: first(rows, lambda r: r["keep"] and r["n_packed_tokens"], n_packed_tokens=1))
    assert "trace" in broken(run)


def test_tokens_that_decode_to_other_bytes_are_found(run: RunFiles) -> None:
    def swap(rows: Rows) -> Rows | None:
        row = next((r for r in rows if r["token_ids"] and len(set(r["token_ids"][:-1])) > 1), None)
        if row is not None:
            row["token_ids"] = [*row["token_ids"][:-1][::-1], row["token_ids"][-1]]
            return rows
        return None

    rewrite(run, TOKENS, swap)
    assert "text" in broken(run)
