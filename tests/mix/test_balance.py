from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, balancing, digests, documents, make_run, run_stage, write_documents, write_tokens

from pipeline.engine.run import Run
from pipeline.engine.tables import Tables
from pipeline.errors import ConfigError
from pipeline.mix.balance import add_up, balance
from pipeline.schema import BALANCE, LANGUAGES, SELECT
from pipeline.targets import Balance, PoolBalance


def fill(run: Run, *, scale: int = 50, n_shards: int = 4) -> Tables:
    """Documents of random lengths: languages C, Go and Zig in pool code, sources hand and more in pool text."""
    rng = np.random.default_rng(11)
    shards, lengths = [], []
    for shard in range(n_shards):
        n = int(rng.integers(0, 60)) if shard else 40
        table = documents(shard, [f"{shard} {i}" for i in range(n)], source=rng.choice(["hand", "more"], n).tolist())
        shards.append(table)
        lengths.append([None if rng.random() < 0.1 else int(x) for x in rng.integers(1, scale, n)])
        languages = rng.choice(["C", "Go", "Zig", "Text", "Text"], n).tolist()
        rows = [
            {
                "doc_id": i,
                "pool": "text" if lang == "Text" else "code",
                "language": lang,
                "confidence": 1.0,
                "decided_by": "hand",
                "content_kind": "prose" if lang == "Text" else "code",
                "group": source if lang == "Text" else lang,
            }
            for i, lang, source in zip(table["doc_id"].to_pylist(), languages, table["source"].to_pylist(), strict=True)
        ]
        Tables(run.store, n_shards).write(LANGUAGES, shard, data=pa.Table.from_pylist(rows, schema=LANGUAGES.schema))
    write_tokens(run, list(zip(shards, lengths, strict=True)))
    return write_documents(run, shards)


def totals(tables: Tables) -> tuple[dict[tuple[str, str], int], int]:
    """Packed tokens per (pool, group), and the number of cut documents; checks that no dropped document enters."""
    sums: dict[tuple[str, str], int] = {}
    n_cut = 0
    for shard in range(tables.n_shards):
        languages = tables.read(LANGUAGES, shard)
        pools, groups = languages["pool"].to_pylist(), languages["group"].to_pylist()
        kept = tables.read(SELECT, shard)["keep"].to_pylist()
        rows = tables.read(BALANCE, shard).to_pylist()
        for pool, group, keep, row in zip(pools, groups, kept, rows, strict=True):
            entered = row["n_copies"] * row["n_tokens"] + row["cut_tokens"]
            assert 0 <= row["cut_tokens"] < max(1, row["n_tokens"])
            n_cut += row["cut_tokens"] > 0
            assert keep or entered == 0
            if keep:
                sums[pool, group] = sums.get((pool, group), 0) + entered
    return sums, n_cut


CASES = {
    "natural": Balance(),
    "three to two": Balance(code=PoolBalance(parts=3), text=PoolBalance(parts=2)),
    "shares": Balance(code=PoolBalance(shares={"C": 1.0, "others": 3.0}), total_tokens=1001),
    "copies": Balance(code=PoolBalance(parts=5), text=PoolBalance(shares={"more": 9.0, "hand": 1.0}), max_copies=4),
    "caps": Balance(code=PoolBalance(max_frac={"Go": 0.15}), text=PoolBalance(parts=2), total_tokens=900),
}


@pytest.mark.parametrize("name", CASES)
def test_pools_are_equal_to_the_token_and_each_group_is_cut_once(tmp_path: Path, name: str) -> None:
    config = CASES[name]
    run = make_run(tmp_path)
    tables = fill(run)
    run_stage(run, "balance", balance, config=balancing(config), n_shards=4)
    sums, n_cut = totals(tables)
    code = sum(n for (pool, _), n in sums.items() if pool == "code")
    text = sum(n for (pool, _), n in sums.items() if pool == "text")
    assert code * config.text.parts == text * config.code.parts > 0
    assert n_cut <= len(sums)
    if config.total_tokens:
        parts = config.code.parts + config.text.parts
        assert code + text == config.total_tokens // parts * parts
    if name == "shares":
        assert sums["code", "C"] == 125
    if name == "caps":
        assert sums["code", "Go"] == int(0.15 * code)
    if name == "copies":
        assert max(r["n_copies"] for s in range(4) for r in tables.read(BALANCE, s).to_pylist()) > 1


