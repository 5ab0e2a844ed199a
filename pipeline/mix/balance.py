"""Balance: decide to the token which documents enter, how often, and which one of each group is cut.

A group is a language family (code) or a source (text). Documents of a group stand in a keyed random order; the budget
takes whole copies from its start and cuts one document where it ends. To find that place without listing every
document, shards first count tokens in buckets of the key; only the bucket in which a group's budget ends is listed.
Where repositories or marks are capped, what stays out is told by buckets too (`caps.py`), before the budgets are met.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, one_chunk
from pipeline.arrays.runs import starts_run
from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel, positions
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.errors import ConfigError
from pipeline.mix.budget import pool_budgets
from pipeline.mix.capping import Capping, find_large, is_capped, over_caps, sum_repositories
from pipeline.mix.caps import CappedCounts, CappedPool, Fit, fit, nearest
from pipeline.mix.feasible import why_dropped
from pipeline.mix.kept import buckets_of, keys_of, pools_of, read_kept
from pipeline.mix.pool import exact
from pipeline.mix.quota import Quota
from pipeline.mix.settings import Balancing
from pipeline.mix.tree import joined
from pipeline.mix.unmet import say_unmet
from pipeline.mix.why_capped import why_nothing_left, why_under_caps
from pipeline.schema import BALANCE, LANGUAGES, POOLS, SELECT
from pipeline.targets import Balance, PoolBalance


def balance(job: Job, *, config: Balancing) -> StepDone:
    """Write table `plan`. ConfigError if the wanted mixture cannot be made from what is there."""
    tables, n_shards = job.tables, job.tables.n_shards
    key = job.key("balance")
    wanted = {"code": config.code, "text": config.text}
    capping = Capping({}, {})
    counted = counts(job, "count", key=key, capping=capping)
    refuse_empty(tables, counted)
    pools = pools_of_counts(counted, config=config, capping=capping)
    held = {name: pool.pool(pool.open(), natural=None) for name, pool in pools.items()}
    pool_budgets(held["code"], held["text"], total=config.total_tokens)  # says what is too large without any cap
    made = fit(pools, total=config.total_tokens, seq_len=config.seq_len)
    if is_capped(wanted):
        capping, pools, made = _under_caps(job, key=key, config=config, made=made)
    for said in say_unmet(pools, made, config=config):
        job.workplace.progress.say(said)
    rule = partial(_entering, capping, made.ceilings, key)
    listed = job.channel("list", n_sources=n_shards, n_partitions=1, by_source=True)
    job.step("list", partial(_list, tables, listed, rule, made.quotas), items=n_shards)
    quotas = place_cuts(made.quotas, joined(job, "list", listed, join=pa.concat_tables))
    return job.step("", partial(_plan, tables, rule, quotas), items=n_shards)


def _under_caps(
    job: Job, *, key: np.uint64, config: Balancing, made: Fit
) -> tuple[Capping, dict[str, CappedPool], Fit]:
    """The caps and the largest mixture found under them, from the one that could be `made` without them."""
    wanted = {"code": config.code, "text": config.text}
    copies = {pool: config.copies_of(of) for pool, of in wanted.items()}
    totals = sum_repositories(job, wanted=wanted)
    for turn in itertools.count():
        budgets = made.budgets
        # Half of what could cross a cap in the mixture that was made last: should the caps shrink it to a half, no
        # repository is overlooked yet, and one more turn is seldom needed.
        floors = {pool: allowed_repo(wanted[pool], budgets[pool]) // (2 * copies[pool]) for pool in POOLS}
        capping = Capping(wanted, find_large(job, totals, floors=floors, turn=turn))
        counted = counts(job, f"count-{turn}", key=key, capping=capping)
        pools = pools_of_counts(counted, config=config, capping=capping)
        try:
            made = fit(pools, total=config.total_tokens, seq_len=config.seq_len)
        except ConfigError:
            raise ConfigError(f"balance: {why_nothing_left(pools, total=config.total_tokens)}") from None
        if all(floors[p] * copies[p] <= allowed_repo(wanted[p], made.budgets[p]) for p in POOLS):
            break
    parts = config.code.parts + config.text.parts
    if config.total_tokens is not None and sum(made.budgets.values()) < config.total_tokens // parts * parts:
        said = why_under_caps(pools, made, total=config.total_tokens, found=nearest(pools, made))
        raise ConfigError(f"balance.total_tokens: {said}")
    return capping, pools, made


def allowed_repo(wanted: PoolBalance, budget: int) -> int:
    """Whole tokens that one repository may give to a pool of `budget` tokens."""
    return budget if wanted.max_repo_frac is None else int(exact(wanted.max_repo_frac) * budget)


def counts(job: Job, step: str, *, key: np.uint64, capping: Capping) -> pa.Table:
    """Tokens of each pool, group, kind and bucket of the key, of all shards."""
    n_shards = job.tables.n_shards
    histograms = job.channel(step, n_sources=n_shards, n_partitions=1, by_source=True)
    job.step(step, partial(_count, job.tables, histograms, key, capping), items=n_shards)
    return summed_up(job, step, histograms, kinds=_KINDS)


_KINDS = ("pool", "group", "repo", "marks", "bucket")
# Rows that are held before they are added up: some ten megabytes. All shards together may have as many as documents.
_MAX_ROWS = 200_000


def summed_up(job: Job, step: str, histograms: Channel, *, kinds: Sequence[str]) -> pa.Table:
    """The sums of what all shards have counted in `step`, by their `kinds`, in no order."""
    table = joined(job, step, histograms, join=partial(add_up, kinds=kinds, to="n_tokens_sum"))
    return table.rename_columns([*kinds, "n_tokens"])


def add_up(counted: Iterable[pa.Table], *, kinds: Sequence[str] = _KINDS, to: str = "n_tokens") -> pa.Table:
    """The sums of `n_tokens_sum` of several shards by their `kinds` in one table, in no order."""
    held: list[pa.Table] = []
    for table in counted:
        held.append(table)
        if len(held) > 1 and sum(one.num_rows for one in held) > max(_MAX_ROWS, 2 * held[0].num_rows):
            held = [_summed(held, kinds, to="n_tokens_sum")]
    return _summed(held, kinds, to=to)


def _summed(tables: Sequence[pa.Table], kinds: Sequence[str], *, to: str) -> pa.Table:
    sums = pa.concat_tables(tables).group_by(list(kinds), use_threads=False).aggregate([("n_tokens_sum", "sum")])
    return sums.rename_columns([*kinds, to])


def _count(tables: Tables, out: Channel, key: np.uint64, capping: Capping, shard: int, _: None) -> Outcome:
    """Tokens per pool, group, kind and bucket of the key."""
    table = read_kept(tables, shard)
    repo, marks = capping.under(tables, shard, pools_of(table))
    for name, values in (("repo", repo), ("marks", marks), ("bucket", buckets_of(keys_of(table, key=key)))):
        table = table.append_column(name, pa.array(values))
    table = table.filter(table["group"].is_valid())
    sums = table.group_by(_KINDS, use_threads=False).aggregate([("n_tokens", "sum")])
    sums = sums.sort_by([(name, "ascending") for name in _KINDS])
    entry = out.scatter(shard, sums, partition=np.zeros(sums.num_rows, np.int64))
    return Outcome((entry,), {"n_docs": table.num_rows})


def refuse_empty(tables: Tables, counted: pa.Table) -> None:
    """Raise ConfigError for a pool of which nothing is kept. The ledger, which `why` reads, is not written yet."""
    for name in sorted(set(POOLS) - set(counted["pool"].to_pylist())):
        n_docs, n_pool_docs, reasons = 0, 0, Counter[str]()
        for shard in range(tables.n_shards):
            pool = tables.read(LANGUAGES, shard, columns=["pool"])["pool"]
            found = tables.read(SELECT, shard, columns=["reasons"]).filter(pc.equal(pool, name))["reasons"]
            n_docs, n_pool_docs = n_docs + len(pool), n_pool_docs + len(found)
            reasons.update(pc.list_flatten(found).to_pylist())
        why = why_dropped(name, n_docs=n_docs, n_pool_docs=n_pool_docs, reasons=reasons)
        raise ConfigError(f"balance: {why}")


def pools_of_counts(counted: pa.Table, *, config: Balance, capping: Capping) -> dict[str, CappedPool]:
    """Both pools as they were counted, with what the mixture wants of them."""
    pools = {}
    for name, wanted in (("code", config.code), ("text", config.text)):
        mine = counted.filter(pc.equal(counted["pool"], name))
        group = {found: i for i, found in enumerate(sorted(set(mine["group"].to_pylist())))}
        kinds = list(zip(mine["repo"].to_pylist(), mine["marks"].to_pylist(), strict=True))
        number = {kind: i for i, kind in enumerate(sorted(set(kinds)))}
        counts = CappedCounts(
            groups=list(group),
            caps=capping.caps(name),
            under=[capping.numbers(name, repo=repo, marks=marks) for repo, marks in number],
            group=np.array([group[g] for g in mine["group"].to_pylist()], np.int64),
            kind=np.array([number[kind] for kind in kinds], np.int64),
            bucket=mine["bucket"].to_numpy(),
            n_tokens=mine["n_tokens"].to_numpy(),
        )
        copies, shares = config.copies_of(wanted), (wanted.shares, wanted.max_frac)
        said = "balance.max_copies" if wanted.unimax is None else f"balance.{name}.unimax.max_epochs"
        pools[name] = CappedPool(counts, *shares, copies, wanted.parts, wanted.exponent, said)
    return pools


Rule = Callable[[Tables, int], tuple[pa.Table, np.ndarray, np.ndarray]]


def _entering(
    capping: Capping, ceilings: Mapping[str, np.ndarray], key: np.uint64, tables: Tables, shard: int
) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """The kept documents (group is null for all others, those over a cap too), their keys, the cap each is over."""
    table = read_kept(tables, shard)
    pools, keys = pools_of(table), keys_of(table, key=key)
    repo, marks = capping.under(tables, shard, pools)
    over = over_caps(capping, ceilings, pools=pools, repo=repo, marks=marks, bucket=buckets_of(keys))
    kept = table["group"].is_valid().to_numpy()
    over[~kept] = None
    enters = pa.array([cap is None for cap in over.tolist()])
    group = pc.if_else(enters, table["group"], pa.scalar(None, pa.string()))
    return table.set_column(2, "group", group), keys, over


def _list(
    tables: Tables, out: Channel, rule: Rule, quotas: Mapping[tuple[str, str], Quota], shard: int, _: None
) -> Outcome:
    """List the documents of the buckets in which a budget ends."""
    table, keys, _over = rule(tables, shard)
    ends = _per_document(table, quotas, field="bucket", missing=-1)
    rows = np.flatnonzero((buckets_of(keys) == ends) & table["group"].is_valid().to_numpy())
    listed = table.select(["pool", "group", "n_tokens"]).take(pa.array(rows))
    listed = listed.append_column("key", pa.array(keys[rows]))
    listed = listed.append_column("position", pa.array(positions(shard, rows)))
    return Outcome((out.scatter(shard, listed, partition=np.zeros(rows.size, np.int64)),), {"n_docs": rows.size})


def place_cuts(quotas: Mapping[tuple[str, str], Quota], listed: pa.Table) -> dict[tuple[str, str], Quota]:
    """Find, in each listed bucket, the document at which the budget ends and how much of it enters."""
    out = dict(quotas)
    coded = [one_chunk(listed[name]).dictionary_encode() for name in ("pool", "group")]
    names = [codes.dictionary.to_pylist() for codes in coded]
    of = [codes.indices.to_numpy() for codes in coded]
    key, position, n_tokens = columns(listed, "key", "position", "n_tokens")
    order = np.lexsort((position, key, of[1], of[0]))
    starts = np.flatnonzero(starts_run(of[0][order]) | starts_run(of[1][order]))
    for mine in np.split(order, starts[1:]) if order.size else ():
        name = names[0][of[0][mine[0]]], names[1][of[1][mine[0]]]
        quota = quotas[name]
        before = np.cumsum(n_tokens[mine]) - n_tokens[mine]
        ends = np.flatnonzero((before + n_tokens[mine] > quota.left) | (before == quota.left))
        if ends.size:
            at, left = mine[ends[0]], quota.left - int(before[ends[0]])
            out[name] = Quota(quota.group, quota.whole, quota.bucket, quota.left, int(key[at]), int(position[at]), left)
        else:
            out[name] = Quota(quota.group, quota.whole, quota.bucket + 1, 0)
    return out


def _plan(tables: Tables, rule: Rule, quotas: Mapping[tuple[str, str], Quota], shard: int, _: None) -> Outcome:
    """Each document's copies: the group's whole ones, one more before the cut, a truncated one at the cut."""
    table, keys, over = rule(tables, shard)
    own, bucket = positions(shard, np.arange(table.num_rows)), buckets_of(keys)
    whole = _per_document(table, quotas, field="whole", missing=0)
    ends = _per_document(table, quotas, field="bucket", missing=-1)
    cut_key = _per_document(table, quotas, field="cut_key", missing=0).astype(np.uint64)
    cut_position = _per_document(table, quotas, field="cut_position", missing=0).astype(np.uint64)
    cut_tokens = _per_document(table, quotas, field="cut_tokens", missing=0).astype(np.int64)
    before_cut = (bucket == ends) & ((keys < cut_key) | ((keys == cut_key) & (own < cut_position)))
    at_cut = (bucket == ends) & (keys == cut_key) & (own == cut_position)
    kept = table["group"].is_valid().to_numpy()
    n_copies = np.where(kept, whole + ((bucket < ends) | before_cut), 0).astype(np.int64)
    cut = np.where(kept & at_cut, cut_tokens, 0)
    n_tokens = table["n_tokens"].to_numpy()
    plan = pa.table(
        {
            "doc_id": table["doc_id"],
            "n_tokens": n_tokens,
            "n_copies": n_copies,
            "cut_tokens": cut,
            "over_cap": pa.array(over, pa.string()),
        },
        schema=BALANCE.schema,
    )
    counts = {"n_docs": plan.num_rows, "n_tokens": int((n_copies * n_tokens + cut).sum())}
    return Outcome((tables.write(BALANCE, shard, data=plan),), counts)


def _per_document(table: pa.Table, quotas: Mapping[tuple[str, str], Quota], *, field: str, missing: int) -> np.ndarray:
    """The quota's field for each document, `missing` where its group has no quota. Object math stays exact."""
    names = zip(table["pool"].to_pylist(), table["group"].to_pylist(), strict=True)
    values = [getattr(quotas[n], field) if n in quotas else missing for n in names]
    unsigned = field in ("cut_key", "cut_position")
    return np.array(values, np.uint64 if unsigned else np.int64)
