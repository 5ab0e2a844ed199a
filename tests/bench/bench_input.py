"""Input of the benchmarks: code and text 1:1, of a size that is asked for, as two parquet files and their mixture.

Without files, what this machine holds (`jobs/demo_inputs.py`: standard library, packages, manual pages). With
`--code FILE.parquet ... --text FILE.parquet ...`, or LOOPMIX_BENCH_CORPUS, a folder that holds `code-*.parquet` and
`text-*.parquet`, those. Documents are taken in the order of a keyed hash, kept in the order of the files, and left out
from 1 MB on or where they are not UTF-8, so that every tool can read all of them. Input that is too small is repeated:
in each copy a third of the words, chosen by key, get another spelling, so that no copy is a near duplicate of another
while the duplicates inside it stay.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from jobs.demo_inputs import collect
from pipeline.arrays.columns import bytes_of
from pipeline.arrays.compiled import compiled

MAX_DOCUMENT_BYTES = 1_000_000
ROWS_IN_GROUP = 1_000
KEPT = ("content", "path", "repo", "license")


@dataclass(frozen=True)
class Input:
    """A folder with `code.parquet`, `text.parquet` and `mix.yaml`."""

    folder: Path
    n_docs: int
    n_bytes: int

    @property
    def mixture(self) -> Path:
        return self.folder / "mix.yaml"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options by which a user names input of his own."""
    found = os.environ.get("LOOPMIX_BENCH_CORPUS")
    default = {p: sorted(Path(found).glob(f"{p}-*.parquet")) if found else [] for p in ("code", "text")}
    parser.add_argument("--code", nargs="+", type=Path, default=default["code"], help="parquet files of code")
    parser.add_argument("--text", nargs="+", type=Path, default=default["text"], help="parquet files of text")


def pools_of(options: argparse.Namespace) -> dict[str, pa.Table]:
    """All documents that may be taken, by pool; without files those of this machine."""
    if options.code and options.text:
        return {pool: _read(getattr(options, pool)) for pool in ("code", "text")}
    with tempfile.TemporaryDirectory() as name:
        collect(Path(name), max_bytes=60_000_000)
        return {
            "code": _lines(Path(name), ("stdlib", "system", "packages")),
            "text": _lines(Path(name), ("package_descriptions", "manuals", "documentation", "docstrings")),
        }


def make_input(
    pools: dict[str, pa.Table], folder: Path, *, n_bytes: int, suffixes: frozenset[str] = frozenset()
) -> Input:
    """About `n_bytes`, half of each pool, written to `folder`. `suffixes`: only code files that end so."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = [0, 0]
    for pool, table in pools.items():
        chosen = table if pool == "text" or not suffixes else table.filter(_has_suffix(table, suffixes))
        taken = take(chosen, n_bytes=n_bytes // 2)
        pq.write_table(taken, folder / f"{pool}.parquet", compression="zstd", row_group_size=ROWS_IN_GROUP)
        counts[0] += taken.num_rows
        counts[1] += int(pc.sum(pc.binary_length(taken["content"])).as_py())
    (folder / "mix.yaml").write_text(_mixture(folder), encoding="utf-8")
    return Input(folder, *counts)


def _mixture(folder: Path) -> str:
    columns = {"path": "path", "repo": "repo", "license": "license"}
    sources = [
        {"name": pool, "kind": "parquet", "path": str(folder / f"{pool}.parquet"), "pool": pool, "columns": columns}
        for pool in ("code", "text")
    ]
    # A benchmark's input is a sample of a sample: what a rule takes from it whole is no alarm.
    settings = {"name": "bench", "seed": 3, "sources": sources, "pack": {"seq_len": 4096}, "select": {"max_loss": 1.0}}
    return json.dumps(settings, indent=1)  # JSON is YAML


def _read(files: list[Path]) -> pa.Table:
    tables = []
    for file in files:
        table = pq.read_table(file)
        n = table.num_rows
        columns = {name: table[name] if name in table.column_names else pa.nulls(n, pa.string()) for name in KEPT}
        columns["content"] = columns["content"].cast(pa.large_binary())
        tables.append(pa.table(columns))
    return _readable(pa.concat_tables(tables, promote_options="permissive"))


def _lines(folder: Path, names: tuple[str, ...]) -> pa.Table:
    import zstandard

    rows: list[dict[str, str]] = []
    for name in names:
        for file in sorted(folder.glob(f"{name}*")):
            with file.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as stream:
                rows += [json.loads(line) for line in stream.read().splitlines()]
    columns = {name: pa.array([row.get(name) for row in rows], pa.string()) for name in KEPT}
    columns["content"] = columns["content"].cast(pa.large_binary())
    return _readable(pa.table(columns))


def _readable(table: pa.Table) -> pa.Table:
    """Only what every tool takes."""
    small = pc.less(pc.binary_length(table["content"]), MAX_DOCUMENT_BYTES)
    is_text = []
    for content in table["content"].to_pylist():
        try:
            content.decode()
        except UnicodeDecodeError:
            is_text.append(False)
        else:
            is_text.append(True)
    return table.filter(pc.and_(small, pa.array(is_text)))


def _has_suffix(table: pa.Table, suffixes: frozenset[str]) -> pa.Array:
    return pa.array([Path(p or "").suffix in suffixes for p in table["path"].to_pylist()])


def take(table: pa.Table, *, n_bytes: int) -> pa.Table:
    """About `n_bytes` of the documents by keyed choice, in their order; copies where there are too few."""
    keys = np.array([xxhash.xxh64_intdigest(i.to_bytes(8, "little")) for i in range(table.num_rows)], np.uint64)
    order = np.argsort(keys, kind="stable")
    sizes = pc.binary_length(table["content"]).to_numpy()
    total = int(sizes.sum())
    copies = [_copy(table, i) for i in range(n_bytes // total)]
    rest = n_bytes - len(copies) * total
    n = int(np.searchsorted(np.cumsum(sizes[order]), rest))
    copies.append(_copy(table.take(pa.array(np.sort(order[:n]))), len(copies)))
    return pa.concat_tables(copies).combine_chunks()


def _copy(table: pa.Table, number: int) -> pa.Table:
    """Copy `number` of the documents: the first is as it is."""
    if number == 0:
        return table
    content = table["content"].combine_chunks()
    data, offsets = bytes_of(content)
    changed = data.copy()
    perturb(changed, np.uint64(number * 0x9E3779B97F4A7C15 % 2**64))
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(changed)]
    array = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(content), buffers)
    return table.set_column(table.column_names.index("content"), "content", array)


@compiled
def perturb(data: np.ndarray, key: np.uint64) -> None:
    """Change the first letter of each word that the key picks; the same word always changes in the same way."""
    h, start, inside = np.uint64(0), 0, False
    for i in range(data.size + 1):
        byte = data[i] if i < data.size else np.uint8(32)
        is_word = 48 <= byte <= 57 or 65 <= (byte & 0xDF) <= 90 or byte == 95
        if is_word:
            if not inside:
                h, start, inside = key, i, True
            h = (h ^ np.uint64(byte)) * np.uint64(0x9E3779B97F4A7C15)
            h ^= h >> np.uint64(29)
        elif inside:
            inside = False
            if (h >> np.uint64(33)) % np.uint64(3) == 0:
                data[start] = np.uint8(65 + (h >> np.uint64(40)) % np.uint64(26))
