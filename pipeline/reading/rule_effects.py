"""What rules do to a finished run: each by reason and language, beside all others, with documents to look at.

The rules of any mixture can be put to what a run measured, so a moved limit or another set shows its effect without any
work on text; so can what its `select` shuts out (`select_effects.py`). What is neither (duplicates, ingest) stays as
the run decided it: a document whose keeper would go now stays a duplicate here, and only a new run chooses another.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words, one_chunk
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.config import Select
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.errors import ConfigError
from pipeline.features import EXTRA
from pipeline.filters import Quality, Rule
from pipeline.reading.select_effects import ShutOut, shut_out_anew
from pipeline.reading.work import Span, Work
from pipeline.reasons import REASONS
from pipeline.rules.judge import FeaturesOfShard, judge
from pipeline.rules.judged import judged_documents
from pipeline.rules.meanings import meanings
from pipeline.rules.resolve import rules_of
from pipeline.rules.settings import columns_for
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, LEDGER, QUALITY

N_EXAMPLES = 10  # of each reason: what one reads in a minute


@dataclass(frozen=True)
class RuleEffect:
    """One reason in one language: documents and bytes that its rules hit; of these those that no other rule hits
    (`beyond`); and of these those that nothing else keeps out either (`alone`): they would come back without it."""

    reason: str
    language: str
    n_docs: int
    n_bytes: int
    n_beyond_docs: int
    n_beyond_bytes: int
    n_alone_docs: int
    n_alone_bytes: int


@dataclass(frozen=True)
class RuleExample:
    """A document that a reason hits; `alone` as above. Its text: `loopmix why RUN DOC_ID --text`."""

    reason: str
    doc_id: str
    path: str
    language: str
    value: float
    alone: bool


@dataclass(frozen=True)
class RuleEffects:
    """All rules of a mixture on a run. Bytes are of documents; `dropped` and `restored` are against the run itself."""

    effects: tuple[RuleEffect, ...]  # in the order of the rules, then the most bytes first
    examples: tuple[RuleExample, ...]
    n_docs: int
    n_kept_docs: int  # by the run
    n_kept_bytes: int
    n_dropped_docs: int  # kept by the run, and hit now
    n_dropped_bytes: int
    n_restored_docs: int  # kept out by what is judged anew alone, and hit by none of it now
    n_restored_bytes: int


@dataclass(frozen=True)
class _Shard:
    """What one shard says: of every reason where it hits and what was measured, and what the run decided."""

    ledger: pa.Table
    mask: dict[str, np.ndarray]
    value: dict[str, np.ndarray]
    otherwise: np.ndarray  # kept out by what is no rule
    group: np.ndarray | None  # of equal documents; None where nothing can come back

    @property
    def n_hits(self) -> np.ndarray:
        return np.asarray(np.sum([*self.mask.values(), np.zeros(self.ledger.num_rows, np.int64)], axis=0))


_Candidate = tuple[bool, int, RuleExample]  # not alone, key: the smallest are shown


@dataclass
class _EffectCounts:
    """What is counted of shards, and of each reason the few documents that are shown."""

    sums: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)  # by reason and language
    found: dict[str, list[_Candidate]] = field(default_factory=dict)
    totals: np.ndarray = field(default_factory=lambda: np.zeros(7, np.int64))
    restored_groups: set[int] = field(default_factory=set)

    def add(self, shard: _Shard) -> None:
        """Count one shard."""
        self.totals = self.totals + _totals(shard, self.restored_groups)
        n_hits = shard.n_hits
        for reason, mask in shard.mask.items():
            beyond = mask & (n_hits == 1)
            alone = beyond & ~shard.otherwise
            for language, counts in _by_language(shard, (mask, beyond, alone)):
                self._sum(reason, language, counts)
            self._choose(reason, _candidates(shard, reason, alone))

    def update(self, other: _EffectCounts) -> None:
        """Add what another has counted by the rules of a run itself, of which nothing comes back."""
        self.totals = self.totals + other.totals
        for (reason, language), counts in other.sums.items():
            self._sum(reason, language, counts)
        for reason, candidates in other.found.items():
            self._choose(reason, candidates)

    def effects(self, order: Sequence[str]) -> RuleEffects:
        """All of it, in the order of the rules."""
        effects = [RuleEffect(reason, language, *map(int, row)) for (reason, language), row in self.sums.items()]
        effects.sort(key=lambda e: (order.index(e.reason), -e.n_bytes, e.language))
        examples = tuple(example for reason in order for _, _, example in self.found.get(reason, ()))
        return RuleEffects(tuple(effects), examples, *map(int, self.totals))

    def _sum(self, reason: str, language: str, counts: np.ndarray) -> None:
        self.sums[reason, language] = self.sums.get((reason, language), np.zeros(6, np.int64)) + counts

    def _choose(self, reason: str, candidates: Iterable[_Candidate]) -> None:
        every = [*self.found.get(reason, ()), *candidates]
        self.found[reason] = heapq.nsmallest(N_EXAMPLES, every, key=lambda c: c[:2])


_LEDGER = ["doc_id", "path", "language", "n_bytes", "keep", "reasons", "fired"]


def own_effects(run: RunFiles, work: Work) -> RuleEffects:
    """What the rules of the run did in it, by its ledger alone: texts and measured numbers may be gone."""
    order = [reason for reason in meanings(run.mixture.quality) if reason not in REASONS]
    counts = _EffectCounts()
    for found in work.each(partial(_own, run.tables, order), work.shards(run), name="report.rules"):
        counts.update(found)
    return counts.effects(order)


def _own(tables: Tables, order: Sequence[str], span: Span) -> _EffectCounts:
    counts = _EffectCounts()
    for shard in span.items:
        counts.add(_decided(tables.read(LEDGER, shard, columns=_LEDGER), order))
    return counts


def effects_of(run: RunFiles, quality: Quality, select: Select | None = None) -> RuleEffects:
    """Put the rules of `quality` to what `run` measured, and what `select` shuts out otherwise than the run did.

    Raises ConfigError for a rule that asks for a number that the run did not measure.
    """
    rules = rules_of(quality)
    _refuse_unmeasured(run, rules)
    anew = shut_out_anew(run, select or run.mixture.select)
    own = set(meanings(run.mixture.quality)) - REASONS.keys() | set(anew.reasons)
    counts = _EffectCounts()
    for number in range(run.n_shards):
        counts.add(_judged(run, number, rules, own, anew))
    return counts.effects(list(dict.fromkeys((*anew.reasons, *(rule.reason for rule in rules)))))


def _refuse_unmeasured(run: RunFiles, rules: Sequence[Rule]) -> None:
    asked = {c.feature for rule in rules for c in (rule, *rule.when) if c.feature.startswith(EXTRA)}
    if not asked:
        return
    known: set[str] = set()
    for table in run.shards(QUALITY, columns=["extra"]):
        known |= set(one_chunk(table["extra"]).keys.unique().to_pylist())
    if missing := sorted(name for name in asked if name.removeprefix(EXTRA) not in known):
        raise ConfigError(f"{missing[0]}: the run did not measure it; curate with the plug-in or scorer that makes it")


def _decided(ledger: pa.Table, order: Sequence[str]) -> _Shard:
    """A shard by the rules of the run itself."""
    fired = one_chunk(ledger["fired"])
    rows = np.asarray(pc.list_parent_indices(fired))
    rule, value = fired.flatten().flatten()
    mask: dict[str, np.ndarray] = {}
    values: dict[str, np.ndarray] = {}
    for reason in order:
        mine = np.flatnonzero(np.asarray(pc.equal(rule, reason)))
        if mine.size:
            mask[reason], values[reason] = np.zeros(len(fired), bool), np.zeros(len(fired))
            mask[reason][rows[mine]] = True
            values[reason][rows[mine]] = value.to_numpy()[mine]
    return _Shard(ledger, mask, values, _kept_out(one_chunk(ledger["reasons"]), set(order)), None)


def _judged(run: RunFiles, number: int, rules: Sequence[Rule], own: set[str], anew: ShutOut) -> _Shard:
    """A shard by other rules; `own` are the reasons of the run that are judged anew."""
    read = run.tables.read
    asked = sorted({"is_blank", *columns_for(rules)})
    documents = read(DOCUMENTS, number, columns=["problem", "content_hash"])
    measured = judged_documents(
        documents, read(LANGUAGES, number, columns=["pool", "language"]), read(QUALITY, number, columns=asked)
    )
    ledger = read(LEDGER, number, columns=_LEDGER)
    reasons = one_chunk(ledger["reasons"])
    group = read(EXACT_DUPS, number, columns=["group_position"])["group_position"].to_numpy()
    mask, value = _hits(rules, measured)
    shut, by_others = anew.of(run.tables, number, reasons, group.astype(np.int64))
    value |= {reason: np.ones(hit.size) for reason, hit in shut.items()}  # it is so: no number was measured
    return _Shard(ledger, mask | shut, value, _kept_out(reasons, own) | by_others, group)


def _hits(rules: Sequence[Rule], measured: FeaturesOfShard) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Of every reason where any of its rules hits, and what the first that hits measured."""
    mask: dict[str, np.ndarray] = {}
    value: dict[str, np.ndarray] = {}
    for fired in judge(rules, measured):
        if fired.reason in mask:
            value[fired.reason] = np.where(mask[fired.reason], value[fired.reason], fired.value)
            mask[fired.reason] = mask[fired.reason] | fired.mask
        else:
            mask[fired.reason], value[fired.reason] = fired.mask, fired.value
    return mask, value


