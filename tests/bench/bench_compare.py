"""How often a comparison claims a difference where there is none, and whether it sees one that is there.

    python tests/bench/bench_compare.py RUN        # forty null comparisons on halves of a run's stream
    python tests/bench/bench_compare.py            # the same on made text, and ten real differences
    python tests/bench/bench_compare.py --small    # a few of them

Each comparison deals the documents of one stream into two halves by a key of its own, packs each half anew into short
sequences and lets `validate` compare them with three seeds. In a null comparison that is all; in a real one the tokens
of half of the second half's text documents are shuffled: on made text only, whose order a tiny model learns within the
budget. A page claims a difference if any of its lines does.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "plt"))

from plt_runs import make_documents, pack_rows, write_rows

from pipeline.plt import TrainConfig, ValidateOptions, validate_run
from pipeline.plt.data import open_packed, read_rows
from pipeline.plt.keyed import draw, shuffled
from pipeline.results import Comparison, Validation

_SEQ_LEN = 64
_STEP_ROWS = 8
_VOCAB = 512  # ids are folded into it: what is measured is arithmetic on losses, and a small head is quick
_MAX_TOKENS = 256  # of a document
Document = tuple[str, str, list[int]]


def of_run(folder: Path, *, key: int, n_tokens: int) -> dict[str, list[Document]]:
    """About `n_tokens` of each pool: the beginnings of documents drawn by `key`, ids folded."""
    run = open_packed(folder)
    pools: dict[str, list[Document]] = {"code": [], "text": []}
    for number in shuffled(f"stream {key}", np.arange(run.n_sequences)).tolist():
        if all(sum(len(ids) for _, _, ids in of) >= n_tokens for of in pools.values()):
            break
        for rows in read_rows(run, number, stop=number + 1):
            start, end = int(rows.starts[0]), int(rows.ends[0])
            ids = (rows.token_ids[0, start : min(end, start + _MAX_TOKENS)] % _VOCAB).tolist()
            documents = pools[rows.pools[0]]
            known = {doc_id for doc_id, _, _ in documents}
            if len(ids) >= 16 and rows.doc_ids[0] not in known and sum(len(i) for _, _, i in documents) < n_tokens:
                documents.append((rows.doc_ids[0], rows.groups[0][1], ids))
    return pools


def made(*, key: int, n_tokens: int) -> dict[str, list[Document]]:
    """The same amount from the grammars of the tests."""
    return {
        "code": make_documents(("Python", "C"), n_tokens=n_tokens, seed=2 * key + 1),
        "text": make_documents(("prose",), n_tokens=n_tokens, seed=2 * key + 2),
    }


def halves(pools: dict[str, list[Document]], folder: Path, *, key: int, spoil: bool) -> tuple[Path, Path]:
    """Two runs of equally many documents; `spoil` shuffles the tokens of every second text of the second one."""
    runs = []
    for half in (0, 1):
        rows = {}
        for pool, documents in pools.items():
            order = shuffled(f"deal {key} {pool}", np.arange(len(documents)))[half::2].tolist()
            mine = [documents[i] for i in order]
            if spoil and half and pool == "text":
                mine = [_shuffled(d, key=key) if i % 2 else d for i, d in enumerate(mine)]
            rows[pool] = pack_rows(mine, pool=pool, seq_len=_SEQ_LEN)
        mixed = [row for pair in zip(rows["code"], rows["text"], strict=False) for row in pair]
        runs.append(write_rows(folder / ("first", "second")[half], mixed, seq_len=_SEQ_LEN, block_rows=4096))
    return runs[0], runs[1]


def _shuffled(document: Document, *, key: int) -> Document:
    doc_id, group, ids = document
    order = np.argsort(draw(f"spoil {key} {doc_id}", np.arange(len(ids))))
    return doc_id, group, [ids[i] for i in order.tolist()]


def compare(pools: dict[str, list[Document]], *, key: int, spoil: bool, n_tokens: int, n_seeds: int) -> Validation:
    config = TrainConfig.model_validate(
        {
            "model": {
                "vocab_size": _VOCAB,
                "n_layers": 2,
                "hidden_size": 32,
                "n_heads": 2,
                "n_kv_heads": 1,
                "intermediate_size": 64,
                "n_loops": 1,
                "init_std": 0.1,
            },
            "optimiser": {"n_steps": 1, "peak_lr": 0.01},
            "data": {"sequences_per_step": _STEP_ROWS},
            "eval": {"min_group_tokens": 400, "n_diagnose_sequences": 1},
            "run": {"device": "cpu", "n_threads": 1, "seed": 1000 * key, "tensorboard": False},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        first, second = halves(pools, Path(folder), key=key, spoil=spoil)
        options = ValidateOptions(n_tokens=n_tokens, loops=(1,), n_seeds=n_seeds, against=(second,), config=config)
        return validate_run(first, out=Path(folder) / "v", options=options)


def claims(found: Validation) -> list[Comparison]:
    return [line for line in found.comparisons if line.claimed]


def measure(pools_of: Any, *, n_null: int, n_real: int, n_tokens: int, n_seeds: int) -> dict[str, list[Validation]]:
    results: dict[str, list[Validation]] = {"null": [], "real": []}
    for kind, count in (("null", n_null), ("real", n_real)):
        for key in range(count):
            started = time.perf_counter()
            found = compare(pools_of(key), key=key, spoil=kind == "real", n_tokens=n_tokens, n_seeds=n_seeds)
            results[kind].append(found)
            told = ", ".join(f"{c.part} on {c.tail} {c.difference:+.3f}" for c in claims(found)) or "nothing"
            seconds = time.perf_counter() - started
            print(f"{kind} {key}: {len(found.comparisons)} lines, claims {told} ({seconds:.0f} s)", flush=True)
    return results


def table(results: dict[str, list[Validation]]) -> list[str]:
    rows = ["| | pages | that claim a difference | lines | lines outside their own interval |", "|---|--:|--:|--:|--:|"]
    for kind, found in results.items():
        lines = [line for page in found for line in page.comparisons if line.p_value is not None]
        outside = sum(line.p_value < 0.05 for line in lines)
        rows.append(f"| {kind} | {len(found)} | {sum(map(bool, map(claims, found)))} | {len(lines)} | {outside} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help="a finished run; without it the tests' made text")
    parser.add_argument("--small", action="store_true", help="three null comparisons and one real one")
    parser.add_argument("--null", type=int, default=40)
    parser.add_argument("--real", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=24_000, help="of each training")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    size = 6 * given.tokens  # of each pool of the stream; a half then has six times what a training reads

    def pools_of(key: int) -> dict[str, list[Document]]:
        return of_run(given.run, key=key, n_tokens=size) if given.run else made(key=key, n_tokens=size)

    n_null, n_real = (3, 1) if given.small else (given.null, 0 if given.run else given.real)
    found = measure(pools_of, n_null=n_null, n_real=n_real, n_tokens=given.tokens, n_seeds=given.seeds)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
