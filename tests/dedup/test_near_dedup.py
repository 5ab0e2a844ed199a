"""Near dedup from documents to decisions, against brute force on Python sets."""

from __future__ import annotations

import os
import random
import signal
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from handmade import ShuffledExecutor, digests, doc_id, documents, run_stage, write_documents, write_facts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted import broken_promises, decisions_of, dedup, finish, jaccard, pair_rows, pairs_of, true_pairs, windows

from pipeline.config import NearDups
from pipeline.dedup.near_dups import keep_near
from pipeline.dedup.settings import linking_of, threshold_of
from pipeline.engine.executor import Executor, connect
from pipeline.engine.store import open_store

# so many bands that every pair above the threshold meets: what is missed then is a defect, not chance
SURE = NearDups(n_partitions=3, n_bands=64, rows_per_band=2, n_hashes=128)
CROWDED = SURE.model_copy(update={"max_bucket_docs": 3})


def texts_of(shards: list[list[str]]) -> dict[str, str]:
    return {doc_id(s, i): text for s, column in enumerate(shards) for i, text in enumerate(column)}


def families(seed: int, *, n_families: int, n_members: int, n_words: int = 160) -> list[str]:
    """Documents with planted edits: each member replaces a growing share of its family's words."""
    rng = random.Random(seed)
    out = []
    for family in range(n_families):
        words = [f"w{family}_{rng.randrange(300)}" for _ in range(n_words)]
        for member in range(n_members):
            text = list(words)
            for place in rng.sample(range(n_words), rng.randrange(0, 4)):
                text[place] = f"n{family}_{member}_{place}"
            out.append(rng.choice([" ", "\n", ", "]).join(text))
    rng.shuffle(out)
    return out


def cut(documents: list[str], n: int) -> list[list[str]]:
    return [documents[i::n] for i in range(n)]


def greedy(texts: dict[str, str], order: list[str], *, threshold: float) -> set[str]:
    """The kept set by definition: down the total order, whoever is near to nobody kept so far."""
    kept: list[str] = []
    for doc in order:
        mine = windows(texts[doc])
        if not any(texts[k] == texts[doc] or (mine and jaccard(mine, windows(texts[k])) >= threshold) for k in kept):
            kept.append(doc)
    return set(kept)


def by_total_order(texts: dict[str, str]) -> list[str]:
    """Longer first, then by id: without licences, stars and dates nothing else decides."""
    return sorted(texts, key=lambda i: (-len(texts[i].encode()), i))


words = st.lists(st.sampled_from("abc"), min_size=12, max_size=28).map(" ".join)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(words, min_size=1, max_size=14), st.sampled_from([SURE, CROWDED]), st.sampled_from([0.5, 0.7, 0.9]))
def test_kept_documents_equal_brute_force_on_random_small_sets(
    tmp_path_factory: pytest.TempPathFactory, documents: list[str], config: NearDups, threshold: float
) -> None:
    config = config.model_copy(update={"min_similarity": threshold, "n_partitions": 1})
    shards = cut(documents, 2)
    texts = texts_of(shards)
    run = dedup(tmp_path_factory.mktemp("run"), shards, config=config, n_partitions=1)
    got = decisions_of(run, n_shards=2)
    assert not broken_promises(texts, got, threshold=threshold)
    assert {i for i, row in got.items() if row["keep"]} == greedy(texts, by_total_order(texts), threshold=threshold)


@pytest.mark.parametrize("config", [SURE, CROWDED], ids=["pairs", "crowds"])
def test_kept_documents_equal_brute_force_on_families(tmp_path: Path, config: NearDups) -> None:
    shards = cut(families(3, n_families=12, n_members=9), 3)
    texts = texts_of(shards)
    got = decisions_of(dedup(tmp_path, shards, config=config), n_shards=3)
    kept = {i for i, row in got.items() if row["keep"]}
    assert kept == greedy(texts, by_total_order(texts), threshold=0.7)
    assert not broken_promises(texts, got, threshold=0.7)
    assert not any(a in kept and b in kept for a, b in true_pairs(texts, threshold=0.7))
    assert 12 <= len(kept) < 60


def test_pairs_are_those_of_brute_force_where_no_bucket_is_crowded(tmp_path: Path) -> None:
    shards = cut(families(4, n_families=8, n_members=6), 2)
    distinct: dict[frozenset[Any], str] = {}
    texts = {i: t for i, t in texts_of(shards).items() if distinct.setdefault(windows(t), i) == i}
    found = pairs_of(dedup(tmp_path, shards, config=SURE), n=3)
    wanted = true_pairs(texts, threshold=0.7)
    assert {p: s for p, s in found.items() if s < 1} == pytest.approx(wanted)
    assert len(wanted) > 30


