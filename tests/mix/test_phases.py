"""Phases: each exact and balanced by itself, of documents that may enter it, and no copy of a document used twice."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, digests, make_run, run_stage
from hypothesis import given, settings
from hypothesis import strategies as st
from test_balance import fill

from pipeline.engine.executor import Executor
from pipeline.engine.tables import Tables
from pipeline.errors import ConfigError
from pipeline.features import FEATURES
from pipeline.mix.layers import Kept, layered_quota, take
from pipeline.mix.packed import pack
from pipeline.mix.phasing import balance_phases
from pipeline.mix.quota import Quota
from pipeline.mix.settings import Packing, PhasePacking, Phasing
from pipeline.phased import balance_of
from pipeline.phases import MinQuality, Phase, PhaseShares, Ratio
from pipeline.schema import LANGUAGES, PHASED_BALANCE, QUALITY, SELECT
from pipeline.targets import Balance, Pack, PoolBalance, UniMax

PAD = 4_000_000
N_SHARDS = 4


def write_quality(tables: Tables) -> None:
    """A measured `alpha_frac` for each document, spread over 0 to 1; `extra.score` of every second one."""
    for shard in range(tables.n_shards):
        ids = tables.read(LANGUAGES, shard, columns=["doc_id"])["doc_id"].to_pylist()
        rows = []
        for i, doc in enumerate(ids):
            row: dict[str, Any] = {n: None if f.nullable else 0 for n, f in FEATURES.items()}
            row |= {n: False for n, f in FEATURES.items() if f.kind == "bool" and not f.nullable}
            row |= {"doc_id": doc, "alpha_frac": value_of(doc), "marks": [], "prose_language": None}
            row |= {"extra": [("score", value_of(doc))] if i % 2 else []}
            rows.append(row)
        tables.write(QUALITY, shard, data=pa.Table.from_pylist(rows, schema=QUALITY.schema))


def value_of(doc_id: str) -> float:
    return int(doc_id[:4], 16) / 0xFFFF


def packing_of(config: Phasing) -> PhasePacking:
    packings, folders = [], []
    for number, (phase, seq_len) in enumerate(zip(config.phases, config.seq_lens, strict=True)):
        wanted = balance_of(config.balance, phase)
        pack_ = Pack(seq_len=seq_len, n_shards=2, n_partitions=2)
        parts = {"code_parts": wanted.code.parts, "text_parts": wanted.text.parts}
        packings.append(Packing(**dict(pack_), **parts, pad_id=PAD))
        folders.append(f"packed/{number + 1}-{phase.name}")
    return PhasePacking(packings=tuple(packings), folders=tuple(folders))


def made(folder: Path, config: Phasing, *, executor: Executor | None = None, packs: bool = True) -> Tables:
    run = make_run(folder, executor=executor)
    tables = fill(run)
    write_quality(tables)
    run_stage(run, "balance", balance_phases, config=config, n_shards=N_SHARDS)
    if packs:
        run_stage(run, "packed", pack, config=packing_of(config), n_shards=N_SHARDS)
    return tables


def phasing(*phases: Phase, balance: Balance | None = None) -> Phasing:
    return Phasing(balance=balance or Balance(), phases=phases, seq_lens=tuple(phase.seq_len or 16 for phase in phases))


@dataclass
class Doc:
    pool: str
    group: str
    n_tokens: int
    copies: list[int]
    cuts: list[int]
    kept: bool


def plan_of(tables: Tables) -> dict[str, Doc]:
    found = {}
    for shard in range(tables.n_shards):
        rows = zip(*(tables.read(t, shard).to_pylist() for t in (PHASED_BALANCE, LANGUAGES, SELECT)), strict=True)
        for plan, told, chosen in rows:
            copies, cuts = plan["phase_copies"], plan["phase_cut_tokens"]
            assert plan["n_copies"] == sum(copies)
            assert plan["cut_tokens"] == sum(cuts)
            found[plan["doc_id"]] = Doc(told["pool"], told["group"], plan["n_tokens"], copies, cuts, chosen["keep"])
    return found


def check_plan(docs: dict[str, Doc], config: Phasing) -> None:
    """Ratios to the token, limits, copies; and that nothing was taken again before all else that may enter was."""
    used = dict.fromkeys(docs, 0)
    for number in config.order:
        phase = config.phases[number]
        wanted = balance_of(config.balance, phase)
        tokens: Counter[str] = Counter()
        may: dict[str, bool] = {}
        for name, doc in docs.items():
            entered = doc.copies[number] * doc.n_tokens + doc.cuts[number]
            tokens[doc.pool] += entered
            least = phase.min_quality.of(doc.pool).get("alpha_frac", 0.0)
            may[name] = doc.kept and doc.n_tokens >= (phase.min_tokens or 0) and value_of(name) >= least
            assert may[name] or entered == 0, f"{phase.name} took {name}"
            assert 0 <= doc.cuts[number] < max(1, doc.n_tokens)
        assert tokens["code"] * wanted.text.parts == tokens["text"] * wanted.code.parts
        parts = wanted.code.parts + wanted.text.parts
        assert phase.tokens is None or tokens.total() == phase.tokens // parts * parts
        for group in {(doc.pool, doc.group) for doc in docs.values()}:
            mine = [name for name, doc in docs.items() if (doc.pool, doc.group) == group and may[name]]
            after = {name: used[name] + taken(docs[name], number) for name in mine}
            most = config.balance.copies_of(wanted.code if group[0] == "code" else wanted.text)
            deepest = max((after[name] for name in mine if after[name] > used[name]), default=0)
            # Whoever was read least is next: nobody that may enter stays two copies behind who was read in this phase.
            assert all(after[name] >= min(deepest - 1, most) for name in mine)
        for name, doc in docs.items():
            used[name] += taken(doc, number)
    for name, doc in docs.items():
        assert used[name] <= config.balance.copies_of(
            config.balance.code if doc.pool == "code" else config.balance.text
        )


def taken(doc: Doc, number: int) -> int:
    return doc.copies[number] + (doc.cuts[number] > 0)


def check_stream(folder: Path, docs: dict[str, Doc], config: Phasing) -> None:
    """Every sequence of every phase, in plain Python: prefixes, and each document's tokens."""
    for number, (phase, seq_len) in enumerate(zip(config.phases, config.seq_lens, strict=True)):
        wanted = balance_of(config.balance, phase)
        weights = {"code": wanted.text.parts, "text": -wanted.code.parts}
        surplus, covered = 0, Counter[str]()
        files = sorted((folder / "packed" / f"{number + 1}-{phase.name}").glob("*.arrow"))
        for row in (row for f in files for row in pa.ipc.open_file(str(f)).read_all().to_pylist()):
            assert len(row["token_ids"]) == seq_len
            surplus += row["n_real"] * weights[row["pool"]]
            assert abs(surplus) <= seq_len * max(wanted.code.parts, wanted.text.parts)
            cu = row["cu_seqlens"]
            for j, (doc, offset) in enumerate(zip(row["doc_ids"], row["doc_offsets"], strict=True)):
                n = cu[j + 1] - cu[j]
                covered[doc] += n
                # `write_tokens` counts ids up from 1, so the tokens say where in their document they stand.
                assert row["token_ids"][cu[j] : cu[j + 1]] == list(range(offset + 1, offset + n + 1))
        assert surplus == 0
        planned = {name: doc.copies[number] * doc.n_tokens + doc.cuts[number] for name, doc in docs.items()}
        assert dict(covered) == {name: n for name, n in planned.items() if n}


