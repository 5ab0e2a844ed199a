"""A stage's inner steps are found again only while no other configuration had the run in between."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.engine.attempts import attempts_of
from pipeline.engine.store import ATTEMPTS, LEASE, Store, open_store
from pipeline.errors import StoreError


def driver(folder: Path, letter: str) -> Store:
    """A store whose driver holds the lease."""
    store = open_store(str(folder))
    store.write_bytes(LEASE, json.dumps({"driver": letter * 32}).encode())
    return replace(store, driver=letter * 32)


def test_an_attempt_lasts_while_the_fingerprint_does(tmp_path: Path) -> None:
    assert attempts_of(driver(tmp_path, "a"), {"x": "one", "y": "two"}) == {"x": "a" * 12, "y": "a" * 12}
    assert attempts_of(driver(tmp_path, "b"), {"x": "one", "y": "other"}) == {"x": "a" * 12, "y": "b" * 12}
    assert attempts_of(driver(tmp_path, "c"), {"x": "one", "y": "two"}) == {"x": "a" * 12, "y": "c" * 12}  # no return


def test_a_stage_that_another_configuration_lacks_begins_anew(tmp_path: Path) -> None:
    attempts_of(driver(tmp_path, "a"), {"x": "one", "y": "two"})
    attempts_of(driver(tmp_path, "b"), {"x": "one"})
    assert attempts_of(driver(tmp_path, "c"), {"x": "one", "y": "two"}) == {"x": "a" * 12, "y": "c" * 12}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"x": "one"}', '{"x": ["one", "../../packed"]}', '{"x": ["one", 5]}', "\xff"]
)
def test_a_record_that_is_none_costs_work_alone(tmp_path: Path, text: str) -> None:
    store = driver(tmp_path, "b")
    (tmp_path / ATTEMPTS).parent.mkdir()
    (tmp_path / ATTEMPTS).write_bytes(text.encode("latin-1"))
    assert attempts_of(store, {"x": "one"}) == {"x": "b" * 12}
    assert json.loads((tmp_path / ATTEMPTS).read_bytes()) == {"x": ["one", "b" * 12]}


def test_who_lost_the_lease_records_none(tmp_path: Path) -> None:
    late = driver(tmp_path, "a")
    attempts_of(driver(tmp_path, "b"), {"x": "two"})
    with pytest.raises(StoreError, match="another driver has taken this run over"):
        attempts_of(late, {"x": "one"})
