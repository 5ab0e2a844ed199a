"""Which sequences a rank reads of a run with phases: those of `pipeline.plt.SequenceStream`, by their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from pipeline.api import streamed


@dataclass
class Phase:
    """As many sequences, and nothing in them."""

    n_sequences: int


@dataclass
class Phases:
    """A run of several."""

    sizes: tuple[int, ...]

    def by_phase(self) -> list[Phase]:
        return [Phase(n) for n in self.sizes]


def walked(sizes: tuple[int, ...], rank: int, n_ranks: int, start: int) -> Iterator[int]:
    """Round by round: no round holds sequences of two phases, and what is left of one is left out."""
    place, first = start, 0
    for n in sizes:
        stop = first + n
        while first <= place and place + n_ranks <= stop:
            yield place + rank
            place += n_ranks
        place, first = max(place, stop), stop


@pytest.mark.parametrize("sizes", [(0,), (7,), (5, 8), (3, 0, 4), (1, 1, 9)])
def test_rounds_begin_anew_with_each_phase(sizes: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "_of_phase", lambda phase, number, wanted: iter(wanted))
    run: Any = Phases(sizes)
    for n_ranks in (1, 2, 3, 4):
        for start in range(sum(sizes) + 2):
            for rank in range(n_ranks):
                found = list(streamed._each(run, rank=rank, n_ranks=n_ranks, start=start))
                assert found == list(walked(sizes, rank, n_ranks, start)), (n_ranks, start, rank)