def _kept_out(reasons: pa.ListArray, of_rules: set[str]) -> np.ndarray:
    """Documents with a reason that is no rule."""
    is_rule = pc.is_in(reasons.flatten(), value_set=pa.array(sorted(of_rules), pa.string()))
    found = np.zeros(len(reasons), bool)
    found[np.asarray(pc.list_parent_indices(reasons))[~np.asarray(is_rule)]] = True
    return found


def _totals(shard: _Shard, restored_groups: set[int]) -> np.ndarray:
    """The counts of RuleEffects, in its order. Of equal documents that come back one is counted, whichever shard it
    is in: `restored_groups` are those seen before.
    """
    hit, keep = shard.n_hits > 0, np.asarray(shard.ledger["keep"])
    n_bytes = shard.ledger["n_bytes"].to_numpy()
    dropped, restored = keep & hit, ~keep & ~hit & ~shard.otherwise
    if shard.group is not None:
        for row in np.flatnonzero(restored).tolist():
            restored[row] = int(shard.group[row]) not in restored_groups
            restored_groups.add(int(shard.group[row]))
    pairs = [(mask.sum(), n_bytes[mask].sum()) for mask in (keep, dropped, restored)]
    return np.array([keep.size, *(n for pair in pairs for n in pair)], np.int64)