names = st.sampled_from(["code", "text"])
limits = st.one_of(st.just({}), st.fixed_dictionaries({"alpha_frac": st.floats(0, 0.7)}))
ratios = st.one_of(st.none(), st.builds(Ratio, code=st.integers(1, 5), text=st.integers(1, 5)))
shares = st.one_of(st.none(), st.just({"C": 1.0, "others": 3.0}))


@st.composite
def phasings(draw: st.DrawFn) -> Phasing:
    n = draw(st.integers(1, 4))
    open_ = draw(st.one_of(st.none(), st.integers(0, n - 1)))
    phases = [
        Phase(
            name=f"p{number}",
            tokens=None if number == open_ else draw(st.integers(10, 500)),
            ratio=draw(ratios),
            shares=PhaseShares(code=draw(shares)),
            min_quality=MinQuality(code=draw(limits), text=draw(limits)),
            min_tokens=draw(st.one_of(st.none(), st.integers(1, 30))),
            seq_len=draw(st.sampled_from([8, 16, 33])),
        )
        for number in range(n)
    ]
    text = PoolBalance(unimax=UniMax(max_epochs=draw(st.integers(1, 3)))) if draw(st.booleans()) else PoolBalance()
    balance = Balance(max_copies=draw(st.integers(1, 4)), text=text)
    return phasing(*phases, balance=balance)


