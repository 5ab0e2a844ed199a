"""Bounds of a trained model's held-out losses in bits per byte."""

import math
from types import SimpleNamespace

import pytest

from pipeline.plt.plausible import losses_plausible
from pipeline.results import GroupLoss


def status(*bits: float, n_tokens: int = 1_000) -> tuple[str, str]:
    """Of groups with so many bits a byte, four bytes a token."""
    groups = [GroupLoss("code", f"L{i}", n_tokens, b * math.log(2) * 4, n_tokens * 4) for i, b in enumerate(bits)]
    evaluation = SimpleNamespace(groups=groups)
    found = losses_plausible(SimpleNamespace(evaluations=[evaluation], min_group_tokens=500))
    return found.status, found.message


def test_losses_of_text_pass() -> None:
    assert status(2.1, 3.4, 4.8, 6.9)[0] == "pass"


@pytest.mark.parametrize(("bits", "named"), [(8.05, "L2 (8.05: noise)"), (0.06, "L2 (0.06: repetition)")])
def test_a_group_of_noise_or_repetition_is_named(bits: float, named: str) -> None:
    found = status(2.1, 3.4, bits)
    assert found[0] == "fail"
    assert named in found[1]


def test_a_model_that_has_hardly_begun_blames_no_group() -> None:
    assert status(11.2, 12.5, 13.9)[0] == "pass"
    assert status(11.2, 12.5, 19.0)[0] == "fail"


def test_groups_of_few_tokens_are_not_judged() -> None:
    assert status(2.0, 9.9, n_tokens=100)[0] == "pass"
