"""A small run to search on, its tokenizer, and an executor that scores mixtures by a rule instead of training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plt.plt_runs import END, VOCAB_SIZE, make_documents, pack_rows, write_rows

from pipeline.plt.config import TrainConfig
from pipeline.propose import ProposeOptions
from pipeline.propose.training import MixtureScores, MixtureSpec

SEQ_LEN = 64


def search_run(folder: Path, *, n_rows: int = 1000, seed: int = 1) -> Path:
    """Code of two languages, prose of two sources; all documents of a few lines."""
    n_tokens = SEQ_LEN * (n_rows // 2)
    code = pack_rows(make_documents(("Python", "C"), n_tokens=n_tokens, seed=seed), pool="code", seq_len=SEQ_LEN)
    text = pack_rows(make_documents(("books", "notes"), n_tokens=n_tokens, seed=seed + 1), pool="text", seq_len=SEQ_LEN)
    rows = [row for pair in zip(code, text, strict=False) for row in pair][:n_rows]
    return write_rows(folder, rows, seq_len=SEQ_LEN)


def write_tokenizer(folder: Path) -> Path:
    """A byte-level vocabulary for ids that are bytes."""
    spelled = {chr(0x100 + i): i for i in range(VOCAB_SIZE) if i != END}
    special = [{"id": END, "content": "<|endoftext|>", "special": True}]
    model = {"type": "BPE", "vocab": spelled | {"<|endoftext|>": END}, "merges": []}
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({"added_tokens": special, "decoder": {"type": "ByteLevel"}, "model": model}))
    return path


def small_options(tokenizer: Path | None, **changes: Any) -> ProposeOptions:
    """The smallest search: four groups, six mixtures, two seeds, forty steps of two sequences."""
    config = TrainConfig.model_validate(
        {
            "model": {
                "vocab_size": VOCAB_SIZE,
                "n_layers": 1,
                "hidden_size": 16,
                "n_heads": 2,
                "n_kv_heads": 1,
                "intermediate_size": 16,
                "n_loops": 1,
            },
            "optimiser": {"n_steps": 1, "peak_lr": 5e-3},
            "data": {"sequences_per_step": 2},
            "run": {"device": "cpu", "n_threads": 1},
        }
    )
    base: dict[str, Any] = {
        "n_groups": 4,
        "budget": 25 * 40 * 2 * SEQ_LEN,
        "n_mixtures": 6,
        "n_confirm_seeds": 2,
        "config": config,
        "tokenizer": tokenizer,
    }
    return ProposeOptions(**(base | changes))


def _hash(shares: tuple[float, ...]) -> int:
    return int.from_bytes(hashlib.sha256(repr(shares).encode()).digest()[:8], "big")


class PlantedExecutor:
    """Scores each mixture by `losses` of its shares, plus noise of its own and what its seed does to all alike."""

    def __init__(self, losses: Callable[[np.ndarray], np.ndarray], *, noise: float) -> None:
        self.losses, self.noise = losses, noise
        self.specs: list[MixtureSpec] = []

    def map(self, task: Any, items: Sequence[Any], *, name: str) -> Iterator[tuple[Any, Any]]:
        for item in reversed(items):  # the order of completion must not matter
            spec = item[1]
            self.specs.append(spec)
            own, common = (np.random.Generator(np.random.Philox(key=[spec.seed, k])) for k in (_hash(spec.shares), 0))
            losses = self.losses(np.array(spec.shares)) + self.noise * own.standard_normal(len(spec.shares))
            losses += 50 * self.noise * common.standard_normal()
            yield item, MixtureScores(spec, spec.shares, tuple(losses.tolist()), 1000)

    def describe(self) -> str:
        return "by rule"