def _by_language(shard: _Shard, masks: Sequence[np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    rows = np.flatnonzero(masks[0])
    hit = shard.ledger.select(["language", "n_bytes"]).take(pa.array(rows))
    names, codes = np.unique(np.array(hit["language"].to_pylist(), np.str_), return_inverse=True)
    columns = []
    for mask in masks:
        mine = mask[rows].astype(np.int64)
        for weight in (mine, mine * hit["n_bytes"].to_numpy()):
            column = np.zeros(names.size, np.int64)
            np.add.at(column, codes, weight)  # exact: `bincount` adds weights as floats
            columns.append(column)
    yield from zip(names.tolist(), np.array(columns).T, strict=True)


def _candidates(shard: _Shard, reason: str, alone: np.ndarray) -> Iterator[_Candidate]:
    """The documents of smallest key, those that the reason alone drops first."""
    rows = np.flatnonzero(shard.mask[reason])
    hit = shard.ledger.select(["doc_id", "path", "language"]).take(pa.array(rows))
    keys = keyed_hash(stage_key(0, f"example {reason}"), *doc_words(hit))
    for k in np.lexsort((keys, ~alone[rows]))[:N_EXAMPLES].tolist():
        is_alone, value = bool(alone[rows[k]]), float(shard.value[reason][rows[k]])
        doc_id, path, language = (hit[name][k].as_py() for name in ("doc_id", "path", "language"))
        yield not is_alone, int(keys[k]), RuleExample(reason, doc_id, path, language, value, is_alone)
