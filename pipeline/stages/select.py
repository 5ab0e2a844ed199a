"""Select: choose the keepers and write every reason. The only stage that drops, and it drops by saying why.

First each document's own reasons: what ingest found, its language, its licence, the rules that fired. Then, among the
documents that no rule drops, the best of each group of equal documents is its champion; champions walk down the total
order (licence class, stars, newest revision, longer, doc_id) and one is dropped only for a kept near duplicate. So a
good copy is never lost to a bad one, and every keeper named in the ledger is itself kept.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.columns import columns, doc_words
from pipeline.config import Select
from pipeline.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.schema import DECISIONS, NEAR_DUPS
from pipeline.stage import Job, Marker, Outcome
from pipeline.store import Tables, part
from pipeline.text.keepers import choose_keepers
from pipeline.text.keys import mix
from pipeline.text.licenses import CLASSES, license_class
from pipeline.text.reasons import INGEST_PROBLEMS, in_order
from pipeline.text.runs import starts_run

ORDER = ("license_class", "stars", "revision_time", "n_bytes", "high", "low")  # ascending is better
_FAR = np.iinfo(np.int64).max


def select(job: Job, *, config: Select, n_pair_shards: int) -> list[Marker]:
    """Write table `decisions`. `n_pair_shards` is the number of shards of `near_dups`."""
    tables, n_shards, n = job.tables, job.tables.n_shards, config.n_partitions
    ends = job.channel("ends", n_sources=n_pair_shards, n_partitions=n_shards)
    offers = job.channel("offer", n_sources=n_shards, n_partitions=n)
    champions = job.channel("champion", n_sources=n, n_partitions=1)
    verdicts = job.channel("resolve", n_sources=1, n_partitions=n)
    answers = job.channel("answer", n_sources=n, n_partitions=n_shards)
    job.step("ends", partial(_ends, tables, ends), items=n_pair_shards)
    job.step("offer", partial(_offer, tables, ends, offers, config), items=n_shards)
    job.step("champion", partial(_champion, offers, champions), items=n)
    job.step("resolve", partial(_resolve, tables, champions, verdicts, n_pair_shards), items=1)
    job.step("answer", partial(_answer, offers, verdicts, answers), items=n)
    return job.step("", partial(_decide, tables, answers, config), items=n_shards)


def own_reasons(tables: Tables, shard: int, *, config: Select) -> list[set[str]]:
    """Each document's reasons that need no other document."""
    documents = tables.read("documents", shard, columns=["license", "problem"])
    languages = tables.read("languages", shard, columns=["language"])["language"].to_pylist()
    fired = tables.read("quality", shard, columns=["fired"])["fired"].to_pylist()
    classes = {CLASSES[name] for name in config.drop_licenses}
    dropped = set(config.drop_languages)
    out = []
    for problem, license_id, language, rules in zip(
        documents["problem"].to_pylist(), documents["license"].to_pylist(), languages, fired, strict=True
    ):
        reasons = {f["rule"] for f in rules}
        if problem is not None:
            reasons.add(problem)
        if config.drop_unknown and language == "Unknown" and not reasons & set(INGEST_PROBLEMS):
            reasons.add("unknown_language")  # where there was something to tell it from
        if language in dropped:
            reasons.add("dropped_language")
        if license_class(license_id) in classes:
            reasons.add("dropped_license")
        out.append(reasons)
    return out


def _ends(tables: Tables, out: Channel, shard: int, _: None) -> Outcome:
    """Tell each shard which of its documents appear in a verified pair."""
    name = f"tables/near_dups/{part(shard, out.n_sources)}"
    pairs = tables.store.read_parquet(name, schema=NEAR_DUPS, columns=["position", "other_position"])
    ends = np.unique(np.concatenate(columns(pairs, "position", "other_position")))
    return Outcome((out.scatter(shard, pa.table({"position": ends}), partition=shard_of(ends)),), {})


def _offer(tables: Tables, ends: Channel, out: Channel, config: Select, shard: int, _: None) -> Outcome:
    """Send every document that has an equal or a near duplicate, with its order key, to its group's partition."""
    groups = tables.read("exact_dups", shard, columns=["group_position", "group_size"])
    group, size = columns(groups, "group_position", "group_size")
    paired = np.zeros(group.size, bool)
    paired[row_of(ends.gather(shard)["position"].to_numpy())] = True
    rows = np.flatnonzero(paired | (size > 1))
    passes = np.array([not r for r in own_reasons(tables, shard, config=config)], bool)[rows]
    table = _order_keys(tables, shard).take(pa.array(rows))
    for name, values in (("group", group[rows]), ("position", positions(shard, rows)), ("passes", passes)):
        table = table.append_column(name, pa.array(values))
    entry = out.scatter(shard, table, partition=spread(mix(group[rows]), out.n_partitions))
    return Outcome((entry,), {"n_docs": rows.size})


