"""Select: choose the keepers and write every reason. The only stage that drops, and it drops by saying why.

First each document's own reasons (`own_reasons.py`). What is judged of its words (its licence, a benchmark's item)
holds for all documents of equal bytes or equal words. Then, among the documents that nothing speaks against, the best
of each group of equal documents is its champion; champions walk down the total order and one is dropped only for a kept
near duplicate. So a good copy is never lost to a bad one, and every keeper named in the ledger is itself kept.
"""

from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, doc_words, one_chunk
from pipeline.arrays.keys import mix
from pipeline.arrays.names import name_hashes
from pipeline.arrays.runs import starts_run
from pipeline.config import Select
from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel, first_position, positions, row_of, shard_of, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.reasons import JUDGEMENTS, in_order
from pipeline.schema import DOCUMENTS, EXACT_DUPS, SELECT
from pipeline.select.components import find, find_components
from pipeline.select.keepers import choose_keepers, components, unite
from pipeline.select.licenses import UNKNOWN
from pipeline.select.losses import count_losses, refuse_losses, sum_losses
from pipeline.select.nodes import Nodes
from pipeline.select.own_reasons import judgements, own_reasons
from pipeline.select.paths import path_classes
from pipeline.select.settings import Selection
from pipeline.select.shut_out import license_classes

# The total order of keepers, ascending is better. Licence first: it decides what may be used at all. Then a source
# before what was built, copied or generated from it. Then stars and the newest revision, as OpenCoder chooses (arXiv
# 2411.04905); then length. The doc_id last, so that there are no ties.
ORDER = ("license_class", "path_class", "stars", "revision_time", "n_bytes", "high", "low")
_FAR = np.iinfo(np.int64).max  # what is not said comes after all that is
_LICENSE_BIT = np.uint8(1 << JUDGEMENTS.index("dropped_license"))


def select(job: Job, *, config: Selection) -> StepDone:
    """Write table `select`."""
    tables, n_shards, n = job.tables, job.tables.n_shards, config.n_partitions
    offers = job.channel("offer", n_sources=n_shards, n_partitions=n)
    champions = job.channel("champion", n_sources=n, n_partitions=n)
    verdicts = job.channel("resolve", n_sources=n, n_partitions=n)
    answers = job.channel("answer", n_sources=n, n_partitions=n_shards)
    found = find_components(job, config=config)
    job.step("offer", partial(_offer, tables, found.ends, offers, config), items=n_shards)
    job.step("champion", partial(_champion, offers, found.groups, champions), items=n)
    resolve = partial(_resolve, champions, found.pairs, found.crowds, verdicts, n_shards, config.min_similarity)
    resolved = job.step("resolve", resolve, items=n)
    job.step("answer", partial(_answer, offers, verdicts, answers), items=n)
    decided = job.step("", partial(_decide, tables, answers, config), items=n_shards)
    losses = job.channel("loss", n_sources=n_shards, n_partitions=n)
    wiped = job.channel("sum", n_sources=n, n_partitions=1)
    job.step("loss", partial(count_losses, tables, answers, losses), items=n_shards)
    summed = job.step("sum", partial(sum_losses, losses, wiped, config.max_loss), items=n)
    refuse_losses(wiped.everything(), config, n_counted=summed.counts["n_counted"])
    return decided.count_too(resolved, summed)


def _offer(tables: Tables, ends: Channel, out: Channel, config: Selection, shard: int, _: None) -> Outcome:
    """Send every document that has an equal or a near duplicate, with its order key, to its group's partition."""
    groups = tables.read(EXACT_DUPS, shard, columns=["group_position", "group_size"])
    group, size = columns(groups, "group_position", "group_size")
    paired = np.zeros(group.size, bool)
    paired[row_of(ends.gather(shard)["position"].to_numpy())] = True
    rows = np.flatnonzero(paired | (size > 1))  # whoever has no duplicate is decided by its own reasons alone
    reasons = own_reasons(tables, shard, config=config, benchmarks=config.benchmarks, drops=config.drops)
    passes = np.ones(group.size, bool)
    passes[list(reasons)] = False
    table = _order_keys(tables, shard, rows)
    license_class = table["license_class"].to_numpy()
    judged = judgements([reasons.get(row, set()) for row in rows.tolist()], license_class)
    more = {
        "group": group[rows],
        "position": positions(shard, rows),
        "passes": passes[rows],
        "judged": judged,
        "states": _states(license_class, judged, config),
    }
    table = _with(table, **more)
    entry = out.scatter(shard, table, partition=spread(mix(group[rows]), out.n_partitions))
    return Outcome((entry,), {"n_docs": rows.size})


def _states(license_class: np.ndarray, judged: np.ndarray, config: Select) -> np.ndarray:
    """Who states a licence that may enter, under which all of its equals may be had."""
    if config.license_of_equals == "strictest":
        return np.zeros(judged.size, bool)
    states: np.ndarray = (license_class != UNKNOWN) & (judged & _LICENSE_BIT == 0)
    return states


