"""All that one forget will write, decided before the first byte changes, and kept until the last one has.

A stop at any point is followed by doing all of it again: every change says what stands afterwards, never what to add.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.engine.forgotten import JOURNAL
from pipeline.engine.said import Size
from pipeline.engine.store import Store
from pipeline.errors import StoreError

_Print = Annotated[int, Field(ge=0, lt=2**64)]
_MAX_UNPACKED_FRAC = 200  # of JSON with a hash in each line; such plans take a third of it


@dataclass(frozen=True)
class StandingPiece:
    """A piece of a sequence as it stands afterwards."""

    start: Size
    doc_id: str
    offset: Size
    group: str
    fill: tuple[Size, Size, Size] | None = None  # of a new piece: shard and row of its document, its length


@dataclass(frozen=True)
class ChangedSequence:
    """All pieces of a sequence that changes."""

    row: Size  # in its packed shard
    is_same_shape: bool  # as many pieces as before, each of the group and at the place of the one before
    pieces: tuple[StandingPiece, ...]


@dataclass(frozen=True)
class Gone:
    """A document to forget, by its row."""

    row: Size
    doc_id: str
    content_hash: str


@dataclass(frozen=True)
class Planned:
    """What becomes of a document that fills a place: as tables `balance` and `ledger` say it."""

    row: Size
    n_copies: Size
    cut_tokens: Size
    n_packed_tokens: Size


@dataclass(frozen=True)
class ForgetPlan:
    """One forget."""

    gone: dict[Size, list[Gone]]  # by shard of `documents`
    planned: dict[Size, list[Planned]]  # by shard of `documents`
    sequences: dict[str, list[ChangedSequence]]  # by path of the packed shard
    hashes: list[str]  # other ones by which a list named documents
    prints: list[_Print]  # hashes of passages that only what is gone holds: none may be found afterwards
    summary: dict[str, Any] = field(default_factory=dict)  # for the manifest

    @property
    def shards(self) -> list[int]:
        """Shards of `documents` in which a row changes."""
        return sorted(self.gone.keys() | self.planned.keys())


_PLAN = TypeAdapter(ForgetPlan)


def write_plan(store: Store, plan: ForgetPlan) -> int:
    """Commit the plan; returns its size in bytes."""
    return store.write_bytes(JOURNAL, zlib.compress(json.dumps(asdict(plan), separators=(",", ":")).encode())).n_bytes


def read_plan(store: Store) -> ForgetPlan:
    """The plan of the forget that was cut off. StoreError where it is gone or damaged."""
    packed = store.read_bytes(JOURNAL)
    try:
        unpacking = zlib.decompressobj()
        data = unpacking.decompress(packed, _MAX_UNPACKED_FRAC * len(packed) + 1)
        if not unpacking.eof:
            raise zlib.error("it ends too early, or unpacks to more than any plan")
        return _PLAN.validate_json(data)
    except (ValidationError, zlib.error, MemoryError) as error:
        raise damaged_plan(store) from error


def damaged_plan(store: Store) -> StoreError:
    """StoreError for a plan that cannot be read, or does not fit the run."""
    return StoreError(
        f"{store.full(JOURNAL)}: is damaged, and says what a forget that was cut off still has to do; "
        "make the run anew with `loopmix curate --replace`, which keeps the list of what is forgotten"
    )
