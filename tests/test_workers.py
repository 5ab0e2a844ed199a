"""The same bytes however many workers: one component of thousands of near duplicates, with ties in every order but the
last, cut over many shards and partitions."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from handmade import digests

from pipeline.config import Mixture
from pipeline.engine import exchange
from pipeline.engine.executor import Executor, InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.store import open_store
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.select import components


@dataclass(frozen=True)
class Pool:
    """Worker processes that stay for a whole run; they take items as they come."""

    workers: ProcessPoolExecutor

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        futures = {self.workers.submit(task, item): item for item in items}
        for future in as_completed(futures):
            yield futures[future], future.result()

    def describe(self) -> str:
        return "in a pool"


@contextmanager
def workers(n: int) -> Iterator[Executor]:
    if n == 1:
        yield InlineExecutor()
        return
    with ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield Pool(pool)


def part_of_chain(number: int) -> str:
    """Ten functions of an endless row, from `number` on: 9 of 11 are those of the next document, all equally long."""
    return "\n\n".join(
        f"def step_{k:06d}(value_{k * 7_919 % 999_983:06d}, width):\n    return width * {k * 104_729 % 899_981 + 10**5}"
        for k in range(number, number + 10)
    )


def story(i: int) -> str:
    return " ".join(
        f"In the year {i * 13 + k} the keeper of harbour {i} wrote that ship number {k * i + 3} had come home late."
        for k in range(9)
    )


def corpus(folder: Path, n: int) -> Mixture:
    """`n` links of a chain, every hundredth twice, in an order that is not the chain's; and prose to balance it."""
    (folder / "in").mkdir(parents=True)
    order = sorted(range(n), key=lambda k: (k * 7_919 % 10_007, k))
    rows = [(f"{k}.py", part_of_chain(k)) for k in order] + [(f"again/{k}.py", part_of_chain(k)) for k in order[::100]]
    for name, contents in (("code", rows), ("prose", [(f"{i}.txt", story(i)) for i in range(60)])):
        lines = (json.dumps({"path": path, "content": content}) + "\n" for path, content in contents)
        (folder / f"in/{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    mixture = {
        "name": "chain",
        "sources": [
            {"name": name, "kind": "jsonl", "path": f"in/{name}.jsonl", "pool": pool, "columns": {"path": "path"}}
            for name, pool in (("code", "code"), ("prose", "text"))
        ],
        "ingest": {"shard_bytes": 200 * n},
        "exact_dups": {"n_partitions": 3},
        "near_dups": {"n_partitions": 5},
        "select": {"n_partitions": 4, "allow_loss": ["code", "Python"]},
        "pack": {"seq_len": 256, "n_shards": 3, "n_partitions": 2},
    }
    (folder / "mixture.yaml").write_text(json.dumps(mixture), encoding="utf-8")
    return load_mixture(folder / "mixture.yaml")


def made(folder: Path, mixture: Mixture, executor: Executor) -> dict[str, bytes]:
    curate(Run(open_store(str(folder)), mixture, executor, silent()))
    return digests(folder / "tables") | digests(folder / "packed")


@pytest.mark.parametrize(
    ("n", "counts"),
    [(2_000, (2, 8)), pytest.param(100_000, (2, 8, 32), marks=pytest.mark.slow)],
)
def test_one_component_of_thousands_is_decided_the_same_by_any_number_of_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, counts: tuple[int, ...]
) -> None:
    mixture = corpus(tmp_path, n)
    expected = made(tmp_path / "one", mixture, InlineExecutor())
    run = open_store(str(tmp_path / "one"))
    counted = json.loads(run.read_bytes("manifest.json"))["stages"]["select"]["counts"]
    assert counted["n_near"] > n // 3  # a chain: each kept document drops its neighbours
    for count in counts:
        with workers(count) as executor, monkeypatch.context() as patch:
            if count == 2:  # and in the ways of a hundred thousand shards
                patch.setattr(exchange, "FAN_IN", 3)
                patch.setattr(components, "MAX_ARCS", 10)
            assert made(tmp_path / f"{count}", mixture, executor) == expected
