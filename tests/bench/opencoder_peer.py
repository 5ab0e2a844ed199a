"""OpenCoder's own verdicts on one parquet file, in an environment with its packages. Needs nothing of Loopmix.

    python opencoder_peer.py CLONE IN.parquet OUT.jsonl

CLONE is a checkout of their filter code, IN has the columns path, language (linguist's name) and content. Each line of
OUT holds which of their rules a document hits (before a draw: their random numbers are set to 1) and CPU seconds. Their
model for the natural language is not published with the code: every document counts as English.
"""

from __future__ import annotations

import json
import random
import sys
import time
import warnings
from pathlib import Path

import pyarrow.parquet as pq

RENAMED = {"c#": "csharp", "c++": "cpp", "rocq prover": "coq"}  # where not linguist's in small letters


def main() -> None:
    clone, source, out = sys.argv[1:]
    sys.path.insert(0, clone)
    warnings.simplefilter("ignore")  # their Python parser warns for each file that it cannot parse
    random.random = lambda: 1.0
    from pipeline.compute_filtering import CodeFilter
    from pipeline.compute_quality_signals import ComputeCodeQualitySignal
    from utils.preprocessing import get_doc_type

    signals, rules = ComputeCodeQualitySignal(), CodeFilter()
    with Path(out).open("w") as lines:
        for row in pq.read_table(source).to_pylist():
            start = time.process_time()
            language = RENAMED.get(row["language"].lower(), row["language"].lower())
            kind, name = get_doc_type(language), Path(row["path"]).name
            found = signals.evaluate(
                text=row["content"].decode("utf-8", "replace"),
                filename=name,
                lang="en",
                ext=name.rpartition(".")[2],
                file_size_in_byte=len(row["content"]),
                program_lang=language,
                doc_type=kind,
            )
            verdict = json.loads(rules.evaluate(kind, "en", language, json.loads(found).get("quality_signal", "")))
            hits = sorted(name for name, hit in json.loads(verdict["hit_map"]).items() if hit)
            lines.write(json.dumps({"kind": kind, "hits": hits, "seconds": time.process_time() - start}) + "\n")


if __name__ == "__main__":
    main()