def _order_keys(tables: Tables, shard: int) -> pa.Table:
    """Columns of ORDER (ascending is better) and the doc_id, for each document of the shard."""
    documents = tables.read("documents", shard, columns=["doc_id", "license", "stars", "revision_time", "n_bytes"])
    high, low = doc_words(documents)
    newest = documents["revision_time"].cast(pa.int64()).to_pylist()
    return pa.table(
        {
            "license_class": np.array([license_class(x) for x in documents["license"].to_pylist()], np.int64),
            "stars": np.array([_FAR if x is None else -x for x in documents["stars"].to_pylist()], np.int64),
            "revision_time": np.array([_FAR if x is None else -x for x in newest], np.int64),
            "n_bytes": -documents["n_bytes"].to_numpy(),
            "high": high,
            "low": low,
            "doc_id": documents["doc_id"].combine_chunks(),
        }
    )


def _champion(offers: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """The best passing document of each group."""
    rows = offers.gather(partition)
    rows = rows.filter(rows["passes"])
    keys = columns(rows, *ORDER)
    order = np.lexsort((*reversed(keys), rows["group"].to_numpy()))
    first = starts_run(rows["group"].to_numpy()[order])
    best = rows.take(pa.array(order[first]))
    return Outcome((out.scatter(partition, best, partition=np.zeros(best.num_rows, np.int64)),), {})


def _resolve(tables: Tables, champions: Channel, out: Channel, n_pair_shards: int, _: int, __: None) -> Outcome:
    """Walk all champions down the total order; a group stays or goes to the most similar group that stays."""
    rows = champions.everything().combine_chunks()
    rows = rows.take(pa.array(np.lexsort(tuple(reversed(columns(rows, *ORDER))))))
    group = rows["group"].to_numpy()
    names = [f"tables/near_dups/{part(i, n_pair_shards)}" for i in range(n_pair_shards)]
    pairs = pa.concat_tables(tables.store.read_parquet(name, schema=NEAR_DUPS) for name in names)
    left, right, similarity = columns(pairs, "position", "other_position", "similarity")
    by_group = np.argsort(group)
    a, has_a = _find(group, by_group, left)
    b, has_b = _find(group, by_group, right)
    both = has_a & has_b
    keeper, best = choose_keepers(group.size, a[both], b[both], similarity=similarity[both])
    kept = keeper == np.arange(group.size)
    table = pa.table(
        {
            "group": group,
            "champion": rows["position"].to_numpy(),
            "kept": kept,
            "keeper_id": rows["doc_id"].take(pa.array(keeper)),
            "similarity": np.where(kept, 1.0, best),
        }
    )
    return Outcome(
        (out.scatter(0, table, partition=spread(mix(group), out.n_partitions)),), {"n_near": int((~kept).sum())}
    )


def _find(values: np.ndarray, order: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index of each wanted value in `values` (argsort `order`), and whether it is there."""
    if values.size == 0:
        return np.zeros(wanted.size, np.int64), np.zeros(wanted.size, bool)
    place = np.minimum(np.searchsorted(values, wanted, sorter=order), values.size - 1)
    index = order[place]
    return index, values[index] == wanted


def _answer(offers: Channel, verdicts: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """Tell each offered document its group's verdict; a group without champion has none."""
    members = offers.gather(partition).select(["group", "position"])
    verdict = verdicts.gather(partition).combine_chunks()
    groups = verdict["group"].to_numpy()
    index, known = _find(groups, np.argsort(groups), members["group"].to_numpy())
    position = members["position"].to_numpy()[known]
    found = verdict.take(pa.array(index[known])).drop_columns(["group"])
    table = found.append_column("position", pa.array(position))
    return Outcome((out.scatter(partition, table, partition=shard_of(position)),), {})


def _decide(tables: Tables, answers: Channel, config: Select, shard: int, _: None) -> Outcome:
    """Join own reasons and verdicts into the shard of `decisions`."""
    ids = tables.read("documents", shard, columns=["doc_id"])["doc_id"].to_pylist()
    reasons = own_reasons(tables, shard, config=config)
    keepers: list[str | None] = [None] * len(ids)
    similarities: list[float | None] = [None] * len(ids)
    for answer in answers.gather(shard).to_pylist():
        row = answer["position"] & 0xFFFFFFFF
        is_champion = answer["champion"] == answer["position"]
        if is_champion and answer["kept"]:
            continue
        if not is_champion:
            reasons[row].add("exact_duplicate")
        if not answer["kept"]:
            reasons[row].add("near_duplicate")
        keepers[row], similarities[row] = answer["keeper_id"], answer["similarity"]
    keep = [not r for r in reasons]
    table = pa.table(
        {
            "doc_id": ids,
            "keep": keep,
            "reasons": [in_order(r) for r in reasons],
            "keeper_id": keepers,
            "similarity": similarities,
        },
        schema=DECISIONS,
    )
    counts = {"n_docs": len(ids), "n_kept": sum(keep)}
    return Outcome((tables.write("decisions", shard, data=table),), counts)
