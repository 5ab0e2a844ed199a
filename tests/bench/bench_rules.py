"""Sets gopher, c4 and fineweb beside datatrove's filters: same words, same limits, same documents, in one process.

Run: python tests/bench/bench_rules.py [FILE.parquet ...] [--max-mb 20] [--max-document-kb 150] [--suffix .md]
A file needs a column `content` or `text`; without one, the prose that every Python brings along is read. Speeds are MB
per CPU second of one core, medians of three, without reading and decoding.

datatrove is given our words and sentences (`tests/prose_twin.py`), whose making is not timed; its own tokenizer would
make it some fifteen times slower. Line ends are LF in all documents: datatrove's filters take a CR for text. What is
compared is the verdict, and whether the rule that datatrove names is one that fires here.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from prose_twin import sentences_of, words_of

from pipeline.arrays.columns import bytes_of
from pipeline.quality import features, phrases, prose, prose_language, prose_markup, prose_scan, prose_words, repetition
from pipeline.rules.sets import shipped

# What datatrove calls a rule, and what we do where no simple change of letters leads from one to the other.
NAMES = {
    "short_doc": "few_words",
    "long_doc": "many_words",
    "below_avg_threshold": "short_words",
    "above_avg_threshold": "long_words",
    "too_many_hashes": "hash_signs",
    "too_many_ellipsis": "ellipses",
    "too_many_bullets": "bullets",
    "too_many_end_ellipsis": "end_ellipses",
    "below_alpha_threshold": "few_alpha_words",
    "enough_stop_words": "stop_words",
    "dup_line_frac": "repeated_lines",
    "dup_line_char_frac": "repeated_line_chars",
    "dup_para_frac": "repeated_paragraphs",
    "dup_para_char_frac": "repeated_paragraph_chars",
    "too_few_sentences": "few_sentences",
    "line_punct_ratio": "few_stops",
    "short_line_ratio": "short_lines",
    "char_dup_ratio": "repeated_lines",
    "list_ratio": "list",
}


def own_prose() -> list[str]:
    """Python's manual as `help()` has it, and the descriptions of the packages installed here."""
    from pydoc_data.topics import topics

    installed = sorted(Path(sysconfig.get_paths()["purelib"]).glob("*.dist-info/METADATA"))
    return [*topics.values(), *(path.read_text(encoding="utf-8", errors="replace") for path in installed)]


def read(paths: list[str], *, max_bytes: float, max_document_bytes: float, suffixes: list[str]) -> list[str]:
    texts: list[str] = []
    n_bytes = 0
    for path in paths:
        names = pq.read_schema(path).names
        column = "content" if "content" in names else "text"
        columns = [column, "path"] if suffixes else [column]
        for batch in pq.ParquetFile(path).iter_batches(1_000, columns=columns):
            for row in batch.to_pylist():
                value = row[column] or b""
                text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                size = len(text.encode("utf-8", "replace"))
                if size > max_document_bytes or (suffixes and not str(row["path"]).endswith(tuple(suffixes))):
                    continue
                n_bytes += size
                if n_bytes > max_bytes:
                    return texts
                texts.append(text)
    return texts


def their_filters() -> dict[str, Any]:
    """datatrove's filters with default limits, given our words and sentences."""
    from datatrove.pipeline import filters
    from datatrove.pipeline.filters import (
        c4_filters,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )

    words: dict[str, list[str]] = {}

    def known_words(text: str, _language: str) -> list[str]:
        if text not in words:
            words.clear()
            words[text] = words_of(text)
        return words[text]

    for module in (gopher_quality_filter, gopher_repetition_filter, fineweb_quality_filter):
        module.split_into_words = known_words
    c4_filters.split_into_sentences = sentences_of
    return {
        "Gopher quality": filters.GopherQualityFilter(),
        "Gopher repetition": filters.GopherRepetitionFilter(),
        "C4": filters.C4QualityFilter(),
        "FineWeb": filters.FineWebQualityFilter(),
    }


def theirs(rules: Any, texts: list[str]) -> tuple[list[str], float]:
    """For each document the rule that datatrove drops it for, or nothing, and its CPU seconds without the words'."""
    from datatrove.data import Document

    verdicts, seconds = [], 0.0
    for text in texts:
        if hasattr(rules, "language"):
            sys.modules[type(rules).__module__].__dict__.get("split_into_words", words_of)(text, "")
        document = Document(text=text, id="")
        start = time.process_time()
        verdict = rules.filter(document)
        seconds += time.process_time() - start
        verdicts.append("" if verdict is True else str(verdict[1]))
    return verdicts, seconds


