"""The stage under caps: repositories are counted over shards, and what is planned holds every cap."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, balancing, digests, documents, make_run, run_stage, write_documents, write_tokens

from pipeline.engine.run import Run
from pipeline.engine.tables import Tables
from pipeline.errors import ConfigError
from pipeline.mix.balance import balance
from pipeline.schema import BALANCE, DOCUMENTS, LANGUAGES, QUALITY
from pipeline.targets import Balance, PoolBalance, UniMax

N_SHARDS = 3
# Repository, documents of it, tokens of each. The first holds three quarters; fifteen are of a middle size.
REPOS: list[tuple[str | None, int, int]] = [("big/one", 500, 30), *((f"middle/{i}", 10, 25) for i in range(15))]
LOOSE = (None, 100, 5)


def fill(run: Run, repos: Sequence[tuple[str | None, int, int]] = (*REPOS, LOOSE)) -> Tables:
    """The documents of each repository, dealt to the shards in turn, in C and Go; and more text than is needed."""
    rows: list[tuple[str | None, int | None, int]] = [(repo, k, i) for repo, n, k in repos for i in range(n)]
    rows += [("big/one", None, i) for i in range(60)]  # dropped
    lengths, shards = [], []
    for shard in range(N_SHARDS):
        mine = rows[shard::N_SHARDS]
        repo = [r for r, _, _ in mine] + ["big/one"] * 40  # of the same name in the other pool, where none is capped
        table = documents(shard, [f"{shard} {i}" for i in range(len(repo))], repo=repo)
        shards.append(table)
        lengths.append([n for _, n, _ in mine] + [400] * 40)
        told = {"confidence": 1.0, "decided_by": "hand", "content_kind": "code"}
        groups = [("code", ("C", "Go")[i % 2]) for _, _, i in mine] + [("text", "hand")] * 40
        languages = [
            told | {"doc_id": i, "pool": pool, "language": group, "group": group}
            for i, (pool, group) in zip(table["doc_id"].to_pylist(), groups, strict=True)
        ]
        Tables(run.store, N_SHARDS).write(
            LANGUAGES, shard, data=pa.Table.from_pylist(languages, schema=LANGUAGES.schema)
        )
    write_tokens(run, list(zip(shards, lengths, strict=True)))
    return write_documents(run, shards)


def planned(tables: Tables) -> tuple[dict[str, dict[str | None, int]], list[dict[str, object]]]:
    """Tokens of each pool and repository, and the rows of the plan."""
    sums: dict[str, dict[str | None, int]] = {"code": defaultdict(int), "text": defaultdict(int)}
    every = []
    for shard in range(tables.n_shards):
        repos = tables.read(DOCUMENTS, shard)["repo"].to_pylist()
        pools = tables.read(LANGUAGES, shard)["pool"].to_pylist()
        rows = tables.read(BALANCE, shard).to_pylist()
        every += rows
        for repo, pool, row in zip(repos, pools, rows, strict=True):
            sums[pool][repo] += row["n_copies"] * row["n_tokens"] + row["cut_tokens"]
    return sums, every


def planned_under(folder: Path, config: Balance, **more: object) -> tuple[dict[str, dict[str | None, int]], list[dict]]:
    run = make_run(folder, **more)
    tables = fill(run)
    run_stage(run, "balance", balance, config=balancing(config), n_shards=N_SHARDS)
    return planned(tables)


def test_no_repository_is_above_its_share_though_the_pool_shrinks_to_a_quarter(tmp_path: Path) -> None:
    """Of the whole pool a middle one is 1.3 %, and 5.6 % of what the large one leaves: it is found in a second turn."""
    config = Balance(code=PoolBalance(max_repo_frac=0.05))
    sums, rows = planned_under(tmp_path, config)
    total = sum(sums["code"].values())
    assert total == sum(sums["text"].values())
    assert max(n for repo, n in sums["code"].items() if repo) <= total * 0.05
    assert all(n > total * 0.05 - 30 for repo, n in sums["code"].items() if repo)  # each is full to a document
    over = [r for r in rows if r["over_cap"]]
    assert over and {r["over_cap"] for r in over} == {"max_repo_frac"}
    assert all(r["n_copies"] == r["cut_tokens"] == 0 for r in over)
    assert all(r["n_tokens"] for r in over)  # none that was dropped


@pytest.mark.parametrize("total", [None, 3_001])
def test_a_cap_that_nothing_crosses_changes_no_document(tmp_path: Path, total: int | None) -> None:
    plans = []
    for name, frac in (("a", None), ("b", 0.95)):
        config = Balance(code=PoolBalance(max_repo_frac=frac), total_tokens=total)
        plans.append(planned_under(tmp_path / name, config))
    assert plans[0] == plans[1]
    assert all(r["over_cap"] is None for r in plans[0][1])


def test_of_a_part_of_the_pool_only_the_large_repository_is_held_down(tmp_path: Path) -> None:
    config = Balance(code=PoolBalance(max_repo_frac=0.2), total_tokens=4_000)
    sums, _ = planned_under(tmp_path, config)
    assert sum(sums["code"].values()) == 2_000
    assert 370 < sums["code"]["big/one"] <= 400
    assert sums["code"][None] > 100  # of 500, and of the middle ones the same share


@pytest.mark.parametrize(("frac", "unimax"), [(0.1, None), (0.05, None), (0.05, UniMax(max_epochs=4))])
def test_copies_count(tmp_path: Path, frac: float, unimax: UniMax | None) -> None:
    """A pool that is repeated four times holds each cap with every copy."""
    code = PoolBalance(max_repo_frac=frac, unimax=unimax)
    config = Balance(code=code, text=PoolBalance(parts=4), max_copies=1 if unimax else 4)
    sums, rows = planned_under(tmp_path, config)
    assert max(r["n_copies"] for r in rows) > 1
    total = sum(sums["code"].values())
    assert max(n for repo, n in sums["code"].items() if repo) <= total * frac


def test_bytes_do_not_depend_on_the_order_of_work(tmp_path: Path) -> None:
    config = Balance(code=PoolBalance(max_repo_frac=0.05))
    for name, executor in (("a", None), ("b", ShuffledExecutor(3))):
        planned_under(tmp_path / name, config, executor=executor)
    assert digests(tmp_path / "a/tables/balance") == digests(tmp_path / "b/tables/balance")


def test_too_large_a_total_names_the_cap_and_the_nearest(tmp_path: Path) -> None:
    config = Balance(code=PoolBalance(max_repo_frac=0.1), total_tokens=20_000)
    with pytest.raises(
        ConfigError, match=r"20,000 is more than .* balance\.code\.max_repo_frac 0\.1 holds 1 repos"
    ) as e:
        planned_under(tmp_path / "a", config)
    found = int(str(e.value).split("write balance.total_tokens: ")[1].split()[0])
    sums, _ = planned_under(tmp_path / "b", config.model_copy(update={"total_tokens": found}))
    assert sum(sum(s.values()) for s in sums.values()) == found > 4_000


def test_caps_that_leave_nothing_are_refused(tmp_path: Path) -> None:
    config = Balance(code=PoolBalance(max_repo_frac=0.01), text=PoolBalance(max_repo_frac=0.3))
    with pytest.raises(
        ConfigError, match=r"balance: the caps leave no mixture.*text has max_repo_frac 0\.3 on 1 repos"
    ):
        planned_under(tmp_path, config)


MARKS = {"vendored": 1 / 4, "test_data": 1 / 8}


def mark(tables: Tables) -> None:
    """Each fourth document of code is vendored, each eighth test data too; all text is test data, uncapped there."""
    for shard in range(N_SHARDS):
        ids = tables.read(DOCUMENTS, shard)["doc_id"].to_pylist()
        pools = tables.read(LANGUAGES, shard)["pool"].to_pylist()
        rows = []
        for i, (doc, pool) in enumerate(zip(ids, pools, strict=True)):
            marks = [name for name, part in MARKS.items() if pool == "code" and i % int(1 / part) == 0]
            zeros = {f.name: None if f.nullable else 0 for f in QUALITY.schema if f.name not in ("marks", "doc_id")}
            zeros |= {f.name: False for f in QUALITY.schema if pa.types.is_boolean(f.type)}
            rows.append(zeros | {"doc_id": doc, "marks": marks if pool == "code" else ["test_data"]})
        tables.write(QUALITY, shard, data=pa.Table.from_pylist(rows, schema=QUALITY.schema))


@pytest.mark.parametrize("total", [None, 4_000])
def test_marks_are_held_to_their_shares_beside_repositories(tmp_path: Path, total: int | None) -> None:
    run = make_run(tmp_path)
    tables = fill(run)
    mark(tables)
    caps = {"vendored": 0.1, "test_data": 0.02}
    code, text = PoolBalance(max_mark_frac=caps, max_repo_frac=0.3), PoolBalance(max_mark_frac={"changelog": 0.1})
    config = Balance(code=code, text=text, total_tokens=total)
    run_stage(run, "balance", balance, config=balancing(config), n_shards=N_SHARDS)
    sums, rows = planned(tables)
    marks = [m for shard in range(N_SHARDS) for m in tables.read(QUALITY, shard)["marks"].to_pylist()]
    pools = [p for shard in range(N_SHARDS) for p in tables.read(LANGUAGES, shard)["pool"].to_pylist()]
    n_code = sum(sums["code"].values())
    assert n_code == sum(sums["text"].values())
    for name, frac in caps.items():
        tokens = [r["n_copies"] * r["n_tokens"] + r["cut_tokens"] for r in rows]
        given = sum(n for n, m, p in zip(tokens, marks, pools, strict=True) if name in m and p == "code")
        assert given <= frac * n_code
        # the documents of one bucket may be missing, and those that the other mark's or the repository's cap keeps out
        assert given > (0.5 if name == "vendored" else 0.6) * frac * n_code
    assert sums["code"]["big/one"] <= 0.3 * n_code
    assert {r["over_cap"] for r in rows} == {None, "max_repo_frac", "max_mark_frac.vendored", "max_mark_frac.test_data"}
    assert all(r["over_cap"] is None for r, p in zip(rows, pools, strict=True) if p == "text")