def _with(table: pa.Table, **new: np.ndarray | pa.Array) -> pa.Table:
    """The table with more columns."""
    for name, values in new.items():
        table = table.append_column(name, pa.array(values))
    return table


def _order_keys(tables: Tables, shard: int, rows: np.ndarray) -> pa.Table:
    """Columns of ORDER (ascending is better) and the doc_id, for these rows of the shard."""
    names = ["doc_id", "repo", "path", "license", "stars", "revision_time", "n_bytes"]
    documents = tables.read(DOCUMENTS, shard, columns=names).take(pa.array(rows))
    high, low = doc_words(documents)
    return pa.table(
        {
            "license_class": license_classes(documents["license"]),
            "path_class": path_classes(documents["path"].to_pylist()),
            "stars": _descending(documents["stars"]),
            "revision_time": _descending(documents["revision_time"].cast(pa.int64())),
            "n_bytes": -documents["n_bytes"].to_numpy(),
            "high": high,
            "low": low,
            "doc_id": one_chunk(documents["doc_id"]),
            "repo": name_hashes(documents["repo"]),
        }
    )


def _descending(column: pa.ChunkedArray) -> np.ndarray:
    """The numbers negated, so that the largest comes first; a null comes last."""
    numbers: np.ndarray = pc.fill_null(column, -_FAR).to_numpy()
    return -numbers


