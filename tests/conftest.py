"""Shared test settings. Tests never assert on time, so hypothesis has no deadline and its examples are fixed."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("loopmix", deadline=None, derandomize=True, max_examples=60, database=None)
settings.load_profile("loopmix")

# What tests remember of tokenizers is theirs, and gone with them.
_CACHE = tempfile.TemporaryDirectory(prefix="loopmix-tests-")
os.environ["LOOPMIX_CACHE"] = str(Path(_CACHE.name))


@pytest.fixture
def limited() -> Iterator[None]:
    """Who waits for a pipe is ended by a signal, which no test survives unseen."""

    def end(*_: object) -> None:
        pytest.fail("somebody waits for ever")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
