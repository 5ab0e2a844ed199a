"""Fixtures of the trainer's tests."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny tensors gain nothing from a second thread, and a busy machine makes the threads wait for each other."""
    torch.set_num_threads(1)
