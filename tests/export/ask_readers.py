"""Asks `readers.py` in a process of its own, where other trainers can be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

READERS = Path(sys.prefix) / "readers"
_ROOT = Path(__file__).parents[2]


def ask_readers(name: str, *asked: str, folder: Path) -> list[Any]:
    """What the function `name` of readers.py answers to each question, given as JSON."""
    assert READERS.is_dir(), f"{READERS}: does not exist; `make install` makes it"
    program = [sys.executable, str(Path(__file__).with_name("readers.py")), name, *asked]
    environment = os.environ | {"PYTHONPATH": f"{READERS}{os.pathsep}{_ROOT}", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(program, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[Any] = json.loads(done.stdout.splitlines()[-1])
    return answers
