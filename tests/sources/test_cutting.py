"""Open slices are read before the shards are counted: what is committed then, and what stands on the next start."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Source
from pipeline.engine.done import StepDone
from pipeline.engine.progress import silent
from pipeline.engine.stage import Job, Workplace
from pipeline.engine.store import Store, open_store
from pipeline.engine.tables import Tables
from pipeline.errors import StoreError
from pipeline.schema import DOCUMENTS
from pipeline.sources import plan_slices, read_slice
from pipeline.sources.cutting import Cutting, cut_open
from pipeline.sources.documents import Cut, Inputs, ingest

SHARD = 2_048
VERSION = 7


@dataclass
class Counting:
    """Works in process and counts items by the name of the work."""

    done: Counter[str] = field(default_factory=Counter)

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            self.done[name] += 1
            yield item, task(item)

    def describe(self) -> str:
        return "counted"


@dataclass
class Input:
    """A folder with one file that makes several shards and one that makes one, and a run over it."""

    folder: Path
    executor: Counting = field(default_factory=Counting)
    limit: int = 8_000_000

    def __post_init__(self) -> None:
        for name, n in {"large": 60, "small": 3}.items():
            lines = "".join(json.dumps({"content": f"{name} {i} " * 40}) + "\n" for i in range(n))
            (self.folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))

    @property
    def store(self) -> Store:
        return open_store(str(self.folder / "run"))

    @property
    def source(self) -> Source:
        return Source.model_validate({"name": "s", "kind": "jsonl", "path": str(self.folder), "include": ("*.gz",)})

    def inputs(self, slices: Sequence[Any] = ()) -> Inputs:
        return Inputs(
            sources=(self.source,), max_document_bytes=self.limit, min_encoding_confidence=0.5, slices=tuple(slices)
        )

    def cut(self, *, known: dict[str, Cut] | None = None, skip_bad: bool = False, shard_bytes: int = SHARD) -> Cutting:
        place = Workplace(self.executor, silent(), skip_bad)
        reading = self.inputs().reading(version=VERSION)
        slices = plan_slices(self.source, shard_bytes=shard_bytes)
        return cut_open(place, self.store, reading, slices=slices, shard_bytes=shard_bytes, known=known or {})

    def ingest(self, made: Cutting, *, skip_bad: bool = False, fresh: frozenset[str] = frozenset()) -> StepDone:
        place = Workplace(self.executor, silent(), skip_bad, fresh=fresh)
        tables = Tables(self.store, len(made.slices), DOCUMENTS.name, frozenset())
        job = Job(place, tables, DOCUMENTS.name, "mark", None, VERSION)
        return ingest(job, config=self.inputs(made.slices))


@pytest.fixture
def files(tmp_path: Path) -> Input:
    return Input(tmp_path)


def test_shards_that_were_made_before_they_were_counted_stand_under_their_names(files: Input) -> None:
    made = files.cut()
    assert [len(cut.starts) for cut in made.cuts.values()] == [15, 1]
    done = files.ingest(made)
    assert files.executor.done == {"documents.cut": 2, "rename": 16}
    paths = [file.path for file in done.files()]
    assert paths == [f"tables/documents/part-{i:05d}-of-00016.parquet" for i in range(16)]
    n_docs = 0
    for path, piece in zip(paths, made.slices, strict=True):
        found = files.store.read_parquet(path, schema=DOCUMENTS.schema)
        assert found.equals(read_slice(files.source, piece, max_document_bytes=8_000_000))
        n_docs += found.num_rows
    assert done.counts["n_docs"] == n_docs
    assert len(made.fresh) == 16


def test_what_this_start_has_committed_is_not_read_again(files: Input, monkeypatch: pytest.MonkeyPatch) -> None:
    made = files.cut()
    hashed: list[bool] = []
    whole = Store.is_intact
    monkeypatch.setattr(Store, "is_intact", lambda *a, by_hash: hashed.append(by_hash) or whole(*a, by_hash=by_hash))
    files.ingest(made, fresh=made.fresh)
    files.ingest(made)
    assert hashed == [False] * 16 + [True] * 16


def test_a_slice_is_read_once_whether_the_start_got_as_far_as_a_plan_or_not(files: Input) -> None:
    made = files.cut()
    again = files.cut()  # without a plan
    files.store.remove("state/documents/cut")
    known = files.cut(known=made.cuts)
    assert files.executor.done == {"documents.cut": 2}
    assert again.slices == known.slices == made.slices
    assert again.fresh == known.fresh == frozenset()


def test_other_shards_other_limits_or_a_touched_file_are_read_anew(files: Input) -> None:
    known = files.cut().cuts
    assert len(files.cut(known=known, shard_bytes=SHARD * 2).slices) == 9
    files.limit = 9_000_000
    files.cut(known=known)
    assert files.executor.done["documents.cut"] == 6
    small = files.folder / "small.jsonl.gz"
    small.write_bytes(small.read_bytes() + gzip.compress(b""))
    files.cut()
    assert files.executor.done["documents.cut"] == 7


def test_of_a_file_that_is_damaged_behind_its_first_shards_nothing_is_kept(files: Input) -> None:
    large = files.folder / "large.jsonl.gz"
    large.write_bytes(large.read_bytes()[:-6])
    with pytest.raises(StoreError, match=r"^source 's': .*large\.jsonl\.gz: is damaged.*--on-bad-shard skip$"):
        files.cut()
    made = files.cut(skip_bad=True)
    assert len(made.slices) == 2
    done = files.ingest(made, skip_bad=True)
    assert list(done.problems()) == [0]
    assert "large.jsonl.gz: is damaged" in done.problems()[0]
    assert done.counts["n_docs"] == 3
    n_read = files.executor.done["documents.cut"]
    files.cut(known=made.cuts, skip_bad=True)
    assert files.executor.done["documents.cut"] == n_read
    with pytest.raises(StoreError, match="is damaged"):
        files.cut(known=made.cuts)


def test_a_shard_that_was_lost_is_read_alone(files: Input) -> None:
    made = files.cut()
    before = files.ingest(made)
    files.store.remove(before.files_of(5)[0].path)
    assert files.ingest(made).files_of(5) == before.files_of(5)
    assert files.executor.done["documents"] == 1
