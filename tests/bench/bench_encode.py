"""Our encoder against Hugging Face `tokenizers` on the same bytes: python tests/bench/bench_encode.py [INPUT] [--mb 8]

INPUT is a folder of text files or a parquet file or folder with a `content` column; default: the standard library's
sources. Every measurement is a fresh child process, the two in turn, and counts CPU seconds of the child (all its
threads), so other work on the machine biases both alike. Cold is the first pass of a process, warm the second over
the same bytes (flattering for an engine with a cache). Loading is reported apart. Ratios are of medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ("ours", "encode_batch", "encode_batch_fast")


def documents(source: Path, *, n_bytes: int) -> list[bytes]:
    """The first `n_bytes` of UTF-8 documents, files in the order of their paths."""
    found: list[bytes] = []
    for text in _contents(source):
        try:
            text.decode()
        except UnicodeDecodeError:
            continue
        found.append(text)
        n_bytes -= len(text)
        if n_bytes <= 0:
            break
    return found


def _contents(source: Path) -> Iterator[bytes]:
    tables = sorted(source.glob("*.parquet")) if source.is_dir() else [source]
    if tables and tables[0].suffix == ".parquet":
        import pyarrow.parquet as pq

        for table in tables:
            for batch in pq.ParquetFile(table).iter_batches(256, columns=["content"]):
                yield from (value.as_py() for value in batch.column(0) if value.is_valid)
        return
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            yield path.read_bytes()


def encode_with(engine: str) -> Callable[[list[bytes]], int]:
    """A function that encodes all documents and gives the number of tokens, ends of documents left out."""
    if engine == "ours":
        from tokenizer import load

        encoder = load("builtin")
        return lambda texts: encoder.encode_batch(texts)[1].size - len(texts)
    from tokenizers import Tokenizer

    peer = Tokenizer.from_file(str(ROOT / "tokenizer" / "tokenizer.json"))
    peer.encode_special_tokens = True
    encode = getattr(peer, engine)
    return lambda texts: sum(
        len(row.ids) for row in encode([text.decode() for text in texts], add_special_tokens=False)
    )


def child(engine: str, *, source: Path, n_bytes: int) -> None:
    """One measurement, printed as JSON."""
    texts = documents(source, n_bytes=n_bytes)
    start = time.process_time()
    encode = encode_with(engine)
    load_seconds = time.process_time() - start
    seconds = []
    for _ in range(2):
        start = time.process_time()
        n_tokens = encode(texts)
        seconds.append(time.process_time() - start)
    print(json.dumps([load_seconds, *seconds, n_tokens, sum(map(len, texts)), len(texts)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", type=Path, nargs="?", default=Path(sysconfig.get_paths()["stdlib"]))
    parser.add_argument("--mb", type=float, default=8.0, help="how much of the input")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--child", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        sys.path.insert(0, str(ROOT))
        child(options.child, source=options.input, n_bytes=int(options.mb * 1e6))
        return
    runs: dict[str, list[list[float]]] = {engine: [] for engine in ENGINES}
    for _ in range(options.repeats):
        for engine in ENGINES:
            command = [sys.executable, __file__, str(options.input), "--mb", str(options.mb), "--child", engine]
            runs[engine].append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
    _print(runs)


def _print(runs: dict[str, list[list[float]]]) -> None:
    n_tokens, n_bytes, n_docs = runs["ours"][0][3:]
    if any(row[3] != n_tokens for rows in runs.values() for row in rows):
        raise SystemExit("the engines disagree on the number of tokens")
    print(f"{n_docs} documents, {n_bytes / 1e6:.1f} MB, {n_tokens} tokens, {n_bytes / n_tokens:.2f} bytes per token")
    medians = {
        engine: [statistics.median(column) for column in zip(*rows, strict=True)] for engine, rows in runs.items()
    }
    print(f"{'MB per CPU second':20}{'cold':>10}{'warm':>10}{'load, s':>10}{'ours, cold':>14}{'ours, warm':>14}")
    for engine, (load_seconds, cold, warm, *_) in medians.items():
        ratios = f"{cold / medians['ours'][1]:13.1f}x{warm / medians['ours'][2]:13.1f}x" if engine != "ours" else ""
        print(f"{engine:20}{n_bytes / 1e6 / cold:10.2f}{n_bytes / 1e6 / warm:10.2f}{load_seconds:10.2f}{ratios}")


if __name__ == "__main__":
    main()
