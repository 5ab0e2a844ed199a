"""Rates that are exact in every prefix of a group, and the run that is made of them."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import xxhash
from handmade import CountingExecutor, ShuffledExecutor, digests
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arrays.keys import id_words, keyed_hash, stage_key
from pipeline.engine.executor import Executor, InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError
from pipeline.forms.assign import PLAIN, SPM, forms_of
from pipeline.mix.encoder import load_encoder
from pipeline.mix.settings import Filling
from pipeline.reading.verify import verify
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.schema import BALANCE, FORMS, LEDGER, TOKENS
from pipeline.targets import Fim, Forms, Splits

MIXTURE = Path(__file__).parents[1] / "data" / "mixture.yaml"


@given(st.integers(0, 300), st.integers(0, 100), st.integers(0, 100), st.integers(0, 2**64 - 1))
def test_rates_hold_in_every_prefix_to_one_document(n: int, fim: int, spm: int, start: int) -> None:
    rate, spm_rate = Fraction(fim, 100), Fraction(spm, 100)
    forms = forms_of(np.arange(n), np.full(n, start, np.uint64), fim_rate=rate, spm_rate=spm_rate)
    n_fim = np.cumsum(forms != PLAIN)
    n_spm = np.cumsum(forms == SPM)
    for i in range(n):
        assert abs(int(n_fim[i]) - rate * (i + 1)) < 1
        assert abs(int(n_spm[i]) - spm_rate * int(n_fim[i])) < 1


def test_small_groups_have_the_rate_together() -> None:
    """A group of one document is not always filled in, nor never."""
    starts = np.array([xxhash.xxh3_64_intdigest(str(i).encode()) for i in range(20_000)], np.uint64)
    forms = forms_of(np.zeros(starts.size, np.int64), starts, fim_rate=Fraction(3, 10), spm_rate=Fraction(1, 4))
    assert abs((forms != PLAIN).mean() - 0.3) < 0.02
    assert abs((forms == SPM).sum() / (forms != PLAIN).sum() - 0.25) < 0.03


def made(folder: Path, *, executor: Executor | None = None, fim: Fim | None, **pack: object) -> RunFiles:
    mixture = load_mixture(MIXTURE)
    mixture = mixture.model_copy(update={"forms": Forms(fim=fim), "pack": mixture.pack.model_copy(update=pack)})
    curate(Run(open_store(str(folder)), mixture, executor or InlineExecutor(), silent()))
    return RunFiles(open_store(str(folder)))


FIM = Fim(rate=0.6, spm_rate=0.25)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("formed")
    made(folder, fim=FIM, seq_len=128)
    return folder


@pytest.fixture
def run(reference: Path, tmp_path: Path) -> RunFiles:
    shutil.copytree(reference, tmp_path / "run")
    return RunFiles(open_store(str(tmp_path / "run")))


def test_what_is_read_to_number_documents_grows_with_them_and_not_with_their_square(
    reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition reads its own documents and a row for each of its groups, whatever the others hold."""
    counting, mixture = CountingExecutor(monkeypatch), load_mixture(MIXTURE)
    mixture = mixture.model_copy(
        update={
            "forms": Forms(fim=FIM),
            "pack": mixture.pack.model_copy(update={"seq_len": 128}),
            "exact_dups": mixture.exact_dups.model_copy(update={"n_partitions": 16}),
        }
    )
    curate(Run(open_store(str(tmp_path)), mixture, counting, silent()))
    assert counting.every["forms.count"] == counting.every["forms"] > 30
    assert counting.every["forms.begin"] <= counting.every["forms.count"]
    assert counting.every["forms.number"] == counting.every["forms.count"] + counting.every["forms.begin"]
    assert digests(tmp_path / "tables" / "forms") == digests(reference / "tables" / "forms")


def test_every_promise_holds(run: RunFiles) -> None:
    found = {f.promise: f for f in verify(run)}
    assert [f for f in found.values() if f.kept is False] == []
    assert "are filled in" in found["forms"].detail
    assert {f.promise for f in verify(run, quick=True) if f.kept is None} >= {"forms"}


def test_any_order_of_work_gives_the_same_bytes(reference: Path, tmp_path: Path) -> None:
    made(tmp_path, executor=ShuffledExecutor(3), fim=FIM, seq_len=128)
    for folder in ("tables/forms", "tables/tokens", "packed"):
        assert digests(reference / folder) == digests(tmp_path / folder)


def test_each_group_has_its_share_in_the_order_of_the_balance(run: RunFiles) -> None:
    """Counted in plain Python, document by document."""
    key = stage_key(run.mixture.seed, "balance")
    order: dict[str, list[tuple[int, str]]] = defaultdict(list)
    n_plain = 0
    for shard in range(run.n_shards):
        rows = run.tables.read(LEDGER, shard).to_pylist()
        forms = run.tables.read(FORMS, shard).to_pylist()
        for row, form in zip(rows, forms, strict=True):
            assert row["form"] == (form["form"] if row["keep"] else None)
            open_ = row["keep"] and row["pool"] == "code" and row["n_bytes"] >= 32
            if not open_:
                assert form["form"] == "plain"
                n_plain += row["keep"]
                continue
            high, low = id_words(row["doc_id"].encode())
            order[row["group"]].append((int(keyed_hash(key, high, low)[0]), form["form"]))
    assert n_plain > 0
    assert len(order) > 3
    for found in order.values():
        names = [form for _, form in sorted(found)]
        for n in range(1, len(names) + 1):
            assert abs(sum(name != "plain" for name in names[:n]) - 0.6 * n) < 1


