"""Where the tokens of a pool come from in great part: repositories and folders, as data."""

from dataclasses import dataclass

MIN_FRAC = 0.01  # of a pool's packed tokens: at most a hundred names, and a percent of one hand is worth knowing


@dataclass(frozen=True)
class LargePlace:
    """A repository, or where a document has none the first folder (or the host) in its source; or a folder below it."""

    pool: str
    name: str  # repository, or "source: first folder"
    is_repo: bool
    folder: str  # below it; "": all of it
    n_docs: int  # of those packed
    n_tokens: int  # packed, copies included
    frac: float  # of the pool's packed tokens


@dataclass(frozen=True)
class MarkShare:
    """What the documents of one mark give to a pool."""

    pool: str
    mark: str
    n_docs: int
    n_packed_tokens: int
    frac: float  # of the pool's packed tokens
    max_frac: float | None  # the mixture's cap
    n_over_docs: int  # kept, and out because of that cap


@dataclass(frozen=True)
class Concentration:
    """What comes from one place, the largest first, and what each mark gives."""

    min_frac: float  # smaller places are not listed
    places: tuple[LargePlace, ...]
    marks: tuple[MarkShare, ...]
    max_repo_fracs: dict[str, float | None]  # the mixture's cap in each pool
    n_over_docs: dict[str, int]  # documents of each pool that are out because their repository is at its cap
