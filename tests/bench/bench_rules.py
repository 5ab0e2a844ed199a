"""Text rules beside datatrove's GopherQualityFilter: same words, same limits, same documents, in one process.

Run: python tests/bench/bench_rules.py [FILE.parquet ...] [--max-mb 20]. A file needs a column `content` or `text`;
without one, the prose that every Python brings along is read. Speeds are MB per CPU second of one core, without reading
and decoding.

Compared are the rules that both have in the same form: number and mean length of words, words with a letter, bullet
lines, lines that end in an ellipsis. Left out: hash signs (we count hashtags only) and English stop words (we have no
such rule). datatrove is given white-space words; its own tokenizer would make it some fifteen times slower. Our side
pays for all features of the `quality` table. Verdicts differ by design in scripts without spaces between words.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.quality.rules import judge

from pipeline.filters import TextRules
from pipeline.quality import features, secrets, text_rules

SHARED = frozenset({"few_words", "many_words", "word_length", "few_alpha_words", "bullets", "ellipses"})
GOPHER = TextRules(
    min_words=50,
    max_words=100_000,
    min_mean_word_chars=3,
    max_mean_word_chars=10,
    min_alpha_word_frac=0.8,
    max_bullet_line_frac=0.9,
    max_ellipsis_line_frac=0.3,
)


def own_prose() -> list[str]:
    """Python's manual as `help()` has it, and the descriptions of the packages installed here."""
    from pydoc_data.topics import topics

    installed = sorted(Path(sysconfig.get_paths()["purelib"]).glob("*.dist-info/METADATA"))
    return [*topics.values(), *(path.read_text(encoding="utf-8", errors="replace") for path in installed)]


def read(paths: list[str], *, max_bytes: float) -> list[str]:
    texts: list[str] = []
    n_bytes = 0
    for path in paths:
        names = pq.read_schema(path).names
        column = "content" if "content" in names else "text"
        for batch in pq.ParquetFile(path).iter_batches(1_000, columns=[column]):
            for value in batch.column(0).to_pylist():
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                n_bytes += len(text.encode())
                if n_bytes > max_bytes:
                    return texts
                texts.append(text)
    return texts


def theirs(texts: list[str]) -> tuple[np.ndarray, float]:
    """datatrove's verdicts (true: keep) and its CPU seconds."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import GopherQualityFilter, gopher_quality_filter

    gopher_quality_filter.split_into_words = lambda text, _language: text.split()
    rules = GopherQualityFilter(max_symbol_word_ratio=None, min_stop_words=None)
    documents = [Document(text=text, id=str(k)) for k, text in enumerate(texts)]
    start = time.process_time()
    keep = [rules.filter(document) is True for document in documents]
    return np.array(keep), time.process_time() - start


def ours(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, float]:
    """Our verdicts (true: keep) and CPU seconds, kernels compiled before."""
    features.measure(data[:1], np.array([0, 1]))
    start = time.process_time()
    found = features.measure(data, offsets)
    fired = judge(
        [rule for rule in text_rules.RULES if rule.reason in SHARED],
        features={f.name: getattr(found, f.name) for f in fields(found)},
        thresholds=GOPHER.model_dump(),
        languages=np.full(len(offsets) - 1, "Text"),
        among=np.ones(len(offsets) - 1, bool),
    )
    drop = np.logical_or.reduce([f.mask for f in fired])
    return ~drop, time.process_time() - start


def seconds_for_secrets(data: np.ndarray, offsets: np.ndarray) -> float:
    secrets.count(data[:1], np.array([0, 1]))
    start = time.process_time()
    secrets.count(data, offsets)
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--max-mb", type=float, default=20.0)
    options = parser.parse_args()
    texts = read(options.files, max_bytes=options.max_mb * 1e6) if options.files else own_prose()
    _, offsets, content = pa.array([text.encode() for text in texts], pa.large_binary()).buffers()
    data, ends = np.frombuffer(content, np.uint8), np.frombuffer(offsets, np.int64)[: len(texts) + 1]
    megabytes = int(ends[-1]) / 1e6
    mine, my_seconds = ours(data, ends)
    peer, peer_seconds = theirs(texts)
    print(f"{len(texts):,} documents, {megabytes:.1f} MB")
    print(f"Loopmix, all features      {megabytes / my_seconds:8.1f} MB/CPU-s   keeps {mine.mean():.4f}")
    print(f"datatrove GopherQuality    {megabytes / peer_seconds:8.1f} MB/CPU-s   keeps {peer.mean():.4f}")
    print(f"ratio {peer_seconds / my_seconds:.1f}   equal verdicts {(mine == peer).mean():.4f}")
    print(f"secrets and personal data  {megabytes / seconds_for_secrets(data, ends):8.1f} MB/CPU-s")


if __name__ == "__main__":
    main()
