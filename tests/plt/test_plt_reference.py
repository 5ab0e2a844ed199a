"""The reference model on sound, shuffled and short texts; what is held out and met; findings in words."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from plt_runs import make_run

from pipeline.plt import reference
from pipeline.plt.data import PackedRun, Split, open_packed, read_rows
from pipeline.plt.data_checks import data_checks
from pipeline.plt.inspect_run import _lost_order, _seen
from pipeline.results import GroupSigns, Inspection, RuinFinding
from pipeline.ruin.overlap import GRAM
from pipeline.ruin.pairs import packaged

SOURCES = sorted((Path(__file__).resolve().parents[2] / "pipeline" / "plt").glob("*.py"))[:6]


def shuffled(text: bytes) -> bytes:
    encoder = packaged().encoder
    ids = encoder.encode_batch([text])[1][:-1]
    return encoder.decode(np.random.default_rng(1).permutation(ids)).decode("utf-8", "ignore").encode()


def test_order_is_worth_much_in_sources_and_nothing_once_they_are_shuffled() -> None:
    texts = [path.read_bytes() for path in SOURCES]
    plain = [one for one in reference.score(texts, seed=0) if one]
    spoilt = [one for one in reference.score([shuffled(t) for t in texts], seed=0) if one]
    assert len(plain) == len(spoilt) == len(texts)
    assert min(one.gap for one in plain) > 1.5 > 0.7 > max(one.gap for one in spoilt)
    assert max(one.bits_per_byte for one in plain) < 4 < min(one.bits_per_byte for one in spoilt)


def test_a_text_of_few_tokens_is_not_scored_and_moves_no_other() -> None:
    texts = [b"x = 1\n", SOURCES[0].read_bytes(), b""]
    assert [one is None for one in reference.score(texts, seed=0)] == [True, False, True]
    alone = reference.score([b"", SOURCES[0].read_bytes()], seed=0)[1]
    assert reference.score(texts, seed=0)[1] == alone


def signs(**numbers: float) -> GroupSigns:
    sound = GroupSigns("code", "C", 40, 3.0, 4.0, 3.5, 3.4)
    return replace(sound, **({"reference_gap": 0.1, "gap_healthy": 2.5, "gap_spread": 0.7, "n_judged": 20} | numbers))


@pytest.mark.parametrize(
    ("numbers", "lost"),
    [
        ({}, True),
        ({"reference_gap": 0.9}, False),  # more than .35 of the healthy gap
        ({"n_judged": 7}, False),
        ({"gap_spread": 4.0}, False),  # within chance
        ({"reference_gap": math.nan}, False),
    ],
)
def test_a_group_has_lost_its_order_when_the_gap_is_small_beyond_chance(numbers: dict, lost: bool) -> None:
    assert _lost_order(signs(**numbers)) == lost


def runs_of(run: PackedRun, sequences: range) -> dict[tuple[str, str], list[tuple[int, ...]]]:
    """Every GRAM tokens in a row inside a piece, by group."""
    found: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for number in sequences:
        for rows in read_rows(run, number, stop=number + 1):
            for start, end, group in zip(rows.starts, rows.ends, rows.groups, strict=True):
                ids = rows.token_ids[0, start:end].tolist()
                found.setdefault(group, []).extend(tuple(ids[i : i + GRAM]) for i in range(len(ids) - GRAM + 1))
    return found


@pytest.mark.parametrize("n_read", [0, 5, 16])
def test_the_share_of_held_out_runs_that_training_met_is_that_of_sets(tmp_path: Path, n_read: int) -> None:
    run = open_packed(make_run(tmp_path / "run"))
    half = run.n_sequences // 2
    split = Split(run, train=range(half), held_out=range(half, run.n_sequences), seen=frozenset())
    met = {one for of in runs_of(run, range(min(n_read, half))).values() for one in of}
    held_out = runs_of(run, range(half, run.n_sequences))
    expected = {group: sum(one in met for one in of) / len(of) for group, of in held_out.items() if of}
    found = {group: share for group, share in _seen(run, split, n_read=n_read).items() if group in expected}
    assert found == pytest.approx(expected)
    assert any(expected.values()) == bool(n_read)


def finding(kind: str, *, status: str = "fail", of_ledger: bool = False) -> RuinFinding:
    return RuinFinding("code", "C", kind, status, "", 5, 50, 0.0, 0.0, ("a",), of_ledger)  # type: ignore[arg-type]


def test_each_finding_is_in_the_check_of_its_witness() -> None:
    found = (finding("noise"), finding("no_order"), finding("truncated", status="warn", of_ledger=True))
    checks = data_checks(Inspection(100, 90, (), found, ()))
    assert [(c.name, c.status) for c in checks] == [
        ("documents_sound", "fail"), ("order_readable", "fail"), ("ledger_agrees", "warn")
    ]  # fmt: skip
    assert checks[0].message == "C (code): random bytes or characters, 5 of 50."
    assert {c.status for c in data_checks(Inspection(100, 90, (), (), ()))} == {"pass"}
    assert [c.status for c in data_checks(None)] == ["warn"]
