"""Several ranks in one process: threads that add up their tensors as processes would over the network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, TypeVar

import pytest
from torch import Tensor

from pipeline.plt import train
from pipeline.plt.distributed import Ranks

Found = TypeVar("Found")
TRAIN_MODULE = import_module("pipeline.plt.train")  # the package shows the function of that name instead


@dataclass(frozen=True)
class _ThreadRanks(Ranks):
    """A rank that meets the others of its kind at a barrier."""

    barrier: Any = None
    sent: dict[int, Tensor] = field(default_factory=dict)

    def add_up(self, values: Tensor) -> Tensor:
        self.sent[self.rank] = values.clone()
        self.barrier.wait(timeout=60)
        values.copy_(sum(self.sent.values()))
        self.barrier.wait(timeout=60)
        return values

    def wait(self) -> None:
        self.barrier.wait(timeout=60)


def on_ranks(n: int, work: Callable[[Ranks], Found]) -> list[Found]:
    """What `work` returns on each of `n` ranks that run side by side; the first error is raised."""
    barrier, sent = threading.Barrier(n), {}
    with ThreadPoolExecutor(n) as pool:
        ranks = [_ThreadRanks(rank, n, barrier=barrier, sent=sent) for rank in range(n)]
        return [future.result() for future in [pool.submit(work, r) for r in ranks]]


def train_on_ranks(n: int, config: Any, *, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> list[Any]:
    """`train` on `n` ranks, each with a whole model (`run.sharding: none`); what each returns."""

    def work(ranks: Ranks) -> Any:
        mine.ranks = ranks
        return train(config, **arguments)

    @contextmanager
    def join(device: Any) -> Any:
        yield mine.ranks

    mine = threading.local()
    with monkeypatch.context() as patch:
        patch.setattr(TRAIN_MODULE, "join_ranks", join)
        return on_ranks(n, work)