def _champion(offers: Channel, groups: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """The best passing document of each group goes where its group's component is decided, with the group's judgement.

    Where nobody passes, what was judged is said all the same: documents of equal words may stand in other groups.
    """
    rows = offers.gather(partition).combine_chunks()
    rows = rows.take(pa.array(np.lexsort((*reversed(columns(rows, *ORDER)), rows["group"].to_numpy()))))
    starts = starts_run(rows["group"].to_numpy())
    number, passes = np.cumsum(starts) - 1, np.asarray(rows["passes"])
    judged, states, judge_id = _united(number, rows, one_chunk(rows["doc_id"]))
    first_passing = np.full(judged.size, passes.size)
    np.minimum.at(first_passing, number[passes], np.flatnonzero(passes))
    has_champion = first_passing < passes.size
    best = np.where(has_champion, first_passing, np.flatnonzero(starts))
    sent = np.flatnonzero(has_champion | (judged > 0) | states)
    table = rows.take(pa.array(best[sent])).drop_columns(["judged", "states"])
    judge_id = judge_id.take(pa.array(sent))
    table = _with(table, judged=judged[sent], states=states[sent], judge_id=judge_id)
    group = table["group"].to_numpy()
    paired, component = columns(groups.gather(partition), "group", "component")
    index, found = find(paired, np.argsort(paired), group)
    place = group.copy()
    place[found] = component[index[found]]
    return Outcome((out.scatter(partition, table, partition=spread(mix(place), out.n_partitions)),), {})


def _united(number: np.ndarray, rows: pa.Table, doc_id: pa.Array) -> tuple[np.ndarray, np.ndarray, pa.Array]:
    """What holds for each class, numbered from 0: the judgements on its rows as bits, whether one states a licence that
    may enter, and the doc_id of the first that was judged.
    """
    n, judged = int(number.max(initial=-1)) + 1, rows["judged"].to_numpy()
    bits, states, first = np.zeros(n, np.uint8), np.zeros(n, bool), np.full(n, number.size)
    np.bitwise_or.at(bits, number, judged)
    np.logical_or.at(states, number, np.asarray(rows["states"]))
    mine = np.flatnonzero(judged)
    np.minimum.at(first, number[mine], mine)
    return bits, states, doc_id.take(pa.array(first, mask=first == number.size))


def _resolve(
    champions: Channel,
    pairs: Channel,
    crowds: Channel,
    out: Channel,
    n_shards: int,
    min_similarity: float,
    partition: int,
    _: None,
) -> Outcome:
    """Walk the champions of whole components down the total order; each stays or goes to the most similar that stays.

    Groups of equal shingle sets (similarity 1) are one node: what is near to one is as near to all of them, and what is
    judged of one is judged of all.
    """
    rows = champions.gather(partition).combine_chunks()
    rows = rows.take(pa.array(np.lexsort(tuple(reversed(columns(rows, *ORDER))))))
    edges, first_earlier = pairs.gather(partition), first_position(n_shards)
    judged, judge_id = _judged_alike(rows, edges, first_earlier=first_earlier)
    stands = np.flatnonzero(np.asarray(rows["passes"]) & (judged == 0))
    decided, counts = _walked(
        rows.take(pa.array(stands)), edges, crowds.gather(partition), first_earlier, min_similarity
    )
    group = rows["group"].to_numpy()
    place = np.full(group.size, -1)
    place[stands] = np.arange(stands.size)
    table = decided.take(pa.array(place, mask=place < 0))  # nulls for a group that was judged out
    table = _with(table, group=group, judged=judged, judge_id=judge_id)
    return Outcome((out.scatter(partition, table, partition=spread(mix(group), out.n_partitions)),), counts)


def _walked(
    rows: pa.Table, edges: pa.Table, crowd: pa.Table, first_earlier: np.uint64, min_similarity: float
) -> tuple[pa.Table, dict[str, int]]:
    """What becomes of each champion, and counts; `rows` are the champions in total order."""
    nodes = Nodes.of(rows["group"].to_numpy(), edges, crowd, first_earlier=first_earlier)
    chosen = choose_keepers(
        nodes.n,
        nodes.left,
        nodes.right,
        similarity=nodes.similarity,
        n_earlier=nodes.n_earlier,
        crowd=nodes.crowd,
        min_similarity=min_similarity,
    )
    mine = nodes.of_group  # the node of each champion's group; the first champion of a node speaks for it
    first = np.unique(mine, return_index=True)[1]
    speaks = np.zeros(mine.size, bool)
    speaks[first] = True
    keeper = chosen.keeper[mine]
    earlier = keeper < nodes.n_earlier
    repo = rows["repo"].to_numpy()[first[np.where(earlier, 0, keeper - nodes.n_earlier)]] if mine.size else mine
    kept = (keeper == mine) & speaks
    decided = pa.table(
        {
            "champion": rows["position"].to_numpy(),
            "kept": kept,
            "keeper_id": nodes.ids(rows["doc_id"]).take(pa.array(keeper)),
            "keeper_repo": pa.array(repo.astype(np.uint64), mask=earlier),
            "earlier": earlier,
            "similarity": np.where(keeper == mine, 1.0, chosen.similarity[mine]),
        }
    )
    counts = {
        "n_near": int((~kept).sum()),
        "n_crowd_compared": chosen.n_compared,
        "n_crowd_unlisted": chosen.n_unlisted,
    }
    return decided, counts


def _judged_alike(rows: pa.Table, edges: pa.Table, *, first_earlier: np.uint64) -> tuple[np.ndarray, pa.Array]:
    """For each group the judgements on all groups of equal words, and the doc_id of one that was judged."""
    group = rows["group"].to_numpy()
    left, right, similarity = columns(edges, "position", "other_position", "similarity")
    equal = (similarity == 1.0) & (right < first_earlier)
    every = np.unique(np.concatenate((group, left[equal], right[equal])))
    parent = np.arange(every.size)
    unite(parent, np.searchsorted(every, left[equal]), np.searchsorted(every, right[equal]))
    number = components(parent)[np.searchsorted(every, group)]
    judged, states, judge_id = _united(number, rows, one_chunk(rows["judge_id"]))
    judged[states] &= ~_LICENSE_BIT
    return judged[number], judge_id.take(pa.array(number))


def _answer(offers: Channel, verdicts: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """Tell each offered document its group's verdict; a group without champion or judgement has none."""
    members = offers.gather(partition).select(["group", "position", "repo"])
    verdict = verdicts.gather(partition).combine_chunks()
    groups = verdict["group"].to_numpy()
    index, has_verdict = find(groups, np.argsort(groups), members["group"].to_numpy())
    members = members.take(pa.array(np.flatnonzero(has_verdict)))
    table = verdict.take(pa.array(index[has_verdict])).drop_columns(["group"])
    position = members["position"].to_numpy()
    table = _with(table, position=position, repo=members["repo"].to_numpy())
    return Outcome((out.scatter(partition, table, partition=shard_of(position)),), {})


def _decide(tables: Tables, answers: Channel, config: Selection, shard: int, _: None) -> Outcome:
    """Join own reasons and verdicts into the shard of `select`."""
    ids = one_chunk(tables.read(DOCUMENTS, shard, columns=["doc_id"])["doc_id"])
    own = own_reasons(tables, shard, config=config, benchmarks=config.benchmarks, drops=config.drops)
    reasons = [own.get(row, set()) for row in range(len(ids))]
    keepers: list[str | None] = [None] * len(ids)
    similarities: list[float | None] = [None] * len(ids)
    judges: list[str | None] = [None] * len(ids)
    answered = answers.gather(shard)
    rows = row_of(answered["position"].to_numpy()).tolist()
    for row, answer in zip(rows, answered.to_pylist(), strict=True):
        shared = {name for bit, name in enumerate(JUDGEMENTS) if answer["judged"] >> bit & 1} - reasons[row]
        if shared:
            reasons[row] |= shared
            judges[row] = answer["judge_id"]
        is_champion = answer["champion"] == answer["position"]
        if answer["champion"] is None or (is_champion and answer["kept"]):
            continue
        if not is_champion:
            reasons[row].add("exact_duplicate")
        if not answer["kept"]:
            reasons[row].add("known_duplicate" if answer["earlier"] else "near_duplicate")
        keepers[row], similarities[row] = answer["keeper_id"], answer["similarity"]
    keep = [not r for r in reasons]
    table = pa.table(
        {
            "doc_id": ids,
            "keep": keep,
            "reasons": [in_order(r, rules=config.rules) if r else [] for r in reasons],
            "keeper_id": keepers,
            "similarity": similarities,
            "judged_id": pa.array(judges, pa.string()),
        },
        schema=SELECT.schema,
    )
    counts = {"n_docs": len(ids), "n_kept": sum(keep)}
    return Outcome((tables.write(SELECT, shard, data=table),), counts)