def test_a_pair_says_how_much_of_the_smaller_document_lies_in_the_larger(tmp_path: Path) -> None:
    words = [f"w{i}" for i in range(104)]
    inside, other = words[:80], [*words[:60], *(f"x{i}" for i in range(20))]
    run = dedup(tmp_path, [[" ".join(w) for w in (words, inside, other)] + [", ".join(words)]], config=SURE)
    rows = pair_rows(run, n=3, table="similar")
    ids = [doc_id(0, i) for i in range(4)]
    found = {p: (r["similarity"], r["containment"]) for p, r in rows.items()}
    assert found[tuple(sorted((ids[0], ids[1])))] == (76 / 100, 1.0)  # 100 and 76 shingles
    assert found[tuple(sorted((ids[1], ids[2])))] == (56 / 96, pytest.approx(56 / 76, rel=1e-6))
    assert found[tuple(sorted((ids[0], ids[3])))] == (1.0, 1.0)


@pytest.mark.parametrize("config", [SURE, CROWDED], ids=["pairs", "crowds"])
def test_decisions_do_not_depend_on_partitions_order_or_workers(tmp_path: Path, config: NearDups) -> None:
    shards = cut(families(5, n_families=6, n_members=8), 3)
    one = dedup(tmp_path / "one", shards, config=config)
    dedup(tmp_path / "again", shards, config=config, executor=ShuffledExecutor(2))
    assert digests(tmp_path / "one/tables") == digests(tmp_path / "again/tables")
    other = config.model_copy(update={"n_partitions": 5})
    parted = dedup(tmp_path / "parted", shards, config=other, n_partitions=2)
    assert decisions_of(parted, n_shards=3) == decisions_of(one, n_shards=3)
    assert pairs_of(parted, n=5) == pairs_of(one, n=3)


def test_a_thousand_variants_of_one_file_leave_one_without_a_list_of_their_pairs(tmp_path: Path) -> None:
    body = " ".join(f"permission{i}" for i in range(90))
    documents = [f"Copyright {year} holder{n} {body}" for year in range(1990, 2000) for n in range(100)]
    shards = cut(documents, 4)
    run = dedup(tmp_path, shards, config=NearDups(n_partitions=2))
    got = decisions_of(run, n_shards=4)
    assert sum(row["keep"] for row in got.values()) == 1
    assert not broken_promises(texts_of(shards), got, threshold=0.7)
    assert len(pairs_of(run, n=2, table="similar")) < 20 * len(documents)


def test_a_crowd_whose_best_is_dropped_by_a_rule_still_has_one_keeper(tmp_path: Path) -> None:
    body = " ".join(f"line{i}" for i in range(60))
    documents = [f"variant{n} {body}" for n in range(80)]
    texts = texts_of([documents])
    best = by_total_order(texts)[:40]
    run = dedup(
        tmp_path,
        [documents],
        config=NearDups(n_partitions=2, max_bucket_docs=8),
        fired=dict.fromkeys(best, "generated_content"),
    )
    got = decisions_of(run, n_shards=1)
    kept = [i for i, row in got.items() if row["keep"]]
    assert len(kept) == 1
    assert not set(kept) & set(best)
    assert not broken_promises(texts, got, threshold=0.7)


def test_documents_of_equal_words_are_one_class_though_their_first_is_dropped(tmp_path: Path) -> None:
    letters = "abcdefghijklmnop"
    spellings = [" ".join(letters), ", ".join(letters), "\n".join(letters)]
    fired = {doc_id(0, 0): "generated_content"}
    got = decisions_of(dedup(tmp_path, [spellings], config=SURE, fired=fired), n_shards=1)
    assert [got[doc_id(0, i)]["reasons"] for i in range(3)] == [["generated_content"], [], ["near_duplicate"]]
    assert got[doc_id(0, 2)]["keeper_id"] == doc_id(0, 1)
    assert got[doc_id(0, 2)]["similarity"] == 1.0


def test_documents_whose_words_say_too_little_equal_only_their_bytes(tmp_path: Path) -> None:
    few = ["one two", "one, two!", "()", "{}", "one two"]
    art = [f"{' '.join('abcdefghijklmno')} {'[.]' * n}" for n in (20, 21, 20)]  # letters are a quarter of what is seen
    faces = ["😀😃😄" * 30, "😃😀😄" * 30, "+[>.<-]" * 30, "-[<,>+]" * 30]
    got = decisions_of(dedup(tmp_path, [few + art + faces], config=SURE), n_shards=1)
    dropped = [i for i in range(12) if not got[doc_id(0, i)]["keep"]]
    assert len(dropped) == 2  # one of each pair of equal bytes
    assert all(got[doc_id(0, i)]["reasons"] == ["exact_duplicate"] for i in dropped)


