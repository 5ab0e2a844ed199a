"""A source, a language or a repository that goes nearly whole stops the run and is named, with what became of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from handmade import ShuffledExecutor, doc_id, documents, make_run
from test_select import choose

from pipeline.config import Select
from pipeline.engine.manifest import read_manifest
from pipeline.errors import StageError
from pipeline.reasons import LOSS_KINDS, REASONS
from pipeline.select import losses


def corpus(n: int, **columns: Any) -> list[pa.Table]:
    """Two shards: `n` documents in `a/`, which the tests take away, and 40 that stay."""
    names = [f"a/{i}.py" for i in range(n)]
    return [
        documents(0, [f"a {i}" for i in range(n)], path=names, source=["web"] * n, **columns),
        documents(1, [f"b {i}" for i in range(40)], source=["books"] * 40, repo=["stays"] * 40),
    ]


def fired(n: int) -> dict[str, str]:
    return {doc_id(0, i): "long_line" for i in range(n)}


def near(n: int) -> list[tuple[tuple[int, int], tuple[int, int], float]]:
    """Document 0 of shard 0 stands for n others."""
    return [((0, 0), (0, i), 0.8) for i in range(1, n + 1)]


@pytest.mark.parametrize(("n", "n_lost"), [(40, 39), (40, 40), (100, 96)])
def test_a_source_that_goes_nearly_whole_stops_the_run(tmp_path: Path, n: int, n_lost: int) -> None:
    run = make_run(tmp_path, executor=ShuffledExecutor(3))
    with pytest.raises(StageError) as caught:
        choose(run, corpus(n), fired=fired(n_lost), config=Select(n_partitions=3, allow_loss=("Python",)))
    message = str(caught.value)
    assert (
        f"more than 95% of the documents would be lost to rules or duplicates of source 'web': {n_lost} of {n}"
        in message
    )
    assert f"({n_lost} to rules), as 'a/0.py' (long_line)" in message
    assert 'select: {allow_loss: ["web"]}' in message
    assert "\n" not in message


@pytest.mark.parametrize(("n", "n_lost"), [(39, 39), (100, 95), (40, 38)])
def test_a_smaller_loss_or_a_smaller_group_does_not(tmp_path: Path, n: int, n_lost: int) -> None:
    got = choose(make_run(tmp_path), corpus(n), fired=fired(n_lost))
    assert sum(row["keep"] for row in got.values()) == 40 + n - n_lost


@pytest.mark.parametrize("config", [{"allow_loss": ("web", "Python")}, {"max_loss": 1.0}])
def test_the_mixture_may_allow_it(tmp_path: Path, config: dict[str, Any]) -> None:
    got = choose(make_run(tmp_path), corpus(50), fired=fired(50), config=Select(n_partitions=3, **config))
    assert sum(row["keep"] for row in got.values()) == 40


def test_another_limit_is_held(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"more than 50% .* source 'web': 26 of 50"):
        choose(make_run(tmp_path), corpus(50), fired=fired(26), config=Select(n_partitions=3, max_loss=0.5))


def test_near_duplicates_are_named_with_their_keeper(tmp_path: Path) -> None:
    with pytest.raises(StageError) as caught:
        choose(make_run(tmp_path), corpus(50, stars=[9] + [1] * 49), pairs=near(49))
    assert "source 'web': 49 of 50 (49 to near duplicates)" in str(caught.value)
    assert f"'a/1.py' (near_duplicate, 0.80 like {doc_id(0, 0)})" in str(caught.value)


@pytest.mark.parametrize("kind", ["equal", "near"])
def test_a_fork_is_no_loss_of_a_repository_but_its_own_template_is(tmp_path: Path, kind: str) -> None:
    """The same 50 documents go: for one of another repository, or for one of their own."""
    contents = ["x"] * 51 if kind == "equal" else [f"x {i}" for i in range(51)]
    more = documents(1, [f"b {i}" for i in range(40)])
    for repos, stops in ((["original"] + ["fork"] * 50, False), (["own"] * 51, True)):
        shards = [documents(0, contents, repo=repos, stars=[9] + [1] * 50), more]
        config = Select(n_partitions=3, allow_loss=("hand", "Python"))
        run = make_run(tmp_path / str(stops))
        pairs = near(50) if kind == "near" else []
        if stops:
            with pytest.raises(StageError, match="of repository 'own': 50 of 51"):
                choose(run, shards, pairs=pairs, config=config)
        else:
            choose(run, shards, pairs=pairs, config=config)


def test_rules_are_a_loss_of_a_repository(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="repository 'r': 50 of 50"):
        choose(
            make_run(tmp_path),
            corpus(50, repo=["r"] * 50),
            fired=fired(50),
            config=Select(n_partitions=3, allow_loss=("web",)),
        )


@pytest.mark.parametrize("stops", [True, False])
def test_a_repository_that_is_no_hundredth_of_the_run_is_only_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stops: bool
) -> None:
    monkeypatch.setattr(losses, "MIN_FRAC", 50 / 90 if stops else 51 / 90)
    config = Select(n_partitions=3, allow_loss=("web",))
    if stops:
        with pytest.raises(StageError, match="repository 'r'"):
            choose(make_run(tmp_path), corpus(50, repo=["r"] * 50), fired=fired(50), config=config)
    else:
        run = make_run(tmp_path)
        choose(run, corpus(50, repo=["r"] * 50), fired=fired(50), config=config)
        counts = read_manifest(run.store)["stages"]["select"]["counts"]
        assert {k: counts[f"n_wiped_{k}"] for k in LOSS_KINDS} == {"source": 1, "language": 0, "repository": 1}


def test_what_the_mixture_shuts_out_is_no_loss(tmp_path: Path) -> None:
    """Fifty copyleft documents do not enter, and a rule fires for them too."""
    config = Select(n_partitions=3, drop_licenses=("copyleft",))
    got = choose(make_run(tmp_path), corpus(50, license=["GPL-3.0"] * 50), fired=fired(50), config=config)
    assert sum(row["keep"] for row in got.values()) == 40


@pytest.mark.parametrize("reason", REASONS)
def test_of_all_reasons_that_are_no_rule_duplicates_alone_are_a_loss(reason: str) -> None:
    """Of the rest the input, the mixture or an earlier run asks; a rule that fires too makes no loss of it."""
    ranks = {"exact_duplicate": 2, "near_duplicate": 3}
    counted, lost_to = losses._lost_to(pa.array([[reason], [reason, "long_line"], ["long_line"], []]))
    assert counted.tolist() == [reason in ranks] * 2 + [True, True]
    assert lost_to.tolist() == [ranks.get(reason, 0), int(reason in ranks), 1, 0]
