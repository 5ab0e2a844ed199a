"""Texts are compared by `verify` as dedup did, whichever copy is kept and whatever is masked in it."""

from __future__ import annotations

from pathlib import Path

from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.reading.verify import verify
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.schema import LEDGER


def test_a_text_that_lies_in_both_pools_is_compared_as_dedup_did(tmp_path: Path) -> None:
    """A README under both sources: its first copy is code, the keeper is prose, and their words differ in case."""
    prose = [f"The Quick Brown Fox {i} Jumps over the Lazy Dog and Runs {i * i} Miles away" for i in range(40)]
    for name, lines in (
        ("code/a.md", prose),
        ("text/kept.md", prose),
        ("code/near.md", ["the quick BROWN", *prose[1:]]),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines), encoding="utf-8")
    (tmp_path / "code/b.py").write_text("\n".join(f"def f_{i}(x): return x + {i}" for i in range(60)), encoding="utf-8")
    (tmp_path / "mix.yaml").write_text(
        "name: both\nquality: {parse: false}\npack: {seq_len: 64, n_shards: 1}\nsources:\n"
        "  - {name: code, kind: directory, path: code, pool: code}\n"
        "  - {name: text, kind: directory, path: text, pool: text, license: MIT}\n",
        encoding="utf-8",
    )
    curate(Run(open_store(str(tmp_path / "run")), load_mixture(tmp_path / "mix.yaml"), InlineExecutor(), silent()))
    run = RunFiles(open_store(str(tmp_path / "run")))
    rows = {r["doc_id"]: r for t in run.shards(LEDGER) for r in t.to_pylist()}
    lost = next(r for r in rows.values() if r["path"] == "near.md")
    assert lost["reasons"] == ["near_duplicate"]
    assert rows[lost["keeper_id"]]["pool"] == "text"
    assert [f"{f.promise}: {f.detail}" for f in verify(run) if not f.kept] == []


def test_a_password_that_one_of_two_equal_texts_shows_is_compared_as_dedup_did(tmp_path: Path) -> None:
    """In settings a value needs no quotes, in a program it does: so of equal texts one is redacted and one is not, and
    what was compared is the first of them, whichever is kept."""
    for group in range(6):  # in which of them the program is the first one is chance
        lines = [f"def area_{group}_{i}(width, height): return width * height + {i * group}" for i in range(24)]
        lines[3] = f"api_password=Zq{group}rT8vLx2Wp9Nc4Kd7hJ"
        for name, changed in (("code/{}.py", None), ("text/{}.txt", None), ("code/near_{}.py", 20)):
            path = tmp_path / name.format(group)
            path.parent.mkdir(exist_ok=True)
            path.write_text("\n".join(line for i, line in enumerate(lines) if i != changed), encoding="utf-8")
    (tmp_path / "code/b.py").write_text("\n".join(f"def f_{i}(x): return x + {i}" for i in range(60)), encoding="utf-8")
    (tmp_path / "mix.yaml").write_text(
        "name: both\nquality: {parse: false, sets: []}\nselect: {max_loss: 1.0}\npack: {seq_len: 64, n_shards: 1}\n"
        "sources:\n"
        "  - {name: code, kind: directory, path: code, pool: code}\n"
        "  - {name: text, kind: directory, path: text, pool: text, license: MIT}\n",
        encoding="utf-8",
    )
    curate(Run(open_store(str(tmp_path / "run")), load_mixture(tmp_path / "mix.yaml"), InlineExecutor(), silent()))
    run = RunFiles(open_store(str(tmp_path / "run")))
    rows = [r for t in run.shards(LEDGER) for r in t.to_pylist()]
    assert {r["path"] for r in rows if "near_duplicate" in r["reasons"]} >= {f"near_{k}.py" for k in range(6)}
    assert [f"{f.promise}: {f.detail}" for f in verify(run) if not f.kept] == []
