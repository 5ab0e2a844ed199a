"""How full sequences are, and how far copies of a document stand apart: `bench_fill.py MIXTURES [--write]`.

Curates each mixture at each sequence length and number of copies (only `balance` and `packed` are made again) and
recounts from the packed shards. With more than one copy the total is that many times what the mixture holds without,
less a tenth, so that every budget ends inside a document. `--write` puts the table into docs/balance.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.config import Mixture
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from tests.bench.bench_machine import ROOT, write_table


def wanted(mixture: Mixture, *, seq_len: int, copies: int, total: int | None) -> Mixture:
    """The mixture at another length, each document up to so many times."""
    balance = mixture.balance.model_copy(update={"max_copies": copies, "total_tokens": total})
    pack = mixture.pack.model_copy(update={"seq_len": seq_len})
    return mixture.model_copy(update={"balance": balance, "pack": pack})


def recount(run: RunFiles, *, seq_len: int) -> tuple[int, int, float, int, float]:
    """Tokens, sequences, fill, sequences that hold a piece twice, the least distance in epochs of the document."""
    table = pa.concat_tables(t.select(["n_real", "doc_ids", "doc_offsets"]) for t in run.packed()).combine_chunks()
    n_tokens, n = int(pc.sum(table["n_real"]).as_py()), table.num_rows
    lists = table["doc_ids"].combine_chunks()
    piece = pa.table(
        {
            "doc": lists.flatten(),
            "offset": table["doc_offsets"].combine_chunks().flatten(),
            "sequence": np.repeat(np.arange(n), pc.list_value_length(lists).to_numpy()),
        }
    ).sort_by([("doc", "ascending"), ("offset", "ascending"), ("sequence", "ascending")])
    doc, offset = piece["doc"].combine_chunks().dictionary_encode().indices.to_numpy(), piece["offset"].to_numpy()
    sequence = piece["sequence"].to_numpy()
    same = (doc[1:] == doc[:-1]) & (offset[1:] == offset[:-1])
    apart = np.diff(sequence)[same]
    number = np.concatenate(([0], np.cumsum(~same)))
    times = np.bincount(number)[number[1:]][same]
    twice = np.unique(sequence[1:][same][apart == 0]).size
    return n_tokens, n, n_tokens / (n * seq_len), twice, float((apart * times / n).min(initial=np.inf))


def rows(mixture: Mixture, *, copies: Sequence[int], seq_lens: Sequence[int]) -> Iterator[str]:
    """A line of the table for each number of copies and sequence length."""
    with tempfile.TemporaryDirectory() as folder:
        store, single = open_store(folder), 0
        for n_copies in copies:
            for seq_len in seq_lens:
                total = None if n_copies == 1 else int(single * (n_copies - 0.1)) // 2 * 2
                asked = wanted(mixture, seq_len=seq_len, copies=n_copies, total=total)
                curate(Run(store, asked, InlineExecutor(), silent()))
                n_tokens, n, fill, twice, apart = recount(RunFiles(store), seq_len=seq_len)
                single = single or n_tokens
                far = "" if apart == np.inf else f"{apart:.2f}"
                yield f"| {n_copies} | {n_tokens:,} | {seq_len:,} | {n:,} | {fill:.4f} | {twice} | {far} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mixtures", type=Path, nargs="+")
    parser.add_argument("--seq-len", type=int, nargs="+", default=[2048, 4096, 8192, 16384, 32768])
    parser.add_argument("--copies", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    lines = ["| copies | tokens | sequence | sequences | fill | hold a piece twice | copies apart, in epochs |"]
    lines.append("|---|---|---|---|---|---|---|")
    for mixture in map(load_mixture, options.mixtures):
        for line in rows(mixture, copies=options.copies, seq_lens=options.seq_len):
            lines.append(line)
            print(line, flush=True)
    if options.write:
        write_table(ROOT / "docs/balance.md", "fill", lines)


if __name__ == "__main__":
    main()
