"""The whole path, `loopmix curate` from parquet to packed shards and report, by size; and datatrove's same job.

    python tests/bench/bench_end_to_end.py [--mb 1 10 30 150] [--rounds 3] [--no-peer] [--ray] [--write]

CPU seconds of the command with all its children, so starting Python counts, and the report. "Marginal" is what the
largest input costs beyond the third. "Again" is the same command on the finished run. datatrove does less: no
language or licence, no secrets, no code rules, no verified pairs, no balance, no packing; it starts once, and its
imports are not counted. It is run on the 10 MB alone, with the tokenizer that ships. `--write` puts the table into
docs/speed.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.bench_input import Input, add_options, make_input, pools_of
from tests.bench.bench_machine import ROOT, Cost, loopmix, machine, median, peers, run, write_table

PEERS = ("datatrove[io,processing]>=0.10,<0.11", "spacy>=3.7,<4", "tokenizers>=0.21,<0.24", "orjson")
PEER_MB = 10
# Of languages that have grammars: what a repository of the web is made of.
WEB = frozenset((".py", ".js", ".ts", ".java", ".c", ".h", ".cpp", ".go", ".rs", ".rb", ".php", ".cs", ".sh", ".scala"))


def curate(made: Input, *, fresh: bool = True, ray: bool = False) -> Cost:
    out = made.folder / "run"
    if fresh:
        shutil.rmtree(out, ignore_errors=True)
    cluster = ("--ray-address", "local") if ray else ()
    return loopmix("curate", made.mixture, "--out", out, *cluster)


def datatrove(made: Input, *, with_c4: bool) -> dict[str, float]:
    """CPU seconds by step."""
    tables = [pq.read_table(made.folder / f"{pool}.parquet", columns=["content"]) for pool in ("code", "text")]
    texts = pa.concat_tables(tables)["content"].cast(pa.large_binary()).cast(pa.large_string())
    source, work = made.folder / "theirs", made.folder / "theirs-work"
    shutil.rmtree(work, ignore_errors=True)
    source.mkdir(exist_ok=True)
    pq.write_table(pa.table({"text": texts, "id": [str(i) for i in range(len(texts))]}), source / "theirs.parquet")
    shutil.copy(ROOT / "tokenizer" / "tokenizer.json", source / "tokenizer.json")
    script = str(Path(__file__).with_name("end_to_end_peer.py"))
    flags = [] if with_c4 else ["--without-c4"]
    said = run([peers("datatrove", PEERS), script, str(source), str(work), *flags]).said
    found: dict[str, float] = json.loads(said.strip().splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--mb", nargs="+", type=float, default=[1, 10, 30, 150])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--web", action="store_true", help="only code of languages that have grammars")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--ray", action="store_true", help="on a local Ray cluster too")
    parser.add_argument("--write", action="store_true", help="put the table into docs/speed.md")
    options = parser.parse_args()
    pools = pools_of(options)
    with tempfile.TemporaryDirectory() as name:
        made = {
            mb: make_input(
                pools, Path(name) / f"{mb:g}", n_bytes=int(mb * 1e6), suffixes=WEB if options.web else frozenset()
            )
            for mb in options.mb
        }
        lines = table_of(made, options)
    print("\n".join(lines))
    if options.write:
        write_table(ROOT / "docs" / "speed.md", "web" if options.web else "end-to-end", lines)


def table_of(made: dict[float, Input], options: argparse.Namespace) -> list[str]:
    lines = [f"{machine()}; medians of {options.rounds} rounds.", ""]
    lines += ["| input | documents | CPU-s | (min-max) | MB/CPU-s | peak MB |", "|---|---|---|---|---|---|"]
    spent: dict[str, list[Cost]] = {}
    curate(next(iter(made.values())))  # kernels are compiled once a machine, not in a measured run
    for _ in range(options.rounds):
        for mb, one in made.items():
            spent.setdefault(f"{mb:g} MB", []).append(curate(one))
            if one is next(iter(made.values())):
                spent.setdefault("again", []).append(curate(one, fresh=False))
                spent.setdefault("report", []).append(loopmix("report", one.folder / "run"))
            if options.ray and mb == sorted(made)[-2 if len(made) > 1 else -1]:
                spent.setdefault(f"{mb:g} MB, Ray", []).append(curate(one, ray=True))
    for label, costs in spent.items():
        mb = next((m for m in made if label.startswith(f"{m:g} MB")), None)
        lines.append(_row(label, None if mb is None else made[mb], costs))
    if len(made) > 2:
        small, large = sorted(made)[-2:]
        more = made[large].n_bytes - made[small].n_bytes
        beyond = median(spent[f"{large:g} MB"]) - median(spent[f"{small:g} MB"])
        lines.append(f"| {large:g} beyond {small:g} MB | | {beyond:.1f} | | {more / 1e6 / beyond:.1f} | |")
    if not options.no_peer and PEER_MB in made:
        lines += ["", *peer_lines(made[PEER_MB], spent[f"{PEER_MB} MB"], rounds=options.rounds)]
    return lines


def _row(label: str, one: Input | None, costs: list[Cost]) -> str:
    each = sorted(c.cpu_seconds for c in costs)
    rate = "" if one is None else f"{one.n_bytes / 1e6 / median(costs):.1f}"
    n_docs = "" if one is None else f"{one.n_docs:,}"
    peak = max(c.peak_bytes for c in costs) / 1e6
    return f"| {label} | {n_docs} | {median(costs):.1f} | {each[0]:.1f}-{each[-1]:.1f} | {rate} | {peak:,.0f} |"


def peer_lines(one: Input, ours: list[Cost], *, rounds: int) -> list[str]:
    lines = [f"| {PEER_MB} MB | CPU-s | MB/CPU-s | loopmix is |", "|---|---|---|---|"]
    own = median(ours)
    lines.append(f"| loopmix, all of it | {own:.1f} | {one.n_bytes / 1e6 / own:.2f} | |")
    for label, with_c4 in (("datatrove", True), ("datatrove without C4", False)):
        steps = [datatrove(one, with_c4=with_c4) for _ in range(rounds if with_c4 else 1)]
        theirs = statistics.median(sum(s.values()) for s in steps)
        lines.append(f"| {label} | {theirs:.1f} | {one.n_bytes / 1e6 / theirs:.3f} | {theirs / own:.1f} x as fast |")
    return lines


if __name__ == "__main__":
    main()
