"""What the joins of `loopmix verify` cost for N documents: peak memory, CPU seconds and scratch, on made ids.

    python tests/bench/bench_verify_scale.py 1e7 1e8 --checks alignment,ledger,duplicates,trace,balance

Tables of N documents are not written: what reads a shard is replaced by a function that makes the columns that a check
asks for from the numbers of its documents. All else is what `verify` runs, one task after another, each check in a
process of its own. A document has four tokens, so that what is measured is the joins and not the tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import id_array
from pipeline.arrays.keys import mix
from pipeline.engine.exchange import positions
from pipeline.engine.store import Store
from pipeline.engine.tables import Tables
from pipeline.phased import Phased
from pipeline.reading import verify_ledger
from pipeline.reading.stream_files import StreamFiles
from pipeline.reading.verify_alignment import alignment_holds
from pipeline.reading.verify_kept import duplicates_hold
from pipeline.reading.verify_ledger import ledger_holds
from pipeline.reading.verify_stream import balance_holds
from pipeline.reading.work import Work, working
from pipeline.schema import ALIGNED, PACKED, Table

DOCS = 200_000  # of a shard: 1.4 GB of text
DOCS_PER_SEQUENCE, TOKENS_PER_DOC = 50, 4
PAIRS = DOCS // 10  # of a shard of `near_dups`: a tenth is near to the document before it, half of these equal


def check_of(name: str) -> Callable[[Any, Work], tuple[bool, str]]:
    if name == "trace":
        from pipeline.reading.verify_trace import trace_holds

        return trace_holds
    return {"alignment": alignment_holds, "ledger": ledger_holds, "duplicates": duplicates_hold,
            "balance": balance_holds}[name]  # fmt: skip


def ids(numbers: np.ndarray) -> pa.StringArray:
    """An id for each number: both halves are bijections of it."""
    doubled = numbers.astype(np.uint64) * np.uint64(2)
    return id_array(mix(doubled), mix(doubled + np.uint64(1)))


class Made:
    """Columns of a shard by their names, made when they are asked for; ids of the last shard are kept."""

    def __init__(self) -> None:
        self._ids: tuple[int, pa.StringArray] = (-1, None)

    def ids(self, shard: int) -> pa.StringArray:
        if self._ids[0] != shard:
            self._ids = shard, ids(np.arange(shard * DOCS, (shard + 1) * DOCS))
        return self._ids[1]

    def column(self, name: str, shard: int) -> pa.Array:
        row = np.arange(DOCS)
        keep = row % 10 != 9  # every tenth is dropped for the one before
        if name == "doc_id":
            return self.ids(shard)
        if name == "keeper_id":
            before = self.ids(shard).take(pa.array(row - 1 + (row == 0)))
            return pc.if_else(pa.array(keep), pa.scalar(None, pa.string()), before)
        if name == "keep":
            return pa.array(keep)
        if name == "reasons":
            offsets = np.concatenate(([0], np.cumsum(~keep)))
            return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(["near_duplicate"] * (~keep).sum()))
        if name == "group_position":
            return pa.array(positions(shard, row))
        if name == "n_packed_tokens":
            return pa.array(np.where(keep, TOKENS_PER_DOC, 0))
        if name == "token_ids":
            ends = np.concatenate(([0], np.cumsum(np.where(keep, TOKENS_PER_DOC, 0))))
            return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(np.zeros(ends[-1], np.uint32)))
        return pa.array(np.zeros(DOCS, np.uint64))  # of signatures, of which the rows are counted


MADE = Made()


def read(self: Tables, table: Table, shard: int, *, columns: Sequence[str] | None = None) -> pa.Table:
    names = columns or ["doc_id", "keep", "reasons", "keeper_id", "n_packed_tokens"]
    return pa.table({name: MADE.column(name, shard) for name in names})


def read_pairs(self: Store, path: str, *, schema: pa.Schema, columns: Sequence[str]) -> pa.Table:
    shard, row = int(path), np.arange(PAIRS) * 10 + 8
    similarity = np.where(np.arange(PAIRS) % 2 == 0, 1.0, 0.8)
    return pa.table({"position": positions(shard, row), "other_position": positions(shard, row + 1),
                     "similarity": similarity})  # fmt: skip


def read_packed(self: StreamFiles, number: int, *columns: str) -> pa.Table:
    row = np.arange(DOCS)
    docs = MADE.ids(number).take(pa.array(row[row % 10 != 9]))
    n = len(docs) // DOCS_PER_SEQUENCE
    bounds = np.tile(np.arange(DOCS_PER_SEQUENCE + 1) * TOKENS_PER_DOC, n)
    ends = np.arange(n + 1) * DOCS_PER_SEQUENCE
    length = DOCS_PER_SEQUENCE * TOKENS_PER_DOC
    made = {
        "token_ids": lambda: pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(n * length, np.uint32)), length),
        "n_real": lambda: pa.array(np.full(n, length, np.int32)),
        "cu_seqlens": lambda: pa.ListArray.from_arrays(
            pa.array(np.arange(n + 1) * (DOCS_PER_SEQUENCE + 1), pa.int32()), pa.array(bounds, pa.int32())
        ),
        "doc_ids": lambda: pa.ListArray.from_arrays(pa.array(ends, pa.int32()), docs),
        "doc_offsets": lambda: pa.ListArray.from_arrays(pa.array(ends, pa.int32()), pa.array(np.zeros(len(docs), int))),
        "pool": lambda: pa.array(np.where(np.arange(n) % 2 == 0, "code", "text").tolist()),
    }
    return pa.table({name: made[name]() for name in columns})


def run_of(n_docs: int) -> Any:
    """What checks see of a run of so many documents."""
    n_shards = -(-n_docs // DOCS)
    counts = {"n_docs": n_shards * DOCS, "n_pieces": n_shards * DOCS * 9 // 10, "n_pairs": n_shards * PAIRS}
    names = [f"{PACKED}/{shard}" for shard in range(n_shards)]
    files = {PACKED: names, "near_dups": [str(shard) for shard in range(n_shards)]}
    store = Store("/nowhere")
    return SimpleNamespace(
        store=store,
        tables=Tables(store, n_shards),
        n_shards=n_shards,
        aligned=ALIGNED,
        joined=False,
        phases=(Phased(None, "", PACKED, DOCS_PER_SEQUENCE * TOKENS_PER_DOC, 1, 1, None, None),),
        mixture=SimpleNamespace(near_dups=SimpleNamespace(min_similarity=0.7)),
        manifest={"stages": {stage: {"counts": counts} for stage in ("documents", PACKED, "near_dups")}},
        files=lambda stage: (SimpleNamespace(path=path) for path in files[stage]),
    )


def scratch_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def measure(check: str, n_docs: int) -> dict[str, Any]:
    """One check in this process."""
    Tables.read, StreamFiles.read = read, read_packed  # type: ignore[assignment,method-assign]
    Store.read_parquet = read_pairs  # type: ignore[assignment,method-assign]
    verify_ledger._contradicted = lambda *_: []  # shard by shard, and of columns that are not made here
    promise, most = check_of(check), 0
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with working() as work:
        each = Work.each

        def watched(self: Work, *args: Any, **more: Any) -> Any:
            nonlocal most
            yield from each(self, *args, **more)
            most = max(most, scratch_bytes(Path(self.scratch.root)))

        Work.each = watched  # type: ignore[method-assign]
        kept, said = promise(run_of(n_docs), work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert kept, said
    return {"cpu_s": round(time.process_time() - started, 1), "peak_gb": peak / 1e6, "start_gb": before / 1e6,
            "scratch_gb": most / 1e9, "said": said}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("n_docs", type=float, nargs="+")
    parser.add_argument("--checks", default="alignment,ledger,duplicates,trace,balance")
    parser.add_argument("--here", action="store_true", help="one check in this process, as JSON")
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(measure(asked.checks, int(asked.n_docs[0]))))
        return
    print(f"{'documents':>14} {'check':<11} {'CPU-s':>8} {'CPU-s/10^6':>11} {'peak GB':>8} {'scratch GB':>11}")
    for n in asked.n_docs:
        for check in asked.checks.split(","):
            line = [sys.executable, __file__, str(n), "--checks", check, "--here"]
            done = subprocess.run(line, check=True, capture_output=True, text=True, env=dict(os.environ))
            row = json.loads(done.stdout.splitlines()[-1])
            print(f"{int(n):>14,} {check:<11} {row['cpu_s']:>8} {row['cpu_s'] * 1e6 / n:>11.3f} {row['peak_gb']:>8.2f} "
                  f"{row['scratch_gb']:>11.2f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
