"""Kernels are compiled whether or not there is a place to keep them."""

from types import SimpleNamespace

import numba

from pipeline.arrays import compiled


def one_more(n: int) -> int:
    return n + 1


def test_a_kernel_is_compiled_without_a_cache_when_none_can_be_written(monkeypatch):
    asked = []

    def refuse_cache(**options: bool):
        asked.append(options.get("cache"))
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba.njit(**options)

    monkeypatch.setattr(compiled, "numba", SimpleNamespace(njit=refuse_cache))
    assert compiled.compiled(one_more)(1) == 2
    assert asked == [True, None]
