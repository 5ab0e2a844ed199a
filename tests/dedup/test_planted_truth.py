"""Recall and precision on planted near duplicates: a small set made here, and the shared sets where they lie."""

from __future__ import annotations

import csv
import os
import random
from functools import partial
from pathlib import Path

import plain_words
import pyarrow.parquet as pq
import pytest
from handmade import doc_id
from planted import broken_promises, decisions_of, dedup, find_in_classes, pairs_of, true_pairs

from pipeline.config import NearDups, Words

CODE = NearDups(preset="code", n_partitions=2)
# The shared sets give the Jaccard of words without operators, of whole files; they are ASCII.
BARE = NearDups(preset="code", n_partitions=2, code_words=Words(kind="unicode", skip_header=False))
CHECKOUT = Path(__file__).resolve().parents[2]
SETS = [Path(p) for p in os.environ.get("LOOPMIX_NEARDUP_SETS", "").split(os.pathsep) if p]
SETS += sorted(CHECKOUT.parent.glob("cache/neardup*")) + sorted((CHECKOUT.parent / "shared" / "data").glob("neardup*"))


def edited(text: list[str], *, share: float, rng: random.Random) -> list[str]:
    """A share of the lines replaced by lines that stand nowhere else."""
    lines = list(text)
    for place in rng.sample(range(len(lines)), max(1, round(share * len(lines)))):
        lines[place] = f"    value_{rng.randrange(10**9)} = compute({rng.randrange(10**6)}, other={rng.randrange(99)})"
    return lines


def planted(seed: int, *, n_groups: int = 30) -> list[str]:
    """Programs of random words with edits from 1 to 30 % of their lines, re-indented and given a header."""
    rng = random.Random(seed)
    vocabulary = [f"{a}_{b}" for a in ("get", "set", "find", "make", "list") for b in range(60)]
    documents = []
    for _ in range(n_groups):
        lines = [
            f"    {rng.choice(vocabulary)} = {rng.choice(vocabulary)}({', '.join(rng.sample(vocabulary, 3))})"
            for _ in range(rng.randrange(30, 120))
        ]
        documents.append("\n".join(lines))
        documents.append("\n\n".join(line.strip() for line in lines))
        documents.append("# Copyright somebody\n# All rights given away\n" + "\n".join(lines))
        documents += ["\n".join(edited(lines, share=s, rng=rng)) for s in (0.01, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3)]
    rng.shuffle(documents)
    return documents


@pytest.mark.parametrize("seed", [1, 2])
def test_recall_and_keepers_on_a_planted_set(tmp_path: Path, seed: int) -> None:
    shards = [documents[i::3] for documents in [planted(seed)] for i in range(3)]
    texts = {doc_id(s, i): t for s, column in enumerate(shards) for i, t in enumerate(column)}
    run = dedup(tmp_path, shards, config=CODE)
    found, wanted = pairs_of(run, n=2), true_pairs(texts, threshold=0.7)
    got = find_in_classes(texts, found, wanted)
    assert len(wanted) > 400
    assert len(got) >= 0.99 * len(wanted)
    assert {p: wanted[p] for p in got} == got
    assert not broken_promises(texts, decisions_of(run, n_shards=3), threshold=0.7)


@pytest.mark.parametrize("folder", SETS or [None], ids=lambda p: p.name if p else "none")
def test_recall_and_keepers_on_the_shared_set(tmp_path: Path, folder: Path | None) -> None:
    if folder is None or not (folder / "pairs.csv").exists():
        pytest.skip("no shared planted set beside the checkout and none in LOOPMIX_NEARDUP_SETS: recall is not scored")
    table = pq.read_table(folder / "docs.parquet", columns=["id", "content"])
    contents = [c.decode() for c in table["content"].to_pylist()]
    names = {name: doc_id(i % 4, i // 4) for i, name in enumerate(table["id"].to_pylist())}
    shards = [contents[i::4] for i in range(4)]
    run = dedup(tmp_path, shards, config=BARE)
    texts = {doc_id(s, i): t for s, column in enumerate(shards) for i, t in enumerate(column)}
    with (folder / "pairs.csv").open(newline="") as file:
        true = {(names[row["a"]], names[row["b"]]): float(row["j_ident5"]) for row in csv.DictReader(file)}
    got = find_in_classes(texts, pairs_of(run, n=2), true)
    for pair, similarity in got.items():
        assert abs(similarity - true[pair]) < 1e-5, pair
    wanted = [pair for pair, similarity in true.items() if similarity >= 0.7]
    recall = sum(pair in got for pair in wanted) / len(wanted)
    print(f"{folder.name}: recall {recall:.4f} of {len(wanted)} pairs")
    assert recall >= 0.98
    bare = partial(plain_words.windows, is_code=False)
    assert not broken_promises(texts, decisions_of(run, n_shards=4), threshold=0.7, shingles=bare)
