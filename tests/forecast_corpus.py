"""A corpus whose forecast can be checked: repositories of several languages, with files of very uneven sizes, equal and
near copies, data files that rules drop, and prose."""

from __future__ import annotations

import json
import random
from pathlib import Path

ENDINGS = {
    "py": "def step_{0}(value):\n    return value * {1} + {0}\n\n\n",
    "js": "function step{0}(value) {{\n  return value * {1} + {0};\n}}\n\n",
    "sh": 'step_{0}() {{\n  echo "$1 {1}"\n}}\n\n',
}
STEMS = ("har", "win", "ston", "ber", "mil", "tor", "lan", "sel")
WORDS = [f"{stem}{end}" for stem in STEMS for end in ("bour", "ter", "ing", "den", "")]


def source_file(rng: random.Random, ending: str, n_steps: int) -> str:
    return "".join(ENDINGS[ending].format(rng.randrange(10**6), rng.randrange(10**4)) for _ in range(n_steps))


def prose(rng: random.Random) -> str:
    n = int(min(2_000, 40 * rng.paretovariate(1.2)))
    return " ".join(
        f"The {rng.choice(WORDS)} of the {rng.choice(WORDS)} is {rng.choice(WORDS)}." for _ in range(n // 6 + 5)
    )


def write_corpus(folder: Path, *, n_files: int, seed: int = 0) -> Path:
    """Write it and a mixture of it; returns the mixture's file."""
    rng = random.Random(seed)
    rows, texts = [], []
    for i in range(n_files):
        ending = rng.choices(list(ENDINGS), (6, 3, 1))[0]
        text = source_file(rng, ending, int(min(400, 2 * rng.paretovariate(1.1))) + 1)
        path = f"src/f{i}.{ending}"
        copies = rng.choices((1, 2, 5), (90, 8, 2))[0]
        for copy in range(copies):  # equal, or with a line more
            more = f"# copy {copy}\n" if ending != "js" and rng.random() < 0.3 and copy else ""
            rows.append({"content": text + more, "path": path, "repo": f"r{i % 97}.{copy}"})
        if rng.random() < 0.05:  # what no rule lets pass
            blob = "".join(rng.choice("0123456789abcdef") for _ in range(3_000))
            rows.append({"content": f"const DATA = '{blob}'\n", "path": f"data/d{i}.js", "repo": "data"})
        texts.append({"content": prose(rng), "path": f"{i}.txt"})
    for name, found in (("code", rows), ("prose", texts)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in found))
    mixture = folder / "mix.yaml"
    mixture.write_text(
        "name: forecast\nseed: 1\n"
        "sources:\n"
        "  - {name: code, kind: jsonl, path: code.jsonl, pool: code, columns: {path: path, repo: repo}}\n"
        "  - {name: prose, kind: jsonl, path: prose.jsonl, pool: text, columns: {path: path}}\n"
        "pack: {seq_len: 256}\n"
        "select: {max_loss: 1.0}\n"
    )
    return mixture
