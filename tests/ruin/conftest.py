"""A healthy run, packed once for all tests of a session."""

from pathlib import Path

import pytest
from small_run import documents, make_run


@pytest.fixture(scope="session")
def healthy_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    docs = documents()
    assert {(pool, group) for _, pool, group, _ in docs} == {
        ("code", "Python"),
        ("code", "C++"),
        ("text", "docstrings"),
    }
    return make_run(tmp_path_factory.mktemp("healthy") / "run", docs)
