"""A run whose input grows, shrinks or changes: only what that touches is read and measured again, and nothing stays
that a run over the new input alone would not make."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handmade import digests
from rich.console import Console

from pipeline.config import Mixture
from pipeline.engine.manifest import read_manifest
from pipeline.engine.progress import Progress, silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import StoreError
from pipeline.reading.verify import verify
from pipeline.recipe import curate
from pipeline.request.load import load_mixture

TEXT = Path(__file__).parent / "data" / "text"
READ = (
    "documents",
    "languages+redacted+quality+judged+overlaps+signatures",
    "tokens",
    "ledger",
)  # what works shard by shard


@dataclass
class Counting:
    """Works in process, counts items by the name of the work, and may be cut short before its `stop`-th."""

    done: Counter[str] = field(default_factory=Counter)
    stop: int = -1

    def map(self, task: Callable[[Any], Any], items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in items:
            if self.stop == 0:
                raise KeyboardInterrupt
            self.stop -= 1
            self.done[name] += 1
            yield item, task(item)

    def describe(self) -> str:
        return "counted"


def function(i: int) -> str:
    lines = [f"def step_{i}_{k}(value_{i}, width):" + f"\n    return value_{i} * {k * 7 + i} + width" for k in range(6)]
    return f'"""Steps of number {i}."""\n\n\n' + "\n\n\n".join(lines) + "\n"


def story(i: int) -> str:
    return " ".join(
        f"In the year {i * 13 + k} the keeper of harbour {i} wrote that ship number {k * i + 3} had come home late."
        for k in range(9)
    )


def mixture_in(folder: Path, *, kind: str, shard_bytes: int = 64_000_000, **source: Any) -> Mixture:
    """Code of some kind beside a text, which balances it."""
    if not (folder / "prose").exists():
        (folder / "prose").mkdir(parents=True)
        lines = "".join(json.dumps({"content": story(i)}) + "\n" for i in range(60))
        (folder / "prose/stories.jsonl.gz").write_bytes(gzip.compress(lines.encode(), mtime=0))
    code = {"name": "code", "kind": kind, "path": "code", **source}
    text = {"name": "prose", "kind": "jsonl", "path": "prose", "pool": "text"}
    pack = {"seq_len": 64, "n_shards": 2, "n_partitions": 2}
    ingest = {"shard_bytes": shard_bytes}
    made: dict[str, Any] = {"name": "growing", "sources": [code, text], "pack": pack, "ingest": ingest}
    made |= {stage: {"n_partitions": 2} for stage in ("exact_dups", "near_dups", "select")}  # few files, little work
    (folder / "mix.yaml").write_text(json.dumps(made), encoding="utf-8")
    return load_mixture(folder / "mix.yaml")


def write_code(folder: Path, numbers: Sequence[int], *, kind: str) -> None:
    """One file for each number."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in numbers:
        rows = {"path": [f"m{i}.py"], "content": [function(i)]}
        if kind == "directory":
            (folder / f"m{i:03d}.py").write_text(function(i), encoding="utf-8")
        elif kind == "jsonl":
            line = json.dumps({"path": f"m{i}.py", "content": function(i)})
            (folder / f"m{i:03d}.jsonl").write_text(line + "\n", encoding="utf-8")
        else:
            pq.write_table(pa.table(rows), folder / f"m{i:03d}.parquet")


def work(out: Path, mixture: Mixture, executor: Counting | None = None, **options: Any) -> Counter[str]:
    """How often each kind of work was done; open slices are read in a step of their own, which counts as documents."""
    executor = executor or Counting()
    curate(Run(open_store(str(out)), mixture, executor, silent(), **options))
    executor.done["documents"] += executor.done.pop("documents.cut", 0)
    return executor.done


def done(counts: Counter[str]) -> tuple[int, ...]:
    return tuple(counts[name] for name in READ)


def by_document(out: Path) -> dict[str, Any]:
    """Every table by document and not by shard: what a run says, however its input was cut."""
    run = RunFiles(open_store(str(out)))
    ids: dict[int, str] = {}
    said: dict[str, Any] = {}
    entries = run.manifest["stages"]
    for name, entry in entries.items():
        files = [out / f["path"] for f in entry["files"] if f["path"].endswith(".parquet")]
        rows = [(shard, row) for shard, file in enumerate(files) for row in pq.read_table(file).to_pylist()]
        if name == "documents":
            number: Counter[int] = Counter()
            for shard, row in rows:
                ids[(shard << 32) + number[shard]] = row["doc_id"]
                number[shard] += 1
        said[name] = [row for _, row in rows]
    for name, rows in said.items():
        for row in rows:
            row |= {k: ids[row[k]] for k in ("position", "other_position", "group_position") if k in row}
        said[name] = sorted(json.dumps(row, sort_keys=True, default=str) for row in rows)
    return said | {"stream": digests(out / "packed")}


