"""Select: choose the keepers and write every reason. The only stage that drops, and it drops by saying why.

First each document's own reasons: what ingest found, its language, its licence, the rules that fired. Then, among the
documents that no rule drops, the best of each group of equal documents is its champion; champions walk down the total
order (licence class, stars, newest revision, longer, doc_id) and one is dropped only for a kept near duplicate. So a
good copy is never lost to a bad one, and every keeper named in the ledger is itself kept.
"""

from collections import defaultdict
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, doc_words, one_chunk
from pipeline.arrays.keys import mix
from pipeline.arrays.runs import starts_run
from pipeline.config import Select
from pipeline.engine.exchange import Channel, first_position, positions, row_of, shard_of, spread
from pipeline.engine.markers import Marker, Outcome, add_counts
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.reasons import INGEST_PROBLEMS, in_order
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, OVERLAPS, QUALITY, SELECT
from pipeline.select.components import Components, Nodes, find, find_components
from pipeline.select.keepers import choose_keepers
from pipeline.select.licenses import CLASSES, license_class

# The total order of keepers, ascending is better. Licence first: it decides what may be used at all. Then stars and the
# newest revision, as OpenCoder chooses (arXiv 2411.04905); then length. The doc_id last, so that there are no ties.
ORDER = ("license_class", "stars", "revision_time", "n_bytes", "high", "low")
_FAR = np.iinfo(np.int64).max  # what is not said comes after all that is


class Selection(Select):
    """All that decides `select`."""

    n_pair_shards: int  # of `near_dups`
    min_similarity: float  # between members of crowds, whose pairs stand in no table


def select(job: Job, *, config: Selection) -> list[Marker]:
    """Write table `select`."""
    tables, n_shards, n = job.tables, job.tables.n_shards, config.n_partitions
    ends = job.channel("component", "end", n_sources=1, n_partitions=n_shards)
    groups = job.channel("component", n_sources=1, n_partitions=n)
    pairs = job.channel("component", "pair", n_sources=config.n_pair_shards, n_partitions=n, from_one=True)
    crowds = job.channel("component", "crowd", n_sources=config.n_pair_shards, n_partitions=n, from_one=True)
    offers = job.channel("offer", n_sources=n_shards, n_partitions=n)
    champions = job.channel("champion", n_sources=n, n_partitions=n)
    verdicts = job.channel("resolve", n_sources=n, n_partitions=n)
    answers = job.channel("answer", n_sources=n, n_partitions=n_shards)
    found = Components(tables, config.n_pair_shards, ends, groups, pairs, crowds)
    job.step("component", partial(find_components, found), items=1)
    job.step("offer", partial(_offer, tables, ends, offers, config), items=n_shards)
    job.step("champion", partial(_champion, offers, groups, champions), items=n)
    resolved = job.step(
        "resolve", partial(_resolve, champions, pairs, crowds, verdicts, n_shards, config.min_similarity), items=n
    )
    job.step("answer", partial(_answer, offers, verdicts, answers), items=n)
    return add_counts(job.step("", partial(_decide, tables, answers, config), items=n_shards), resolved)


def own_reasons(tables: Tables, shard: int, *, config: Select) -> dict[int, set[str]]:
    """By row, the reasons that need no other document; rows that nothing speaks against are left out."""
    documents = tables.read(DOCUMENTS, shard, columns=["license", "problem"])
    language = tables.read(LANGUAGES, shard, columns=["language"])["language"]
    fired = one_chunk(tables.read(QUALITY, shard, columns=["fired"])["fired"])
    reasons: dict[int, set[str]] = defaultdict(set)
    rules = fired.flatten().field("rule").to_pylist()
    for row, rule in zip(pc.list_parent_indices(fired).to_pylist(), rules, strict=True):
        reasons[row].add(rule)
    problems = documents["problem"]
    for row in np.flatnonzero(problems.is_valid().to_numpy()).tolist():
        reasons[row].add(problems[row].as_py())
    if config.drop_unknown:
        for row in np.flatnonzero(_is(language, "Unknown")).tolist():
            if not reasons.get(row, set()) & set(INGEST_PROBLEMS):  # where there was something to tell it from
                reasons[row].add("unknown_language")
    for row in np.flatnonzero(_is(language, *config.drop_languages)).tolist():
        reasons[row].add("dropped_language")
    overlaps = tables.read(OVERLAPS, shard, columns=["benchmark"])["benchmark"]
    for row in np.flatnonzero(overlaps.is_valid().to_numpy()).tolist():
        reasons[row].add("contaminated")
    dropped = [CLASSES[name] for name in config.drop_licenses]
    for row in np.flatnonzero(np.isin(_license_classes(documents["license"]), dropped)).tolist():
        reasons[row].add("dropped_license")
    return dict(reasons)


def _is(column: pa.ChunkedArray, *values: str) -> np.ndarray:
    found: np.ndarray = np.asarray(pc.is_in(column, value_set=pa.array(values, pa.string())))
    return found


def _license_classes(column: pa.ChunkedArray) -> np.ndarray:
    """The class of each licence, int64; each spelling is judged once."""
    coded = one_chunk(column).dictionary_encode()
    classes = np.array([license_class(x) for x in [*coded.dictionary.to_pylist(), None]], np.int64)
    numbers: np.ndarray = classes[pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy()]
    return numbers


