"""Everything the report says, as one tree of frozen data. Terminal, page and report.json show nothing else.

Fractions lie in [0, 1]. "Before" is measured in bytes, because dropped documents are never tokenized; "kept" counts the
tokens of what passed, each document once; "after" the tokens of the packed stream, repeats included. Nothing here
depends on the clock but `Work`, which repeats what the manifest holds: one run, one report.
"""

import json
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from pipeline.reading.rule_effects import RuleEffects
from pipeline.reading.unread import Unread
from pipeline.report.concentration import Concentration
from pipeline.report.forms import FormGroup
from pipeline.report.language_decisions import LanguageDecisions
from pipeline.report.privacy import PrivacyCounts
from pipeline.report.repositories import RepositoryDocuments
from pipeline.report.signing import Identity, RunRecord, SigningCounts
from pipeline.report.stream_numbers import PhaseStream, SequencePacking, StreamMix, TokenBalance
from pipeline.report.syntax import ParsedLanguage
from pipeline.report.training import Training

Level = Literal["fail", "warn", "note"]


@dataclass(frozen=True)
class Totals:
    """The whole run in one row. A kept document can stay out of the mixture: the balance may not need it."""

    n_docs: int
    n_bytes: int
    n_kept_docs: int
    n_kept_bytes: int
    n_kept_tokens: int
    n_packed_docs: int
    n_packed_bytes: int  # of the documents that enter, each once and whole
    n_packed_tokens: int
    n_cut_docs: int  # enter truncated, because a budget ends inside them
    n_secret_docs: int  # hold something that looks like a credential
    n_packed_secret_docs: int  # and the mixture leaves it as it is
    n_personal_docs: int  # hold something that looks like personal data
    n_packed_personal_docs: int


@dataclass(frozen=True)
class InputSample:
    """A run over a part of its input: what the rest of the report counts was drawn from so much."""

    rate: float
    n_input_docs: int
    n_input_bytes: int


@dataclass(frozen=True)
class Group:
    """A language of the code pool or a source of the text pool. The docs fields from `ingest` on add up to n_docs."""

    pool: str
    name: str
    n_docs: int
    n_bytes: int
    n_ingest_docs: int  # dropped here first; a later stage may object too
    n_rules_docs: int
    n_exact_docs: int
    n_near_docs: int
    n_surplus_docs: int  # kept, not needed for the balance
    n_packed_docs: int
    n_kept_tokens: int
    n_packed_tokens: int
    n_copies: int  # whole copies in the mixture, over all documents
    before_frac: float  # of the pool's bytes
    kept_frac: float  # of the pool's kept tokens
    after_frac: float  # of the pool's packed tokens
    target_frac: float | None  # None: natural shares
    max_frac: float | None

    @property
    def n_kept_docs(self) -> int:
        return self.n_surplus_docs + self.n_packed_docs


@dataclass(frozen=True)
class PaperShare:
    """A language of the paper's table, or all others, as part of the code pool."""

    name: str
    before_frac: float
    kept_frac: float
    after_frac: float
    target_frac: float | None
    paper_frac: float


@dataclass(frozen=True)
class FlowStep:
    """What is left after a stage. Tokens are known for kept documents only."""

    stage: str
    n_docs: int
    n_bytes: int
    n_tokens: int | None


@dataclass(frozen=True)
class Drop:
    """How often a reason was given. Documents can have several, so rows do not add up; `only` ones do."""

    reason: str
    stage: str
    meaning: str
    n_docs: int
    n_code_docs: int
    n_text_docs: int
    n_bytes: int
    n_only_docs: int  # nothing else was wrong with them


@dataclass(frozen=True)
class SizeBin:
    """Groups of equal documents with low to high members."""

    low: int
    high: int
    n_groups: int
    n_docs: int


@dataclass(frozen=True)
class Bin:
    """Values from low up to, but not at, high; the last bin includes it."""

    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Family:
    """A kept document and those that were dropped for it."""

    keeper_id: str
    path: str
    source: str  # its repository, or its source in the mixture
    language: str
    n_docs: int  # dropped
    n_near_docs: int  # of these, near duplicates
    n_bytes: int  # dropped
    min_similarity: float


@dataclass(frozen=True)
class Duplicates:
    """Equal documents and verified near duplicates."""

    n_groups: int
    n_repeats: int  # documents beyond the first of each group
    sizes: tuple[SizeBin, ...]
    n_candidates: int | None  # pairs that shared a band; None: an older manifest
    n_pairs: int
    min_similarity: float
    n_header_docs: int  # with a rights comment that does not count
    n_header_pairs: int  # pairs that these comments alone would have made, estimated from signatures
    similarities: tuple[Bin, ...]
    n_exact_docs: int  # dropped as equal, nothing earlier being wrong
    n_near_docs: int
    n_known_docs: int  # near to a document of a run in `against`, whatever else was wrong
    n_crowded_buckets: int  # too many documents for a list of their pairs
    n_crowd_compared: int  # pairs of such documents and kept ones that were compared
    n_crowd_unlisted: int  # kept documents that later ones of their bucket were not compared with
    dropped_similarities: tuple[Bin, ...]  # of near duplicates to the keeper that the ledger names
    families: tuple[Family, ...]  # largest first


@dataclass(frozen=True)
class License:
    """A licence, or a class of them. The empty name stands for documents without one."""

    name: str
    license_class: str
    n_docs: int
    n_kept_docs: int
    n_kept_tokens: int
    n_packed_tokens: int


