"""What `loopmix validate` finds in the data themselves: signs of each group, findings, the documents that hurt most."""

import math
from dataclasses import dataclass

from pipeline.results.codec import Number, Whole
from pipeline.results.training import Status

# Each kind of ruin in the words of the page. The keys are what JSON and checks call them.
RUIN = {
    "noise": "random bytes or characters",
    "encoded": "base64 or hexadecimal instead of text",
    "mojibake": "letters of another encoding",
    "repetition": "the same words again and again",
    "template": "one template, other numbers",
    "copied": "copies of other documents",
    "repeated_rows": "pieces more often than the run says",
    "reversed": "tokens in reverse order",
    "shuffled_tokens": "tokens in random order",
    "shuffled_lines": "lines in random order",
    "wrong_pool": "code among text, or prose among code",
    "wrong_language": "another language than the label",
    "wrong_label": "another group than the ledger says",
    "truncated": "documents cut off",
}

# The reference model is a second witness of order; it is no kind of a single document.
NO_ORDER = "no_order"
RUIN[NO_ORDER] = "no order that the reference model can read"


@dataclass(frozen=True)
class HurtDocument:
    """A document with what speaks against it; `surprise` orders them: nats against meeting it in healthy data."""

    doc_id: str
    pool: str
    group: str
    kind: str  # of RUIN; empty: nothing but an unlikely text
    surprise: Number
    path: str  # empty where the run has no ledger
    source: str
    start: str  # its first characters


@dataclass(frozen=True)
class RuinFinding:
    """A group of which more documents show one kind of ruin than healthy ones do; `group` empty: the whole run."""

    pool: str
    group: str
    kind: str
    status: Status
    message: str
    n_found: Whole
    n_docs: Whole  # looked at
    expected: Number  # share in healthy documents
    chance: Number  # that a healthy group shows so many by luck
    examples: tuple[str, ...]  # document ids
    of_ledger: bool = False  # not a share beyond the usual, but a count that contradicts the ledger

    @property
    def share(self) -> float:
        return self.n_found / self.n_docs


@dataclass(frozen=True)
class GroupSigns:
    """Means over the sampled documents of a group. Bits per byte are of the text; NaN: not measured."""

    pool: str
    group: str
    n_docs: Whole  # looked at
    deflate: Number  # bits per byte of a general compressor
    deflate_permuted: Number  # of the same with the tokens of each document permuted
    order: Number  # nats by which neighbouring tokens belong together, see `ruin/pairs.py`
    order_healthy: Number  # the same in the reference's documents of this group, or of its pool
    reference: Number = math.nan  # bits per byte of the reference model
    reference_gap: Number = math.nan  # its nats per token on permuted documents less those as they are
    gap_healthy: Number = math.nan
    gap_spread: Number = math.nan  # standard deviation of the healthy gap over documents
    n_judged: Whole = 0  # documents that the reference model read
    seen: Number = math.nan  # share of the held-out runs of 13 tokens that training read too


@dataclass(frozen=True)
class Inspection:
    """All of it. Findings surest first, documents by surprise."""

    n_docs: Whole  # of the run
    n_sampled: Whole
    groups: tuple[GroupSigns, ...]
    findings: tuple[RuinFinding, ...]
    documents: tuple[HurtDocument, ...]
