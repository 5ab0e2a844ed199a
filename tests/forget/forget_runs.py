"""A small run with surplus in both pools, of which documents can be taken back."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.config import Mixture
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.forget.forget import Done, forget
from pipeline.forget.listing import read_entries
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.schema import LEDGER

WORDS = (
    *("anchor", "basin", "canal", "delta", "estuary", "ferry", "gully", "harbour", "inlet"),
    *("jetty", "keel", "lagoon", "marsh", "narrows", "oar", "pier", "quay"),
)


def program(i: int) -> str:
    """Python of some twenty lines, like no other."""
    rng = random.Random(i)
    lines = [f'"""Module {i}: {rng.choice(WORDS)} and {rng.choice(WORDS)}."""', ""]
    for k in range(rng.randint(3, 14)):
        a, b = rng.choice(WORDS), rng.choice(WORDS)
        lines += [
            f"def {a}_{b}_{i}_{k}(width, depth):",
            f"    return width * {rng.randint(2, 999)} + depth - {i * k}",
            "",
        ]
    return "\n".join(lines)


def script(i: int) -> str:
    """JavaScript, like no other."""
    rng = random.Random(10_000 + i)
    lines = [
        f"export function {rng.choice(WORDS)}{i}x{k}(a, b) {{\n  return a * {rng.randint(2, 999)} + b - {i};\n}}\n"
        for k in range(rng.randint(3, 12))
    ]
    return "\n".join(lines)


def story(i: int) -> str:
    """Prose, like no other."""
    rng = random.Random(20_000 + i)
    said = [
        f"In the year {1000 + i} the {rng.choice(WORDS)} of {rng.choice(WORDS)} number {rng.randint(1, 10**6)} was the "
        f"oldest {rng.choice(WORDS)} that the people of the {rng.choice(WORDS)} had seen."
        for _ in range(rng.randint(4, 16))
    ]
    return " ".join(said)


def write_sources(folder: Path, *, n_programs: int = 90, n_scripts: int = 40, n_stories: int = 90) -> None:
    """Two languages and prose; programs 0 and 60 are equal, 1 and 61 too but for white space, 2 and 62
    nearly."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {f"m{i}.py": program(i) for i in range(n_programs)}
    texts["m60.py"] = program(0)
    texts["m61.py"] = program(1).replace("\n\n", "\n\n\n")
    texts["m62.py"] = program(2) + "def one_more(width):\n    return width\n"
    texts |= {f"s{i}.js": script(i) for i in range(n_scripts)}
    code = [
        {"path": path, "repo": f"owner/r{number % 12}", "content": text}
        for number, (path, text) in enumerate(texts.items())
    ]
    prose = [{"path": f"t{i}.txt", "content": story(i)} for i in range(n_stories)]
    for name, rows in (("code", code), ("prose", prose)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def mixture_in(folder: Path, **more: Any) -> Mixture:
    """What is made of the sources of `folder`."""
    made: dict[str, Any] = {
        "name": "taken",
        "sources": [
            {"name": "code", "kind": "jsonl", "path": "code.jsonl", "pool": "code", "columns": {"repo": "repo"}},
            {"name": "prose", "kind": "jsonl", "path": "prose.jsonl", "pool": "text"},
        ],
        "ingest": {"shard_bytes": 20_000},
        "balance": {"total_tokens": 28_000},
        "pack": {"seq_len": 256, "n_shards": 2, "n_partitions": 1},
        "quality": {"text": {"max_duplicate_line_frac": 1.0}},
    }
    made |= {stage: {"n_partitions": 2} for stage in ("exact_dups", "near_dups", "select")}
    made["select"]["max_loss"] = 1.0
    for key, value in more.items():
        made[key] = made.get(key, {}) | value if isinstance(value, dict) else value
    (folder / "mix.yaml").write_text(json.dumps(made), encoding="utf-8")
    return load_mixture(folder / "mix.yaml")


def work(out: Path, mixture: Mixture, **options: Any) -> None:
    curate(Run(open_store(str(out)), mixture, InlineExecutor(), silent(), **options))


def opened(out: Path) -> RunFiles:
    return RunFiles(open_store(str(out)))


def take_back(out: Path, *lines: str, **options: Any) -> Done:
    return forget(open_store(str(out)), read_entries(lines, where="list"), say=lambda _: None, **options)


def ledger(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pa.concat_tables(opened(out).shards(LEDGER)).to_pylist()
    return rows


def of_fate(out: Path, fate: str, *, pool: str = "code") -> list[dict[str, Any]]:
    return [row for row in ledger(out) if row["fate"] == fate and row["pool"] == pool]
