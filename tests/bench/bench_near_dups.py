"""Near dedup against datasketch: MinHash-LSH over the same documents, interleaved, CPU seconds, medians.

    python tests/bench/bench_near_dups.py [FILE.parquet] [--mb 20] [--rounds 3]

Both sides start from document bytes and end with candidate pairs: word 5-gram shingles, 125 hashes, 25 bands of 5.
Ours also verifies every candidate by exact Jaccard, and its pairs are counted after that. datasketch (pip install
datasketch) hashes each distinct shingle with xxh32, as its users do for speed. Without a file, Python's standard
library is read.
"""

from __future__ import annotations

import argparse
import re
import statistics
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import xxhash

from pipeline.text import minhash, shingles

N_BANDS, ROWS, SHINGLE_WORDS, THRESHOLD = 25, 5, 5, 0.7
_WORD = re.compile(rb"[A-Za-z0-9_\x80-\xff]+")


def read(path: Path | None, *, n_bytes: int) -> list[bytes]:
    """Distinct documents of about n_bytes in total."""
    if path is None:
        files = sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))
        contents = (f.read_bytes() for f in files)
    else:
        column = pq.read_table(path, columns=["content"])["content"].to_pylist()
        contents = (c if isinstance(c, bytes) else c.encode() for c in column if c)
    found: dict[bytes, None] = {}
    for content in contents:
        found.setdefault(content)
        n_bytes -= len(content)
        if n_bytes <= 0:
            break
    return list(found)


def ours(documents: list[bytes]) -> set[tuple[int, int]]:
    offsets = np.concatenate(([0], np.cumsum([len(d) for d in documents]))).astype(np.int64)
    data = np.frombuffer(b"".join(documents), np.uint8)
    hashes, ends = shingles.shingle(data, offsets, n_words=SHINGLE_WORDS)
    signed = np.flatnonzero(np.diff(ends))
    signatures = minhash.sign(hashes, ends, n_hashes=N_BANDS * ROWS)[signed]
    keys = minhash.band_keys(signatures, n_bands=N_BANDS).ravel()
    left, right = minhash.link(keys, np.repeat(signed, N_BANDS).astype(np.uint64), max_bucket=32)
    pairs = np.unique(np.stack((left, right), axis=1), axis=0).astype(np.int64)
    wanted = np.unique(pairs)
    sets = [np.unique(hashes[ends[d] : ends[d + 1]]) for d in wanted]
    set_ends = np.concatenate(([0], np.cumsum([s.size for s in sets]))).astype(np.int64)
    place = np.searchsorted(wanted, pairs)
    values = np.concatenate(sets) if sets else np.zeros(0, np.uint64)
    similar = shingles.jaccard_pairs(values, set_ends, place[:, 0], place[:, 1]) >= THRESHOLD
    return {(int(a), int(b)) for a, b in pairs[similar]}


def peer(documents: list[bytes]) -> set[tuple[int, int]]:
    from datasketch import MinHash, MinHashLSH

    lsh = MinHashLSH(params=(N_BANDS, ROWS), num_perm=N_BANDS * ROWS)
    pairs = set()
    for number, document in enumerate(documents):
        words = _WORD.findall(document.lower())
        grams = {b" ".join(words[i : i + SHINGLE_WORDS]) for i in range(max(1, len(words) - SHINGLE_WORDS + 1))}
        if not words:
            continue
        sketch = MinHash(num_perm=N_BANDS * ROWS, hashfunc=xxhash.xxh32_intdigest)
        sketch.update_batch(list(grams))
        pairs |= {(other, number) for other in lsh.query(sketch)}
        lsh.insert(number, sketch)
    return pairs


def timed(
    work: Callable[[list[bytes]], set[tuple[int, int]]], documents: list[bytes]
) -> tuple[float, set[tuple[int, int]]]:
    started = time.process_time()
    pairs = work(documents)
    return time.process_time() - started, pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--mb", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    documents = read(options.file, n_bytes=int(options.mb * 1e6))
    megabytes = sum(map(len, documents)) / 1e6
    ours(documents[:50])  # compile
    seconds: dict[str, list[float]] = {"ours": [], "datasketch": []}
    found: dict[str, set[tuple[int, int]]] = {}
    for _ in range(options.rounds):
        for name, work in (("ours", ours), ("datasketch", peer)):
            spent, found[name] = timed(work, documents)
            seconds[name].append(spent)
    rates = {name: megabytes / statistics.median(s) for name, s in seconds.items()}
    print(f"{len(documents):,} documents, {megabytes:.1f} MB, {options.rounds} rounds, CPU seconds")
    print(f"  loopmix, verified pairs   {rates['ours']:8.1f} MB/CPU-s  {len(found['ours']):,} pairs")
    print(f"  datasketch, candidates    {rates['datasketch']:8.1f} MB/CPU-s  {len(found['datasketch']):,} pairs")
    print(
        f"  ratio {rates['ours'] / rates['datasketch']:.1f}; verified pairs among its candidates: "
        f"{len(found['ours'] & found['datasketch'])} of {len(found['ours'])}"
    )


if __name__ == "__main__":
    main()
