import itertools
from pathlib import Path

import numpy as np
from handmade import ShuffledExecutor, digests, doc_id, documents, make_run, run_stage, write_documents, write_facts

from pipeline.config import NearDups, Partitioned
from pipeline.dedup.exact_dups import group_equal
from pipeline.dedup.near_dups import keep_near
from pipeline.dedup.settings import linking_of, signing_of, threshold_of
from pipeline.dedup.signatures import sign
from pipeline.dedup.similar import find_similar
from pipeline.engine.executor import InlineExecutor
from pipeline.schema import DOCUMENTS, EXACT_DUPS, LANGUAGES, REDACTED, SIGNATURES

CONFIG = NearDups(n_partitions=3, preset="text")


def variants() -> list[list[str]]:
    """Families of documents: each member replaces a growing share of the family's words."""
    rng = np.random.default_rng(5)
    shards: list[list[str]] = [[], [], []]
    for family in range(12):
        words = [f"w{family}x{i}" for i in rng.integers(0, 400, 220)]
        for member in range(6):
            text = list(words)
            for place in rng.choice(220, member, replace=False):
                text[place] = f"new{family}x{member}x{place}"
            shards[(family + member) % 3].append(" ".join(text))
    shards[1] += ["", "one two", "ONE, two!", shards[0][0], "一二三四五六七八九十" * 8]
    return shards


def true_pairs(shards: list[list[str]], threshold: float) -> dict[tuple[str, str], float]:
    """Exact Jaccard of all pairs, on Python sets of word tuples; equal documents are no pairs."""
    sets, seen = {}, set()
    for shard, contents in enumerate(shards):
        for row, content in enumerate(contents):
            words = "".join(c if c.isalnum() else " " for c in content.lower()).split()
            if content in seen or len(words) < 15 or ord(words[0][0]) > 0x3000:
                continue
            seen.add(content)
            sets[doc_id(shard, row)] = {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}
    found = {}
    for (a, x), (b, y) in itertools.combinations(sets.items(), 2):
        similarity = len(x & y) / len(x | y)
        if similarity >= threshold:
            found[a, b] = similarity
    return found


def find(folder: Path, executor: object) -> dict[tuple[str, str], float]:
    run = make_run(folder, executor=executor)
    shards = variants()
    made = [documents(i, contents) for i, contents in enumerate(shards)]
    tables = write_documents(run, made)
    write_facts(run, made)
    run_stage(run, "exact_dups", group_equal, config=Partitioned(n_partitions=8), n_shards=3)
    for shard in range(3):
        inputs = (tables.read(name, shard) for name in (DOCUMENTS, EXACT_DUPS, LANGUAGES, REDACTED))
        tables.write(SIGNATURES, shard, data=sign(*inputs, config=signing_of(CONFIG)))
    run_stage(run, "similar", find_similar, config=linking_of(CONFIG), n_shards=3)
    threshold = threshold_of(CONFIG)
    run_stage(run, "near_dups", keep_near, config=threshold, n_shards=3)
    from pipeline.engine.store import part
    from pipeline.schema import NEAR_DUPS

    rows = [
        row
        for i in range(CONFIG.n_partitions)
        for row in run.store.read_parquet(f"tables/near_dups/{part(i, 3)}", schema=NEAR_DUPS.schema).to_pylist()
    ]
    assert all(r["position"] < r["other_position"] for r in rows)
    return {(r["doc_id"], r["other_id"]): r["similarity"] for r in rows}


def test_pairs_are_true_and_nearly_all_are_found(tmp_path: Path) -> None:
    found = find(tmp_path, InlineExecutor())
    wanted = true_pairs(variants(), CONFIG.min_similarity)
    normal = {tuple(sorted(pair)): s for pair, s in wanted.items()}
    for pair, similarity in found.items():
        assert abs(normal[tuple(sorted(pair))] - similarity) < 1e-12, pair
    assert len(wanted) > 60
    assert len(found) >= 0.95 * len(wanted)
    sure = {pair for pair, s in normal.items() if s >= 0.8}
    assert sure <= {tuple(sorted(pair)) for pair in found}


def test_bytes_do_not_depend_on_the_order_of_work(tmp_path: Path) -> None:
    find(tmp_path / "a", InlineExecutor())
    find(tmp_path / "b", ShuffledExecutor(7))
    assert digests(tmp_path / "a/tables") == digests(tmp_path / "b/tables")


def test_signatures_are_null_for_repeats_and_for_documents_whose_words_say_too_little(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    long = " ".join("abcdefghijklmnop")
    made = [documents(0, [long, "", long, "...", "g h", long[:-4], "one, two " * 7 + "- " * 99])]
    tables = write_documents(run, made)
    write_facts(run, made)
    run_stage(run, "exact_dups", group_equal, config=Partitioned(n_partitions=8), n_shards=1)
    inputs = (tables.read(name, 0) for name in (DOCUMENTS, EXACT_DUPS, LANGUAGES, REDACTED))
    table = sign(*inputs, config=signing_of(CONFIG))
    assert table["n_shingles"].to_pylist() == [12, 0, 0, 0, 0, 0, 0]
    assert table["signature"].is_valid().to_pylist() == [True] + [False] * 6
    assert len(table["signature"][0].as_py()) == CONFIG.n_hashes
