"""The report's numbers against counts made by hand on the run of `hand_run`."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hand_run import hand_run, renamed
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import StoreError
from pipeline.report import write_report
from pipeline.report.compute import compute
from pipeline.report.count_documents import Sums
from pipeline.report.notices import notices_of
from pipeline.report.numbers import NearlyLost, Numbers, Totals
from pipeline.report.read_stream import N_POINTS, Stream, curve_of, ends_of
from pipeline.report.shares import _targets, largest
from pipeline.report.stream import balance_of, doubling
from pipeline.targets import PoolBalance, UniMax


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Numbers:
    return compute(hand_run(tmp_path_factory.mktemp("run")))


def test_totals_when_counted_by_hand(numbers: Numbers) -> None:
    assert numbers.totals == Totals(
        n_docs=9,
        n_bytes=490,
        n_kept_docs=5,
        n_kept_bytes=310,
        n_kept_tokens=43,
        n_packed_docs=4,
        n_packed_bytes=250,
        n_packed_tokens=32,
        n_cut_docs=1,
        n_secret_docs=2,
        n_packed_secret_docs=1,
        n_personal_docs=1,
        n_packed_personal_docs=1,
    )


def test_groups_when_counted_by_hand(numbers: Numbers) -> None:
    code = {g.name: g for g in numbers.of_pool("code")}
    assert list(code) == ["Python", "JavaScript", "Rust", "Unknown", "Go"]  # packed tokens, then bytes
    python = code["Python"]
    assert (python.n_docs, python.n_bytes, python.n_exact_docs, python.n_surplus_docs) == (3, 260, 1, 1)
    assert (python.n_kept_tokens, python.n_packed_tokens, python.n_copies) == (17, 10, 1)
    assert (python.before_frac, python.kept_frac, python.after_frac) == (260 / 390, 17 / 23, 10 / 16)
    javascript = code["JavaScript"]
    assert (javascript.n_rules_docs, javascript.n_near_docs) == (1, 0)  # a rule objected first
    assert javascript.max_frac == 0.375
    assert code["Unknown"].n_ingest_docs == 1
    (prose,) = numbers.of_pool("text")
    assert (prose.name, prose.n_packed_docs, prose.n_packed_tokens, prose.after_frac) == ("prose", 2, 16, 1.0)


def test_groups_when_a_language_is_a_dialect_count_its_family(tmp_path: Path) -> None:
    shards = renamed(c={"language": "TSX"}, d={"language": "TypeScript"}, f={"language": "TSX"})
    code = {g.name: g for g in compute(hand_run(tmp_path, shards=shards)).of_pool("code")}
    assert "TSX" not in code
    assert (code["TypeScript"].n_docs, code["TypeScript"].n_packed_tokens) == (3, 6)


def test_groups_when_summed_agree_with_totals(numbers: Numbers) -> None:
    for g in numbers.groups:
        lost = g.n_ingest_docs + g.n_rules_docs + g.n_exact_docs + g.n_near_docs
        assert lost + g.n_surplus_docs + g.n_packed_docs == g.n_docs
    assert sum(g.n_docs for g in numbers.groups) == numbers.totals.n_docs
    assert sum(g.n_packed_tokens for g in numbers.groups) == numbers.totals.n_packed_tokens


def test_targets_when_shares_are_explicit(numbers: Numbers) -> None:
    targets = {g.name: g.target_frac for g in numbers.of_pool("code")}
    # weights 2 : 1 : 1; `others` goes to the only unnamed language with kept tokens; Go is wanted but absent
    assert targets == {"Python": 0.5, "Go": 0.25, "JavaScript": 0.25, "Rust": 0.0, "Unknown": 0.0}
    assert [g.target_frac for g in numbers.of_pool("text")] == [None]


def test_targets_when_groups_share_by_a_temperature_or_as_equally_as_they_can() -> None:
    kept = {"C": 1600, "Go": 100, "Zig": 0}
    assert _targets(kept, wanted=PoolBalance(temperature=0.5)) == {"C": 0.8, "Go": 0.2, "Zig": 0.0}
    half = PoolBalance(temperature=0.0, shares={"Zig": 1, "others": 1})
    assert _targets(kept, wanted=half) == {"C": 0.25, "Go": 0.25, "Zig": 0.5}
    assert _targets(kept, wanted=PoolBalance(unimax=UniMax())) == _targets(kept, wanted=PoolBalance()) == {}


def test_paper_when_languages_are_missing(numbers: Numbers) -> None:
    rows = {p.name: p for p in numbers.paper}
    assert len(rows) == 11
    assert rows["Python"].paper_frac == pytest.approx(0.101)
    assert (rows["Java"].after_frac, rows["Java"].target_frac) == (0.0, None)
    assert rows["JavaScript"].after_frac == 6 / 16
    assert rows["others"].before_frac == pytest.approx(40 / 390)  # Rust and Unknown


def test_flow_when_documents_have_several_reasons(numbers: Numbers) -> None:
    found = [(s.stage, s.n_docs, s.n_bytes, s.n_tokens) for s in numbers.flow]
    assert found == [
        ("read", 9, 490, None),
        ("ingest", 7, 450, None),
        ("rules", 6, 410, None),
        ("exact", 5, 310, None),
        ("near", 5, 310, 43),
        ("balance", 4, 250, 32),
    ]


def test_drops_when_documents_have_several_reasons(numbers: Numbers) -> None:
    drops = {d.reason: (d.stage, d.n_docs, d.n_code_docs, d.n_bytes, d.n_only_docs) for d in numbers.drops}
    assert drops == {
        "exact_duplicate": ("exact", 1, 1, 100, 1),
        "long_line": ("rules", 1, 1, 40, 0),
        "near_duplicate": ("near", 1, 1, 40, 0),
        "empty": ("ingest", 1, 1, 30, 1),
        "binary": ("ingest", 1, 1, 10, 0),
        "unknown_language": ("rules", 1, 1, 10, 0),
    }
    assert all(d.meaning for d in numbers.drops)


def test_duplicates_when_counted_by_hand(numbers: Numbers) -> None:
    d = numbers.duplicates
    assert (d.n_groups, d.n_repeats, d.n_pairs, d.n_candidates) == (1, 1, 2, 5)
    assert [(s.low, s.high, s.n_groups, s.n_docs) for s in d.sizes] == [(2, 2, 1, 2)]
    assert {b.low: b.n for b in d.similarities if b.n} == {0.8: 1, 0.98: 1}
    assert (d.n_header_docs, d.n_header_pairs) == (12_000, 19)  # six in 8 of 25 bands
    assert (d.similarities[0].low, d.similarities[-1].high) == (0.7, 1.0)
    assert {b.low: b.n for b in d.dropped_similarities if b.n} == {0.8: 1}
    assert (d.n_crowded_buckets, d.n_crowd_compared, d.n_crowd_unlisted, d.n_known_docs) == (3, 14, 0, 0)


def test_duplicates_when_a_document_is_near_to_another_run_count_it(tmp_path: Path) -> None:
    d = compute(hand_run(tmp_path, shards=renamed(d={"reasons": ("known_duplicate",), "n_tokens": 9})))
    assert (d.duplicates.n_known_docs, d.duplicates.n_near_docs) == (1, 1)
    assert {b.low: b.n for b in d.duplicates.dropped_similarities if b.n} == {0.8: 1}
    assert d.totals.n_kept_tokens == 43  # tokens of a dropped document are no kept ones


def test_families_when_counted_by_hand(numbers: Numbers) -> None:
    found = {(f.path, f.n_docs, f.n_near_docs, f.n_bytes, f.min_similarity) for f in numbers.duplicates.families}
    assert found == {("src/a.py", 1, 0, 100, 1.0), ("src/c.js", 1, 1, 40, 0.8125)}


def test_licenses_when_some_are_missing(numbers: Numbers) -> None:
    found = {x.name: (x.license_class, x.n_docs, x.n_kept_docs, x.n_packed_tokens) for x in numbers.licenses}
    assert found == {
        "CC-BY-4.0": ("permissive", 1, 1, 12),
        "MIT": ("permissive", 3, 1, 10),
        "GPL-3.0": ("copyleft", 1, 1, 6),
        "": ("unknown", 3, 1, 4),
        "Apache-2.0": ("permissive", 1, 1, 0),
    }
    assert [(c.name, c.n_packed_tokens) for c in numbers.license_classes] == [
        ("permissive", 22),
        ("unknown", 4),
        ("copyleft", 6),
        ("other", 0),
    ]


def test_balance_when_counted_by_hand(numbers: Numbers) -> None:
    b = numbers.balance
    assert (b.n_code_tokens, b.n_text_tokens, b.worst_prefix, b.max_prefix) == (16, 16, 10, 10)
    assert [(p.n_sequences, p.low, p.high) for p in b.points] == [(1, 10, 10), (2, 0, 0), (3, 6, 6), (4, 0, 0)]
    assert b.is_exact
    assert b.is_kept


def test_mix_when_languages_follow_each_other(numbers: Numbers) -> None:
    assert numbers.mix.names == ("Python", "JavaScript", "others")
    assert [s.fracs for s in numbers.mix.segments] == [(1.0, 0, 0), (0, 0, 0), (0, 1.0, 0), (0, 0, 0)]


def test_packing_when_counted_by_hand(numbers: Numbers) -> None:
    p = numbers.packing
    assert (p.n_full_sequences, p.n_split_docs) == (2, 1)
    assert [(x.pool, x.n_sequences, x.n_pieces, x.n_padding_tokens) for x in p.pools] == [
        ("code", 2, 2, 4),
        ("text", 2, 3, 4),
    ]
    assert [(b.low, b.high, b.n_code, b.n_text) for b in p.pieces] == [(1, 1, 2, 1), (2, 2, 0, 1)]


def test_work_when_manifest_has_seconds(numbers: Numbers) -> None:
    documents = numbers.work[0]
    assert (documents.name, documents.seconds, documents.cpu_seconds, documents.n_files) == ("documents", 1.0, 0.5, 2)
    assert documents.docs_per_second == 18  # nine documents in half a second of work
    assert documents.megabytes_per_second == pytest.approx(490 / 0.5 / 1e6)


def test_what_is_nearly_lost_is_a_warning(numbers: Numbers) -> None:
    assert [g.n_groups for g in numbers.nearly_lost] == [0, 0, 0]
    lost = (NearlyLost("source", 0), NearlyLost("language", 1), NearlyLost("repository", 1_200))
    messages = [n.message for n in notices_of(replace(numbers, nearly_lost=lost)).notices if n.level == "warn"]
    assert (
        "Lost nearly whole to rules or duplicates (above select.max_loss): 1 language, 1,200 repositories." in messages
    )


def test_notices_when_several_things_deserve_a_look(numbers: Numbers) -> None:
    text = "\n".join(f"{n.level}: {n.message}" for n in numbers.notices)
    assert "warn: Targets missed" in text
    assert "Go 0.0% for 25.0%" in text
    assert "warn: Documents in the mixture that keep what looks like a credential: 1." in text
    assert "warn: 20.0% of the packed tokens are padding" in text
    assert "note: 18.8% of the packed tokens have a licence that is not permissive." in text
    assert "fail" not in text


def test_notices_when_shards_were_skipped(tmp_path: Path) -> None:
    numbers = compute(hand_run(tmp_path, problem="part-1.parquet: is damaged"))
    assert [(b.stage, b.shard, b.problem) for b in numbers.bad_shards] == [
        ("documents", 1, "part-1.parquet: is damaged")
    ]
    assert "skipped: 1 of 2" in numbers.notices[0].message


def files_in(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_report_when_written_twice_has_the_same_bytes(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    numbers, page = write_report(run)
    first = files_in(tmp_path / "report")
    samples = [f"samples/{kind}.html" for kind in ("family", "language", "reason", "source")]
    papers = ["LICENSE.md", "README.md", "croissant.json", "training_content.md"]
    known = ["index.html", "made_of.json", "report.json", "report.schema.json", *samples, *papers]
    assert sorted(first) == sorted(known)
    assert Path(page) == tmp_path / "report" / "index.html"
    assert TypeAdapter(Numbers).validate_json(first["report.json"]) == numbers
    write_report(RunFiles(run.store))
    assert files_in(tmp_path / "report") == first


def test_report_when_the_run_is_not_finished_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="make the run with `loopmix curate` first"):
        write_report(RunFiles(open_store(str(tmp_path))))


def test_report_when_nothing_was_dropped_or_equal(tmp_path: Path) -> None:
    dropped = {"reasons": (), "keeper": None, "similarity": None, "group_size": 1, "is_first": True}
    shards = renamed(a={"group_size": 1}, **dict.fromkeys("bdfi", dropped))
    numbers, _ = write_report(hand_run(tmp_path, shards=shards))
    assert (numbers.drops, numbers.duplicates.n_groups, numbers.totals.n_kept_docs) == ((), 0, 9)


def test_report_when_texts_and_tokens_are_gone_needs_none_of_them(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    for folder in ("documents", "tokens", "signatures", "balance", "select"):
        for file in (tmp_path / "tables" / folder).iterdir():
            file.unlink()
    assert compute(run).totals.n_docs == 9


def test_largest_when_groups_are_many_keeps_the_sums(numbers: Numbers) -> None:
    code = numbers.of_pool("code")
    shown = largest(code, limit=2)
    assert [g.name for g in shown] == ["Python", "JavaScript", "3 others"]
    assert sum(g.n_docs for g in shown) == sum(g.n_docs for g in code)
    assert sum(g.before_frac for g in shown) == pytest.approx(1.0)
    assert largest(code, limit=4) == code  # one row too many is shown as it is


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 64)), min_size=1, max_size=700), st.lists(st.integers(0, 700)))
def test_points_when_the_stream_is_long_lose_no_extreme(sequences: list[tuple[bool, int]], cuts: list[int]) -> None:
    is_code, n_real = (np.array(c) for c in zip(*sequences, strict=True))
    signed, ends = np.where(is_code, n_real, -n_real), ends_of(len(sequences), N_POINTS)
    curve = curve_of(signed[:0], base=0, ends=ends)
    bounds = sorted({0, len(sequences), *(cut for cut in cuts if cut < len(sequences))})
    for first, last in pairwise(bounds):  # as it is read: shard by shard
        curve = curve.then(curve_of(signed[first:last], base=first, ends=ends))
    packing = np.array([[0, 0, n_real[is_code].sum()], [0, 0, n_real[~is_code].sum()]])
    stream = Stream(ends, curve, packing, 0, {}, (), np.zeros((0, 0)), np.zeros(0))
    balance = balance_of(stream, code_parts=1, text_parts=1, seq_len=64)
    prefix = np.cumsum(signed)
    assert len(balance.points) <= N_POINTS
    assert balance.points[-1].n_sequences == len(sequences)
    assert (min(p.low for p in balance.points), max(p.high for p in balance.points)) == (prefix.min(), prefix.max())
    assert balance.worst_prefix == abs(prefix).max()


def test_sums_when_shards_are_many_lose_none() -> None:
    sums = Sums(("pool",))
    for i in range(200):
        sums.add(pa.table({"pool": ["code", "text"], "n": [i, 1]}))
    assert sums.total().to_pylist() == [{"pool": "code", "n": 19_900}, {"pool": "text", "n": 200}]
    assert len(sums.pending) < 100  # added up as they come, so memory does not grow with the shards


@given(st.integers(1, 3), st.integers(0, 5000))
def test_bins_when_doubling_cover_each_number_once(first: int, largest_number: int) -> None:
    bins = doubling(largest_number, first=first)
    covered = [n for low, high in bins for n in range(low, high + 1)]
    assert covered[: max(0, largest_number - first + 1)] == list(range(first, largest_number + 1))