@given(phasings())
@settings(max_examples=40)
def test_every_phase_is_exact_and_no_copy_is_used_twice(config: Phasing) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            tables = made(Path(folder), config)
        except ConfigError as error:
            assert re.match(r"phases\.p\d", str(error)), error
            return
        docs = plan_of(tables)
        check_plan(docs, config)
        check_stream(Path(folder), docs, config)


CASES = {
    "one": (Phase(name="all", tokens=1_001),),
    "three": (
        Phase(name="stable"),
        Phase(
            name="annealing",
            tokens=600,
            ratio=Ratio(code=2, text=1),
            min_quality=MinQuality(code={"alpha_frac": 0.5}, text={"alpha_frac": 0.3}),
        ),
        Phase(name="long", tokens=700, min_tokens=30, seq_len=64),
    ),
}


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("name", CASES)
def test_phases_are_the_same_in_any_order_of_work(tmp_path: Path, name: str, copies: int) -> None:
    config = phasing(*CASES[name], balance=Balance(max_copies=copies))
    tables = made(tmp_path / "a", config)
    docs = plan_of(tables)
    check_plan(docs, config)
    check_stream(tmp_path / "a", docs, config)
    made(tmp_path / "b", config, executor=ShuffledExecutor(3))
    for part in ("packed", "tables/balance"):
        assert digests(tmp_path / "a" / part) == digests(tmp_path / "b" / part)


def test_copies_in_neighbouring_phases_stand_apart(tmp_path: Path) -> None:
    config = phasing(
        Phase(name="stable", tokens=1_300, seq_len=8),
        Phase(name="again", tokens=1_300, seq_len=8),
        balance=Balance(max_copies=2),
    )
    made(tmp_path, config)
    places: list[dict[str, list[int]]] = []
    sizes = []
    for number, phase in enumerate(config.phases):
        found: dict[str, list[int]] = {}
        files = sorted((tmp_path / "packed" / f"{number + 1}-{phase.name}").glob("*.arrow"))
        rows = [row for f in files for row in pa.ipc.open_file(str(f)).read_all().to_pylist()]
        for at, row in enumerate(rows):
            for doc in row["doc_ids"]:
                found.setdefault(doc, []).append(at)
        places.append(found)
        sizes.append(len(rows))
    both = places[0].keys() & places[1].keys()
    assert len(both) > 30
    apart = [sizes[0] - max(places[0][doc]) + min(places[1][doc]) for doc in both]
    assert min(apart) >= min(sizes) / 2


def test_long_documents_are_kept_for_the_phase_that_asks_for_them(tmp_path: Path) -> None:
    config = phasing(Phase(name="stable"), Phase(name="long", tokens=700, min_tokens=30))
    docs = plan_of(made(tmp_path, config, packs=False))
    assert sum(doc.copies[1] * doc.n_tokens + doc.cuts[1] for doc in docs.values()) == 700
    assert all(doc.n_tokens >= 30 and doc.copies[0] == 0 for doc in docs.values() if taken(doc, 1))


def test_what_was_not_measured_is_below_every_limit(tmp_path: Path) -> None:
    low = MinQuality(code={"extra.score": -1.0}, text={})
    config = phasing(Phase(name="scored", tokens=400, min_quality=low))
    docs = plan_of(made(tmp_path, config, packs=False))
    scored = set()
    tables = Tables(make_run(tmp_path).store, N_SHARDS)
    for shard in range(N_SHARDS):
        for row in tables.read(QUALITY, shard, columns=["doc_id", "extra"]).to_pylist():
            scored |= {row["doc_id"]} if row["extra"] else set()
    entered = {name for name, doc in docs.items() if doc.pool == "code" and taken(doc, 0)}
    assert entered
    assert entered <= scored


