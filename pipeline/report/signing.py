"""What a mixture is signed by: what it is, of what, who made it when, and counts that no other part of the report has.

`Identity` and the counts follow from the run alone, so equal runs say the same. `RunRecord` is what its logs say of the
starts that made it: dates, machines and seconds, which no two runs share.
"""

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StageIdentity:
    """A stage, the version of its code, and what decides its bytes."""

    name: str
    version: int
    fingerprint: str


@dataclass(frozen=True)
class InputSource:
    """A source of the mixture, and what came of it."""

    name: str
    kind: str
    path: str  # without the password of a URL
    n_docs: int
    n_bytes: int  # of the documents as text
    n_kept_docs: int
    n_packed_docs: int
    n_packed_tokens: int


@dataclass(frozen=True)
class Identity:
    """Which mixture it is."""

    mixture: str  # all settings as they were resolved, as YAML; without passwords of URLs
    mixture_sha256: str  # of these settings, passwords included, as canonical JSON
    tokenizer_path: str
    tokenizer_sha256: str
    tokenizer_bytes: int
    sources: tuple[InputSource, ...]  # in the mixture's order
    stages: tuple[StageIdentity, ...]


@dataclass(frozen=True)
class RunStart:
    """A start of `loopmix curate`, as its log says. `input_bytes`: of each source the bytes on disk of the files
    that it listed, each once."""

    time: str  # UTC, ISO 8601
    seconds: float  # to the last line of its log
    outcome: str  # done, failed, stopped by whoever ran it, or open: its log does not end, as of who writes the report
    host: str
    version: str
    command: tuple[str, ...]
    workers: str  # in words
    n_cpus: int | None  # of the machine that drove it; None: not said
    libraries: dict[str, str]  # versions by name; empty: not said
    mixture_file: str  # as it was written, without passwords of URLs; "": not said
    mixture_file_sha256: str
    input_bytes: dict[str, int]  # empty: not said


@dataclass(frozen=True)
class StepClock:
    """A step by the clock, over all starts."""

    step: str
    n_starts: int
    n_items: int  # done, over all starts
    seconds: float


@dataclass(frozen=True)
class RunWarning:
    """What a start said that its reader must know: files passed over, settings without effect, workers that died."""

    message: str  # at most MAX_MESSAGE_CHARS of it, without passwords of URLs
    n_starts: int


@dataclass(frozen=True)
class RunRecord:
    """Who made the run. Empty where its logs are gone."""

    starts: tuple[RunStart, ...]  # oldest first
    steps: tuple[StepClock, ...]  # in the order of work
    warnings: tuple[RunWarning, ...]  # in the order in which they were first said


@dataclass(frozen=True)
class SourceLanguage:
    """Documents of one source in one language."""

    source: str
    language: str
    n_docs: int
    n_bytes: int
    n_kept_docs: int
    n_packed_docs: int
    n_packed_tokens: int


@dataclass(frozen=True)
class LengthBin:
    """Documents of a pool of low to high bytes: all, and those in the mixture, each once and whole."""

    pool: str
    low: int
    high: int
    n_docs: int
    n_bytes: int
    n_packed_docs: int
    n_packed_bytes: int


@dataclass(frozen=True)
class CopyBin:
    """Kept documents of a pool that are in the mixture so many times, and perhaps once more, truncated."""

    pool: str
    n_copies: int
    n_docs: int
    n_cut_docs: int  # of these with a truncated copy more
    n_packed_tokens: int


@dataclass(frozen=True)
class LargestRepository:
    """One of the repositories that give most packed tokens to a pool."""

    pool: str
    name: str
    n_docs: int  # packed
    n_packed_tokens: int
    frac: float  # of the pool's packed tokens


@dataclass(frozen=True)
class RepositorySpread:
    """How evenly the packed tokens of a pool lie over its repositories. Documents without one are left out."""

    pool: str
    n_repositories: int  # that give any token
    n_packed_tokens: int  # of these
    gini: float | None  # 0: all give the same; near 1: one gives all; None: no repository gives any
    half: int  # the fewest repositories that give half of these tokens


@dataclass(frozen=True)
class SigningCounts:
    """The counts of this part."""

    source_languages: tuple[SourceLanguage, ...]  # by source in the mixture's order, most bytes first
    lengths: tuple[LengthBin, ...]  # shortest first, pool by pool
    copies: tuple[CopyBin, ...]
    spreads: tuple[RepositorySpread, ...]
    repositories: tuple[LargestRepository, ...]  # pool by pool, the largest first


def without_passwords(value: Any) -> Any:
    """A setting with its URLs' user names and passwords taken out, at every depth."""
    if isinstance(value, str):
        return re.sub(r"://[^/@\s]*@", "://...@", value)
    if isinstance(value, dict):
        return {key: without_passwords(inner) for key, inner in value.items()}
    return [without_passwords(inner) for inner in value] if isinstance(value, list | tuple) else value
