"""Every kind of ruin, planted into a healthy run, is named with its group; the healthy run and healthy groups pass."""

from pathlib import Path

import pytest
from planting import EXPECTED, KINDS, copy_run, plant, repeat_rows
from small_run import look

from pipeline.results import Inspection

PYTHON, CPP, DOCSTRINGS = ("code", "Python"), ("code", "C++"), ("text", "docstrings")
# Kinds that are planted into one copy of the run, each into a group of its own, in which it can be seen. `leak` and
# `permuted_labels` reach into other groups; half_rows and permuted_labels need a ledger to be held against.
ROUNDS: list[dict[str, tuple[str, str]]] = [
    {"uniform_bytes": PYTHON, "shuffled_tokens": CPP, "reversed": DOCSTRINGS},
    {"shuffled_lines": PYTHON, "truncated": CPP, "sentence": DOCSTRINGS},
    {"base64": PYTHON, "hex": CPP, "template": DOCSTRINGS},
    {"other_language": PYTHON, "copies": CPP, "swapped_pools": DOCSTRINGS},
    {"leak": PYTHON},
]
WITH_LEDGER = {"permuted_labels", "half_rows"}
BEYOND_ASCII = {"mojibake"}  # the documents of this run have hardly a letter for it; `test_ruin_kinds.py` has
# Of 150 documents a tenth is 15: enough for what hardly any healthy document shows.
AT_A_TENTH: list[dict[str, tuple[str, str]]] = [
    {"uniform_bytes": PYTHON, "shuffled_tokens": CPP, "reversed": DOCSTRINGS},
    {"base64": PYTHON, "hex": CPP, "template": DOCSTRINGS},
    {"copies": PYTHON, "sentence": DOCSTRINGS},
]


def spoil(run: Path, batch: dict[str, tuple[str, str]], *, rate: float, out: Path) -> Inspection:
    planted = copy_run(run, out)
    for kind, (pool, group) in batch.items():
        plant(planted, kind, pool=pool, group=group, rate=rate, seed=3)
    planted.write()
    return look(out)


def test_every_kind_is_planted_somewhere() -> None:
    assert {kind for batch in ROUNDS for kind in batch} | WITH_LEDGER | BEYOND_ASCII == set(KINDS)


def test_a_healthy_run_has_no_finding(healthy_run: Path) -> None:
    assert look(healthy_run).findings == ()


@pytest.mark.parametrize("batch", ROUNDS, ids="+".join)
def test_ruined_groups_are_named_and_fail(healthy_run: Path, tmp_path: Path, batch: dict[str, tuple[str, str]]) -> None:
    found = spoil(healthy_run, batch, rate=1.0, out=tmp_path / "run")
    for kind, label in batch.items():
        statuses = {f.kind: f.status for f in found.findings if (f.pool, f.group) == label}
        assert "fail" in {statuses.get(name) for name in EXPECTED[kind]}, (kind, statuses)


@pytest.mark.slow
@pytest.mark.parametrize("batch", ROUNDS, ids="+".join)
def test_half_ruined_groups_are_named(healthy_run: Path, tmp_path: Path, batch: dict[str, tuple[str, str]]) -> None:
    found = spoil(healthy_run, batch, rate=0.5, out=tmp_path / "run")
    for kind, label in batch.items():
        assert EXPECTED[kind] & {f.kind for f in found.findings if (f.pool, f.group) == label}, kind


@pytest.mark.parametrize("batch", AT_A_TENTH, ids="+".join)
def test_a_tenth_is_named_with_its_documents(
    healthy_run: Path, tmp_path: Path, batch: dict[str, tuple[str, str]]
) -> None:
    planted, spoilt = copy_run(healthy_run, tmp_path / "run"), set()
    for kind, (pool, group) in batch.items():
        spoilt |= plant(planted, kind, pool=pool, group=group, rate=0.1, seed=3)
    planted.write()
    found = look(tmp_path / "run")
    for kind, label in batch.items():
        (finding, *_) = [f for f in found.findings if (f.pool, f.group) == label and f.kind in EXPECTED[kind]]
        assert set(finding.examples) & spoilt
    worst = [d.doc_id in spoilt for d in found.documents[: len(spoilt)]]
    assert sum(worst) >= 0.6 * len(worst)  # copies are the least surprising: healthy data have some
    assert [f for f in found.findings if (f.pool, f.group) not in batch.values()] == []


def test_rows_that_stand_twice_are_named_without_a_ledger_too(healthy_run: Path, tmp_path: Path) -> None:
    assert repeat_rows(copy_run(healthy_run, tmp_path / "run"), seed=0) > 100
    assert {(f.group, f.kind, f.status) for f in look(tmp_path / "run").findings if f.kind == "repeated_rows"} == {
        (group, "repeated_rows", "fail") for group in ("Python", "C++", "docstrings")
    }
