"""The cause that is named for one document, case by case; each as two runs would hold it."""

from __future__ import annotations

from typing import Any

import pytest
from cases_by_hand import STRICT, USUAL, cause, document, dropped

from pipeline.compare.found import SettingChange, ShareChange

NEAR = dropped("d", "near_duplicate", keeper_id="k", similarity=0.8)
KEEPER = document("k")


def test_a_similarity_between_two_thresholds() -> None:
    said = cause("entered", NEAR, document("d"), named=([KEEPER], [KEEPER]), mixtures=(USUAL, STRICT))
    assert said == (
        "near_duplicate: 0.800 similar to its keeper, from near_dups.min_similarity = 0.7 on a duplicate in A, "
        "from 0.9 on in B"
    )


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ([], "near_duplicate: its keeper src/k.py is not in B"),
        ([dropped("k", "too_short")], "near_duplicate: its keeper src/k.py is dropped in B (too_short)"),
        (
            [dropped("k", "near_duplicate", keeper_id="d")],
            "near_duplicate: in B it is the keeper, and src/k.py is dropped for it",
        ),
    ],
)
def test_what_became_of_the_keeper(there: list[dict[str, Any]], said: str) -> None:
    assert cause("entered", NEAR, document("d"), named=([KEEPER], there)) == said


def test_ids_that_differ_are_named_where_equals_swap() -> None:
    there = [dropped("k2", "near_duplicate", keeper_id="d2")]
    moved = ([KEEPER], [there[0] | {"doc_id": "k"}])
    said = cause("entered", NEAR, document("d2"), named=moved)
    assert said.endswith("is dropped for it; their ids differ in the runs, and decide between equals")


def test_settings_are_named_where_the_keeper_stays_in_both() -> None:
    changes = (SettingChange("near_dups.n_hashes", 128, 256), SettingChange("select.max_loss", 0.9, 1.0))
    said = cause("entered", NEAR, document("d"), named=([KEEPER], [KEEPER]), changes=changes)
    assert said == "near_duplicate: these differ: near_dups.n_hashes"


def test_nothing_is_made_up_where_nothing_differs() -> None:
    said = cause("entered", NEAR, document("d"), named=([KEEPER], [KEEPER]))
    assert said == "no difference of settings or documents explains it: loopmix why tells more"


def test_the_balance_is_named_with_what_both_runs_pack_and_a_cap_that_one_crosses() -> None:
    group = ShareChange("code", "Python", 9, 9, 5, 5, 1_000, 1_200, 600, 500, 0.5, 0.25)
    one, other = document("d"), document("d", fate="surplus", over_cap="max_repo_frac")
    assert cause("out_of_mixture", one, other, groups=(group,)) == (
        "over balance.code.max_repo_frac in B; A packs 600 tokens of Python from 1,000 kept ones; B packs 500 tokens "
        "of Python from 1,200 kept ones"
    )


def test_another_language_is_the_first_cause() -> None:
    said = cause("left", document("d"), dropped("d", "unknown_language", language="Unknown"))
    assert said.startswith("it is Python in A and Unknown in B, so other rules judge it")
