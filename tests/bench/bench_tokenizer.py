"""Bytes per token by language beside public vocabularies: python tests/bench/bench_tokenizer.py TABLE ... [--file ...]

A TABLE has a column `content` and either `language` or `path`; `repo` is used where it is there. Give files that no
tokenizer in the comparison was trained on: for the shipped one, repositories that its card does not count. Several
--file are compared on the same documents. `pip install 'loopmix[peers]'` brings the public vocabularies; those that are
missing are named. One row a language as tab-separated text, then the means: each language of at least --min-bytes once.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from pipeline.language.decide import classify_one
from tokenizer import load
from tokenizer.compare import OURS, LabelledText, compare
from tokenizer.peers import Count, installed


def documents(tables: list[Path]) -> Iterator[LabelledText]:
    """Documents of all tables, by language."""
    for table in tables:
        with pq.ParquetFile(table) as file:
            columns = [name for name in ("content", "language", "path", "repo") if name in file.schema_arrow.names]
            for batch in file.iter_batches(512, columns=columns):
                for row in batch.to_pylist():
                    content = row["content"].encode() if isinstance(row["content"], str) else row["content"]
                    language = row.get("language") or classify_one(row["path"], content).language
                    yield LabelledText(language, row.get("repo") or table.stem, content)


def counter(file: str) -> Count:
    """Tokens of a text by a tokenizer file."""
    encoder = load(file)
    return lambda text: encoder.encode_batch([text.encode()])[1].size - 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--file", nargs="+", default=["builtin"], help="tokenizer.json, or builtin")
    parser.add_argument("--min-bytes", type=int, default=60_000)
    given = parser.parse_args()
    peers, missing = installed()
    for name, why in missing.items():
        print(f"# not compared with {name}: {why}")
    others = {file: counter(file) for file in given.file[1:]}
    found = compare(documents(given.tables), encoder=load(given.file[0]), peers=others | peers)
    print("\t".join(["language", "bytes", *(given.file[0] if n == OURS else n for n in found.vocabularies)]))
    for group in found.groups:
        rates = [f"{group.bytes_per_token(name):.3f}" for name in found.vocabularies]
        print("\t".join([group.group, str(group.n_bytes), *rates]))
    large = sum(group.n_bytes >= given.min_bytes for group in found.groups)
    means = [f"{found.mean(name, min_bytes=given.min_bytes):.3f}" for name in found.vocabularies]
    print("\t".join([f"# mean of {large}", "", *means]))


if __name__ == "__main__":
    main()
