from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from handmade import (
    RULE_REASONS,
    ShuffledExecutor,
    digests,
    doc_id,
    documents,
    make_run,
    run_stage,
    write_documents,
    write_facts,
)
from pydantic import ValidationError

from pipeline.config import Partitioned, Select
from pipeline.dedup.exact_dups import group_equal
from pipeline.engine.run import Run
from pipeline.engine.store import part
from pipeline.schema import CROWDS, LANGUAGES, NEAR_DUPS, QUALITY, SELECT
from pipeline.select.own_reasons import own_reasons
from pipeline.select.select import select
from pipeline.select.settings import BenchmarkLimits, Selection


def choose(
    run: Run,
    shards: list[pa.Table],
    *,
    pairs: list[tuple[tuple[int, int], tuple[int, int], float]] = [],  # noqa: B006
    fired: dict[str, str] | None = None,
    benchmarks: dict[str, str] | None = None,
    config: Select | None = None,
) -> dict[str, dict[str, Any]]:
    """Decisions by doc_id; pairs are ((shard, row), (shard, row), similarity), of any of the equal documents."""
    tables = write_documents(run, shards)
    write_facts(run, shards, fired=fired, benchmarks=benchmarks)
    run_stage(run, "exact_dups", group_equal, config=Partitioned(n_partitions=2), n_shards=len(shards))
    rows = [
        {
            "doc_id": doc_id(*a),
            "other_id": doc_id(*b),
            "similarity": s,
            "containment": s,
            "position": a[0] << 32 | a[1],
            "other_position": b[0] << 32 | b[1],
        }
        for a, b, s in ((_first_equal(shards, a), _first_equal(shards, b), s) for a, b, s in pairs)
    ]
    for i in range(2):
        table = pa.Table.from_pylist(rows[i::2], schema=NEAR_DUPS.schema)
        run.store.write_parquet(f"tables/near_dups/{part(i, 2)}", table, schema=NEAR_DUPS.schema)
        run.store.write_ipc(f"tables/similar/{part(i, 2, suffix='arrow')}", [], schema=CROWDS)
    settings = dict(config or Select(n_partitions=3))
    limits = (BenchmarkLimits(name="humaneval", min_telling_words=2, min_contained_frac=0.5),)
    selection = Selection(**settings, n_pair_shards=2, min_similarity=0.7, rules=RULE_REASONS, benchmarks=limits)
    run_stage(run, "select", select, config=selection, n_shards=len(shards))
    return {r["doc_id"]: r for s in range(len(shards)) for r in tables.read(SELECT, s).to_pylist()}


def _first_equal(shards: list[pa.Table], place: tuple[int, int]) -> tuple[int, int]:
    """Of the documents with the bytes of that one the first by doc_id, which pairs name."""
    wanted = shards[place[0]]["content"][place[1]]
    equal = [(s, i) for s, table in enumerate(shards) for i, text in enumerate(table["content"]) if text == wanted]
    return min(equal, key=lambda where: doc_id(*where))


def test_the_permissive_copy_stays_though_it_comes_last_and_has_fewer_stars(tmp_path: Path) -> None:
    shards = [
        documents(0, ["x", "x"], license=["GPL-3.0", None], stars=[900, 50]),
        documents(1, ["x"], license=["MIT"], stars=[1]),
    ]
    got = choose(make_run(tmp_path), shards)
    assert got[doc_id(1, 0)]["keep"]
    for loser in (doc_id(0, 0), doc_id(0, 1)):
        assert got[loser]["reasons"] == ["exact_duplicate"]
        assert got[loser]["keeper_id"] == doc_id(1, 0)
        assert got[loser]["similarity"] == 1.0


@pytest.mark.parametrize("unsaid", [0, 1])
def test_what_is_not_said_comes_after_all_that_is(tmp_path: Path, unsaid: int) -> None:
    """Whichever copy comes first in the input: no stars at all rank behind none."""
    stars = [0, 0]
    stars[unsaid] = None  # type: ignore[call-overload]
    got = choose(make_run(tmp_path), [documents(0, ["x", "x"], stars=stars), documents(1, ["y"])])
    assert [got[doc_id(0, i)]["keep"] for i in range(2)] == [i != unsaid for i in range(2)]


