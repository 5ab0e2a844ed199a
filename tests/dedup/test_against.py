"""New data is added only where it is new: against a finished run, and against benchmarks."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from pipeline.cli.why import why_lines
from pipeline.config import Against, Mixture, NearDups, Source
from pipeline.dedup.against import open_earlier
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError
from pipeline.reading.lookup import why
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


def test_contaminated_documents_are_dropped_with_the_reason_and_shown_beside_the_item(tmp_path: Path) -> None:
    file = tmp_path / "items.jsonl"
    file.write_text("".join(json.dumps({"content": text}) + "\n" for text in ("an item", program(9))))
    files = {"leak.py": "first = 1\n\n" + program(9), "clean.py": program(8)}
    run = make(tmp_path, "run", files, against=(Against(name="tasks", kind="jsonl", path=str(file)),))
    now = ledger_of(run)
    assert now["leak.py"]["reasons"] == ["contaminated"]
    assert now["clean.py"]["keep"]
    (found,) = why(run, "leak.py")
    (match,) = found["matches"]
    assert match["passage"]["line"] == 3
    assert match["passage"]["text"].startswith("def ")
    assert match["passage"]["text"].removesuffix(" ...") in program(9)
    assert match["item_passage"] == match["passage"] | {"line": 1, "bytes": [0, len(program(9).rstrip())]}
    lines = [line.strip() for line in why_lines(found)]
    assert "here: from line 3 on" in lines
    assert lines.count(f"| {program(9).splitlines()[0]}") == 2
    assert [limit["key"] for limit in found["limits"]] == [
        "against.tasks.min_telling_words",
        "against.tasks.min_contained_frac",
    ]
    file.unlink()
    (gone,) = why(run, "leak.py")
    assert gone["matches"][0]["item_passage"] is None
    assert "item: the benchmark cannot be read any more" in "\n".join(why_lines(gone))


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
