"""How many bytes `loopmix forget` writes for each that it removes, on copies of a finished run.

    python tests/bench/bench_forget.py RUN [SHARE]

Lists of SHARE (default: a thousandth) of the documents: drawn at random, small ones alone, and whole repositories.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import pyarrow as pa

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import LoopmixError
from pipeline.forget.forget import forget
from pipeline.forget.listing import read_entries
from pipeline.schema import LEDGER

SMALL_BYTES = 2_000


def lists(run: RunFiles, share: float) -> dict[str, list[str]]:
    """Lists by their names."""
    rows = pa.concat_tables(run.shards(LEDGER, columns=["doc_id", "repo", "n_bytes", "fate"])).to_pylist()
    n, n_bytes = max(1, int(share * len(rows))), sum(row["n_bytes"] for row in rows)
    packed = [row for row in rows if row["fate"] == "packed"]
    small = [row for row in packed if row["n_bytes"] < SMALL_BYTES]
    drawn = {f"any documents, {k}": random.Random(k).sample(rows, n) for k in range(3)}
    drawn |= {"packed documents": random.Random(3).sample(packed, n)}
    if len(small) >= n:
        drawn[f"packed documents below {SMALL_BYTES:,} bytes"] = random.Random(4).sample(small, n)
    found = {name: [f"doc_id:{row['doc_id']}" for row in of] for name, of in drawn.items()}
    sizes: dict[str, int] = defaultdict(int)
    for row in rows:
        sizes[row["repo"] or ""] += row["n_bytes"]
    for k in range(2):
        names, chosen, left = sorted(sizes.keys() - {""}), [], share * n_bytes
        random.Random(k).shuffle(names)
        for name in names:
            if left > 0 and sizes[name] <= 2 * share * n_bytes:
                chosen.append(f"repo:{name}")
                left -= sizes[name]
        if chosen:
            found[f"repositories, {k}"] = chosen
    return found


def main(run: str, share: float = 0.001) -> None:
    """Print a row for each list."""
    print(f"{'list':<38} {'documents':>9} {'removed':>12} {'written':>12} {'ratio':>7}")
    for name, lines in lists(RunFiles(open_store(run)), share).items():
        with tempfile.TemporaryDirectory(prefix="loopmix-bench-") as folder:
            copy = Path(folder) / "run"
            shutil.copytree(run, copy)
            try:
                said = forget(open_store(str(copy)), read_entries(lines, where=name), say=lambda _: None).summary
            except LoopmixError as error:
                print(f"{name:<38} {error}")
                continue
        removed, written = said["bytes_removed"], said["bytes_written"]
        print(f"{name:<38} {said['documents']:>9,} {removed:>12,} {written:>12,} {written / removed:>7.2f}")


if __name__ == "__main__":
    main(sys.argv[1], *(float(a) for a in sys.argv[2:3]))