def test_order_is_stars_then_newest_then_longer(tmp_path: Path) -> None:
    old, new = datetime(2020, 1, 1, tzinfo=UTC), datetime(2024, 1, 1, tzinfo=UTC)
    shards = [
        documents(
            0,
            ["a1", "a2", "b1", "b2", "c", "cccc"],
            stars=[1, 2, 5, 5, None, None],
            revision_time=[new, old, old, new, None, None],
        )
    ]
    pairs = [((0, 0), (0, 1), 0.9), ((0, 2), (0, 3), 0.9), ((0, 4), (0, 5), 0.9)]
    got = choose(make_run(tmp_path), shards, pairs=pairs)
    assert [got[doc_id(0, i)]["keep"] for i in range(6)] == [False, True, False, True, False, True]


def test_a_good_copy_is_never_lost_to_a_bad_one(tmp_path: Path) -> None:
    shards = [documents(0, ["x", "x", "near x"], stars=[100, 1, 50])]
    fired = {doc_id(0, 0): "long_line", doc_id(0, 2): "generated_content"}
    got = choose(make_run(tmp_path), shards, pairs=[((0, 0), (0, 2), 0.8)], fired=fired)
    assert got[doc_id(0, 1)]["keep"]
    assert got[doc_id(0, 0)]["reasons"] == ["long_line", "exact_duplicate"]
    assert got[doc_id(0, 0)]["keeper_id"] == doc_id(0, 1)
    assert got[doc_id(0, 2)] | {"doc_id": ""} == {
        "doc_id": "",
        "keep": False,
        "reasons": ["generated_content"],
        "keeper_id": None,
        "similarity": None,
        "judged_id": None,
    }


def test_a_chain_keeps_its_ends_and_equal_documents_follow_their_champion(tmp_path: Path) -> None:
    shards = [documents(0, ["a", "b", "c", "b"], stars=[9, 5, 1, 2])]
    pairs = [((0, 0), (0, 1), 0.75), ((0, 1), (0, 2), 0.8)]
    got = choose(make_run(tmp_path), shards, pairs=pairs)
    assert [got[doc_id(0, i)]["keep"] for i in range(4)] == [True, False, True, False]
    assert got[doc_id(0, 1)]["reasons"] == ["near_duplicate"]
    assert got[doc_id(0, 3)]["reasons"] == ["exact_duplicate", "near_duplicate"]
    for loser in (1, 3):
        assert got[doc_id(0, loser)]["keeper_id"] == doc_id(0, 0)
        assert got[doc_id(0, loser)]["similarity"] == 0.75


def test_all_reasons_stand_in_documented_order(tmp_path: Path) -> None:
    shards = [documents(0, ["x"], license=["GPL-2.0"], problem=["too_large"])]
    config = Select(n_partitions=3, drop_licenses=("other",), drop_languages=("Python",))
    got = choose(make_run(tmp_path), shards, fired={doc_id(0, 0): "generated_content"}, config=config)
    assert got[doc_id(0, 0)]["reasons"] == ["too_large", "dropped_language", "dropped_license", "generated_content"]


def test_the_source_stays_though_its_build_is_longer_and_has_more_stars(tmp_path: Path) -> None:
    paths = ["src/locale/km.js", "dist/locale/km.js", "node_modules/x/km.js"]
    shards = [documents(0, ["km", "a longer km", "km"], path=paths, stars=[0, 10, 99])]
    got = choose(make_run(tmp_path), shards, pairs=[((0, 0), (0, 1), 0.9)])
    assert [got[doc_id(0, i)]["keep"] for i in range(3)] == [True, False, False]
    assert {got[doc_id(0, i)]["keeper_id"] for i in (1, 2)} == {doc_id(0, 0)}


NO_COPYLEFT = Select(n_partitions=3, drop_licenses=("copyleft",))
FREEST = NO_COPYLEFT.model_copy(update={"license_of_equals": "freest"})


def fates(got: dict[str, dict[str, Any]], n: int) -> list[list[str]]:
    return [got[doc_id(0, i)]["reasons"] for i in range(n)]


