"""What the papers say of each source: its numbers, its licences, and where it is from if that may be said."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.config import Source
from pipeline.publication import OriginKind, SourceOrigin
from pipeline.publish.facts import Facts


@dataclass(frozen=True)
class SourceFacts:
    """A source of the mixture."""

    name: str
    reader: str  # its kind in the mixture: directory, parquet, ...
    origin: OriginKind | None  # as its maker states; None: not stated
    url: str | None
    description: str | None
    licenses: tuple[str, ...]  # of what enters, most tokens first
    n_docs: int
    n_bytes: int
    n_packed_docs: int
    n_packed_bytes: int
    n_packed_tokens: int


def sources_of(facts: Facts) -> list[SourceFacts]:
    """The sources of a mixture in its order."""
    licenses: dict[str, list[str]] = {}
    for source, name in facts.counts.by("source", "license"):
        if name is not None:
            licenses.setdefault(str(source), []).append(name)
    return [_of(facts, source, tuple(licenses.get(source.name, ()))) for source in facts.mixture.sources]


def _of(facts: Facts, source: Source, licenses: tuple[str, ...]) -> SourceFacts:
    origin = facts.said.origins.get(source.name)
    columns = ("n_docs", "n_bytes", "n_packed_docs", "n_packed_bytes", "n_packed_tokens")
    return SourceFacts(
        source.name,
        source.kind,
        None if origin is None else origin.kind,
        _url_of(source, origin),
        None if origin is None else origin.description,
        licenses,
        *(facts.counts.total(name, source=source.name) for name in columns),
    )


def _url_of(source: Source, origin: SourceOrigin | None) -> str | None:
    """What its maker states, or the page of a data set on the hub. No other path is told: it may name a machine, a
    bucket, or hold a password."""
    if origin is not None and origin.url is not None:
        return origin.url
    prefix = "hf://datasets/"
    if not source.path.startswith(prefix):
        return None
    owner_and_name = source.path.removeprefix(prefix).split("@")[0].split("/")[:2]
    return f"https://huggingface.co/datasets/{'/'.join(owner_and_name)}"