def assert_is_like_fresh(out: Path, mixture: Mixture, fresh: Path) -> None:
    """Each table has the rows of a new run over the same input, the stream its bytes, and nothing else lies there."""
    work(fresh, mixture)
    grown, new = by_document(out), by_document(fresh)
    assert grown.keys() == new.keys()
    for name in grown:
        assert grown[name] == new[name], name
    assert [f for f in verify(RunFiles(open_store(str(out)))) if not f.kept] == []
    named = {f["path"] for e in read_manifest(open_store(str(out)))["stages"].values() for f in e["files"]}
    there = {p.relative_to(out).as_posix() for d in ("tables", "packed") for p in (out / d).rglob("*") if p.is_file()}
    assert there == named
    total = len(read_manifest(open_store(str(out)))["stages"]["documents"]["files"])
    assert {n[-13:-8] for n in named if n.startswith("tables/documents")} == {f"{total:05d}"}


@pytest.mark.parametrize(("kind", "n"), [("directory", 100), ("jsonl", 30), ("parquet", 8)])
def test_one_file_added_to_many_is_all_that_is_read(tmp_path: Path, kind: str, n: int) -> None:
    write_code(tmp_path / "code", range(n), kind=kind)
    columns = {} if kind == "directory" else {"columns": {"path": "path"}}
    mixture = mixture_in(tmp_path, kind=kind, **columns)
    before = work(tmp_path / "run", mixture)
    assert before["documents"] == (n + 1 if kind == "parquet" else 2)
    contents = {p.read_bytes() for p in (tmp_path / "run/tables/documents").iterdir()}
    write_code(tmp_path / "code", [500], kind=kind)
    after = work(tmp_path / "run", mixture)
    assert done(after)[:3] == (1, 1, 1)
    assert contents < {p.read_bytes() for p in (tmp_path / "run/tables/documents").iterdir()}
    assert work(tmp_path / "run", mixture) == Counter()
    assert_is_like_fresh(tmp_path / "run", mixture, tmp_path / "fresh")


@dataclass
class Grown:
    """A finished run of several small shards, and its input."""

    folder: Path
    mixture: Mixture

    def copy(self, to: Path) -> tuple[Path, Path, Mixture]:
        """The input and the run, copied with their times: files that nobody touched are as they were."""
        shutil.copytree(self.folder, to / "in")
        mixture = self.mixture.model_copy(
            update={"sources": tuple(s.model_copy(update={"path": s.path.replace(str(self.folder), str(to / "in"))})
                                     for s in self.mixture.sources)}
        )  # fmt: skip
        return to / "in/code", to / "in/run", mixture


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    """Sixteen files in a few shards, and a compressed file in nine. The paths are relative: a copy must be the same."""
    folder = tmp_path_factory.mktemp("several")
    write_code(folder / "code", range(16), kind="directory")
    shutil.copy(folder / "code/m003.py", folder / "code/m090.txt")  # equal bytes in both pools
    mixture = mixture_in(folder, kind="directory", shard_bytes=6_000)
    work(folder / "run", mixture)
    return Grown(folder, mixture)


def grow(code: Path) -> None:
    write_code(code, [200, 201], kind="directory")


def shrink(code: Path) -> None:
    for i in (0, 1, 2, 3, 4, 5, 6, 12):
        (code / f"m{i:03d}.py").unlink()


def change(code: Path) -> None:
    (code / "m005.py").write_text(function(305), encoding="utf-8")


def all_at_once(code: Path) -> None:
    shrink(code)
    grow(code)
    (code / "m009.py").write_text(function(309) * 9, encoding="utf-8")  # too large for its neighbours


@pytest.mark.parametrize("touch", [grow, shrink, change, all_at_once])
def test_a_run_is_like_a_fresh_one_when_its_input_was_touched(
    several: Grown, tmp_path: Path, touch: Callable[[Path], None]
) -> None:
    code, run, mixture = several.copy(tmp_path)
    work(run, mixture)  # the paths of its sources are others now
    touch(code)
    counts = work(run, mixture)
    n_shards = len(list((run / "tables/documents").iterdir()))
    assert 0 < counts["documents"] < n_shards
    assert_is_like_fresh(run, mixture, tmp_path / "fresh")


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_bytes_are_equal_when_growing_was_cut_short(several: Grown, tmp_path: Path, stop: int) -> None:
    code, run, mixture = several.copy(tmp_path)
    work(run, mixture)
    all_at_once(code)
    shutil.copytree(run, tmp_path / "undisturbed")
    work(tmp_path / "undisturbed", mixture)
    for at in (stop, stop + 5):
        with pytest.raises(KeyboardInterrupt):
            work(run, mixture, Counting(stop=at))
    work(run, mixture)
    for folder in ("tables", "packed"):
        assert digests(run / folder) == digests(tmp_path / "undisturbed" / folder)


