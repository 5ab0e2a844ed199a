"""datatrove's version of the job, in an environment of its own: needs nothing of Loopmix.

    python end_to_end_peer.py IN_FOLDER WORK_FOLDER [--without-c4]

Reads `theirs.parquet` (text, id). Gopher repetition, Gopher quality, FineWeb and C4 filters with the defaults, as one
pass; then minhash in its four steps; then tokens by a Hugging Face tokenizer file, IN_FOLDER/tokenizer.json. Nothing
is dropped by the filters (their verdicts are computed, then ignored), because they are made for prose and half of the
input is code: so later steps see what ours see. Prints CPU seconds by step as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path


def cpu_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    source, work, with_c4 = Path(sys.argv[1]), Path(sys.argv[2]), "--without-c4" not in sys.argv
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
    )
    from datatrove.pipeline.readers import ParquetReader
    from datatrove.pipeline.tokens import DocumentTokenizer
    from datatrove.pipeline.writers import ParquetWriter
    from datatrove.utils.typeshelper import Languages

    filters = [GopherRepetitionFilter(), GopherQualityFilter(), FineWebQualityFilter()]
    filters += [C4QualityFilter(filter_no_terminal_punct=False)] if with_c4 else []
    for one in filters:
        judge = one.filter
        one.filter = lambda doc, judge=judge: (judge(doc), True)[1]

    def read(folder: Path, pattern: str) -> ParquetReader:
        return ParquetReader(str(folder), glob_pattern=pattern, text_key="text", id_key="id")

    config, first = MinhashConfig(), lambda: read(work / "filtered", "**/*.parquet")
    signatures, buckets, removed, kept = (str(work / n) for n in ("signatures", "buckets", "removed", "kept"))
    tokens = DocumentTokenizer(
        output_folder=str(work / "tokens"),
        tokenizer_name_or_path=str(source / "tokenizer.json"),
        eos_token="<|endoftext|>",
        shuffle_documents=False,
    )
    steps = {
        "filters": (1, [read(source, "theirs.parquet"), *filters, ParquetWriter(str(work / "filtered"))]),
        "signatures": (1, [first(), MinhashDedupSignature(signatures, config=config, language=Languages.english)]),
        "buckets": (config.num_buckets, [MinhashDedupBuckets(signatures, buckets, config=config)]),
        "cluster": (1, [MinhashDedupCluster(buckets, removed, config=config)]),
        "keep": (1, [first(), MinhashDedupFilter(removed), ParquetWriter(kept)]),
        "tokens": (1, [read(Path(kept), "**/*.parquet"), tokens]),
    }
    spent = {}
    for name, (tasks, pipeline) in steps.items():
        started = cpu_seconds()
        LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=1, logging_dir=str(work / "logs" / name)).run()
        spent[name] = cpu_seconds() - started
    print(json.dumps(spent))


if __name__ == "__main__":
    main()
