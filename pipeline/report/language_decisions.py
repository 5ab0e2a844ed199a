"""How the languages were decided, as data: a part of `numbers.py`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Decision:
    """Documents of one pool whose language was decided in one way."""

    decided_by: str
    pool: str
    n_docs: int
    n_bytes: int
    n_kept_tokens: int
    mean_confidence: float


@dataclass(frozen=True)
class ConfidenceBin:
    """Confidences from low up to, but not at, high; the last bin includes it.

    A name or a declaration has one confidence for all documents, the share of its verdicts that are right on labelled
    files, so verdicts from content are counted apart: there a long tail to the left means something.
    """

    low: float
    high: float
    n_docs: int  # decided by content
    n_bytes: int
    n_path_docs: int  # decided by a name or a declaration
    n_path_bytes: int


@dataclass(frozen=True)
class Confusion:
    """Documents in `language` whose second likeliest language is `runner_up`."""

    language: str
    runner_up: str
    n_docs: int
    n_close_docs: int  # the two confidences lie at most `max_margin` apart
    n_close_bytes: int
    mean_margin: float  # over all n_docs


@dataclass(frozen=True)
class BorderDocument:
    """A kept document whose content barely decided. A very long path has lost its beginning."""

    doc_id: str
    path: str
    pool: str
    language: str
    confidence: float
    decided_by: str
    runner_up: str | None
    runner_up_confidence: float | None


@dataclass(frozen=True)
class MisnamedDocument:
    """A document whose content is not of the kind that its name says."""

    doc_id: str
    path: str
    pool: str
    language: str
    decided_by: str
    keep: bool


@dataclass(frozen=True)
class Disagreement:
    """Documents whose name says one kind (code, text, format) and whose content looks like another."""

    name_says: str
    content_kind: str  # code, prose, data, binary
    n_docs: int
    n_bytes: int
    n_kept_docs: int
    n_kept_tokens: int
    documents: tuple[MisnamedDocument, ...]  # a few, kept ones first


@dataclass(frozen=True)
class ProseInFormat:
    """Documents of one format of markup or data whose visible text is most of them and reads as prose."""

    format: str  # the family: XML for a Maven POM
    n_docs: int
    n_bytes: int
    n_kept_docs: int
    n_kept_tokens: int
    documents: tuple[MisnamedDocument, ...]  # a few, kept ones first


@dataclass(frozen=True)
class UntoldExtension:
    """Documents in no known language under one extension: "Other code", which is certainly code, or "Unknown"."""

    language: str
    extension: str  # in lower case with its dot; empty: none
    n_docs: int
    n_bytes: int
    n_kept_docs: int
    n_kept_tokens: int


@dataclass(frozen=True)
class LanguageDecisions:
    """How the languages of all documents were told, and where that is doubtful."""

    decisions: tuple[Decision, ...]  # most documents first
    confidences: tuple[ConfidenceBin, ...]
    max_margin: float
    n_ranked_docs: int  # have a runner-up
    n_close_docs: int
    n_close_pairs: int  # pairs of languages with such documents; `confusions` holds the first of them
    confusions: tuple[Confusion, ...]
    border: tuple[BorderDocument, ...]  # least sure first
    disagreements: tuple[Disagreement, ...]  # most documents first
    prose_in_formats: tuple[ProseInFormat, ...]  # most bytes first
    untold: tuple[UntoldExtension, ...]  # by language, most documents first

    @property
    def n_content_docs(self) -> int:
        return sum(b.n_docs for b in self.confidences)

    @property
    def n_misnamed_docs(self) -> int:
        return sum(d.n_docs for d in self.disagreements)
