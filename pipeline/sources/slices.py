"""The plan of an input: which files, and which part of them, one shard of `documents` will hold."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

# Counted for each file or row beside its content, so that a million empty ones do not share a shard: about what a row
# of `documents` takes beside its content.
ROW_BYTES = 512


@dataclass(frozen=True, slots=True)  # of millions of files the plan of an input holds one of these each
class InputFile:
    """A file as it was when the input was planned."""

    path: str  # relative to the source's root, "/" between folders; see `names.py` for names that are not UTF-8
    size: int  # bytes
    version: str  # mtime in ns, etag or checksum; git: commit and blob; "" if the filesystem has none

    def to_dict(self) -> dict[str, Any]:
        """What `asdict` says; that would take five times as long."""
        return {"path": self.path, "size": self.size, "version": self.version}


@dataclass(frozen=True)
class Slice:
    """What one shard of `documents` holds. Plain data: `dataclasses.asdict` of it fits into a plan file."""

    source: str  # the source's name
    files: tuple[InputFile, ...]
    first: int = 0  # parquet: first row group; plain jsonl: first byte; datatrove: rank
    last: int = -1  # exclusive; -1: to the end
    n_bytes: int = 0  # estimate of raw bytes, for progress
    is_group: bool = False  # whole files that only their sizes brought together
    home: str = ""  # of a group: files of two homes never share one; git: the checkout
    is_open: bool = False  # how many shards it makes is known when it has been read (`cutting.py`)
    first_row: int = 0  # of what is read: the first row that belongs to this shard, by its `input_row`
    last_row: int = -1  # exclusive; -1: to the end

    def to_dict(self) -> dict[str, Any]:
        """All that decides its rows, as JSON can say it. Whether it is open does not; bounds only where there are."""
        said = self.all_of_it()
        del said["is_open"]
        if (self.first_row, self.last_row) == (0, -1):
            del said["first_row"], said["last_row"]
        return said

    def all_of_it(self) -> dict[str, Any]:
        """Every field, as JSON can say it."""
        said = {field.name: getattr(self, field.name) for field in fields(self)}
        return said | {"files": [file.to_dict() for file in self.files]}

    def parts(self, starts: Sequence[int]) -> list["Slice"]:
        """The shards that an open slice makes, given the row with which each begins."""
        edges = [0, *starts[1:], -1]
        n_bytes = self.n_bytes // len(starts)
        return [
            replace(self, is_open=False, first_row=first, last_row=last, n_bytes=n_bytes)
            for first, last in pairwise(edges)
        ]


def group_files(files: Iterable[InputFile], *, shard_bytes: int) -> Iterator[tuple[InputFile, ...]]:
    """Neighbours together, up to `shard_bytes`; a larger file stands alone. Keeps the order."""
    group: list[InputFile] = []
    n_bytes = 0
    for file in files:
        cost = file.size + ROW_BYTES
        if group and n_bytes + cost > shard_bytes:
            yield tuple(group)
            group, n_bytes = [], 0
        group.append(file)
        n_bytes += cost
    if group:
        yield tuple(group)


def whole_files(source: str, files: Iterable[InputFile], *, shard_bytes: int, home: str = "") -> list[Slice]:
    """A slice for each group of whole files."""
    groups = group_files(files, shard_bytes=shard_bytes)
    return [
        Slice(source, group, n_bytes=sum(file.size for file in group), is_group=True, home=home) for group in groups
    ]


def keep_shards(planned: Sequence[Slice], earlier: Sequence[Slice], *, shard_bytes: int) -> list[Slice]:
    """`planned`, cut and numbered so that what an earlier plan of the run held stays where it was.

    A file that was there keeps its shard and its neighbours; files that are gone leave, and new ones get shards of
    their own, behind. So a shard changes only if one of its own files did. A shard whose files have grown too large for
    one is cut. Places of shards that are gone are taken by new ones, or by the last if there are none.
    """
    there: dict[tuple[str, str], dict[str, InputFile]] = {}
    for piece in planned:
        if piece.is_group:
            there.setdefault((piece.source, piece.home), {}).update((file.path, file) for file in piece.files)
    cut = {_place(s): s for s in planned if not s.is_group}
    slots: list[Slice | None] = []
    behind: list[Slice] = []
    for old in earlier:
        if not old.is_group:
            slots.append(cut.pop(_place(old), None))
            continue
        here = there.get((old.source, old.home), {})
        stay = [file for file in (here.pop(file.path, None) for file in old.files) if file is not None]
        groups = whole_files(old.source, stay, shard_bytes=shard_bytes, home=old.home)
        slots.append(groups[0] if groups else None)
        behind += groups[1:]
    for (source, home), new in there.items():
        behind += whole_files(source, new.values(), shard_bytes=shard_bytes, home=home)
    return _fill(slots, [*behind, *cut.values()])


def _place(piece: Slice) -> tuple[object, ...]:
    """What a slice is, whatever its files hold now."""
    paths = tuple(file.path for file in piece.files)
    return (piece.source, piece.home, paths, piece.first, piece.last, piece.first_row, piece.last_row)


def _fill(slots: list[Slice | None], new: list[Slice]) -> list[Slice]:
    """New slices into empty slots, then behind; slots that stay empty are closed from the end."""
    waiting = iter(new)
    filled = [*(s if s is not None else next(waiting, None) for s in slots), *waiting]
    n = sum(s is not None for s in filled)
    last = (s for s in reversed(filled[n:]) if s is not None)
    return [s if s is not None else next(last) for s in filled[:n]]