def test_a_phase_that_asks_too_much_says_what_it_could_have(tmp_path: Path) -> None:
    phases = Phase(name="stable", tokens=300), Phase(name="long", tokens=90_000, min_tokens=30)
    with pytest.raises(ConfigError, match=r"phases\.long\.tokens: 90,000 is more than is left") as caught:
        made(tmp_path / "a", phasing(*phases))
    nearest = int(re.findall(r"write tokens: (\d+)", str(caught.value))[0])
    fitting = phases[1].model_copy(update={"tokens": nearest})
    made(tmp_path / "b", phasing(fitting), packs=False)
    with pytest.raises(ConfigError, match="more than is left"):
        made(tmp_path / "c", phasing(fitting.model_copy(update={"tokens": nearest + 2})), packs=False)


def test_a_later_phase_leaves_an_earlier_one_what_it_does_not_need(tmp_path: Path) -> None:
    phases = Phase(name="first", tokens=1_000), Phase(name="second", tokens=900)
    with pytest.raises(ConfigError, match=r"phases\.first\.tokens: .* after phase second"):
        made(tmp_path, phasing(*phases), packs=False)


def test_a_phase_into_which_nothing_may_enter_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"phases\.long: no code is left that may enter \(min_tokens 5,000\)"):
        made(tmp_path, phasing(Phase(name="long", tokens=100, min_tokens=5_000)))


def test_exact_shares_hold_in_every_phase(tmp_path: Path) -> None:
    asked = Phase(name="shared", tokens=1_300, shares=PhaseShares(code={"C": 9.0, "others": 1.0}))
    with pytest.raises(ConfigError, match=r"phases\.shared: shares of code cannot be met.*C wants 90"):
        made(tmp_path / "a", phasing(asked, balance=Balance(exact_shares=True)), packs=False)
    docs = plan_of(made(tmp_path / "b", phasing(asked), packs=False))
    check_plan(docs, phasing(asked))


def test_groups_read_too_often_over_all_phases_stop_the_run(tmp_path: Path) -> None:
    phases = [Phase(name=f"p{n}", tokens=2_000) for n in range(4)]
    balance = Balance(max_copies=8, max_group_epochs=2)
    with pytest.raises(ConfigError, match=r"above balance\.max_group_epochs 2"):
        made(tmp_path, phasing(*phases, balance=balance), packs=False)


# --- the axis --------------------------------------------------------------------------------------------------------


@given(st.data())
def test_a_quota_takes_as_many_tokens_as_it_says_up_the_axis(data: st.DataObject) -> None:
    n, most = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 4))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    key = np.sort(rng.integers(0, 2**64, n, np.uint64))
    lengths, used = rng.integers(1, 9, n), rng.integers(0, most + 1, n)
    may = rng.random(n) < 0.8
    bucket = (key >> np.uint64(62)).astype(np.int64)  # four buckets
    kept = Kept(
        [("code", "C")], np.zeros(n, np.int64), lengths, key, bucket, np.arange(n, dtype=np.uint64), np.full(n, most)
    )
    counts = np.zeros((most, 4), np.int64)
    open_ = may & (used < most)
    np.add.at(counts, (used[open_], bucket[open_]), lengths[open_])
    room = int((lengths * (most - used))[open_].sum())
    wanted = data.draw(st.integers(0, room))
    found = layered_quota("C", wanted, counts=counts)
    left, cut = found.left, Quota(found.group, found.whole, found.bucket + (found.bucket >= 0), 0)
    for i in np.flatnonzero(open_ & (used <= found.whole) & (bucket == found.bucket)).tolist():
        if left < lengths[i] or left == 0:
            cut = Quota("C", found.whole, found.bucket, left, int(key[i]), i, left)
            break
        left -= int(lengths[i])
    got = take(kept, {("code", "C"): cut}, may=may, used=used)
    # The axis itself, one copy after another.
    expected, rest, axis = [0] * n, wanted, [(layer, i) for layer in range(most) for i in range(n)]
    for layer, i in axis:
        if open_[i] and used[i] <= layer and rest > 0:
            expected[i] += min(rest, int(lengths[i]))
            rest -= min(rest, int(lengths[i]))
    assert (got.n_copies * lengths + got.cut_tokens).tolist() == expected
    assert (used + got.used <= np.maximum(used, most)).all()
