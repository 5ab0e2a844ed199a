"""Numbers of shards and partitions that follow the input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from handmade import digests
from pydantic import ValidationError

from pipeline.config import Exchange, Mixture, NearDups, Partitioned, Select, Source
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.manifest import read_manifest
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.reading.verify import verify
from pipeline.recipe import curate, stages
from pipeline.request.sizes import sized
from pipeline.sources import Slice
from pipeline.targets import Pack

SOURCE = Source(name="hand", kind="directory", path="/nowhere")


def asked(**settings: Any) -> Mixture:
    return Mixture(name="m", sources=(SOURCE,), **settings)


def numbers(mixture: Mixture) -> tuple[int | None, ...]:
    m = mixture
    parts = (m.exact_dups.n_partitions, m.near_dups.n_partitions, m.select.n_partitions, m.pack.n_partitions)
    return (*parts, m.pack.n_shards)


def of(n_bytes: int, *, n_slices: int = 1, mixture: Mixture | None = None) -> tuple[int | None, ...]:
    sizes = [n_bytes // n_slices + (i < n_bytes % n_slices) for i in range(n_slices)]
    return numbers(sized(mixture or asked(), [Slice("hand", (), n_bytes=n) for n in sizes]))


def test_every_number_grows_with_the_input_and_stays_one_for_a_small_one() -> None:
    assert of(1) == of(128_000_000) == (1, 1, 1, 1, 1)
    assert of(128_000_001) == (1, 2, 1, 1, 2)
    assert of(1_500_000_000) == (3, 12, 6, 3, 12)
    assert of(10**15) == (8192,) * 5  # beyond, pieces of exchanges cost more than larger tasks


def test_numbers_depend_on_the_bytes_and_not_on_how_they_are_cut() -> None:
    assert of(1_500_000_000) == of(1_500_000_000, n_slices=7) == of(1_500_000_000, n_slices=301)


def test_a_source_that_cannot_say_its_size_counts_as_full_shards() -> None:
    assert numbers(sized(asked(), [Slice("hand", ())] * 10)) == (2, 5, 3, 2, 5)  # 640 MB


def test_numbers_that_are_given_are_obeyed() -> None:
    said = asked(
        exact_dups=Exchange(n_partitions=11),
        near_dups=NearDups(n_partitions=12),
        select=Select(n_partitions=13),
        pack=Pack(n_partitions=14, n_shards=15),
    )
    assert sized(said, []) is said
    assert of(10**12, mixture=said) == (11, 12, 13, 14, 15)
    assert of(300_000_000, mixture=asked(pack=Pack(n_shards=99))) == (1, 3, 2, 1, 99)


def test_a_stage_never_runs_without_its_number() -> None:
    with pytest.raises(ValidationError, match="n_partitions"):
        Partitioned(n_partitions=None)  # type: ignore[arg-type]
    for stage in stages(asked(), [Slice("hand", (), n_bytes=200_000_000)]):
        config = stage.config.model_dump()
        assert all(config.get(name, 1) is not None for name in ("n_partitions", "n_shards")), stage.name


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units of kilobytes, so that a corpus of some files asks for several."""
    for key in sizes_of():
        monkeypatch.setitem(sizes_of(), key, 9_000)


def sizes_of() -> dict[tuple[str, str], int]:
    from pipeline.request import sizes

    return sizes._BYTES


def write(folder: Path, first: int, last: int) -> None:
    for i in range(first, last):
        words = " ".join(f"word{(i * 37 + k * k) % 997}" for k in range(90))
        lines = "\n".join(f"def f{i}_{k}(value):\n    return value + {i * k}\n" for k in range(14))
        (folder / f"code/m{i}.py").write_text(lines, encoding="utf-8")
        (folder / f"text/t{i}.txt").write_text(f"It is the one that we have. {words}.\n" * 2, encoding="utf-8")


def test_an_input_that_grows_has_more_shards_and_is_as_a_fresh_run(tmp_path: Path, small: None) -> None:
    for name in ("code", "text"):
        (tmp_path / name).mkdir()
    write(tmp_path, 0, 12)
    sources = tuple(
        Source(name=name, kind="directory", path=str(tmp_path / name), pool=pool)  # type: ignore[arg-type]
        for name, pool in (("code", "code"), ("text", "text"))
    )
    mixture = Mixture(name="grows", sources=sources, pack=Pack(seq_len=64), select=Select(max_loss=1.0))

    def run_to(folder: str) -> RunFiles:
        curate(Run(open_store(str(tmp_path / folder)), mixture, InlineExecutor(), silent()))
        return RunFiles(open_store(str(tmp_path / folder)))

    before = run_to("run")
    held = numbers(before.mixture)
    assert all(n is not None and n > 1 for n in held)
    assert len(before.manifest["stages"]["packed"]["files"]) == held[-1]
    write(tmp_path, 12, 24)
    after, fresh = run_to("run"), run_to("fresh")
    assert numbers(after.mixture) == numbers(fresh.mixture)
    assert all(new > old for new, old in zip(numbers(after.mixture), held, strict=True))  # type: ignore[operator]
    assert [f.promise for f in verify(after) if not f.kept] == []
    assert len(list((tmp_path / "run/packed").iterdir())) == after.mixture.pack.n_shards
    for i in range(12, 24):
        for file in (tmp_path / f"code/m{i}.py", tmp_path / f"text/t{i}.txt"):
            file.unlink()
    assert numbers(run_to("run").mixture) == held
    assert digests(tmp_path / "run/packed")
    assert read_manifest(open_store(str(tmp_path / "run")))["mixture"]["pack"]["n_shards"] == held[-1]