def test_tokens_read_back_and_the_budget_counts_them_as_written(run: RunFiles) -> None:
    mark = Filling.sentinels(load_encoder(run.mixture.tokenizer.path))
    packed: Counter[str] = Counter()
    for table in run.packed():
        for row in table.to_pylist():
            sizes = np.diff(row["cu_seqlens"]).tolist()
            packed.update(dict.fromkeys(row["doc_ids"], 0))
            for doc, size in zip(row["doc_ids"], sizes, strict=True):
                packed[doc] += size
    n_filled = 0
    for shard in range(run.n_shards):
        plan = run.tables.read(BALANCE, shard).to_pylist()
        for row, tokens in zip(plan, run.tables.read(TOKENS, shard).to_pylist(), strict=True):
            assert packed[row["doc_id"]] == row["n_copies"] * row["n_tokens"] + row["cut_tokens"]
            ids = tokens["token_ids"] or []
            assert len(ids) == row["n_tokens"]
            n_filled += ids[:1] == [mark.prefix]
    assert n_filled > 5


def test_without_forms_the_run_is_what_it_was_and_the_table_goes(run: RunFiles, tmp_path: Path) -> None:
    made(tmp_path / "run", fim=None, seq_len=128)
    made(tmp_path / "plain", fim=None, seq_len=128)
    assert not (tmp_path / "run/tables/forms").exists()
    assert digests(tmp_path / "run/packed") == digests(tmp_path / "plain/packed")
    plain = RunFiles(open_store(str(tmp_path / "plain")))
    assert "forms" not in {f.promise for f in verify(plain)}
    assert "forms" not in plain.stages
    forms = {r["form"] for t in plain.shards(LEDGER) for r in t.to_pylist() if r["keep"]}
    assert forms == {"plain"}


def change(run: RunFiles, shard: int, column: str, row: int, value: object) -> None:
    table = run.tables.read(FORMS, shard)
    values = table[column].to_pylist()
    values[row] = value
    place = table.column_names.index(column)
    run.tables.write(FORMS, shard, data=table.set_column(place, FORMS.schema.field(column), pa.array(values)))


def test_another_share_is_a_broken_promise(run: RunFiles) -> None:
    for shard in range(run.n_shards):
        for row, form in enumerate(run.tables.read(FORMS, shard)["form"].to_pylist()):
            if form == "psm":
                change(run, shard, "form", row, "plain")
    assert [f.promise for f in verify(run) if f.promise == "forms" and not f.kept] == ["forms"]


def test_a_torn_piece_is_a_broken_promise(run: RunFiles, tmp_path: Path) -> None:
    """As if packing had cut pieces at the length of a sequence: half of it, here."""
    from functools import partial

    from pipeline.mix import arrowfile
    from pipeline.schema import packed_schema

    mark = Filling.sentinels(load_encoder(run.mixture.tokenizer.path))
    (name, *_) = [f["path"] for f in run.manifest["stages"]["packed"]["files"]]
    rows = next(iter(run.packed())).to_pylist()
    for row in rows:
        places = [i for i, token in enumerate(row["token_ids"][: row["n_real"]]) if token == mark.middle]
        if places:
            row["token_ids"][places[0]] = 100
            break
    else:
        raise AssertionError("no filled-in piece in the first shard")
    schema = packed_schema(run.mixture.pack.seq_len)
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    run.store.write_stream(name, partial(arrowfile.write, batches=[batch], schema=schema))
    found = {f.promise: f.detail for f in verify(run) if f.kept is False}
    assert "1 filled-in pieces are torn" in found["forms"]


def test_short_sequences_and_no_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"pack\.seq_len be 64 or more"):
        made(tmp_path / "short", fim=FIM, seq_len=63)
    with pytest.raises(ValueError, match="all weights are 0"):
        Splits(random=0, line=0, syntax=0)


def test_long_documents_are_cut_behind_lines(tmp_path: Path) -> None:
    at_line = made(tmp_path / "line", fim=None, seq_len=64, cut_at="line")
    at_token = made(tmp_path / "token", fim=None, seq_len=64)
    assert [f.promise for f in verify(at_line) if f.kept is False] == []
    assert share_of_cuts_at_lines(at_line) > 3 * share_of_cuts_at_lines(at_token)


def share_of_cuts_at_lines(run: RunFiles) -> float:
    encoder = load_encoder(run.mixture.tokenizer.path)
    sizes = {r["doc_id"]: r["n_tokens"] for t in run.shards(BALANCE) for r in t.to_pylist()}
    n_cuts = n_lines = 0
    for table in run.packed():
        for row in table.to_pylist():
            for j, (doc, offset) in enumerate(zip(row["doc_ids"], row["doc_offsets"], strict=True)):
                a, b = row["cu_seqlens"][j : j + 2]
                if offset + b - a < sizes[doc]:
                    n_cuts += 1
                    n_lines += encoder.decode(row["token_ids"][a:b]).rstrip(b" \t").endswith(b"\n")
    assert n_cuts > 20
    return n_lines / n_cuts
