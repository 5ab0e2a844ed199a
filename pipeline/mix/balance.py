"""Balance: decide to the token which documents enter, how often, and which one of each group is cut.

A group is a language family (code) or a source (text). Documents of a group stand in a keyed random order; the budget
takes whole copies from its start and cuts one document where it ends. To find that place without listing every
document, shards first count tokens in buckets of the key; only the bucket in which a group's budget ends is listed.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.arrays.keys import keyed_hash
from pipeline.config import Balance, PoolBalance
from pipeline.engine.exchange import Channel, positions
from pipeline.engine.markers import Marker, Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.errors import ConfigError
from pipeline.mix.budget import allocate, pool_budgets
from pipeline.mix.feasible import why_dropped
from pipeline.mix.pool import Pool
from pipeline.schema import BALANCE, LANGUAGES, POOLS, SELECT, TOKENS

# 4,096 buckets of the key: a shard counts that many numbers for each group, and of a million documents of a group about
# 250 stand in the bucket in which its budget ends.
BUCKET_BITS = 12


@dataclass(frozen=True)
class Quota:
    """How a group's budget falls on its documents: `whole` copies of all, then more of those before the cut."""

    group: str
    whole: int
    bucket: int  # the bucket in which the budget ends; 2**BUCKET_BITS: nothing beyond the whole copies
    left: int  # tokens to take from that bucket
    cut_key: int = 0  # documents before (cut_key, cut_position) get one copy more
    cut_position: int = 0
    cut_tokens: int = 0  # of the document at the cut


def balance(job: Job, *, config: Balance) -> list[Marker]:
    """Write table `plan`. ConfigError if the wanted mixture cannot be made from what is there."""
    tables, n_shards = job.tables, job.tables.n_shards
    key = job.key("balance")
    histograms = job.channel("count", n_sources=n_shards, n_partitions=1)
    listed = job.channel("list", n_sources=n_shards, n_partitions=1)
    job.step("count", partial(_count, tables, histograms, key), items=n_shards)
    counted = histograms.everything()
    _refuse_empty(tables, counted)
    quotas = quotas_of(counted, config=config)
    job.step("list", partial(_list, tables, listed, key, quotas), items=n_shards)
    quotas = place_cuts(quotas, listed.everything())
    return job.step("", partial(_plan, tables, key, quotas), items=n_shards)


def read_kept(tables: Tables, shard: int) -> pa.Table:
    """doc_id, pool, group, n_tokens of each document of a shard; group is null where it was dropped."""
    languages = tables.read(LANGUAGES, shard, columns=["doc_id", "pool", "group"])
    keep = tables.read(SELECT, shard, columns=["keep"])["keep"]
    group = pc.if_else(keep, languages["group"], pa.scalar(None, pa.string()))
    n_tokens = tables.read(TOKENS, shard, columns=["n_tokens"])["n_tokens"]
    return languages.set_column(2, "group", group).append_column("n_tokens", n_tokens)


def _keys(table: pa.Table, key: np.uint64) -> np.ndarray:
    return keyed_hash(key, *doc_words(table))


def _count(tables: Tables, out: Channel, key: np.uint64, shard: int, _: None) -> Outcome:
    """Tokens per pool, group and bucket of the key."""
    table = read_kept(tables, shard)
    bucket = (_keys(table, key) >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)
    table = table.append_column("bucket", pa.array(bucket)).filter(table["group"].is_valid())
    sums = table.group_by(["pool", "group", "bucket"]).aggregate([("n_tokens", "sum")])
    sums = sums.sort_by([("pool", "ascending"), ("group", "ascending"), ("bucket", "ascending")])
    entry = out.scatter(shard, sums, partition=np.zeros(sums.num_rows, np.int64))
    return Outcome((entry,), {"n_docs": table.num_rows})


def _refuse_empty(tables: Tables, counted: pa.Table) -> None:
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


def quotas_of(histograms: pa.Table, *, config: Balance) -> dict[tuple[str, str], Quota]:
    """The budget of each (pool, group) and the bucket in which it ends."""
    sums = histograms.group_by(["pool", "group", "bucket"]).aggregate([("n_tokens_sum", "sum")])
    buckets: dict[tuple[str, str], dict[int, int]] = {}
    for row in sums.to_pylist():
        buckets.setdefault((row["pool"], row["group"]), {})[row["bucket"]] = row["n_tokens_sum_sum"]
    pools = {
        name: _pool(name, buckets, wanted=wanted, max_copies=config.max_copies)
        for name, wanted in (("code", config.code), ("text", config.text))
    }
    budgets = pool_budgets(pools["code"], pools["text"], total=config.total_tokens)
    quotas = {}
    for name, budget in zip(("code", "text"), budgets, strict=True):
        for group, n_tokens in allocate(pools[name], budget).items():
            quotas[name, group] = _quota(group, n_tokens, counts=buckets[name, group])
    return quotas


