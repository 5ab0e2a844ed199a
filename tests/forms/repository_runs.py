"""Small repositories whose imports are known, and runs that are made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.engine.executor import Executor, InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.recipe import curate
from pipeline.request.load import load_mixture

SEQ_LEN = 512
# Python files of each repository, by how many functions they have: some longer than a sequence.
SIZES = {"one/alpha": [3, 4, 2, 30, 5, 3], "two/beta": [2] * 14, "three/gamma": [6, 1], "four/alone": [4]}


def imports_of_file(repo: str, number: int) -> list[int]:
    """The files, by number, that a file imports: the first ones import later ones, so path order has them wrong."""
    n = len(SIZES[repo])
    return sorted({number + 1, number + 2} & set(range(n))) if number % 3 else [n - 1] if number < n - 1 else []


@cache
def words() -> list[str]:
    rng = np.random.default_rng(1)
    return ["".join(rng.choice(list("abcdefghijklmnoprstuvw"), int(rng.integers(3, 9)))) for _ in range(900)]


def python(repo: str, number: int) -> str:
    rng = np.random.default_rng([number, *repo.encode()])
    lines = [f"from pkg import mod{i:02d}" for i in imports_of_file(repo, number)]
    for _ in range(SIZES[repo][number]):
        a, b, c, d, e, f = rng.choice(words(), 6).tolist()
        lines += [
            "",
            "",
            f"def {a}_{b}({c}, {d}):",
            f"    {e} = {c} * {int(rng.integers(99))} + {d}",
            f"    return {f}({e})",
        ]
    return "\n".join(lines) + "\n"


def prose(number: int) -> str:
    rng = np.random.default_rng([7, number])
    return "\n".join(" ".join(rng.choice(words(), 12).tolist()).capitalize() + "." for _ in range(25))


def write_corpus(folder: Path, *, repos: Sequence[str]) -> None:
    """A file of lines for each repository, in no order that a run could lean on, and one of texts."""
    for repo in repos:
        n = len(SIZES[repo])
        rows = [{"repo": repo, "path": f"pkg/mod{i:02d}.py", "content": python(repo, i)} for i in range(n)]
        order = np.random.default_rng(n).permutation(n).tolist()
        lines = "".join(json.dumps(rows[i]) + "\n" for i in order)
        (folder / f"code-{repo.replace('/', '-')}.jsonl").write_text(lines, encoding="utf-8")
    text = [{"path": f"{i}.md", "content": prose(i)} for i in range(30)]
    (folder / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in text), encoding="utf-8")


MIXTURE = """
name: repositories
seed: 5
sources:
  - {name: code, kind: jsonl, path: code-*.jsonl, pool: code, columns: {path: path, repo: repo}}
  - {name: text, kind: jsonl, path: text.jsonl, pool: text, columns: {path: path}, license: MIT}
ingest: {shard_bytes: 4_000}
quality: {parse: false}
near_dups: {min_similarity: 0.99, min_stored_similarity: 0.99}
select: {max_loss: 1.0}
exact_dups: {n_partitions: 2}
FORMS
BALANCE
pack: {seq_len: 512, n_shards: 2, n_partitions: 2}
"""


def made(
    folder: Path,
    forms: str = "forms: {repositories: {order: imports}}",
    *,
    balance: str = "",
    executor: Executor | None = None,
    repos: Sequence[str] = tuple(SIZES),
) -> RunFiles:
    """A finished run in `folder`/run."""
    folder.mkdir(exist_ok=True)
    write_corpus(folder, repos=repos)
    file = folder / "mix.yaml"
    file.write_text(MIXTURE.replace("FORMS", forms).replace("BALANCE", balance), encoding="utf-8")
    store = open_store(str(folder / "run"))
    curate(Run(store, load_mixture(file), executor or InlineExecutor(), silent()))
    return RunFiles(store)
