"""Everything that a comparison of two runs says, as one tree of frozen data. Terminal, page and JSON show nothing else.

The first run is A, the second B. Fractions lie in [0, 1]; bytes of a document are those of its content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from pipeline.report.numbers import Notice
from pipeline.report.stream_numbers import PhaseStream

ABSENT = "absent"  # where a document is not in a run; beside the ledger's fates
FATES = (ABSENT, "dropped", "surplus", "cut", "packed")

# What can differ of a document, in the order in which it is shown; of one document several can.
KINDS = {
    "left": "kept in A, dropped in B",
    "entered": "dropped in A, kept in B",
    "out_of_mixture": "kept in both, in the mixture of A alone",
    "into_mixture": "kept in both, in the mixture of B alone",
    "other_amount": "in both mixtures, with other numbers of tokens",
    "other_tokens": "kept in both, of other numbers of tokens",
    "other_language": "in another language or pool",
    "other_keeper": "dropped in both, for another keeper",
    "other_reasons": "dropped in both, for other reasons",
    "other_bytes": "the same place of the input, with other bytes",
    "moved": "the same path and bytes, at another place of the input",
    "only_a": "in the input of A alone",
    "only_b": "in the input of B alone",
}


@dataclass(frozen=True)
class SideOf:
    """One of the two runs."""

    run: str
    mixture: str
    tokenizer: str  # SHA-256
    sample: float | None  # share of the input that it was drawn from; None: all of it
    n_docs: int
    n_bytes: int
    n_kept_docs: int
    n_packed_tokens: int
    streams: tuple[PhaseStream, ...]
    notices: tuple[Notice, ...]  # that the other run has not
    training: str | None  # the verdict on a model that was trained on it, where one was named
    validation: str | None


@dataclass(frozen=True)
class SettingChange:
    """A resolved key of the mixtures; None: not set there."""

    key: str
    a: Any
    b: Any


@dataclass(frozen=True)
class StageFiles:
    """A stage in both runs: the version of its code, its files, and how many of them have the same hash."""

    stage: str
    version_a: int | None  # None: the run has no such stage
    version_b: int | None
    n_files_a: int
    n_files_b: int
    n_equal: int


@dataclass(frozen=True)
class SameBytes:
    """All files of both runs were read and hashed, and are equal."""

    n_files: int
    n_bytes: int


@dataclass(frozen=True)
class InputChanges:
    """Files of the input by source and path: those of one run alone, and those of another size, time or version."""

    n_files_a: int
    n_files_b: int
    n_only_a: int
    n_only_b: int
    n_changed: int
    named: tuple[str, ...]  # the first few


@dataclass(frozen=True)
class ShareChange:
    """A group of a pool, or a source (`pool` empty), in both runs. Shares: of the pool's packed tokens, or of all."""

    pool: str
    name: str
    n_docs_a: int
    n_docs_b: int
    n_kept_docs_a: int
    n_kept_docs_b: int
    n_kept_tokens_a: int
    n_kept_tokens_b: int
    n_tokens_a: int
    n_tokens_b: int
    frac_a: float
    frac_b: float


@dataclass(frozen=True)
class ReasonChange:
    """A reason to drop: documents that it was given to, and what it has to do with those that changed sides.

    `n_left_alone` counts documents that were kept in A and that nothing else drops in B; `n_entered_alone` the reverse.
    """

    reason: str
    n_docs_a: int
    n_docs_b: int
    n_left: int
    n_left_alone: int
    n_entered: int
    n_entered_alone: int
    settings: tuple[str, ...]  # its limits that differ, in words


@dataclass(frozen=True)
class FateFlow:
    """Documents by what became of them in both runs."""

    fate_a: str
    fate_b: str
    n_docs: int
    n_bytes: int
    n_tokens_a: int
    n_tokens_b: int


@dataclass(frozen=True)
class LanguageMove:
    """Documents that another language, or pool, was decided for."""

    pool_a: str
    language_a: str
    pool_b: str
    language_b: str
    n_docs: int


@dataclass(frozen=True)
class DocumentSide:
    """What one run says of a document."""

    pool: str
    language: str
    decided_by: str
    n_bytes: int
    fate: str
    reasons: tuple[str, ...]
    keeper_id: str | None
    keeper_path: str | None
    similarity: float | None
    n_packed_tokens: int
    said: tuple[str, ...]  # a line for each reason, with its limits


@dataclass(frozen=True)
class ChangedDocument:
    """A document of one kind of change, to look at. `loopmix why RUN DOC_ID` says all of it."""

    kind: str
    doc_id: str
    doc_id_b: str | None  # where it has another id in B
    source: str
    path: str
    a: DocumentSide | None
    b: DocumentSide | None
    cause: str


@dataclass(frozen=True)
class DocumentChanges:
    """Every document of both runs, matched by its id, then by path and bytes."""

    side_by_side: bool  # both runs hold the same rows, so they were read together
    bytes_known: bool  # False: the texts of a run are gone, so equal sizes are taken for equal bytes
    n_both: int
    counts: dict[str, int]  # of each of KINDS
    flows: tuple[FateFlow, ...]
    groups: tuple[ShareChange, ...]
    sources: tuple[ShareChange, ...]
    reasons: tuple[ReasonChange, ...]
    moves: tuple[LanguageMove, ...]
    examples: tuple[ChangedDocument, ...]


@dataclass(frozen=True)
class RunComparison:
    """The whole comparison; without `documents` both runs are the same bytes."""

    version: str
    a: SideOf
    b: SideOf
    same: SameBytes | None
    settings: tuple[SettingChange, ...]
    stages: tuple[StageFiles, ...]
    inputs: InputChanges | None  # None: a run has lost the plan of its input
    documents: DocumentChanges | None


def to_json(found: RunComparison) -> bytes:
    """The whole comparison for programs."""
    return TypeAdapter(RunComparison).dump_json(found, indent=1) + b"\n"