def test_every_budget_is_met_to_the_token(tmp_path: Path) -> None:
    """Walk the budget in odd steps so that cuts fall inside, before and after documents and buckets."""
    run = make_run(tmp_path)
    tables = fill(run, scale=4)
    for total in range(2, 60, 2):
        run_stage(run, "balance", balance, config=balancing(Balance(total_tokens=total)), n_shards=4)
        sums, _ = totals(tables)
        assert sum(sums.values()) == total


def test_bytes_do_not_depend_on_the_order_of_work_but_on_the_seed(tmp_path: Path) -> None:
    made = {}
    for name, executor, seed in (("a", None, 0), ("b", ShuffledExecutor(2), 0), ("c", None, 1)):
        run = make_run(tmp_path / name, executor=executor, seed=seed)
        fill(run)
        run_stage(run, "balance", balance, config=balancing(Balance(total_tokens=400)), n_shards=4)
        made[name] = digests(tmp_path / name / "tables/balance")
    assert made["a"] == made["b"]
    assert made["a"] != made["c"]


def test_a_mixture_without_one_pool_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    table = documents(0, ["a"])
    write_documents(run, [table])
    write_tokens(run, [(table, [5])])
    row = {
        "doc_id": table["doc_id"][0].as_py(),
        "pool": "code",
        "language": "C",
        "confidence": 1.0,
        "decided_by": "hand",
        "content_kind": "code",
        "group": "C",
    }
    Tables(run.store, 1).write(LANGUAGES, 0, data=pa.Table.from_pylist([row], schema=LANGUAGES.schema))
    with pytest.raises(ConfigError, match="no text tokens"):
        run_stage(run, "balance", balance, config=balancing(Balance()), n_shards=1)


@pytest.mark.parametrize("pool", ["code", "text"])
def test_a_pool_that_the_rules_emptied_says_which(tmp_path: Path, pool: str) -> None:
    run = make_run(tmp_path)
    shard = documents(0, ["a", "b", "c"])
    ids = shard["doc_id"].to_pylist()
    told = {"confidence": 1.0, "decided_by": "hand", "content_kind": "code", "group": "g"}
    other = "text" if pool == "code" else "code"
    pools = (pool, pool, other)
    rows = [told | {"doc_id": i, "pool": p, "language": "C"} for i, p in zip(ids, pools, strict=True)]
    Tables(run.store, 1).write(LANGUAGES, 0, data=pa.Table.from_pylist(rows, schema=LANGUAGES.schema))
    write_tokens(run, [(shard, [None, None, 5])])  # the dropped ones are `empty`
    write_documents(run, [shard])
    with pytest.raises(ConfigError) as caught:
        run_stage(run, "balance", balance, config=balancing(Balance()), n_shards=1)
    assert f"no {pool} tokens are left to mix: all 2 documents of {pool} are dropped, most for empty 2 times" in str(
        caught.value
    )


def test_a_pool_in_which_nothing_is_says_so(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    shard = documents(0, ["a"])
    row = {"doc_id": shard["doc_id"][0].as_py(), "pool": "code", "language": "C", "confidence": 1.0,
           "decided_by": "hand", "content_kind": "code", "group": "C"}  # fmt: skip
    Tables(run.store, 1).write(LANGUAGES, 0, data=pa.Table.from_pylist([row], schema=LANGUAGES.schema))
    write_tokens(run, [(shard, [5])])
    write_documents(run, [shard])
    with pytest.raises(ConfigError, match=r"none of the 1 documents is text .*say pool: text of a source"):
        run_stage(run, "balance", balance, config=balancing(Balance()), n_shards=1)


@pytest.mark.parametrize("at_most", [1, 7, 10**6])
def test_counts_add_up_alike_however_many_are_held(monkeypatch: pytest.MonkeyPatch, at_most: int) -> None:
    """With few held at once memory is that of the kinds, not of the shards."""
    rng = np.random.default_rng(4)
    shards = [
        pa.table(
            {
                "pool": rng.choice(["code", "text"], 30),
                "group": rng.choice(["C", "Go"], 30),
                "repo": rng.integers(0, 2, 30).astype(np.uint64),
                "marks": rng.integers(0, 2, 30),
                "bucket": rng.integers(0, 4, 30),
                "n_tokens_sum": rng.integers(1, 100, 30),
            }
        )
        for _ in range(9)
    ]
    wanted: Counter[tuple[object, ...]] = Counter()
    for row in pa.concat_tables(shards).to_pylist():
        wanted[tuple(row.values())[:-1]] += row["n_tokens_sum"]
    monkeypatch.setattr("pipeline.mix.balance._MAX_ROWS", at_most)
    got = [tuple(row.values()) for row in add_up(iter(shards)).to_pylist()]
    assert sorted(got) == sorted((*kind, n) for kind, n in wanted.items())
