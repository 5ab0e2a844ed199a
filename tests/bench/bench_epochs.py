"""How near copies of a document can come, by what an epoch is worth: drawn streams, no text and no packing.

    python tests/bench/bench_epochs.py [--segments 16 --patience 3]

Documents of log-normal length, some of them read several times, are put into segments as `pipeline/mix/epochs.py` does.
Of each two copies the least distance is taken that shuffle and patience allow, in epochs of the document. An epoch is
worth (sum of tokens)^2 / sum of squared tokens documents of equal length; see `pipeline/reading/verify_epochs.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.mix.epochs import PATIENCE, SEGMENTS, segment_of
from pipeline.reading.verify_epochs import LEAST_WORTH, PoolPlan

EDGES = (0, 32, LEAST_WORTH, 128, 256, 512, np.inf)
SIZES, SIGMAS, COPIES = np.geomspace(60, 6_000, 120).astype(int), (1.0, 1.6), (2, 4)


def copies_of(kind: str, n_docs: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """How often each document is read; one of them as often as any may be."""
    drawn = {"all": np.full(n_docs, most), "half": np.where(rng.random(n_docs) < 0.5, most, 1)}
    n_copies = drawn[kind] if kind in drawn else rng.integers(1, most + 1, n_docs)
    n_copies[0] = most
    return n_copies


def nearest(
    n_tokens: np.ndarray, n_copies: np.ndarray, rng: np.random.Generator, segments: int, patience: int
) -> float:
    """The least distance of two copies, in epochs of their document."""
    keys, most = rng.integers(0, 2**64, n_tokens.size, np.uint64), int(n_copies.max())
    doc = np.repeat(np.arange(n_tokens.size), n_copies)
    copy = np.arange(doc.size) - np.repeat(np.cumsum(n_copies) - n_copies, n_copies)
    segment = segment_of(keys[doc], copy, n_copies[doc], of=segments * most)
    before = np.concatenate(([0.0], np.cumsum(np.bincount(segment, n_tokens[doc], minlength=segments * most))))
    again = doc[1:] == doc[:-1]
    one, other, of = segment[:-1][again], segment[1:][again], doc[1:][again]
    behind = np.minimum(one + 1 + patience, other)  # the first is the last of its segment, or waits; the other is first
    return float(((before[other] - before[behind]) * n_copies[of] / before[-1]).min())


def streams(segments: int, patience: int) -> Iterator[tuple[float, float]]:
    """What an epoch of each drawn stream is worth, and how near copies come."""
    rng = np.random.default_rng(1)
    for kind in ("all", "half", "drawn"):
        for most in COPIES:
            for n_docs in SIZES.tolist():
                for sigma in SIGMAS:
                    n_tokens, n_copies = rng.lognormal(0, sigma, n_docs), copies_of(kind, n_docs, most, rng)
                    squares = float((n_tokens**2 * n_copies).sum())
                    plan = PoolPlan(most, 1, (n_tokens * n_copies).sum(), squares)
                    yield plan.worth, nearest(n_tokens, n_copies, rng, segments, patience)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--segments", type=int, default=SEGMENTS)
    parser.add_argument("--patience", type=int, default=PATIENCE)
    options = parser.parse_args()
    found = np.array(list(streams(options.segments, options.patience)))
    print(f"{'an epoch is worth':>20} {'streams':>8} {'nearer than half':>17} {'least distance':>15}")
    for low, high in pairwise(EDGES):
        here = found[(found[:, 0] >= low) & (found[:, 0] < high), 1]
        print(f"{f'{low:g} to {high:g}':>20} {here.size:>8} {int((here < 0.5).sum()):>17} {here.min():>15.2f}")


if __name__ == "__main__":
    main()
