"""Items made when they are asked for, and questions about very many files asked in blocks, by tasks where that pays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, overload

from pipeline.engine.executor import Executor
from pipeline.engine.store import FileEntry, Store

Item = TypeVar("Item")
Answer = TypeVar("Answer")

N_ALONE = 32  # questions that are asked right here: a task would cost more
# Of a block, so that a task takes a second or so: files whose size is asked for, and files of 64 MB that are hashed.
N_BY_SIZE, N_BY_HASH = 256, 32


@dataclass(frozen=True)
class Lazily(Sequence[Item]):
    """`make(place)` for each of `places`, made anew each time: what is held is the numbers."""

    places: Sequence[int]
    make: Callable[[int], Item]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Item]: ...
    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return Lazily(self.places[at], self.make)
        return self.make(self.places[at])


def in_blocks(
    executor: Executor, ask: Callable[[Sequence[Item]], Answer], items: Sequence[Item], *, by_hash: bool, name: str
) -> Iterator[Answer]:
    """What `ask` says of each block of `items`, as the answers come."""
    if len(items) <= N_ALONE:
        if items:
            yield ask(items)
        return
    size = N_BY_HASH if by_hash else N_BY_SIZE
    blocks = Lazily(range(0, len(items), size), lambda first: (first, [*items[first : first + size]]))
    for _, answer in executor.map(partial(_ask, ask), blocks, name=name):
        yield answer


def _ask(ask: Callable[[Sequence[Item]], Answer], block: tuple[int, Sequence[Item]]) -> Answer:
    return ask(block[1])


def damaged(executor: Executor, store: Store, files: Sequence[FileEntry], *, by_hash: bool, name: str) -> list[str]:
    """The paths of files that do not stand with the size, and with `by_hash` the content, that their entries say."""
    answers = in_blocks(executor, partial(_damaged, store, by_hash), files, by_hash=by_hash, name=name)
    return [path for paths in answers for path in paths]


def _damaged(store: Store, by_hash: bool, files: Sequence[FileEntry]) -> list[str]:
    stands = store.intact(files, by_hash=by_hash)
    return [file.path for file, is_intact in zip(files, stands, strict=True) if not is_intact]
