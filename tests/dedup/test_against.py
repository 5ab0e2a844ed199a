"""New data is added only where it is new: against a finished run, and against benchmarks."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from handmade import doc_id, documents

from pipeline.config import Against, Mixture, NearDups, Source
from pipeline.dedup.against import open_benchmarks, open_earlier
from pipeline.dedup.overlaps import Benchmarks, find_overlaps
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError
from pipeline.reading.verify import verify
from pipeline.recipe import SIGNATURES_VERSION, curate
from pipeline.schema import LEDGER

RNG = random.Random(4)
WORDS = [f"{a}_{b}" for a in ("read", "write", "open", "count") for b in ("line", "file", "word", "page", "row")]


def program(seed: int) -> str:
    rng = random.Random(seed)
    lines = [f"def {rng.choice(WORDS)}_{seed}(x):" for _ in range(1)]
    for _ in range(60):
        lines.append(f"    {rng.choice(WORDS)} = {rng.choice(WORDS)}({rng.choice(WORDS)}, {rng.choice(WORDS)})")
    return "\n".join(lines) + "\n"


def edited(text: str, *, line: int) -> str:
    lines = text.splitlines()
    lines[line] = f"    changed_{line} = other_{line}"
    return "\n".join(lines) + "\n"


def make(folder: Path, name: str, files: dict[str, str], **mixture: Any) -> RunFiles:
    source = folder / name / "in"
    source.mkdir(parents=True)
    for path, text in files.items():
        (source / path).write_text(text)
    (source / "prose.txt").write_text(" ".join(["The quick brown fox and the lazy dog of " + name] * 12))
    built = Mixture(name=name, sources=(Source(name="files", kind="directory", path=str(source)),), **mixture)
    store = open_store(str(folder / name / "run"))
    curate(Run(store, built, InlineExecutor(), silent()))
    return RunFiles(store)


def ledger_of(run: RunFiles) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for shard in run.shards(LEDGER) for row in shard.to_pylist()}


def test_documents_of_a_finished_run_are_not_taken_again(tmp_path: Path) -> None:
    old = make(tmp_path, "old", {"a.py": program(1), "b.py": program(2), "b_copy.py": program(2)})
    new_files = {"same.py": program(2), "near.py": edited(program(1), line=5), "new.py": program(3)}
    against = (Against(name="before", kind="run", path=str(tmp_path / "old/run")),)
    run = make(tmp_path, "new", new_files, against=against)
    before, now = ledger_of(old), ledger_of(run)
    assert now["new.py"]["keep"]
    kept_b = next(row["doc_id"] for path, row in before.items() if path.startswith("b") and row["keep"])
    assert (now["same.py"]["reasons"], now["same.py"]["keeper_id"]) == (["known_duplicate"], kept_b)
    assert now["same.py"]["similarity"] == 1.0
    assert (now["near.py"]["reasons"], now["near.py"]["keeper_id"]) == (["known_duplicate"], before["a.py"]["doc_id"])
    assert 0.7 <= now["near.py"]["similarity"] < 1
    assert [f for f in verify(run) if not f.kept] == []


def test_a_run_whose_words_differ_cannot_be_compared(tmp_path: Path) -> None:
    make(tmp_path, "old", {"a.py": program(1)})
    against = (Against(name="before", kind="run", path=str(tmp_path / "old/run")),)
    sources = (Source(name="x", kind="directory", path="/nowhere"),)
    mixture = Mixture(name="new", sources=sources, against=against, near_dups=NearDups(shingle_words=7))
    with pytest.raises(ConfigError, match=r"against\.before: near_dups\.shingle_words differ"):
        open_earlier(mixture, version=SIGNATURES_VERSION)
    missing = (Against(name="gone", kind="run", path=str(tmp_path / "nothing")),)
    with pytest.raises(ConfigError, match=r"against\.gone: .*does not exist"):
        open_earlier(mixture.model_copy(update={"against": missing}), version=SIGNATURES_VERSION)


def test_a_run_whose_signatures_have_another_version_cannot_be_compared(tmp_path: Path) -> None:
    make(tmp_path, "old", {"a.py": program(1)})
    against = (Against(name="before", kind="run", path=str(tmp_path / "old/run")),)
    mixture = Mixture(name="new", sources=(Source(name="x", kind="directory", path="/nowhere"),), against=against)
    assert len(open_earlier(mixture, version=SIGNATURES_VERSION)) == 1
    with pytest.raises(ConfigError, match=rf"against\.before: its signatures have version {SIGNATURES_VERSION}, this"):
        open_earlier(mixture, version=SIGNATURES_VERSION + 1)


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmarks:
    items = ["Write a function that returns the sum of all even numbers in the list given as its only argument " * 2,
             "short item of five words here", program(9)]  # fmt: skip
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps({"text": t}) + "\n" for t in items))
    sources = (Source(name="x", kind="directory", path="/nowhere"),)
    against = (Against(name="tasks", kind="jsonl", path=str(file), content="text"),)
    return open_benchmarks(Mixture(name="new", sources=sources, against=against))


def test_documents_that_hold_benchmark_items_are_found(benchmark: Benchmarks) -> None:
    rng = random.Random(1)
    every_tenth = program(9).splitlines()
    for line in range(0, 60, 10):
        every_tenth[line] = f"    edited_{rng.randrange(999)} = 1"
    contents = [
        "x = 1\n# WRITE a function, that returns the sum of all even numbers in the list; given\ny = 2\n",  # 15 words
        "x = 1\n# write a function that returns the sum of all even numbers\ny = 2\n",  # 11 words
        "\n".join(every_tenth),
        program(10),
        "a short item of five words here and more",
        "",
    ]
    table = find_overlaps(documents(0, contents), config=benchmark)
    assert table["benchmark"].to_pylist() == ["tasks", None, "tasks", None, "tasks", None]
    assert table["item"].to_pylist() == [0, None, 2, None, 1, None]
    assert table["n_shared_ngrams"].to_pylist()[0] == 3
    assert table["contained_frac"].to_pylist()[4] == 1.0
    assert table["doc_id"].to_pylist() == [doc_id(0, i) for i in range(6)]


UNREAD = {
    "a key that is not there": ({"text": "a b"}, "against.tasks.content: items.jsonl has no key 'content'"),
    "a row without text": ({"content": 7}, "against.tasks: 1 of 2 items cannot be read, the first in items.jsonl#"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_an_item_that_cannot_be_read_is_an_error(tmp_path: Path, kind: str) -> None:
    """Nobody would look for it, and the run would say that its benchmark is not in the data."""
    row, message = UNREAD[kind]
    first = row if "not there" in kind else {"content": program(9)}
    (tmp_path / "items.jsonl").write_text(f"{json.dumps(first)}\n{json.dumps(row)}\n", encoding="utf-8")
    sources = (Source(name="x", kind="directory", path="/nowhere"),)
    against = (Against(name="tasks", kind="jsonl", path=str(tmp_path / "items.jsonl")),)
    with pytest.raises(ConfigError) as caught:
        find_overlaps(
            documents(0, [program(9)]), config=open_benchmarks(Mixture(name="n", sources=sources, against=against))
        )
    assert message in str(caught.value)


def test_an_item_without_text_is_nothing_to_look_for(tmp_path: Path) -> None:
    rows = [{"content": ""}, {"content": program(9)}]
    (tmp_path / "items.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    sources = (Source(name="x", kind="directory", path="/nowhere"),)
    against = (Against(name="tasks", kind="jsonl", path=str(tmp_path / "items.jsonl")),)
    found = open_benchmarks(Mixture(name="n", sources=sources, against=against))
    assert find_overlaps(documents(0, [program(9)]), config=found)["item"].to_pylist() == [1]


def test_a_benchmark_that_is_not_there_is_named_as_the_mixture_names_it(tmp_path: Path) -> None:
    sources = (Source(name="x", kind="directory", path="/nowhere"),)
    against = (Against(name="tasks", kind="jsonl", path=str(tmp_path / "gone.jsonl")),)
    with pytest.raises(ConfigError, match=r"^against\.tasks\.path: .*gone\.jsonl does not exist"):
        open_benchmarks(Mixture(name="new", sources=sources, against=against))


@pytest.mark.parametrize(("share", "found"), [(0.5, "tasks"), (0.5 + 1e-9, None)])
def test_an_item_of_which_just_enough_is_contained_is_found(
    benchmark: Benchmarks, share: float, found: str | None
) -> None:
    """Item 1 has six words, so two shingles of five; the document holds one of them."""
    entry = benchmark.sets[0].entry.model_copy(update={"min_contained_frac": share})
    config = Benchmarks(sets=(benchmark.sets[0].model_copy(update={"entry": entry}),))
    table = find_overlaps(documents(0, ["short item of five words there"]), config=config)
    assert table["benchmark"].to_pylist() == [found]


def test_contaminated_documents_are_dropped_with_the_reason(tmp_path: Path, benchmark: Benchmarks) -> None:
    files = {"leak.py": program(7) + program(9), "clean.py": program(8)}
    now = ledger_of(make(tmp_path, "run", files, against=tuple(b.entry for b in benchmark.sets)))
    assert now["leak.py"]["reasons"] == ["contaminated"]
    assert now["clean.py"]["keep"]


@pytest.mark.parametrize("n_partitions", [1, 3])
def test_a_crowd_near_to_a_known_document_is_dropped_for_it(tmp_path: Path, n_partitions: int) -> None:
    near = NearDups(max_bucket_docs=8, n_partitions=n_partitions)
    make(tmp_path, "old", {"a.py": program(1), "z.py": program(6)}, near_dups=near)
    crowd = {f"v{n:02}.py": edited(program(1), line=n) for n in range(1, 31)}
    crowd |= {f"w{n:02}.py": edited(program(5), line=n) for n in range(1, 31)}
    against = (Against(name="before", kind="run", path=str(tmp_path / "old/run")),)
    run = make(tmp_path, "new", crowd, against=against, near_dups=near)
    now = ledger_of(run)
    assert run.manifest["stages"]["similar"]["counts"]["n_crowded_buckets"] > 20
    assert {tuple(now[path]["reasons"]) for path in crowd if path.startswith("v")} == {("known_duplicate",)}
    assert sum(now[path]["keep"] for path in crowd if path.startswith("w")) == 1
    assert [f for f in verify(run) if not f.kept] == []