def _offer(tables: Tables, ends: Channel, out: Channel, config: Select, shard: int, _: None) -> Outcome:
    """Send every document that has an equal or a near duplicate, with its order key, to its group's partition."""
    groups = tables.read(EXACT_DUPS, shard, columns=["group_position", "group_size"])
    group, size = columns(groups, "group_position", "group_size")
    paired = np.zeros(group.size, bool)
    paired[row_of(ends.gather(shard)["position"].to_numpy())] = True
    rows = np.flatnonzero(paired | (size > 1))  # whoever has no duplicate is decided by its own reasons alone
    passes = np.ones(group.size, bool)
    passes[list(own_reasons(tables, shard, config=config))] = False
    table = _order_keys(tables, shard).take(pa.array(rows))
    for name, values in (("group", group[rows]), ("position", positions(shard, rows)), ("passes", passes[rows])):
        table = table.append_column(name, pa.array(values))
    entry = out.scatter(shard, table, partition=spread(mix(group[rows]), out.n_partitions))
    return Outcome((entry,), {"n_docs": rows.size})


def _order_keys(tables: Tables, shard: int) -> pa.Table:
    """Columns of ORDER (ascending is better) and the doc_id, for each document of the shard."""
    documents = tables.read(DOCUMENTS, shard, columns=["doc_id", "license", "stars", "revision_time", "n_bytes"])
    high, low = doc_words(documents)
    return pa.table(
        {
            "license_class": _license_classes(documents["license"]),
            "stars": _descending(documents["stars"]),
            "revision_time": _descending(documents["revision_time"].cast(pa.int64())),
            "n_bytes": -documents["n_bytes"].to_numpy(),
            "high": high,
            "low": low,
            "doc_id": one_chunk(documents["doc_id"]),
        }
    )


def _descending(column: pa.ChunkedArray) -> np.ndarray:
    """The numbers negated, so that the largest comes first; a null comes last."""
    numbers: np.ndarray = pc.fill_null(column, -_FAR).to_numpy()
    return -numbers


def _champion(offers: Channel, groups: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """The best passing document of each group goes where its group's component is decided."""
    rows = offers.gather(partition)
    rows = rows.filter(rows["passes"])
    keys = columns(rows, *ORDER)
    order = np.lexsort((*reversed(keys), rows["group"].to_numpy()))
    first = starts_run(rows["group"].to_numpy()[order])
    best = rows.take(pa.array(order[first]))
    group = best["group"].to_numpy()
    paired, component = columns(groups.gather(partition), "group", "component")
    index, found = find(paired, np.argsort(paired), group)
    place = group.copy()
    place[found] = component[index[found]]
    return Outcome((out.scatter(partition, best, partition=spread(mix(place), out.n_partitions)),), {})


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

    Groups of equal shingle sets (similarity 1) are one node: what is near to one is as near to all of them.
    """
    rows = champions.gather(partition).combine_chunks()
    rows = rows.take(pa.array(np.lexsort(tuple(reversed(columns(rows, *ORDER))))))
    group = rows["group"].to_numpy()
    edges = pairs.gather(partition)
    nodes = Nodes.of(group, edges, crowds.gather(partition), first_earlier=first_position(n_shards))
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
    speaks = np.zeros(group.size, bool)
    speaks[np.unique(mine, return_index=True)[1]] = True
    keeper = chosen.keeper[mine]
    stays = keeper == mine
    similarity = np.where(stays, 1.0, chosen.similarity[mine])
    table = pa.table(
        {
            "group": group,
            "champion": rows["position"].to_numpy(),
            "kept": stays & speaks,
            "keeper_id": nodes.ids(rows["doc_id"]).take(pa.array(keeper)),
            "earlier": keeper < nodes.n_earlier,
            "similarity": similarity,
        }
    )
    counts = {
        "n_near": int((~(stays & speaks)).sum()),
        "n_crowd_compared": chosen.n_compared,
        "n_crowd_unlisted": chosen.n_unlisted,
    }
    return Outcome((out.scatter(partition, table, partition=spread(mix(group), out.n_partitions)),), counts)


def _answer(offers: Channel, verdicts: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """Tell each offered document its group's verdict; a group without champion has none."""
    members = offers.gather(partition).select(["group", "position"])
    verdict = verdicts.gather(partition).combine_chunks()
    groups = verdict["group"].to_numpy()
    index, has_verdict = find(groups, np.argsort(groups), members["group"].to_numpy())
    position = members["position"].to_numpy()[has_verdict]
    found = verdict.take(pa.array(index[has_verdict])).drop_columns(["group"])
    table = found.append_column("position", pa.array(position))
    return Outcome((out.scatter(partition, table, partition=shard_of(position)),), {})


def _decide(tables: Tables, answers: Channel, config: Select, shard: int, _: None) -> Outcome:
    """Join own reasons and verdicts into the shard of `select`."""
    ids = one_chunk(tables.read(DOCUMENTS, shard, columns=["doc_id"])["doc_id"])
    own = own_reasons(tables, shard, config=config)
    reasons = [own.get(row, set()) for row in range(len(ids))]
    keepers: list[str | None] = [None] * len(ids)
    similarities: list[float | None] = [None] * len(ids)
    answered = answers.gather(shard)
    rows = row_of(answered["position"].to_numpy()).tolist()
    for row, answer in zip(rows, answered.to_pylist(), strict=True):
        is_champion = answer["champion"] == answer["position"]
        if is_champion and answer["kept"]:
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
            "reasons": [in_order(r) if r else [] for r in reasons],
            "keeper_id": keepers,
            "similarity": similarities,
        },
        schema=SELECT.schema,
    )
    counts = {"n_docs": len(ids), "n_kept": sum(keep)}
    return Outcome((tables.write(SELECT, shard, data=table),), counts)
