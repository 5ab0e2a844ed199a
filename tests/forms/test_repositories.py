"""Repository documents: files side by side in their order, counted and read back in plain Python."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import ShuffledExecutor, digests
from repository_runs import SEQ_LEN, SIZES, imports_of_file, made

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError
from pipeline.export.exported import export_data
from pipeline.export.formats import FORMATS
from pipeline.mix import arrowfile
from pipeline.mix.encoder import load_encoder
from pipeline.reading.verify import verify
from pipeline.schema import DOCUMENTS, FORMS, LEDGER, TOKENS, packed_schema

PATH = "forms: {repositories: {order: path}}"
BOTH = "forms: {repositories: {order: imports}, fim: {rate: 0.5, spm_rate: 0.5}}"
COPIES = "balance: {max_copies: 3, total_tokens: 16_000}"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repositories")
    made(folder)
    return folder / "run"


@pytest.fixture
def run(reference: Path, tmp_path: Path) -> RunFiles:
    shutil.copytree(reference, tmp_path / "run")
    return RunFiles(open_store(str(tmp_path / "run")))


def broken(run: RunFiles) -> dict[str, str]:
    """The promises that do not hold, but for hashes: tests change files."""
    return {f.promise: f.detail for f in verify(run) if f.kept is False and f.promise != "files"}


def origins(run: RunFiles) -> dict[str, dict[str, Any]]:
    """What all tables say of each document, by its id."""
    found = {}
    for shard in range(run.n_shards):
        for table in (DOCUMENTS, FORMS, TOKENS, LEDGER):
            for row in run.tables.read(table, shard).to_pylist():
                found.setdefault(row["doc_id"], {}).update(row)
    return found


def spans_of(run: RunFiles) -> list[list[tuple[str, int, list[int]]]]:
    """What attends to itself, in stream order: its pieces as document, offset and ids."""
    found = []
    for table in run.packed():
        for row in table.to_pylist():
            bounds = row.get("piece_bounds", row["cu_seqlens"])
            for start, end in pairwise(row["cu_seqlens"]):
                inside = [j for j in range(len(bounds) - 1) if start <= bounds[j] < end]
                found.append(
                    [
                        (row["doc_ids"][j], row["doc_offsets"][j], row["token_ids"][bounds[j] : bounds[j + 1]])
                        for j in inside
                    ]
                )
    return found


def names(run: RunFiles) -> list[str]:
    return [f.promise for f in verify(run) if f.kept is False]


@pytest.mark.parametrize("forms", [PATH, BOTH])
def test_every_promise_holds_in_every_form(tmp_path: Path, forms: str) -> None:
    run = made(tmp_path, forms, balance=COPIES)
    found = {f.promise: f for f in verify(run)}
    assert [f for f in found.values() if f.kept is False] == []
    assert "documents stand up to" in found["epochs"].detail
    assert {f.promise for f in verify(run, quick=True) if f.kept is None} >= {"repositories"}


def test_files_of_one_repository_stand_in_its_order_and_none_is_cut(run: RunFiles) -> None:
    assert broken(run) == {}
    known = origins(run)
    joined = Counter[str]()
    for span in spans_of(run):
        if len(span) == 1:
            continue
        files = [known[doc] for doc, _, _ in span]
        assert len({file["repo"] for file in files}) == 1
        assert [offset for _, offset, _ in span] == [0] * len(span)
        assert [len(ids) for *_, ids in span] == [file["n_tokens"] for file in files]
        places = [file["repo_place"] for file in files]
        assert places == sorted(set(places))
        joined.update(file["repo"] for file in files)
    assert joined["two/beta"] == 14
    assert joined["three/gamma"] == 2
    assert joined["one/alpha"] == 4  # one is longer than a sequence, and the last has no room beside the others
    assert "four/alone" not in joined


def test_a_span_reads_as_the_repository_does(run: RunFiles) -> None:
    encoder = load_encoder(run.mixture.tokenizer.path)
    mark = dict(encoder.special)
    known = origins(run)
    told = set()
    for span in spans_of(run):
        for doc, offset, ids in span:
            file = known[doc]
            place = file["repo_place"]
            if place is None or offset or file["n_tokens"] > SEQ_LEN:
                continue
            expected = b""
            if place == 0:
                assert ids[0] == mark["<|repo_name|>"]
                expected = file["repo"].encode() + b"\n"
                assert encoder.decode(ids[1 : ids.index(mark["<|file_sep|>"])]) == expected
            at = ids.index(mark["<|file_sep|>"])
            assert (place == 0) == (at > 0)
            is_last = place == file["repo_size"] - 1
            assert (ids[-1] == encoder.eos_id) == is_last
            text = encoder.decode(ids[at + 1 : len(ids) - is_last])
            assert text == f"{file['path']}\n".encode() + file["content"]
            told.add((file["repo"], file["path"]))
    assert len(told) == sum(len(sizes) for sizes in SIZES.values()) - 2  # one alone, one long


def test_a_file_longer_than_a_sequence_ends_by_itself(run: RunFiles) -> None:
    encoder = load_encoder(run.mixture.tokenizer.path)
    (long,) = [f for f in origins(run).values() if f["pool"] == "code" and f["n_tokens"] > SEQ_LEN]
    assert long["repo_place"] + 1 < long["repo_size"]
    assert long["token_ids"][-1] == encoder.eos_id
    for span in spans_of(run):
        assert len(span) == 1 or all(doc != long["doc_id"] for doc, *_ in span)


def test_imports_are_those_that_were_written_and_lead_the_order(run: RunFiles) -> None:
    known = [f for f in origins(run).values() if f["repo_place"] is not None]
    place = {(f["repo"], int(f["path"][-5:-3])): f["repo_place"] for f in known}
    for f in known:
        number = int(f["path"][-5:-3])
        wanted = sorted(place[f["repo"], i] for i in imports_of_file(f["repo"], number))
        assert f["imports"] == wanted
        assert all(i < f["repo_place"] for i in wanted)  # nothing here is a circle


@pytest.mark.parametrize("forms", ["forms: {repositories: {order: imports}}", PATH])
def test_the_share_of_imports_is_what_the_stream_holds(tmp_path: Path, forms: str) -> None:
    run = made(tmp_path, forms, balance=COPIES)
    known = origins(run)
    n = earlier = 0
    for span in spans_of(run):
        seen: set[int] = set()
        for doc, offset, _ in span:
            file = known[doc]
            if file["repo_place"] is not None and offset == 0:
                n += len(file["imports"])
                earlier += len(seen & set(file["imports"]))
                seen.add(file["repo_place"])
    counts = run.manifest["stages"]["packed"]["counts"]
    assert (counts["n_imports"], counts["n_imports_earlier"]) == (n, earlier)
    assert n > 50
    assert (earlier > n / 3) == ("imports" in forms)


def test_path_order_is_by_paths(tmp_path: Path) -> None:
    known = [f for f in origins(made(tmp_path, PATH)).values() if f["repo_place"] is not None]
    assert len(known) == 22
    assert all(f["repo_place"] == int(f["path"][-5:-3]) for f in known)


@pytest.mark.parametrize("seed", [3, 8])
def test_any_order_of_work_gives_the_same_bytes(reference: Path, tmp_path: Path, seed: int) -> None:
    made(tmp_path, executor=ShuffledExecutor(seed))
    for folder in ("tables/forms", "tables/tokens", "tables/balance", "packed"):
        assert digests(reference / folder) == digests(tmp_path / "run" / folder)


def test_a_run_that_grew_is_packed_as_a_fresh_one(reference: Path, tmp_path: Path) -> None:
    """The files that come later have the later shards: no tie may be broken by where a document lies."""
    made(tmp_path, repos=["two/beta", "four/alone"])
    grown = made(tmp_path)
    assert digests(tmp_path / "run/packed") == digests(reference / "packed")
    assert broken(grown) == {}


def test_without_repositories_no_column_and_no_promise_is_added(tmp_path: Path) -> None:
    run = made(tmp_path, "")
    assert "piece_bounds" not in next(iter(run.packed())).column_names
    assert "repositories" not in {f.promise for f in verify(run)}
    assert not (tmp_path / "run/tables/forms").exists()


def test_a_budget_takes_the_files_of_a_part_one_after_another(tmp_path: Path) -> None:
    run = made(tmp_path, balance="balance: {total_tokens: 3_000}")
    assert broken(run) == {}
    known = [f for f in origins(run).values() if f["repo_place"] is not None]
    for repo in SIZES:
        taken = [f["repo_place"] for f in known if f["repo"] == repo and f["n_packed_tokens"]]
        assert sorted(taken) == list(range(len(taken)))  # from its start on, as long as the budget lasts
    assert any(f["n_packed_tokens"] for f in known)
    assert any(not f["n_packed_tokens"] for f in known)


def test_a_tokenizer_without_marks_is_refused(tmp_path: Path) -> None:
    from pipeline.forms.headers import marks_of

    assert marks_of({"<|endoftext|>": 0}, end=0) is None
    assert marks_of({"<repo_name>": 1, "<file_sep>": 2}, end=0) is not None
    with pytest.raises(ConfigError, match="order"):
        made(tmp_path, "forms: {repositories: {order: size}}")


def test_exports_bound_what_attends_to_itself(run: RunFiles, tmp_path: Path) -> None:
    spans = spans_of(run)
    lengths = [sum(len(ids) for *_, ids in span) for span in spans]
    assert sum(len(span) > 1 for span in spans) > 4
    for to in FORMATS:
        export_data(run, to=to, out=tmp_path / to)
    ends = np.fromfile(tmp_path / "nanotron/tokens.ds.index", "<u8")
    assert np.diff(ends, prepend=0).tolist() == lengths
    with gzip.open(tmp_path / "olmo/tokens.csv.gz", "rt", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [int(end) - int(start) for start, end, *_ in rows] == lengths
    assert [row[2].split() for row in rows] == [[doc for doc, *_ in span] for span in spans]
    head = 34  # magic, version, type, number of lengths, number of bounds
    sizes = np.frombuffer((tmp_path / "megatron/tokens.idx").read_bytes()[head : head + 4 * len(lengths)], "<i4")
    assert sizes.tolist() == lengths
    parquet = pq.read_table(sorted((tmp_path / "parquet").glob("*.parquet")))
    assert parquet.to_pylist() == [row for table in run.packed() for row in table.to_pylist()]
    index = json.loads((tmp_path / "mds/index.json").read_text(encoding="utf-8"))["shards"][0]
    assert "piece_bounds" in index["column_names"]
    assert mds_bounds(tmp_path / "mds", index) == [
        (row["cu_seqlens"], row["piece_bounds"]) for row in parquet.to_pylist()
    ]
    assert "`piece_bounds`" in (tmp_path / "huggingface/README.md").read_text(encoding="utf-8")


def mds_bounds(folder: Path, index: dict[str, Any]) -> list[tuple[list[int], list[int]]]:
    """Both lists of bounds of the samples of a shard, read as the format says: sizes of columns, then columns."""
    data = (folder / index["raw_data"]["basename"]).read_bytes()
    n = int.from_bytes(data[:4], "little")
    offsets = np.frombuffer(data[4 : 8 + 4 * n], "<u4").tolist()
    found = []
    for start, end in pairwise(offsets):
        sample = data[start:end]
        loose = [i for i, size in enumerate(index["column_sizes"]) if size is None]
        sizes = list(index["column_sizes"])
        for i, size in zip(loose, np.frombuffer(sample[: 4 * len(loose)], "<u4").tolist(), strict=True):
            sizes[i] = size
        at, columns = 4 * len(loose), {}
        for name, size in zip(index["column_names"], sizes, strict=True):
            columns[name] = sample[at : at + size]
            at += size
        assert at == len(sample)
        lists = [np.frombuffer(columns[name][2:], "<i4").tolist() for name in ("cu_seqlens", "piece_bounds")]
        found.append((lists[0], lists[1]))
    return found


# --- what breaks the promise ------------------------------------------------------------------------------------------


def repack(run: RunFiles, change: Callable[[Rows], None]) -> None:
    files = [f["path"] for f in run.manifest["stages"]["packed"]["files"]]
    tables = [t.to_pylist() for t in run.packed()]
    change([row for table in tables for row in table])
    schema = packed_schema(SEQ_LEN, joined=True)
    for name, rows in zip(files, tables, strict=True):
        batch = pa.RecordBatch.from_pylist(rows, schema=schema)
        run.store.write_stream(name, partial(arrowfile.write, batches=[batch], schema=schema))


def rewrite(run: RunFiles, column: str, change: Callable[[dict[str, Any]], Any]) -> None:
    for shard in range(run.n_shards):
        rows = run.tables.read(FORMS, shard).to_pylist()
        for row in rows:
            row[column] = change(row)
        run.tables.write(FORMS, shard, data=pa.Table.from_pylist(rows, schema=FORMS.schema))


def test_joined_files_of_two_repositories_break_the_promise(run: RunFiles) -> None:
    known = origins(run)

    def join(rows: Rows) -> None:
        for row in rows:
            inner = row["cu_seqlens"][1:-1]
            for bound in inner:
                j = row["piece_bounds"].index(bound)
                repos = [known[row["doc_ids"][i]]["repo"] for i in (j - 1, j)]
                if row["pool"] == "code" and repos[0] != repos[1]:
                    row["cu_seqlens"].remove(bound)
                    return
        raise AssertionError("no two repositories side by side")

    repack(run, join)
    assert "stand out of their order" in broken(run)["repositories"]


def test_a_joined_piece_that_is_no_whole_file_breaks_the_promise(run: RunFiles) -> None:
    def shift(rows: Rows) -> None:
        row = next(r for r in rows if r["piece_bounds"][1] not in r["cu_seqlens"])
        row["doc_offsets"][1] += 1

    repack(run, shift)
    assert "1 joined pieces are no whole files" in broken(run)["repositories"]


def test_a_span_that_is_taken_apart_breaks_the_promise(run: RunFiles) -> None:
    def part(rows: Rows) -> None:
        row = next(r for r in rows if len(r["piece_bounds"]) > len(r["cu_seqlens"]) + 2)
        row["cu_seqlens"] = list(row["piece_bounds"])

    repack(run, part)
    assert "the manifest says" in broken(run)["repositories"]


def test_bounds_of_spans_that_are_none_of_pieces_are_found(run: RunFiles) -> None:
    def bend(rows: Rows) -> None:
        row = next(r for r in rows if len(r["cu_seqlens"]) > 2 and r["piece_bounds"][1] > 1)
        row["cu_seqlens"][1] -= 1

    repack(run, bend)
    assert "repositories" in broken(run)
    assert "not all among its bounds of pieces" in broken(run)["repositories"]


@pytest.mark.parametrize(
    ("column", "change", "said"),
    [
        ("repo_place", lambda r: None if r["repo_place"] == 1 else r["repo_place"], "in a place of its own"),
        ("repo_size", lambda r: r["repo_size"] and r["repo_size"] + 1, "in a place of its own"),
        ("repo_place", lambda r: r["repo_place"] and r["repo_size"] - r["repo_place"], "stand out of their order"),
        ("imports", lambda r: r["imports"] and r["imports"][1:], "the manifest says"),
    ],
)
def test_places_and_imports_are_counted_again(
    run: RunFiles, column: str, change: Callable[[dict[str, Any]], Any], said: str
) -> None:
    rewrite(run, column, change)
    assert said in broken(run)["repositories"]


def test_a_header_of_another_file_breaks_the_promise(run: RunFiles) -> None:
    for shard in range(run.n_shards):
        rows = run.tables.read(DOCUMENTS, shard).to_pylist()
        for row in rows:
            row["path"] = row["path"].replace("mod07", "mod77")
        run.tables.write(DOCUMENTS, shard, data=pa.Table.from_pylist(rows, schema=DOCUMENTS.schema))
    assert "headers say another repository or path: two/beta" in broken(run)["repositories"]


def test_repositories_fill_sequences_nearly(run: RunFiles) -> None:
    n_real = np.concatenate([t["n_real"].to_numpy() for t in run.packed()])
    assert n_real.sum() / (n_real.size * SEQ_LEN) > 0.8
