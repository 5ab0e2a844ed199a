"""What looks like a secret or personal data, counted by kind, language and source, as data. No value is read."""

from dataclasses import dataclass


@dataclass(frozen=True)
class KindFinds:
    """One kind and what the mixture does with it."""

    kind: str
    cls: str  # key, token, private_key, password, email, address
    policy: str  # report, redact, drop
    n_finds: int
    n_docs: int  # that hold one


@dataclass(frozen=True)
class PlaceFinds:
    """A language or a source: its documents that hold a find of each class, and those of the mixture that keep one."""

    name: str
    n_docs_of_class: dict[str, int]
    n_docs: int  # with a find of any class
    n_left_docs: int  # packed, with a find that the mixture leaves as it is


@dataclass(frozen=True)
class PrivacyCounts:
    """All finds of a run; each list has the largest first."""

    kinds: tuple[KindFinds, ...]
    languages: tuple[PlaceFinds, ...]
    sources: tuple[PlaceFinds, ...]
