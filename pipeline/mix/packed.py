"""Pack: cut and fit the planned tokens into sequences, put both pools in one balanced stream, write its shards.

Only lengths and positions travel; each token moves once, from the mapped shard of `tokens` that holds it into its
place in a packed shard. Each pool's stream is cut into segments of time, independent packing problems that hold each
copy of a document where `epochs.py` says; their sequences, in keyed order, follow each other, and the two pools are
merged so that every prefix is balanced.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import columns, doc_words, one_chunk
from pipeline.arrays.keys import keyed_hash
from pipeline.engine.done import StepDone
from pipeline.engine.exchange import Channel, positions
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.errors import ConfigError
from pipeline.forms.beside import beside
from pipeline.mix.epochs import segment_of
from pipeline.mix.packed_shard import write_shard
from pipeline.mix.packing import best_fit
from pipeline.mix.piece_ids import MappedIds, PieceIds, RoutedIds, route
from pipeline.mix.piece_runs import bounded, planned_runs
from pipeline.mix.pieces import IMPORT_COUNTS, count_imports, pieces_of, united
from pipeline.mix.places import read_places
from pipeline.mix.placing import SegmentedStream, add_up, begin, number_pieces
from pipeline.mix.planned import planned, shared
from pipeline.mix.rest import fill, waiting
from pipeline.mix.settings import Packing, PhasePacking
from pipeline.schema import LANGUAGES, PACKED, POOLS

# What is known of a piece, beside where it stands.
_PIECE = ("position", "high", "low", "group", "offset", "length", "joins")


def pack(job: Job, *, config: Packing | PhasePacking) -> StepDone:
    """Write the shards of `packed`, phase by phase where the mixture has phases.

    Raises ConfigError where copies cannot stay out of one global batch, StageError if the balance promise could not be
    kept.
    """
    if isinstance(config, Packing):
        placed = _fit_all(job, config=config, phase=None)
        return _counted(job.step("", placed.write, items=config.n_shards), [placed])
    phases = []
    for phase, (packing, folder) in enumerate(zip(config.packings, config.folders, strict=True)):
        inner = job.within(folder.rpartition("/")[2])
        phases.append(replace(_fit_all(inner, config=packing, phase=phase), folder=folder))
    shards = [(phase, shard) for phase in phases for shard in range(phase.config.n_shards)]
    return _counted(job.step("", _write_of_phase, items=shards), phases)


@dataclass(frozen=True)
class _Placed:
    """Sequences whose pieces all have their places: what writes their shards."""

    ids: PieceIds
    placed: Channel
    config: Packing
    counts: dict[str, int]  # of the steps before
    folder: str = PACKED

    def write(self, shard: int, _: None) -> Outcome:
        return write_shard(self.ids, self.placed, self.config, shard, self.folder)


def _write_of_phase(_: int, item: tuple[_Placed, int]) -> Outcome:
    placed, shard = item
    return placed.write(shard, None)


def _fit_all(job: Job, *, config: Packing, phase: int | None) -> _Placed:
    """Fit what the plan, or one phase of it, takes into sequences and give each its place in the stream."""
    tables, n_shards, key = job.tables, job.tables.n_shards, job.key("pack")
    counted = job.step("copies", partial(_copies, tables, phase), items=n_shards)
    # As often as documents do appear, which may be less than they may: each segment costs some room at its end.
    most = {f"{pool}_copies": counted.most[pool] for pool in POOLS}
    n_copies = max(most.values())
    # A copy in another phase is one more: only in segments has a document the same place in both, an epoch apart.
    for pool in POOLS:
        if counted.counts.get(f"{pool}_shared"):
            most[f"{pool}_copies"] = max(2, most[f"{pool}_copies"])
    config = config.model_copy(update=most)
    n = sum(config.segments)
    runs = job.channel("lengths", n_sources=n_shards, n_partitions=n)
    fitted = job.channel("segment", n_sources=n, n_partitions=1, by_source=True)
    sizes = job.channel("segment", "sizes", n_sources=n, n_partitions=1, by_source=True)
    sums = job.channel("segment", "sums", n_sources=n, n_partitions=1)
    rest = job.channel("segment", "rest", n_sources=n, n_partitions=len(POOLS))
    # What was left of a pool is cut by the segments behind which it stands, and placed together with them.
    filled = job.channel("fill", n_sources=len(POOLS), n_partitions=n)
    filled_sizes = job.channel("fill", "sizes", n_sources=len(POOLS), n_partitions=n)
    filled_sums = job.channel("fill", "sums", n_sources=len(POOLS), n_partitions=1)
    begins = job.channel("begin", n_sources=1, n_partitions=n)
    placed = job.channel("number", n_sources=n, n_partitions=config.n_shards)
    job.step("lengths", partial(_lengths, tables, runs, config, key, phase), items=n_shards)
    fits = job.step("segment", partial(_fit, runs, (fitted, sizes, sums, rest), config, key), items=n)
    job.step("fill", partial(_fill, rest, (filled, filled_sizes, filled_sums), config), items=len(POOLS))
    begun = job.step("begin", partial(begin, sums, filled_sums, begins, config), items=1)
    n_sequences = begun.counts["n_sequences"]
    _refuse_batch(config, n_sequences=n_sequences, n_copies=n_copies)
    per_shard = max(1, -(-n_sequences // config.n_shards))
    asked = None
    if not tables.store.is_local:  # a server answers slowly to a million small questions: there the ids travel
        asked = job.channel("number", "asked", n_sources=n, n_partitions=n_shards)
    stream = SegmentedStream(fitted, filled, sizes, filled_sizes, begins, config)
    job.step("number", partial(number_pieces, stream, placed, asked, per_shard), items=n)
    ids: PieceIds = MappedIds(tables)
    if asked is not None:
        routed = job.channel("tokens", n_sources=n_shards, n_partitions=config.n_shards)
        job.step("tokens", partial(route, tables, asked, routed, per_shard), items=n_shards)
        ids = RoutedIds(routed)
    return _Placed(ids, placed, config, fits.counts)


def _counted(made: StepDone, placed: list[_Placed]) -> StepDone:
    """What is done of the shards with what was counted of imports, so that the manifest has it."""
    named = [name for name in IMPORT_COUNTS if any(name in one.counts for one in placed)]
    found = {name: sum(one.counts.get(name, 0) for one in placed) for name in named}
    made.counts |= found
    return made


def _copies(tables: Tables, phase: int | None, shard: int, _: None) -> Outcome:
    """How often a document of each pool appears at most, a truncated copy counted; 1 where none does."""
    plan = planned(tables, shard, phase=phase)
    n_copies, cut = columns(plan, "n_copies", "cut_tokens")
    pool = tables.read(LANGUAGES, shard, columns=["pool"])["pool"]
    total, mine = n_copies + (cut > 0), {name: np.asarray(pc.equal(pool, name)) for name in POOLS}
    counts = {name: int(total[mine[name]].max(initial=1)) for name in POOLS}
    if phase is not None:
        both = shared(tables, shard, phase=phase)
        counts |= {f"{name}_shared": int((both & mine[name]).sum()) for name in POOLS}
    return Outcome((), counts)


def _refuse_batch(config: Packing, *, n_sequences: int, n_copies: int) -> None:
    """Raise ConfigError if two copies of a document could stand in one global batch."""
    apart = n_sequences // (2 * n_copies)  # the least that copies are apart: see SEGMENTS
    if config.global_batch is not None and n_copies > 1 and config.global_batch > apart:
        raise ConfigError(
            f"pack.global_batch: {config.global_batch:,} sequences could hold a document twice: of {n_sequences:,} "
            f"sequences, in which documents stand up to {n_copies} times, copies are {apart:,} apart at least; lower "
            "it to that, or the copies"
        )


def _lengths(
    tables: Tables, out: Channel, config: Packing, key: np.uint64, phase: int | None, shard: int, _: None
) -> Outcome:
    """One row for each run of tokens, most often a copy of a document: its keyed hash, position, number, first token,
    length, id, group."""
    plan = planned(tables, shard, phase=phase)
    languages = tables.read(LANGUAGES, shard, columns=["pool", "group"])
    n_tokens, n_copies, cut = columns(plan, "n_tokens", "n_copies", "cut_tokens")
    if tables.store.is_local:
        MappedIds(tables).check(shard, n_tokens)
    runs = bounded(planned_runs(plan), tables, shard, config=config)
    row, copy, total = runs.row, runs.copy, n_copies + (cut > 0)
    high, low = (words[row] for words in doc_words(plan))
    keys = keyed_hash(key, high, low, copy.astype(np.uint64))
    of_doc = keyed_hash(key, high, low)
    place, imports = np.full(row.size, -1, np.int64), None
    if config.joins:
        repos = read_places(tables, shard).take(row)
        place, imports = repos.place, repos.imports
        keys = beside(keys, key, repos.part, place, copy.astype(np.uint64))
        of_doc = beside(of_doc, key, repos.part, place)
    is_text = np.asarray(pc.equal(languages["pool"], "text"))[row]
    n_code = config.segments[0]
    in_code, in_text = (segment_of(of_doc, copy, total[row], of=of) for of in config.segments)
    table = pa.table(
        {
            "key": keys,
            "position": positions(shard, row),
            "copy": copy,
            "offset": runs.offset,
            "length": runs.length,
            "high": high,
            "low": low,
            "group": one_chunk(languages["group"]).take(pa.array(row)),
            "place": place,
            "is_whole": runs.length == n_tokens[row],
        }
    )
    if imports is not None:
        table = table.append_column("imports", imports)
    entry = out.scatter(shard, table, partition=np.where(is_text, n_code + in_text, in_code))
    return Outcome((entry,), {"n_tokens": int(runs.length.sum())})


def _fit(
    runs: Channel,
    outs: tuple[Channel, Channel, Channel, Channel],
    config: Packing,
    key: np.uint64,
    number: int,
    _: None,
) -> Outcome:
    """Fit one segment's runs into sequences, which stand in the keyed order of a hash of their number.

    `outs`: for the pieces, the sizes of sequences, what these sum up to, and the emptiest ones, piece by piece.
    """
    out, sizes, sums, rest = outs
    rows = runs.gather(number)
    pieces = pieces_of(rows, seq_len=config.seq_len, joins=config.joins)
    counts = count_imports(rows, pieces) if config.joins else {}
    n = pieces.of_units
    of_unit, first, n_sequences = best_fit(n, seq_len=config.seq_len)
    sequence, start = of_unit[pieces.unit], first[pieces.unit] + pieces.within
    n_real = np.bincount(of_unit, weights=n, minlength=n_sequences).astype(np.int64)
    waits = waiting(n_real, seq_len=config.seq_len)
    own = rows.select(["position", "high", "low", "group"]).take(pa.array(pieces.run))
    for name in ("offset", "length", "joins", "unit", "within"):
        own = own.append_column(name, pa.array(getattr(pieces, name)))
    # longest first would put all long documents at the beginning of the stream: shuffle the sequences
    hashes = keyed_hash(key, np.arange(n_sequences, dtype=np.uint64), np.full(n_sequences, number))
    shuffled = np.argsort(hashes)
    shuffled = shuffled[~waits[shuffled]]
    place = np.full(n_sequences, -1, np.int64)
    place[shuffled] = np.arange(shuffled.size)
    pool = int(number >= config.segments[0])
    left = np.flatnonzero(waits[sequence])
    segment = np.full(left.size, number - pool * config.segments[0])
    lefts = own.take(pa.array(left)).append_column("segment", pa.array(segment))
    here = np.flatnonzero(~waits[sequence])
    own = own.select(list(_PIECE)).take(pa.array(here))
    own = own.append_column("sequence", pa.array(place[sequence[here]]))
    own = own.append_column("start", pa.array(start[here]))
    files = (
        out.scatter(number, own, partition=np.zeros(here.size, np.int64)),
        sizes.scatter(number, _sizes(n_real[shuffled]), partition=np.zeros(shuffled.size, np.int64)),
        add_up(sums, number, np.full(shuffled.size, number), n_real[shuffled]),
        rest.scatter(number, lefts, partition=np.full(left.size, pool)),
    )
    return Outcome(files, {"n_sequences": shuffled.size, "n_pieces": here.size, **counts})


def _fill(rest: Channel, outs: tuple[Channel, Channel, Channel], config: Packing, pool: int, _: None) -> Outcome:
    """Fit what the segments of one pool could not fill into sequences that stand behind some of them.

    `outs`: for the pieces and the sizes, both by those segments, and for what these sum up to.
    """
    out, sizes, sums = outs
    rows = rest.gather(pool)
    rows = rows.take(pa.array(np.argsort(rows["segment"].to_numpy(), kind="stable")))
    segment, length, high, low, within = columns(rows, "segment", "length", "high", "low", "within")
    unit = united(segment, rows["unit"].to_numpy())
    n = np.bincount(unit, weights=length).astype(np.int64)
    docs: list[list[tuple[int, int]]] = [[] for _ in range(n.size)]
    for of, doc in zip(unit.tolist(), zip(high.tolist(), low.tolist(), strict=True), strict=True):
        docs[of].append(doc)
    of_units = np.empty(n.size, np.int64)
    of_units[unit] = segment
    found = fill(of_units, n, docs, seq_len=config.seq_len, patience=config.patience[pool])
    n_real = np.bincount(found.sequence, weights=n, minlength=found.segment.size).astype(np.int64)
    behind = found.segment + pool * config.segments[0]
    in_time = np.argsort(behind, kind="stable")
    place = np.empty(n_real.size, np.int64)  # among those behind the same segment
    place[in_time] = np.arange(n_real.size) - np.searchsorted(behind[in_time], behind[in_time])
    sequence = found.sequence[unit]
    own = rows.select(list(_PIECE)).append_column("sequence", pa.array(place[sequence]))
    own = own.append_column("start", pa.array(found.start[unit] + within))
    files = (
        out.scatter(pool, own, partition=behind[sequence]),
        sizes.scatter(pool, _sizes(n_real), partition=behind),
        add_up(sums, pool, behind, n_real),
    )
    return Outcome(files, {"n_sequences": n_real.size, "n_pieces": length.size})


def _sizes(n_real: np.ndarray) -> pa.Table:
    """Tokens of sequences, in the order of the stream."""
    return pa.table({"n_real": n_real})
