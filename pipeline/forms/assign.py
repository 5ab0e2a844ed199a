"""Forms: which documents of code are filled in, as PSM or SPM, at exact rates.

The documents of a group are numbered in the keyed order in which the balance takes them, and number n is filled in if
that carries a running sum of the rate over a whole number. So of any first N documents of a group, those that the
budget takes among them, the share is exact to one document; drawing each by itself would miss it by the root of N.
Where the sum begins is drawn for each group: else the first document of every small one would be filled in, or of none.
"""

from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.arrays.columns import columns, doc_words, one_chunk
from pipeline.arrays.keys import keyed_hash
from pipeline.arrays.runs import starts_run
from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.forms.beside import beside, parts_and_places
from pipeline.forms.repositories import PLACED, place_files, placed_columns
from pipeline.forms.settings import Forming
from pipeline.forms.splits import LEAST_BYTES
from pipeline.schema import DOCUMENTS, FORMS, LANGUAGES, SELECT

FORM_NAMES = ("plain", "psm", "spm")
PLAIN, PSM, SPM = range(3)


def assign(job: Job, *, config: Forming) -> StepDone:
    """Write table `forms`."""
    tables, n_shards, n = job.tables, job.tables.n_shards, config.n_partitions
    offers = job.channel("offer", n_sources=n_shards, n_partitions=n)
    counts = job.channel("count", n_sources=n, n_partitions=1)
    begins = job.channel("begin", n_sources=1, n_partitions=n)
    answers = job.channel("number", n_sources=n, n_partitions=n_shards)
    placed = None if config.order is None else place_files(job, config=config)
    # The key of the balance: its order is the one in which the rate must hold.
    job.step("offer", partial(_offer, tables, placed, offers, job.key("balance")), items=n_shards)
    job.step("count", partial(_count, offers, counts), items=n)
    job.step("begin", partial(_begin, counts, begins), items=1)
    start = int(job.key("forms"))
    job.step("number", partial(_number, offers, begins, answers, config, start), items=n)
    return job.step("", partial(_write, tables, placed, answers), items=n_shards)


def _offer(tables: Tables, placed: Channel | None, out: Channel, key: np.uint64, shard: int, _: None) -> Outcome:
    """Send each document that could be filled in to the partition of its key."""
    kept = tables.read(SELECT, shard, columns=["keep"])["keep"].to_numpy()
    languages = tables.read(LANGUAGES, shard, columns=["doc_id", "pool", "group"])
    n_bytes = tables.read(DOCUMENTS, shard, columns=["n_bytes"])["n_bytes"].to_numpy()
    is_code = pc.equal(languages["pool"], "code").to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(kept & is_code & (n_bytes >= LEAST_BYTES))
    taken = languages.take(pa.array(rows))
    keys = keyed_hash(key, *doc_words(taken))
    if placed is not None:
        part, place = parts_and_places(placed_columns(placed.gather(shard), n_rows=languages.num_rows))
        keys = beside(keys, key, part[rows], place[rows])
    partition = spread(keys, out.n_partitions)
    table = pa.table({"group": taken["group"], "key": keys, "position": positions(shard, rows)})
    return Outcome((out.scatter(shard, table, partition=partition),), {"n_docs": rows.size})


def _count(offers: Channel, out: Channel, partition: int, _: None) -> Outcome:
    """Say how many documents of each group a partition has."""
    counted = offers.gather(partition).group_by("group", use_threads=False).aggregate([([], "count_all")])
    table = counted.sort_by("group").append_column("partition", pa.array(np.full(counted.num_rows, partition)))
    return Outcome((out.scatter(partition, table, partition=np.zeros(table.num_rows, np.int64)),), {})


def _begin(counts: Channel, out: Channel, _: int, __: None) -> Outcome:
    """Tell each partition how many documents of its groups stand in earlier ones: the one task that sees all, as a row
    for each group of each partition."""
    rows = counts.gather(0).sort_by([("group", "ascending"), ("partition", "ascending")])
    n, partition = columns(rows, "count_all", "partition")
    first = np.flatnonzero(starts_run(one_chunk(rows["group"]).dictionary_encode().indices.to_numpy()))
    earlier = np.cumsum(n) - n
    earlier -= np.repeat(earlier[first], np.diff([*first.tolist(), n.size]))
    return Outcome((out.scatter(0, pa.table({"group": rows["group"], "n": earlier}), partition=partition),), {})


def _number(
    offers: Channel, begins: Channel, out: Channel, config: Forming, seed: int, partition: int, _: None
) -> Outcome:
    """Number the documents of each group behind those of earlier partitions, and give each its form."""
    rows = offers.gather(partition)
    coded = one_chunk(rows["group"]).dictionary_encode()
    group = coded.indices.to_numpy()
    key, position = columns(rows, "key", "position")
    order = np.lexsort((position, key, group))
    first = np.flatnonzero(starts_run(group[order]))
    within = np.arange(order.size) - np.repeat(first, np.diff([*first.tolist(), order.size]))
    begun = begins.gather(partition)
    earlier = dict(zip(begun["group"].to_pylist(), begun["n"].to_pylist(), strict=True))
    names = coded.dictionary.to_pylist()
    number = within + np.array([earlier[name] for name in names], np.int64)[group[order]]
    starts = np.array([xxhash.xxh3_64_intdigest(name.encode(), seed=seed) for name in names], np.uint64)[group[order]]
    rates = Fraction(repr(config.fim_rate)), Fraction(repr(config.spm_rate))
    form = forms_of(number, starts, fim_rate=rates[0], spm_rate=rates[1])
    table = pa.table({"position": position[order], "form": form})
    entry = out.scatter(partition, table, partition=shard_of(position[order]))
    return Outcome((entry,), {"n_docs": order.size})


def forms_of(number: np.ndarray, start: np.ndarray, *, fim_rate: Fraction, spm_rate: Fraction) -> np.ndarray:
    """The form of the documents with these numbers in their group, int8 [n]; numbers count from 0.

    `start`: 64 random bits of the group, uint64 [n].
    """
    n_fim, is_fim = _carried(number, start & np.uint64(0xFFFFFFFF), fim_rate)
    _, is_spm = _carried(n_fim, start >> np.uint64(32), spm_rate)
    return np.where(is_fim, np.where(is_spm, SPM, PSM), PLAIN).astype(np.int8)


def _carried(number: np.ndarray, start: np.ndarray, rate: Fraction) -> tuple[np.ndarray, np.ndarray]:
    """How many of the numbers below each are chosen at `rate`, and whether it is; `start` is 32 bits."""
    up, down = rate.numerator, rate.denominator
    begun = start.astype(np.int64) % down
    below = (number * up + begun) // down
    return below, ((number + 1) * up + begun) // down > below


def _write(tables: Tables, placed: Channel | None, answers: Channel, shard: int, _: None) -> Outcome:
    doc_id = tables.read(LANGUAGES, shard, columns=["doc_id"])["doc_id"]
    form = np.zeros(len(doc_id), np.int64)
    answered = answers.gather(shard)
    form[row_of(answered["position"].to_numpy())] = answered["form"].to_numpy()
    rows = PLACED.empty_table() if placed is None else placed.gather(shard)
    columns = {"doc_id": doc_id, "form": pa.array(FORM_NAMES).take(pa.array(form))}
    table = pa.table(columns | placed_columns(rows, n_rows=len(doc_id)), schema=FORMS.schema)
    counts = {f"n_{name}": int((form == i).sum()) for i, name in enumerate(FORM_NAMES) if i != PLAIN}
    return Outcome((tables.write(FORMS, shard, data=table),), {"n_docs": len(doc_id), **counts})