@dataclass(frozen=True)
class ProseLanguage:
    """A natural language of the text pool. The empty code stands for texts whose language is unsure."""

    code: str
    n_docs: int
    n_bytes: int
    n_kept_docs: int
    n_kept_tokens: int
    n_packed_tokens: int


@dataclass(frozen=True)
class StricterCopies:
    """Documents of the mixture whose equal or near duplicate is copyleft or stricter, or was dropped for what it is."""

    n_docs: int
    n_packed_tokens: int


@dataclass(frozen=True)
class NearlyLost:
    """Sources, languages or repositories that lose more than `select.max_loss` of their documents, 40 or more."""

    kind: str
    n_groups: int


@dataclass(frozen=True)
class StageWork:
    """A stage's cost. Seconds add up over its tasks, so with n workers the clock showed about an n-th."""

    name: str
    seconds: float  # on the clocks of its tasks: a busy machine makes them longer
    cpu_seconds: float | None  # what they used; None: made by a version that did not count it
    docs_per_second: (
        float | None
    )  # input documents of the run, by CPU-second; None: too fast to measure, or not counted
    megabytes_per_second: float | None
    n_files: int
    n_stored_bytes: int


@dataclass(frozen=True)
class SourceDrop:
    """How often a reason was given to documents of one source."""

    source: str
    reason: str
    n_docs: int
    n_bytes: int


@dataclass(frozen=True)
class LostField:
    """How often a mapped field is null because what the row held could not be read."""

    field: str
    n_docs: int


@dataclass(frozen=True)
class UnfilledField:
    """A mapped field that is null in all documents of a file, as far as a shard holds it: most likely it has no such
    column."""

    source: str
    field: str
    n_docs: int


@dataclass(frozen=True)
class BadShard:
    """A slice of the input of which something could not be read and was skipped."""

    stage: str
    shard: int
    problem: str


@dataclass(frozen=True)
class Notice:
    """Something to know before the mixture is used, what it means for a training, and what one can do about it."""

    level: Level
    message: str
    meaning: str
    remedy: str


@dataclass(frozen=True)
class Numbers:
    """The report."""

    name: str
    version: str
    seed: int
    n_shards: int
    identity: Identity
    tokenizer: str  # SHA-256 of RUN/tokenizer.json, which made the token ids
    sample: InputSample | None  # None: the run is over the whole of its input
    totals: Totals
    notices: tuple[Notice, ...]
    groups: tuple[Group, ...]  # most packed tokens first
    paper: tuple[PaperShare, ...]
    flow: tuple[FlowStep, ...]
    drops: tuple[Drop, ...]
    nearly_lost: tuple[NearlyLost, ...]  # the mixture allows it, or they are too small to stop a run
    duplicates: Duplicates
    license_classes: tuple[License, ...]
    licenses: tuple[License, ...]
    stricter_copies: StricterCopies
    prose_languages: tuple[ProseLanguage, ...]  # of the text pool, most bytes first
    concentration: Concentration
    privacy: PrivacyCounts
    language_decisions: LanguageDecisions
    syntax: tuple[ParsedLanguage, ...]  # most parsed documents first
    forms: tuple[FormGroup, ...]  # of code, most packed tokens first; empty: the mixture asks for no forms
    repositories: RepositoryDocuments | None  # None: the mixture asks for none
    balance: TokenBalance
    mix: StreamMix
    packing: SequencePacking
    phases: tuple[PhaseStream, ...]  # in the order of training; empty: the mixture names none
    work: tuple[StageWork, ...]
    bad_shards: tuple[BadShard, ...]
    source_docs: dict[str, int]  # documents of each source, in the mixture's order
    source_drops: tuple[SourceDrop, ...]
    lost_fields: tuple[LostField, ...]  # most documents first
    unfilled_fields: tuple[UnfilledField, ...]  # most documents first
    rule_effects: RuleEffects
    default_columns: dict[str, tuple[str, ...]]  # fields taken from columns of their name, and in which sources
    unread: tuple[Unread, ...]  # sources and files with more unread rows than ingest.max_unreadable_frac
    signing: SigningCounts
    training: Training | None
    record: RunRecord  # with `work` all that two equal runs do not share

    @property
    def streams(self) -> tuple[PhaseStream, ...]:
        """What is balanced by itself: the phases, or the whole stream, which has no name."""
        return self.phases or (PhaseStream("", self.balance, self.mix, self.packing),)

    def of_pool(self, pool: str) -> tuple[Group, ...]:
        return tuple(g for g in self.groups if g.pool == pool)


def schema() -> bytes:
    """The JSON schema of report.json."""
    made = TypeAdapter(Numbers).json_schema(mode="serialization")
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Loopmix report"}
    return (json.dumps(head | made | {"title": "Loopmix report"}, indent=1) + "\n").encode()


def to_json(numbers: Numbers) -> bytes:
    """The bytes of report.json."""
    return TypeAdapter(Numbers).dump_json(numbers, indent=1) + b"\n"


def from_json(data: bytes) -> Numbers | None:
    """The numbers of a report.json; None where they would not be written as these very bytes."""
    try:
        found: Numbers = TypeAdapter(Numbers).validate_json(data)
    except ValidationError:
        return None  # what JSON lacks, as NaN, is null there and no number
    return found if to_json(found) == data else None
