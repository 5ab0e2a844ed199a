"""One peer's near dedup of one parquet file, in the environment of the peers. Needs nothing of Loopmix.

    python near_dup_peers.py datatrove|gaoya|gaoya-inserts|rensa|datasketch IN.parquet FOLDER

Reads the column `text`, writes the documents that stay as parquet (zstd), prints CPU seconds as JSON; reading and
writing count, imports and a first call on twenty documents do not. `gaoya` asks for each document and then inserts it,
which signs it twice, because its index cannot be asked with a signature that it has; `gaoya-inserts` leaves the asking
out, so it signs once and finds nothing: less than the job, and the most that can be said for it.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

THRESHOLD, N_WORDS = 0.7, 5
_WORD = re.compile(r"[A-Za-z0-9_]+")


def grams(text: str) -> list[str]:
    words = _WORD.findall(text)
    return [" ".join(words[i : i + N_WORDS]) for i in range(max(1, len(words) - N_WORDS + 1))] if words else []


def _gaoya_index() -> Any:
    """Its own analyser in Rust; 16 x 8 as its authors suggest for such thresholds."""
    from gaoya.minhash import MinHashStringIndex

    shape = {"num_bands": 16, "band_size": 8, "analyzer": "word", "lowercase": True, "ngram_range": (5, 5)}
    return MinHashStringIndex(hash_size=32, jaccard_threshold=THRESHOLD, **shape)


def gaoya(texts: list[str]) -> list[bool]:
    index, kept = _gaoya_index(), []
    for number, text in enumerate(texts):
        kept.append(not index.query(text))
        if kept[-1]:
            index.insert_document(number, text)
    return kept


def gaoya_inserts(texts: list[str]) -> list[bool]:
    index = _gaoya_index()
    for number, text in enumerate(texts):
        index.insert_document(number, text)
    return [True] * len(texts)


def rensa(texts: list[str]) -> list[bool]:
    from rensa import RMinHashDeduplicator

    found = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=128, use_lsh=True)
    return list(found.add_pairs((str(i), grams(t)) for i, t in enumerate(texts)))


def datasketch(texts: list[str]) -> list[bool]:
    from datasketch import MinHash, MinHashLSH

    index, kept = MinHashLSH(params=(25, 5), num_perm=125), []
    for number, text in enumerate(texts):
        sketch = MinHash(num_perm=125)
        sketch.update_batch([g.encode() for g in grams(text)])
        kept.append(not index.query(sketch))
        if kept[-1]:
            index.insert(number, sketch)
    return kept


def datatrove(file: Path, folder: Path) -> tuple[int, dict[str, float]]:
    """Its four steps with its defaults: 5-grams of spaCy words, 14 buckets of 8 hashes."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.writers import ParquetWriter
    from datatrove.utils.typeshelper import Languages

    config, seconds = MinhashConfig(), {}

    def read() -> ParquetReader:
        return ParquetReader(str(file.parent), glob_pattern=file.name, text_key="text", id_key="id")

    signatures, buckets, removed = (str(folder / name) for name in ("signatures", "buckets", "removed"))
    steps = (
        (1, [read(), MinhashDedupSignature(output_folder=signatures, config=config, language=Languages.english)]),
        (config.num_buckets, [MinhashDedupBuckets(input_folder=signatures, output_folder=buckets, config=config)]),
        (1, [MinhashDedupCluster(input_folder=buckets, output_folder=removed, config=config)]),
        (1, [read(), MinhashDedupFilter(input_folder=removed), ParquetWriter(str(folder / "out"))]),
    )
    for (tasks, pipeline), name in zip(steps, ("signature", "buckets", "cluster", "filter"), strict=True):
        started = time.process_time()
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=str(folder / name)).run()
        seconds[name] = time.process_time() - started
    return sum(pq.read_metadata(f).num_rows for f in (folder / "out").glob("*.parquet")), seconds


def main() -> None:
    which, file, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if which == "datatrove":
        kept, steps = datatrove(file, folder)
        spent = sum(steps.values())
    else:
        peers: dict[str, Callable[[list[str]], list[bool]]] = {
            "gaoya": gaoya,
            "gaoya-inserts": gaoya_inserts,
            "rensa": rensa,
            "datasketch": datasketch,
        }
        few = pq.ParquetFile(file).iter_batches(20, columns=["text"])
        peers[which](next(few)["text"].to_pylist())
        started = time.process_time()
        table = pq.read_table(file, columns=["text"])
        stays = peers[which](table["text"].to_pylist())
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(table.filter(pa.array(stays)), folder / "out.parquet", compression="zstd")
        spent, kept = time.process_time() - started, sum(stays)
    print(json.dumps({"cpu_seconds": spent, "kept": kept}))


if __name__ == "__main__":
    main()
