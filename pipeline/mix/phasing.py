"""Balance with phases: what each phase takes of each document, so that every one is exact by itself.

Phases choose one after another, the last first: annealing and long context are picky, and what they leave is still good
for the phases before them. A phase without tokens of its own chooses when all others have. Each counts what may enter
it and is left, meets its budgets as a mixture without phases does, and goes up the axis of `layers.py`.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel, positions
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.mix.balance import counts, place_cuts, refuse_empty, summed_up
from pipeline.mix.capping import Capping
from pipeline.mix.kept import buckets_of, keys_of, read_kept
from pipeline.mix.layers import Kept, Quotas, Taken, layered_quota, take
from pipeline.mix.phase_budgets import Held, PhasePools, budgets_of, say_unmet_phase, total_often
from pipeline.mix.quota import N_BUCKETS
from pipeline.mix.settings import Phasing
from pipeline.mix.tree import joined
from pipeline.phased import balance_of
from pipeline.phases import Phase
from pipeline.rules.judge import measured_values
from pipeline.rules.settings import columns_of
from pipeline.schema import PHASED_BALANCE, POOLS, QUALITY
from pipeline.targets import Balance

_KINDS = ("pool", "group", "used", "bucket")


def balance_phases(job: Job, *, config: Phasing) -> StepDone:
    """Write table `balance` with what each phase takes. ConfigError if a phase cannot be made of what is left to it."""
    tables, n_shards, key = job.tables, job.tables.n_shards, job.key("balance")
    everything = counts(job, "count", key=key, capping=Capping({}, {}))
    refuse_empty(tables, everything)
    taken: dict[int, Quotas] = {}
    given: dict[int, Mapping[str, Mapping[str, int]]] = {}
    for number in config.order:
        phase, wanted = config.phases[number], balance_of(config.balance, config.phases[number])
        seq_len = config.seq_lens[number] if phase.tokens is None else None
        state = partial(_state, config, key, dict(taken))
        counted = _count_left(job, number, state)
        before = tuple(config.phases[other].name for other in taken)
        pools = PhasePools(phase, wanted, {pool: _held(counted, pool=pool, wanted=wanted) for pool in POOLS}, before)
        given[number] = budgets_of(pools, seq_len=seq_len)
        for said in say_unmet_phase(pools, given[number], exact=config.balance.exact_shares):
            job.workplace.progress.say(said)
        quotas = {
            (pool, group): layered_quota(group, n, counts=pools.held[pool].by_layer(group))
            for pool in POOLS
            for group, n in given[number][pool].items()
        }
        step = f"list-{number}"
        listed = job.channel(step, n_sources=n_shards, n_partitions=1, by_source=True)
        job.step(step, partial(_list, tables, listed, state, number, quotas), items=n_shards)
        taken[number] = place_cuts(quotas, joined(job, step, listed, join=pa.concat_tables))
    for said in total_often(everything, given, limit=config.balance.max_group_epochs):
        job.workplace.progress.say(said)
    return job.step("", partial(_plan, tables, config, key, taken), items=n_shards)


def _held(counted: pa.Table, *, pool: str, wanted: Balance) -> Held:
    mine = counted.filter(pc.equal(counted["pool"], pool))
    copies = wanted.copies_of(wanted.code if pool == "code" else wanted.text)
    used, bucket, n_tokens = (mine[name].to_numpy() for name in ("used", "bucket", "n_tokens"))
    return Held(np.array(mine["group"].to_pylist(), object), used, bucket, n_tokens, copies, N_BUCKETS)


# --- of one shard ----------------------------------------------------------------------------------------------------


def _kept(tables: Tables, shard: int, config: Phasing, key: np.uint64) -> tuple[pa.Table, Kept]:
    """The documents of a shard as a table, and as arrays."""
    table = read_kept(tables, shard)
    pool, group = (table[name].combine_chunks().dictionary_encode() for name in ("pool", "group"))
    pools, groups = pool.dictionary.to_pylist(), group.dictionary.to_pylist()
    of_pool = pool.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    of_group = pc.fill_null(group.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    copies = {
        "code": config.balance.copies_of(config.balance.code),
        "text": config.balance.copies_of(config.balance.text),
    }
    keys = keys_of(table, key=key)
    kept = Kept(
        names=[(p, g) for p in pools for g in groups],
        name=np.where(of_group < 0, -1, of_pool * len(groups) + of_group),
        n_tokens=table["n_tokens"].to_numpy(),
        key=keys,
        bucket=buckets_of(keys),
        position=positions(shard, np.arange(table.num_rows)),
        most=np.array([copies[p] for p in pools], np.int64)[of_pool] if pools else np.zeros(0, np.int64),
    )
    return table, kept


def may_enter(phase: Phase, *, pool: np.ndarray, n_tokens: np.ndarray, quality: pa.Table) -> np.ndarray:
    """Which documents a phase takes at all, bool [n]. `quality` has the columns that it asks for."""
    may = n_tokens >= (phase.min_tokens or 0)
    for name in sorted({*phase.min_quality.code, *phase.min_quality.text}):
        values = measured_values(quality, name)
        for of in POOLS:
            if name in (least := phase.min_quality.of(of)):
                # What was not measured is NaN, and no limit lies below it.
                may &= (pool != of) | (values >= least[name])
    return np.asarray(may, bool)


def columns_asked(phases: tuple[Phase, ...]) -> tuple[str, ...]:
    """The columns of `quality` that phases ask for."""
    return columns_of(name for phase in phases for pool in POOLS for name in phase.min_quality.of(pool))


def _may(tables: Tables, shard: int, table: pa.Table, kept: Kept, phases: tuple[Phase, ...]) -> list[np.ndarray]:
    pool = np.array(table["pool"].to_pylist(), object)
    quality = tables.read(QUALITY, shard, columns=["doc_id", *columns_asked(phases)])
    return [may_enter(phase, pool=pool, n_tokens=kept.n_tokens, quality=quality) for phase in phases]


State = tuple[pa.Table, Kept, list[np.ndarray], np.ndarray, dict[int, Taken]]


def _state(config: Phasing, key: np.uint64, taken: Mapping[int, Quotas], tables: Tables, shard: int) -> State:
    """A shard after the phases `taken`, which stand in the order in which they chose: the copies that are used."""
    table, kept = _kept(tables, shard, config, key)
    may = _may(tables, shard, table, kept, config.phases)
    used = np.zeros(table.num_rows, np.int64)
    found: dict[int, Taken] = {}
    for number, quotas in taken.items():
        found[number] = take(kept, quotas, may=may[number], used=used)
        used = used + found[number].used
    return table, kept, may, used, found


def _count_left(job: Job, number: int, state: "partial[State]") -> pa.Table:
    """Tokens that may enter a phase and are not used up, by pool, group, copies that are used, bucket of the key."""
    n_shards, step = job.tables.n_shards, f"count-{number}"
    histograms = job.channel(step, n_sources=n_shards, n_partitions=1, by_source=True)
    job.step(step, partial(_count, job.tables, histograms, state, number), items=n_shards)
    return summed_up(job, step, histograms, kinds=_KINDS)


def _count(tables: Tables, out: Channel, state: "partial[State]", number: int, shard: int, _: None) -> Outcome:
    table, kept, may, used, _found = state(tables, shard)
    counted = may[number] & (kept.name >= 0) & (used < kept.most)
    table = table.select(["pool", "group", "n_tokens"])
    table = table.append_column("used", pa.array(used)).append_column("bucket", pa.array(kept.bucket))
    sums = table.filter(pa.array(counted)).group_by(_KINDS, use_threads=False).aggregate([("n_tokens", "sum")])
    sums = sums.sort_by([(name, "ascending") for name in _KINDS])
    return Outcome((out.scatter(shard, sums, partition=np.zeros(sums.num_rows, np.int64)),), {})


def _list(
    tables: Tables, out: Channel, state: "partial[State]", number: int, quotas: Quotas, shard: int, _: None
) -> Outcome:
    """List the documents of the layers and buckets in which budgets end."""
    table, kept, may, used, _found = state(tables, shard)
    of = [quotas.get(name) for name in kept.names]
    layer = np.array([-1 if q is None else q.whole for q in of] or [-1], np.int64)[np.maximum(kept.name, 0)]
    end = np.array([-1 if q is None else q.bucket for q in of] or [-1], np.int64)[np.maximum(kept.name, 0)]
    rows = np.flatnonzero(may[number] & (kept.name >= 0) & (used <= layer) & (kept.bucket == end))
    listed = table.select(["pool", "group", "n_tokens"]).take(pa.array(rows))
    listed = listed.append_column("key", pa.array(kept.key[rows]))
    listed = listed.append_column("position", pa.array(kept.position[rows]))
    return Outcome((out.scatter(shard, listed, partition=np.zeros(rows.size, np.int64)),), {"n_docs": rows.size})


def _plan(tables: Tables, config: Phasing, key: np.uint64, taken: dict[int, Quotas], shard: int, _: None) -> Outcome:
    """Each document's copies and truncated copies, of all phases together and of each."""
    table, kept, _may_enter, _used, found = _state(config, key, taken, tables, shard)
    copies, cuts = (
        np.stack([getattr(found[n], field) for n in range(len(config.phases))], axis=1)
        for field in ("n_copies", "cut_tokens")
    )
    n_copies, cut = copies.sum(axis=1), cuts.sum(axis=1)
    n_tokens = kept.n_tokens
    columns = {
        "doc_id": table["doc_id"],
        "n_tokens": n_tokens,
        "n_copies": n_copies,
        "cut_tokens": cut,
        "over_cap": pa.nulls(table.num_rows, pa.string()),
        "phase_copies": _lists(copies),
        "phase_cut_tokens": _lists(cuts),
    }
    data = pa.table(columns, schema=PHASED_BALANCE.schema)
    done = {"n_docs": data.num_rows, "n_tokens": int((n_copies * n_tokens + cut).sum())}
    return Outcome((tables.write(PHASED_BALANCE, shard, data=data),), done)


def _lists(values: np.ndarray) -> pa.ListArray:
    """One list for each row of `values`, [n, n_phases]."""
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values.shape[1]
    kind = PHASED_BALANCE.schema.field("phase_copies").type
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)), type=kind)