def our_rules(peer: str, measured: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Where each of our rules of the same filter fires."""
    name = peer.split()[0].lower()
    fired = {}
    for row in shipped(name).rows:  # type: ignore[arg-type]
        rule = row.rule
        if name == "gopher" and (rule.feature in repetition.NAMES) != (peer == "Gopher repetition"):
            continue
        value = measured[rule.feature]
        mask = value > rule.above if rule.above is not None else value < rule.below  # type: ignore[operator]
        fired[rule.reason.partition(".")[2]] = mask
    return fired


def our_name(theirs: str) -> str:
    name = theirs.removeprefix("gopher_").replace("duplicated_", "duplicate_").replace("_n_grams", "_grams")
    return NAMES.get(name, name)


def compare(peer: str, verdicts: list[str], measured: dict[str, np.ndarray]) -> None:
    fired = our_rules(peer, measured)
    drop = np.logical_or.reduce(list(fired.values()))
    equal = named = 0
    unequal: Counter[tuple[str, str]] = Counter()
    for k, verdict in enumerate(verdicts):
        equal += bool(drop[k]) == bool(verdict)
        named += bool(drop[k]) == bool(verdict) and (not verdict or bool(fired[our_name(verdict)][k]))
        if bool(drop[k]) != bool(verdict):
            unequal[verdict or "kept", ",".join(n for n, mask in fired.items() if mask[k]) or "kept"] += 1
    n = len(verdicts)
    print(f"    equal verdicts {equal / n:.4%}, of equal names {named / n:.4%}; datatrove drops {_share(verdicts):.2%}")
    for (their, our), count in unequal.most_common(5):
        print(f"      {count} x datatrove: {their}; ours: {our}")


def _share(verdicts: list[str]) -> float:
    return sum(map(bool, verdicts)) / len(verdicts)


def seconds_of(function: Callable[[], object]) -> float:
    """Median CPU seconds of three calls, kernels compiled before."""
    taken = []
    for _ in range(3):
        start = time.process_time()
        function()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def gopher_quality(data: np.ndarray, offsets: np.ndarray) -> None:
    """What the features of Gopher's quality rules need."""
    features.measure(data, offsets)
    for part in prose_scan.batches(offsets):
        prose_words.words(data, offsets[part.start : part.stop + 1])


def languages(data: np.ndarray, offsets: np.ndarray) -> None:
    for part in prose_scan.batches(offsets):
        lines = prose_scan.lines(data, offsets[part.start : part.stop + 1])
        heads = prose_markup.heads(data, lines, prose_markup.prose(data, lines), max_bytes=prose_language.HEAD_BYTES)
        prose_language.measure(*heads)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--max-mb", type=float, default=20.0)
    parser.add_argument("--max-document-kb", type=float, default=150.0)
    parser.add_argument("--suffix", action="append", default=[])
    options = parser.parse_args()
    limits = {"max_bytes": options.max_mb * 1e6, "max_document_bytes": options.max_document_kb * 1e3}
    found = read(options.files, suffixes=options.suffix, **limits) if options.files else own_prose()
    texts = [text.replace("\r\n", "\n").replace("\r", "\n") for text in found if text.strip()]
    data, offsets = bytes_of(pa.array([text.encode("utf-8", "replace") for text in texts], pa.large_binary()))
    megabytes = int(offsets[-1]) / 1e6
    print(f"{len(texts):,} documents, {megabytes:.1f} MB; MB per CPU second:")
    scanned = features.measure(data, offsets)
    measured = {**vars(scanned), **prose.measure(data, offsets)}
    phrases.automaton()
    for name, work in (
        ("counts of `scan`", features.measure),
        ("Gopher quality", gopher_quality),
        ("repetition", repetition.measure),
        ("language of prose", languages),
        ("all that is of text", prose.measure),
    ):
        work(data[:1], np.array([0, 1]))
        print(f"  ours: {name:26} {megabytes / seconds_of(lambda work=work: work(data, offsets)):8.1f}")  # type: ignore[misc]
    for name, rules in their_filters().items():
        verdicts, seconds = theirs(rules, texts)
        print(f"  datatrove: {name:21} {megabytes / seconds:8.1f}")
        compare(name, verdicts, measured)


if __name__ == "__main__":
    main()
