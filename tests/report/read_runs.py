"""A small run with what a reader of its texts must see, and what nobody may."""

from __future__ import annotations

import random
from pathlib import Path

from privacy import documented

from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.recipe import curate
from pipeline.request.load import load_mixture

TOKEN = documented.drawn("ghp_{a36}", seed=1)
MAIL, HOST = "ann@tidepool.org", "93.184.216.34"
VALUES = (TOKEN, MAIL, HOST)
HOSTILE = '<script>document.title="x"</script>\u202e\x1b[31m&amp;'
WORDS = [documented.drawn("{L7}", seed=n) for n in range(300)]
MIXTURE = """\
name: read
sources:
  - {name: code, kind: directory, path: code, pool: code, license: MIT, repo: me/one}
  - {name: text, kind: directory, path: text, pool: text, license: MIT}
ingest: {shard_bytes: 12_000}
privacy: {policies: {email: report, ipv4: drop}}
pack: {seq_len: 64, n_shards: 1, n_partitions: 1}
"""


def program(n: int, *more: str) -> str:
    """A program like no other."""
    draw = random.Random(n)
    names = [draw.sample(WORDS, 3) for _ in range(24)]
    lines = [f"def {a}_{n}({b}, {c}):\n    return {a} * {b} + {n}\n" for a, b, c in names]
    return "\n".join(["import os", *more, *lines])


def prose(n: int, *more: str) -> str:
    draw = random.Random(1000 + n)
    return "\n".join([*(" ".join(draw.sample(WORDS, 12)) + " and the words that go with it." for _ in range(9)), *more])


def files() -> dict[str, str]:
    """By path. The first four programs hold a token (redacted), an address (left), another (drops), and markup."""
    made = {f"code/p{n}.py": program(n) for n in range(20)}
    made["code/p0.py"] = program(0, f"KEY = '{TOKEN}'")
    made["code/p1.py"] = program(1, f"# by {MAIL}, again {MAIL}", f"KEY = '{TOKEN}'")
    made["code/p2.py"] = program(2, f"HOST = '{HOST}'")
    made["code/p3.py"] = program(3, f"# {HOSTILE}")
    made["code/near.py"] = program(4).replace("import os", "import sys")
    made["code/equal.py"] = program(5)
    made["code/long.js"] = "let a = 1;\n" + "let b = [" + "12345, " * 900 + "];\n"
    made["code/conflict.py"] = program(21, "<<<<<<< HEAD", "a = 1", "=======", "a = 2", ">>>>>>> other")
    made |= {f"text/t{n}.txt": prose(n) for n in range(8)}
    made["text/t1.txt"] = prose(1, f"Write to {MAIL} about it.")
    return made


def read_run(folder: Path) -> RunFiles:
    """Curate it."""
    for path, text in files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (folder / "mixture.yaml").write_text(MIXTURE, encoding="utf-8")
    mixture = load_mixture(folder / "mixture.yaml")
    curate(Run(open_store(str(folder / "run")), mixture, InlineExecutor(), silent()))
    return RunFiles(open_store(str(folder / "run")))
