"""Which planted ruin `validate` sees in the data, at which rate, and how many of the documents ranked worst are ruined.

    python tests/bench/bench_ruin.py RUN --out SCRATCH [--rates 1,0.5,0.1,0.01] [--seed 1]

RUN is a finished, healthy run with several large groups (`make demo` makes one). For each rate copies of it are spoilt,
several kinds at once, each in a group of its own; `half_rows` alone. Nothing is trained here: these are the checks of
the data. A row for each kind: named or not, and what was found in its group; then findings in groups left sound.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "ruin"))

from planting import EXPECTED, KINDS, copy_run, plant, repeat_rows

from pipeline.results import Inspection
from pipeline.ruin.inspect import inspect

_TEXT_KINDS = (
    "mojibake",
    "reversed",
    "template",
    "leak",
    "sentence",
)  # the others go into code
_ALONE = ("permuted_labels", "leak", "other_language")  # they reach into other groups
_WORST = 100


def look(run: Path) -> Inspection:
    blocks = []
    for path in sorted((run / "packed").glob("*.arrow")):
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        blocks += [reader.get_batch(i) for i in range(reader.num_record_batches)]
    return inspect(run, [b for b in blocks if b.num_rows], tokenizer=run / "tokenizer.json", seed=0).inspection


def largest(run: Path, out: Path, *, n: int) -> dict[str, list[str]]:
    """The largest groups of each pool by documents."""
    sizes = Counter(copy_run(run, out).labels.values())
    return {p: [g for (q, g), _ in sizes.most_common() if q == p][:n] for p in ("code", "text")}


def rounds(groups: dict[str, list[str]]) -> list[dict[str, tuple[str, str]]]:
    """Kinds and their groups, so many at once as there are groups of either pool."""
    todo, found = [k for k in KINDS if k != "half_rows"], []
    while todo:
        free = {pool: list(names) for pool, names in groups.items()}
        batch = {}
        for kind in list(todo):
            pool = "text" if kind in (*_TEXT_KINDS, "swapped_pools") else "code"
            if kind in _ALONE and batch:
                continue
            if free[pool]:
                batch[kind] = (pool, free[pool].pop(0))
                todo.remove(kind)
            if kind in _ALONE:
                break
        found.append(batch)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rates", default="1,0.5,0.1,0.01")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    groups = largest(given.run, given.out, n=4)
    for rate in map(float, given.rates.split(",")):
        n_named = 0
        for batch in rounds(groups):
            n_named += one_round(given.run, given.out, batch, rate=rate, seed=given.seed)
        if rate == 1.0:
            n_named += half_rows(given.run, given.out, seed=given.seed)
        print(f"rate {rate:g}: {n_named} of {len(KINDS) - (rate != 1.0)} kinds named\n", flush=True)


def one_round(run: Path, out: Path, batch: dict[str, tuple[str, str]], *, rate: float, seed: int) -> int:
    planted, spoilt = copy_run(run, out), {}
    for kind, (pool, group) in batch.items():
        spoilt[kind] = plant(planted, kind, pool=pool, group=group, rate=rate, seed=seed)
    planted.write()
    found, n_named = look(out), 0
    for kind, label in batch.items():
        mine = [f for f in found.findings if (f.pool, f.group) == label or kind == "permuted_labels"]
        named = any(f.kind in EXPECTED[kind] for f in mine)
        n_named += named
        what = ", ".join(f"{f.kind} {f.n_found}/{f.n_docs} {f.status}" for f in mine[:4])
        print(f"  {rate:<5g}{kind:<17}{label[1]:<22}{len(spoilt[kind]):>5}  {'named ' if named else 'MISSED'}  {what}")
    others = [f for f in found.findings if (f.pool, f.group) not in batch.values() and not f.of_ledger]
    if others:
        print("       beside them:", ", ".join(f"{f.group} {f.kind} {f.n_found}/{f.n_docs}" for f in others[:8]))
    truly = set().union(*spoilt.values())
    worst = [d.doc_id in truly for d in found.documents[: min(_WORST, len(truly))]]
    print(f"       {sum(worst)} of the {len(worst)} documents ranked worst are ruined, of {len(truly)}", flush=True)
    return n_named


def half_rows(run: Path, out: Path, *, seed: int) -> int:
    n = repeat_rows(copy_run(run, out), seed=seed)
    kinds = Counter(f.kind for f in look(out).findings if f.kind == "repeated_rows")
    print(f"  half of all rows are copies ({n}): {kinds.total()} groups named repeated_rows")
    return int(bool(kinds))


if __name__ == "__main__":
    main()
