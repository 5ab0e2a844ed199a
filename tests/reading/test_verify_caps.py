"""The promise `caps` on a run made by hand: kept to the token, and broken by one token more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hand_run import hand_run, renamed

from pipeline.engine.run_folder import RunFiles
from pipeline.reading.verify import verify
from pipeline.reading.verify_caps import caps_hold
from pipeline.reading.work import working
from pipeline.schema import LEDGER

# Of the code 16 tokens are packed, 10 of a.py and 6 of c.js; of the text 16, 12 of e.txt and 4 of h.txt.
MARKED = {"a": {"repo": "a/b", "marks": ("vendored",)}, "c": {"repo": None, "marks": ("vendored", "test_data")},
          "e": {"repo": "a/b", "marks": ("documentation",)}, "g": {"repo": "a/b", "marks": ("test_data",)}}  # fmt: skip


def capped(folder: Path, **pools: dict[str, Any]) -> RunFiles:
    """The run as if it had been made under these caps."""
    run = hand_run(folder, shards=renamed(**MARKED))
    balance = run.mixture.balance
    none = {"max_frac": {}}
    new = {name: getattr(balance, name).model_copy(update=none | pools.get(name, {})) for name in ("code", "text")}
    vars(run)["mixture"] = run.mixture.model_copy(update={"balance": balance.model_copy(update=new)})
    return run


@pytest.mark.parametrize(
    ("pool", "caps", "kept", "said"),
    [
        ("code", {"max_repo_frac": 0.625}, True, "code: repository a/b 10 of 10 tokens allowed"),
        ("code", {"max_repo_frac": 0.62}, False, "crossed: code: repository a/b 10 of 9 tokens allowed"),
        ("text", {"max_repo_frac": 0.75}, True, "text: repository a/b 12 of 12 tokens allowed"),
        ("text", {"max_repo_frac": 0.7}, False, "crossed: text: repository a/b 12 of 11 tokens allowed"),
        ("code", {"max_mark_frac": {"vendored": 1.0}}, True, "code: vendored 16 of 16 tokens allowed"),
        ("code", {"max_mark_frac": {"vendored": 0.99}}, False, "crossed: code: vendored 16 of 15 tokens allowed"),
        ("code", {"max_mark_frac": {"test_data": 0.375}}, True, "code: test_data 6 of 6 tokens allowed"),
        ("text", {"max_mark_frac": {"vendored": 0.0}}, True, "text: vendored 0 of 0 tokens allowed"),
        ("text", {"max_mark_frac": {"documentation": 0.5}}, False, "crossed: text: documentation 12 of 8 tokens"),
        ("code", {"max_frac": {"Python": 0.625}}, True, "code: Python 10 of 10 tokens allowed"),
        ("code", {"max_frac": {"Python": 0.62}}, False, "crossed: code: Python 10 of 9 tokens allowed"),
        ("code", {}, True, "no cap is set"),
    ],
)
def test_a_cap_holds_to_the_token(tmp_path: Path, pool: str, caps: dict[str, Any], kept: bool, said: str) -> None:
    with working(rows_per_part=1) as work:
        found = caps_hold(capped(tmp_path, **{pool: caps}), work)
    assert found[0] == kept
    assert found[1].startswith(said)


def test_a_pool_without_repositories_holds_any_cap(tmp_path: Path) -> None:
    run = capped(tmp_path, text={"max_repo_frac": 0.1})
    for shard in range(run.n_shards):
        rows = [row | {"repo": None} for row in run.tables.read(LEDGER, shard).to_pylist()]
        run.tables.write(LEDGER, shard, data=pa.Table.from_pylist(rows, schema=LEDGER.schema))
    with working() as work:
        assert caps_hold(run, work) == (True, "text: no document has a repository")


def test_verify_says_so(tmp_path: Path) -> None:
    run = capped(tmp_path, code={"max_repo_frac": 0.01})
    assert {f.promise: f.kept for f in verify(run)}["caps"] is False