def test_a_dropped_licence_holds_for_unlabelled_copies_of_equal_bytes_and_of_equal_words(tmp_path: Path) -> None:
    licenses = ["GPL-2+", None, None, None, None]
    shards = [documents(0, ["x", "x", " x", "near x", "y"], license=licenses), documents(1, ["x"], license=["unknown"])]
    pairs = [((0, 0), (0, 2), 1.0), ((0, 0), (0, 3), 0.9)]
    got = choose(make_run(tmp_path), shards, pairs=pairs, config=NO_COPYLEFT)
    assert fates(got, 5) == [["dropped_license"]] * 3 + [[], []]  # what is only near stays
    assert got[doc_id(1, 0)]["reasons"] == ["dropped_license"]
    assert [got[doc_id(0, i)]["judged_id"] for i in range(4)] == [None, doc_id(0, 0), doc_id(0, 0), None]
    assert {got[doc_id(0, i)]["keeper_id"] for i in range(5)} == {None}


def test_a_judged_group_is_no_keeper_of_its_near_duplicates(tmp_path: Path) -> None:
    """The unlabelled copy would be the best of all; as it may not enter, the next best stays."""
    shards = [
        documents(0, ["x", "x", "near x", "nearer x"], license=[None, "GPL-3.0", "MIT", "MIT"], stars=[9, 1, 2, 3])
    ]
    pairs = [((0, 0), (0, 2), 0.9), ((0, 0), (0, 3), 0.9), ((0, 2), (0, 3), 0.8)]
    got = choose(make_run(tmp_path), shards, pairs=pairs, config=NO_COPYLEFT)
    assert fates(got, 4) == [["dropped_license"], ["dropped_license"], ["near_duplicate"], []]
    assert got[doc_id(0, 2)]["keeper_id"] == doc_id(0, 3)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_one_dropped_copy_drops_all_unless_the_mixture_takes_the_freest_label(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """Two of equal bytes and two of equal words, one of each unlabelled; the labels stand in either group."""
    licenses = {0: "GPL-3.0", 1: None, 2: "MIT", 3: None}
    shards = [documents(0, ["x", "x", " x", " x"], license=[licenses[i] for i in order])]
    pairs = [((0, 0), (0, 2), 1.0)]
    free = choose(make_run(tmp_path / "a"), shards, pairs=pairs, config=FREEST)
    assert [free[doc_id(0, i)]["keep"] for i in range(4)] == [licenses[i] == "MIT" for i in order]
    own = {order[i]: "dropped_license" in free[doc_id(0, i)]["reasons"] for i in range(4)}
    assert own == {0: True, 1: False, 2: False, 3: False}
    strict = choose(make_run(tmp_path / "b"), shards, pairs=pairs, config=NO_COPYLEFT)
    assert fates(strict, 4) == [["dropped_license"]] * 4


def test_an_unknown_licence_is_no_judgement_on_copies_whose_licence_is_known(tmp_path: Path) -> None:
    shards = [documents(0, ["x", "x", "y"], license=[None, "MIT", None])]
    got = choose(make_run(tmp_path), shards, config=Select(n_partitions=3, drop_licenses=("unknown",)))
    assert fates(got, 3) == [["dropped_license", "exact_duplicate"], [], ["dropped_license"]]


def test_contamination_holds_for_equals_whatever_licence_they_state(tmp_path: Path) -> None:
    shards = [documents(0, ["x", " x", "y"], license=["GPL-3.0", "MIT", None])]
    named, pairs = {doc_id(0, 0): "humaneval"}, [((0, 0), (0, 1), 1.0)]
    got = choose(make_run(tmp_path), shards, pairs=pairs, benchmarks=named, config=FREEST)
    assert fates(got, 3) == [["dropped_license", "contaminated"], ["contaminated"], []]
    assert got[doc_id(0, 1)]["judged_id"] == doc_id(0, 0)


def test_promises_hold_on_random_pairs_whatever_the_order_of_work(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    contents = [[f"document {i % 17} {s}" if i % 3 else f"document {i}" for i in range(25)] for s in range(3)]
    shards = [documents(s, c, stars=rng.integers(0, 5, 25).tolist()) for s, c in enumerate(contents)]
    first: dict[str, tuple[int, int]] = {}
    for s, column in enumerate(contents):
        for i, content in enumerate(column):
            first.setdefault(content, (s, i))
    ends = sorted(first.values())
    chosen = {tuple(sorted(rng.choice(len(ends), 2, replace=False).tolist())) for _ in range(60)}
    pairs = [(ends[a], ends[b], float(rng.uniform(0.7, 1))) for a, b in sorted(chosen)]
    got = choose(make_run(tmp_path / "a"), shards, pairs=pairs)
    again = choose(make_run(tmp_path / "b", executor=ShuffledExecutor(4)), shards, pairs=pairs)
    assert got == again
    assert digests(tmp_path / "a/tables") == digests(tmp_path / "b/tables")
    group = {doc_id(s, i): doc_id(*first[c]) for s, column in enumerate(contents) for i, c in enumerate(column)}
    kept = {group[i] for i, d in got.items() if d["keep"]}
    assert len(kept) == sum(d["keep"] for d in got.values())
    assert not any(doc_id(*a) in kept and doc_id(*b) in kept for a, b, _ in pairs)
    for row in got.values():
        assert row["keep"] or got[row["keeper_id"]]["keep"]


def test_prose_in_markup_is_dropped_only_where_the_mixture_names_its_format(tmp_path: Path) -> None:
    told = [("code", "XML", "XML", "prose"), ("code", "XML", "XML", "code"), ("code", "XML", "XML prose", "prose"),
            ("code", "Maven POM", "XML", "prose"), ("code", "HTML", "HTML", "prose"), ("text", "XML", "books", "prose"),
            ("code", "Python", "Python", "prose")]  # fmt: skip
    run, shards = make_run(tmp_path), [documents(0, [str(n) for n in range(len(told))])]
    tables = write_facts(run, shards)
    rows = tables.read(LANGUAGES, 0).to_pylist()
    for row, values in zip(rows, told, strict=True):
        row |= dict(zip(("pool", "language", "group", "content_kind"), values, strict=True))
    tables.write(LANGUAGES, 0, data=pa.Table.from_pylist(rows, schema=LANGUAGES.schema))
    write_documents(run, shards)
    assert own_reasons(tables, 0, config=Select()) == {}
    dropped = own_reasons(tables, 0, config=Select(drop_prose_in=("XML",)))
    assert dropped == {row: {"prose_in_format"} for row in (0, 2, 3)}


def test_texts_are_dropped_by_their_natural_language_only_where_the_mixture_names_it(tmp_path: Path) -> None:
    told = ["en", "de", None, "zh-Hant"]
    run, shards = make_run(tmp_path), [documents(0, [str(n) for n in range(len(told))])]
    tables = write_facts(run, shards, pool="text", language="Text")
    nothing = {f.name: [] if pa.types.is_list(f.type) else None for f in QUALITY.schema}
    nothing |= {
        f.name: pa.scalar(0).cast(f.type).as_py()
        for f in QUALITY.schema
        if not f.nullable and f.type != pa.string() and not pa.types.is_list(f.type)
    }
    ids = shards[0]["doc_id"].to_pylist()
    rows = [nothing | {"doc_id": i, "prose_language": code} for i, code in zip(ids, told, strict=True)]
    tables.write(QUALITY, 0, data=pa.Table.from_pylist(rows, schema=QUALITY.schema))
    write_documents(run, shards)
    assert own_reasons(tables, 0, config=Select()) == {}
    dropped = own_reasons(tables, 0, config=Select(drop_prose_languages=("de", "fr")))
    assert dropped == {1: {"dropped_prose_language"}}
    kept = own_reasons(tables, 0, config=Select(keep_prose_languages=("en", "de")))
    assert kept == {3: {"other_prose_language"}}  # the one that is unsure stays


def test_a_code_that_is_no_natural_language_is_refused() -> None:
    with pytest.raises(ValidationError, match="'english' is no natural language"):
        Select(keep_prose_languages=("english",))
