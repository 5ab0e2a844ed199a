"""Counts of the report, checked by hand."""

import pytest

from tokenizer import load, measure


def test_measure_counts_by_group() -> None:
    encoder = load("builtin")
    fit = measure([("b", b"x"), ("a", b"hello world"), ("b", b"y"), ("empty", b"")], encoder=encoder)
    by_group = {group.group: group for group in fit.groups}
    assert [group.group for group in fit.groups] == ["a", "b", "empty"]
    assert (by_group["b"].n_docs, by_group["b"].n_bytes, by_group["b"].n_tokens) == (2, 2, 2)
    assert by_group["a"].bytes_per_token == pytest.approx(11 / by_group["a"].n_tokens)
    assert by_group["empty"].bytes_per_token == 0
    n_used = 2 + by_group["a"].n_tokens
    assert (fit.n_text_tokens, fit.n_unused) == (76_800 - 64, 76_800 - 64 - n_used)
    assert fit.unused_frac == fit.n_unused / fit.n_text_tokens


def test_measure_gives_no_groups_when_the_sample_is_empty() -> None:
    fit = measure([], encoder=load("builtin"))
    assert (fit.groups, fit.unused_frac) == ((), 1.0)
