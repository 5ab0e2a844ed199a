"""Changed input files of every format, through the whole of `curate`: what is sound beside them is never lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bench.fuzz_inputs import fuzz

if shutil.which("git") is None:
    pytest.skip("needs the program git", allow_module_level=True)


def test_changed_files_cost_no_sound_document_and_give_the_same_twice(tmp_path: Path) -> None:
    counts = fuzz(tmp_path, n_files=60, seed=7)
    assert counts.total() == 60
    assert any("refused" in name for name in counts) and any("whole" in name for name in counts)