def test_another_threshold_neither_signs_nor_verifies_again(tmp_path: Path) -> None:
    shards = cut(families(6, n_families=5, n_members=6), 2)
    run = dedup(tmp_path / "moved", shards, config=SURE)
    before = digests(tmp_path / "moved/tables/signatures") | digests(tmp_path / "moved/tables/similar")
    stricter = SURE.model_copy(update={"min_similarity": 0.9})
    assert linking_of(stricter) == linking_of(SURE)
    (tmp_path / "moved/tables/documents/part-00000-of-00002.parquet").rename(tmp_path / "hidden")
    run_stage(run, "near_dups", keep_near, config=threshold_of(stricter), n_shards=2)
    assert digests(tmp_path / "moved/tables/signatures") | digests(tmp_path / "moved/tables/similar") == before
    fresh = dedup(tmp_path / "fresh", shards, config=stricter)
    assert pairs_of(run, n=3) == pairs_of(fresh, n=3)
    assert min(pairs_of(run, n=3).values()) >= 0.9


@pytest.mark.parametrize("max_bucket_docs", [64, 2], ids=["pairs", "crowd"])
@pytest.mark.parametrize(("threshold", "n_kept"), [(0.6, 1), (0.6 + 1e-9, 6)])
def test_a_similarity_that_just_reaches_the_threshold_counts(
    tmp_path: Path, max_bucket_docs: int, threshold: float, n_kept: int
) -> None:
    """Sets of four words of which three are shared: similarity 3 / 5, exactly."""
    changes = {"shingle_words": 1, "min_similarity": threshold, "min_stored_similarity": threshold}
    config = SURE.model_copy(update=changes | {"max_bucket_docs": max_bucket_docs})
    got = decisions_of(dedup(tmp_path, [[f"alpha beta gamma word{i}" for i in range(6)]], config=config), n_shards=1)
    assert sum(row["keep"] for row in got.values()) == n_kept
    assert {row["similarity"] for row in got.values() if not row["keep"]} == ({0.6} if n_kept == 1 else set())


class _StoppedError(Exception):
    pass


class _StoppingOnceInEachStep:
    """Dies in the middle of every step that it has not died in before; what was done before stays."""

    def __init__(self) -> None:
        self.stopped_in: list[str] = []

    def map(self, task: Any, items: Any, *, name: str) -> Any:
        for number, item in enumerate(items):
            if name not in self.stopped_in and number == len(items) // 2:
                self.stopped_in.append(name)
                raise _StoppedError(name)
            yield item, task(item)

    def describe(self) -> str:
        return "until stopped"


def test_a_stop_in_every_phase_changes_nothing(tmp_path: Path) -> None:
    shards = cut(families(7, n_families=4, n_members=6), 2)
    config = CROWDED.model_copy(update={"n_partitions": 2})
    whole = dedup(tmp_path / "whole", shards, config=config, n_partitions=2)
    executor = _StoppingOnceInEachStep()
    run = replace(whole, store=open_store(str(tmp_path / "stopped")), executor=executor)
    made = [documents(i, contents) for i, contents in enumerate(shards)]
    write_documents(run, made)
    write_facts(run, made)
    for _ in range(100):
        try:
            finish(run, config=config, n_partitions=2, n_shards=2)
        except _StoppedError:
            continue
        break
    assert len(executor.stopped_in) == 26
    assert digests(tmp_path / "stopped/tables") == digests(tmp_path / "whole/tables")


@dataclass(frozen=True)
class _Dying:
    """On Ray, every step's first task to start ends its worker's process, once."""

    inner: Executor
    folder: str

    def map(self, task: Any, items: Any, *, name: str) -> Any:
        return self.inner.map(partial(_die_once, task, f"{self.folder}/{name}"), items, name=name)

    def describe(self) -> str:
        return "dying"


def _die_once(task: Any, marker: str, item: Any) -> Any:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return task(item)
    task(item)  # its files stand, but nobody hears of them
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@pytest.mark.slow
@pytest.mark.ray
def test_a_worker_killed_in_every_phase_changes_nothing(tmp_path: Path) -> None:
    import planted

    shards = cut(families(8, n_families=4, n_members=6), 2)
    config = CROWDED.model_copy(update={"n_partitions": 2})
    dedup(tmp_path / "whole", shards, config=config, n_partitions=2)
    killed = tmp_path / "killed"
    killed.mkdir()
    with connect("local") as executor:
        from ray import cloudpickle  # not before: Ray reads its environment when it is imported

        modules = (sys.modules[__name__], planted)
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
        try:
            dying = _Dying(executor, str(killed))
            dedup(tmp_path / "run", shards, config=config, n_partitions=2, executor=dying)
        finally:
            for module in modules:
                cloudpickle.unregister_pickle_by_value(module)
    assert len(list(killed.iterdir())) == 26
    assert digests(tmp_path / "run/tables") == digests(tmp_path / "whole/tables")