def _pool(name: str, buckets: dict[tuple[str, str], dict[int, int]], *, wanted: PoolBalance, max_copies: int) -> Pool:
    available = {group: sum(counts.values()) for (pool, group), counts in sorted(buckets.items()) if pool == name}
    return Pool(available, wanted.shares, wanted.max_frac, max_copies, wanted.parts)


def _quota(group: str, n_tokens: int, *, counts: dict[int, int]) -> Quota:
    whole, left = divmod(n_tokens, sum(counts.values()))
    # Up the buckets of the key: documents enter in keyed order until the budget is used up.
    for bucket, held in sorted(counts.items()):
        if left == 0:
            break
        if left <= held:
            return Quota(group, whole, bucket, left)
        left -= held
    return Quota(group, whole, 2**BUCKET_BITS if left else -1, 0)


def _list(
    tables: Tables, out: Channel, key: np.uint64, quotas: dict[tuple[str, str], Quota], shard: int, _: None
) -> Outcome:
    """List the documents of the buckets in which a budget ends."""
    table = read_kept(tables, shard)
    keys = _keys(table, key)
    ends = _per_document(table, quotas, field="bucket", missing=-1)
    at_end = (keys >> np.uint64(64 - BUCKET_BITS)).astype(np.int64) == ends
    rows = np.flatnonzero(at_end & table["group"].is_valid().to_numpy())
    listed = table.select(["pool", "group", "n_tokens"]).take(pa.array(rows))
    listed = listed.append_column("key", pa.array(keys[rows]))
    listed = listed.append_column("position", pa.array(positions(shard, rows)))
    return Outcome((out.scatter(shard, listed, partition=np.zeros(rows.size, np.int64)),), {"n_docs": rows.size})


def place_cuts(quotas: dict[tuple[str, str], Quota], listed: pa.Table) -> dict[tuple[str, str], Quota]:
    """Find, in each listed bucket, the document at which the budget ends and how much of it enters."""
    rows: dict[tuple[str, str], list[tuple[int, int, int]]] = {}
    for r in listed.to_pylist():
        rows.setdefault((r["pool"], r["group"]), []).append((r["key"], r["position"], r["n_tokens"]))
    out = dict(quotas)
    for name, found in rows.items():
        quota = quotas[name]
        left = quota.left
        for key, position, n_tokens in sorted(found):
            if left < n_tokens or left == 0:
                out[name] = Quota(quota.group, quota.whole, quota.bucket, quota.left, key, position, left)
                break
            left -= n_tokens
        else:
            out[name] = Quota(quota.group, quota.whole, quota.bucket + 1, 0)
    return out


def _plan(tables: Tables, key: np.uint64, quotas: dict[tuple[str, str], Quota], shard: int, _: None) -> Outcome:
    """Each document's copies: the group's whole ones, one more before the cut, a truncated one at the cut."""
    table = read_kept(tables, shard)
    keys, own = _keys(table, key), positions(shard, np.arange(table.num_rows))
    whole = _per_document(table, quotas, field="whole", missing=0)
    bucket = (keys >> np.uint64(64 - BUCKET_BITS)).astype(np.int64)
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
        },
        schema=BALANCE.schema,
    )
    counts = {"n_docs": plan.num_rows, "n_tokens": int((n_copies * n_tokens + cut).sum())}
    return Outcome((tables.write(BALANCE, shard, data=plan),), counts)


def _per_document(table: pa.Table, quotas: dict[tuple[str, str], Quota], *, field: str, missing: int) -> np.ndarray:
    """The quota's field for each document, `missing` where its group has no quota. Object math stays exact."""
    names = zip(table["pool"].to_pylist(), table["group"].to_pylist(), strict=True)
    values = [getattr(quotas[n], field) if n in quotas else missing for n in names]
    unsigned = field in ("cut_key", "cut_position")
    return np.array(values, np.uint64 if unsigned else np.int64)
