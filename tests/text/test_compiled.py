"""Kernels are compiled whether or not there is a place to keep them."""

import numba

from pipeline.text import compiled


def one_more(n: int) -> int:
    return n + 1


def test_a_kernel_is_compiled_without_a_cache_when_none_can_be_written(monkeypatch):
    asked = []
    njit = numba.njit

    def refuse_cache(**options: bool):
        asked.append(options)
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return njit(**options)

    monkeypatch.setattr(numba, "njit", refuse_cache)
    assert compiled.compiled(one_more)(1) == 2
    assert [o.get("cache") for o in asked] == [True, None]