def test_input_that_was_touched_twice_when_the_first_work_was_cut_short(several: Grown, tmp_path: Path) -> None:
    code, run, mixture = several.copy(tmp_path)
    work(run, mixture)
    for touch, stop in ((grow, 3), (shrink, 4), (change, 6)):
        touch(code)
        with pytest.raises(KeyboardInterrupt):
            work(run, mixture, Counting(stop=stop))
    work(run, mixture, check="size")
    assert_is_like_fresh(run, mixture, tmp_path / "fresh")


def test_what_is_packed_does_not_depend_on_how_the_input_is_cut(several: Grown, tmp_path: Path) -> None:
    _, run, mixture = several.copy(tmp_path)
    coarse = mixture.model_copy(update={"ingest": mixture.ingest.model_copy(update={"shard_bytes": 1_000_000})})
    work(tmp_path / "coarse", coarse)
    work(run, mixture)
    assert len(list((tmp_path / "coarse/tables/documents").iterdir())) == 2
    one, other = by_document(tmp_path / "coarse"), by_document(run)
    assert [name for name in one if one[name] != other[name]] == []
    work(run, coarse)  # another size of shards cuts all anew
    assert len(list((run / "tables/documents").iterdir())) == 2
    assert digests(run / "tables") == digests(tmp_path / "coarse/tables")


def test_a_pattern_that_leaves_files_out_costs_their_shards_alone(several: Grown, tmp_path: Path) -> None:
    _, run, mixture = several.copy(tmp_path)
    work(run, mixture)
    sources = (mixture.sources[0].model_copy(update={"exclude": ("m012.py",)}), mixture.sources[1])
    without = mixture.model_copy(update={"sources": sources})
    assert work(run, without)["documents"] == 1
    assert_is_like_fresh(run, without, tmp_path / "fresh")


def test_the_console_says_what_stays(several: Grown, tmp_path: Path) -> None:
    code, run, mixture = several.copy(tmp_path)
    work(run, mixture)
    grow(code)
    console = Console(file=io.StringIO(), width=120)
    curate(Run(open_store(str(run)), mixture, Counting(), Progress(console)))
    said = console.file.getvalue()
    assert said.startswith("input files since the last start: 2 new, 0 changed, 0 gone\n")
    assert "  documents                          12 of 13 shards stay\n" in said
    assert "  tokens                             12 of 13 shards stay\n" in said


def test_checkouts_when_one_is_added_cost_the_new_one(tmp_path: Path) -> None:
    def checkout(name: str, numbers: Sequence[int]) -> None:
        home = tmp_path / "code" / name
        write_code(home, numbers, kind="directory")
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-C", str(home)]
        for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
            subprocess.run([*git, *command], check=True)

    checkout("b", range(4))
    checkout("c", range(10, 14))
    mixture = mixture_in(tmp_path, kind="git")
    assert work(tmp_path / "run", mixture)["documents"] == 3
    checkout("a", range(20, 24))
    assert work(tmp_path / "run", mixture)["documents"] == 1
    checkout("c", [30])  # a new commit: the revision of all its documents is another one
    assert work(tmp_path / "run", mixture)["documents"] == 2
    assert_is_like_fresh(tmp_path / "run", mixture, tmp_path / "fresh")


def test_files_when_of_a_count_that_this_run_never_had_are_refused(several: Grown, tmp_path: Path) -> None:
    code, run, mixture = several.copy(tmp_path)
    work(run, mixture)
    grow(code)
    with pytest.raises(KeyboardInterrupt):
        work(run, mixture, Counting(stop=4))
    former = run / "tables/tokens/part-00000-of-00013.parquet"
    former.write_bytes(b"half")
    foreign = run / "tables/tokens/part-00000-of-00099.parquet"
    foreign.write_bytes(b"precious")
    with pytest.raises(StoreError, match=r"part-00000-of-00099\.parquet: was not written by this run"):
        work(run, mixture)
    foreign.unlink()
    grow_more = [210]
    write_code(code, grow_more, kind="directory")
    work(run, mixture)
    assert not former.exists()
