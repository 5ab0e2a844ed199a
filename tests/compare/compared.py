"""Runs to compare, the comparison of two, and a recount of it by plain loops that share nothing with what is tested."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from pipeline.cli.main import main
from pipeline.compare.compare import compare
from pipeline.compare.found import RunComparison
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.reading.work import working
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.schema import DOCUMENTS, LEDGER

DATA = Path(__file__).parents[1] / "data"
Ledger = dict[str, dict[str, Any]]


def made(folder: Path, mixture: Path, *, root: str | None = None) -> RunFiles:
    store = open_store(root or str(folder))
    curate(Run(store, load_mixture(mixture), InlineExecutor(), silent()))
    return RunFiles(store)


def beside(a: RunFiles, b: RunFiles, **options: Any) -> RunComparison:
    with working(**options) as work:
        return compare(a, b, work)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# --- the recount ------------------------------------------------------------------------------------------------------


def ledger(run: RunFiles) -> Ledger:
    found: Ledger = {}
    for shard in range(run.n_shards):
        hashes = run.tables.read(DOCUMENTS, shard, columns=["content_hash"])["content_hash"].to_pylist()
        for row, content in zip(run.tables.read(LEDGER, shard).to_pylist(), hashes, strict=True):
            found[row["doc_id"]] = row | {"content": content}
    return found


def pairs_of(a: RunFiles, b: RunFiles) -> list[tuple[dict[str, Any] | None, dict[str, Any] | None, bool]]:
    """Every document of both runs, matched by id, then by repository, path and bytes; and whether by the latter."""
    old, new = ledger(a), ledger(b)
    pairs: list[tuple[dict[str, Any] | None, dict[str, Any] | None, bool]] = []
    pairs += [(old[i], new[i], False) for i in old.keys() & new.keys()]
    left = [[of[i] for i in sorted(of.keys() - other.keys())] for of, other in ((old, new), (new, old))]
    for row in left[0]:
        where = [(r["repo"], r["path"], r["content"]) for r in left[1]]
        mine = (row["repo"], row["path"], row["content"])
        pairs.append((row, left[1].pop(where.index(mine)) if mine in where else None, mine in where))
    return pairs + [(None, row, False) for row in left[1]]


def recount(a: RunFiles, b: RunFiles) -> dict[str, Any]:
    kinds, flows, moves = Counter[str](), Counter[tuple[str, str]](), Counter[tuple[str, ...]]()
    reasons = {name: Counter[str]() for name in ("a", "b", "left", "left_alone", "entered", "entered_alone")}
    for one, other, moved in pairs_of(a, b):
        fates = [row["fate"] if row else "absent" for row in (one, other)]
        flows[fates[0], fates[1]] += 1
        why = [row["reasons"] if row else [] for row in (one, other)]
        reasons["a"].update(why[0])
        reasons["b"].update(why[1])
        if one is None or other is None:
            kinds["only_b" if one is None else "only_a"] += 1
            continue
        kinds["moved"] += moved
        kinds["other_bytes"] += one["content"] != other["content"]
        if (one["language"], one["pool"]) != (other["language"], other["pool"]):
            kinds["other_language"] += 1
            moves[one["pool"], one["language"], other["pool"], other["language"]] += 1
        if one["keep"] and not other["keep"]:
            kinds["left"] += 1
            reasons["left"].update(why[1])
            reasons["left_alone"].update(why[1] if len(why[1]) == 1 else [])
        elif other["keep"] and not one["keep"]:
            kinds["entered"] += 1
            reasons["entered"].update(why[0])
            reasons["entered_alone"].update(why[0] if len(why[0]) == 1 else [])
        elif one["keep"]:
            packed = [row["fate"] in ("packed", "cut") for row in (one, other)]
            kinds["out_of_mixture"] += packed == [True, False]
            kinds["into_mixture"] += packed == [False, True]
            kinds["other_tokens"] += one["n_tokens"] != other["n_tokens"]
            kinds["other_amount"] += all(packed) and one["n_packed_tokens"] != other["n_packed_tokens"]
        else:
            kinds["other_reasons"] += why[0] != why[1]
            keepers = one["keeper_id"], other["keeper_id"]
            kinds["other_keeper"] += not moved and None not in keepers and keepers[0] != keepers[1]
    return {"kinds": kinds, "flows": flows, "moves": moves, "reasons": reasons}


def shares(run: RunFiles, *keys: str) -> dict[tuple[str, ...], tuple[int, int, int, int]]:
    """Documents, kept ones, kept tokens and packed tokens by some columns."""
    found: dict[tuple[str, ...], tuple[int, int, int, int]] = {}
    for row in ledger(run).values():
        key = tuple(row[k] for k in keys)
        more = (1, int(row["keep"]), row["n_tokens"], row["n_packed_tokens"])
        found[key] = tuple(x + y for x, y in zip(found.get(key, (0, 0, 0, 0)), more, strict=True))  # type: ignore[assignment]
    return found
