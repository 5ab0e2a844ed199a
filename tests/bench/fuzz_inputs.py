"""Input files changed at random, run through all of `curate`: what becomes of them, and of the sound ones beside them.

    python tests/bench/fuzz_inputs.py OUT [--files 2000] [--batch 200] [--seed 1]

Each batch is one run with bad shards skipped: sound files of every format and changed copies of them, each read as a
file of its own. What must hold: the run ends, twice with the same bytes; every document of a sound file has its ledger
row and the hash that it has by itself. Prints how many changed files came through whole, in part or refused.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import random
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
import zstandard

from pipeline.config import Ingest, Mixture, Select, Source
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.manifest import read_manifest
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.store import open_store
from pipeline.engine.tables import Tables
from pipeline.recipe import curate
from pipeline.schema import DOCUMENTS, LEDGER
from pipeline.targets import Pack

_PROSE = Path(__file__).parent.parent / "data" / "text"  # sound, so that there is a text for each code token
_N_ROWS = 12  # of each sound file
_KINDS = ("parquet", "jsonl", "zst", "gz", "json", "arrow", "notebook", "text", "git")
_GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]


def _texts(kind: str) -> list[str]:
    return [
        f"def {kind}_{k}(value: int) -> int:\n    '''Adds {k} to the value, for {kind}.'''\n    total = value + {k}\n"
        f"    for step in range({k + 3}):\n        total = total * step - {k * 7}\n    return total\n"
        for k in range(_N_ROWS)
    ]


def _sound(kind: str) -> bytes:
    """One sound file."""
    texts = _texts(kind)
    table = pa.table({"content": texts, "path": [f"{kind}/{k}.py" for k in range(_N_ROWS)]})
    lines = "".join(json.dumps({"content": t, "path": f"{kind}/{k}.py"}) + "\n" for k, t in enumerate(texts)).encode()
    file = io.BytesIO()
    if kind == "parquet":
        pq.write_table(table, file, row_group_size=5, write_page_checksum=True)
    elif kind == "arrow":
        with pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=5)
    elif kind == "notebook":
        cells = [{"cell_type": "code", "source": text, "outputs": [], "metadata": {}} for text in texts]
        file.write(json.dumps({"nbformat": 4, "metadata": {}, "cells": cells}).encode())
    else:
        made = {
            "jsonl": lambda: lines,
            "zst": lambda: zstandard.ZstdCompressor(write_checksum=True).compress(lines),
            "gz": lambda: gzip.compress(lines, mtime=0),
            "json": lambda: b"[" + b",".join(lines.splitlines()) + b"]",
            "text": lambda: "".join(texts).encode(),
        }
        file.write(made[kind]())
    return file.getvalue()


def changed(data: bytes, *, draw: random.Random) -> bytes:
    """The bytes with one to three faults: flipped bits, a cut, swapped or repeated blocks, a length that lies."""
    out = bytearray(data)
    for _ in range(draw.randint(1, 3)):
        fault = draw.choice(("flip", "cut", "swap", "repeat", "lie", "zero", "insert"))
        at, n = draw.randrange(max(1, len(out))), draw.choice((1, 4, 8, 64, 512))
        if not out:
            return b""
        if fault == "flip":
            out[at] ^= 1 << draw.randrange(8)
        elif fault == "cut":
            del out[at:]
        elif fault == "swap":
            other = draw.randrange(len(out))
            out[at : at + n], out[other : other + n] = out[other : other + n], out[at : at + n]
        elif fault == "repeat":
            out[at:at] = out[at : at + n] * draw.choice((1, 2, 50))
        elif fault == "lie":
            value = draw.choice((0, 1, -1, 2**31 - 1, -(2**31), 2**31, 2**62, 2**16))
            out[at : at + 8] = value.to_bytes(8, "little", signed=True)
        elif fault == "zero":
            out[at : at + n] = bytes(len(out[at : at + n]))
        else:
            out[at:at] = draw.randbytes(n)
    return bytes(out)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run([*_GIT, "-C", str(folder), *arguments], check=True, capture_output=True)


def _repository(folder: Path) -> None:
    folder.mkdir(parents=True)
    _git(folder, "init", "-q")
    for k, text in enumerate(_texts("git")):
        (folder / f"{k}.py").write_text(text, encoding="utf-8")
    _git(folder, "add", "-A")
    _git(folder, "commit", "-q", "-m", "one", "--date", "2020-01-01T00:00:00Z")
    _git(folder, "repack", "-a", "-d", "-q")


def plant(folder: Path, *, n_files: int, draw: random.Random) -> tuple[Source, ...]:
    """Sound files of every kind and `n_files` changed ones, and the sources that read them."""
    names = {"zst": "jsonl.zst", "gz": "jsonl.gz", "notebook": "ipynb", "text": "py"}
    sound = {kind: _sound(kind) for kind in _KINDS if kind != "git"}
    for kind, data in sound.items():
        (folder / kind).mkdir(parents=True)
        (folder / kind / f"sound.{names.get(kind, kind)}").write_bytes(data)
    _repository(folder / "git" / "sound")
    for k in range(n_files):
        kind = draw.choice(_KINDS)
        if kind != "git":
            (folder / kind / f"changed-{k:05}.{names.get(kind, kind)}").write_bytes(changed(sound[kind], draw=draw))
            continue
        shutil.copytree(folder / "git" / "sound", folder / "git" / f"changed-{k:05}")
        inside = sorted(p for p in (folder / "git" / f"changed-{k:05}" / ".git").rglob("*") if p.is_file())
        packs = [p for p in inside if "objects" in p.parts or p.name in ("HEAD", "main", "packed-refs", "config")]
        for file in draw.sample(packs, k=draw.randint(1, 2)):
            file.chmod(0o644)
            file.write_bytes(changed(file.read_bytes(), draw=draw))
    arrow = [{"filename": path.name} for path in sorted((folder / "arrow").iterdir())]
    (folder / "arrow" / "state.json").write_text(json.dumps({"_data_files": arrow}), encoding="utf-8")
    kinds = {"parquet": "parquet", "arrow": "huggingface", "notebook": "directory", "text": "directory", "git": "git"}
    prose = Source(name="prose", kind="directory", path=str(_PROSE), pool="text")
    return prose, *(
        Source.model_validate(
            {"name": kind, "kind": kinds.get(kind, "jsonl"), "path": str(folder / kind), "pool": "auto"}
            | ({"columns": {"path": "path"}} if kinds.get(kind, "jsonl") not in ("directory", "git") else {})
        )
        for kind in _KINDS
    )


def work(folder: Path, sources: tuple[Source, ...]) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """Curate; content hash by document of the sound files, problems of shards, and hashes of all files of tables."""
    mixture = Mixture(
        name="fuzz",
        sources=sources,
        ingest=Ingest(shard_bytes=100_000),
        select=Select(max_loss=1.0),
        pack=Pack(seq_len=128),
    )
    run = Run(open_store(str(folder)), mixture, InlineExecutor(), silent(), on_bad_shard="skip")
    curate(run)
    manifest = read_manifest(run.store)
    n_shards = len(manifest["stages"][DOCUMENTS.name]["files"])
    tables = Tables(run.store, n_shards)
    found: dict[str, str] = {}
    n_read: Counter[str] = Counter()
    for shard in range(n_shards):
        rows = tables.read(DOCUMENTS, shard, columns=["doc_id", "source", "input_file", "path", "content"]).to_pylist()
        ledger = tables.read(LEDGER, shard, columns=["doc_id", "keep", "reasons"]).to_pylist()
        assert [r["doc_id"] for r in rows] == [r["doc_id"] for r in ledger], f"shard {shard}: the ledger has other rows"
        for row in rows:
            n_read[f"{row['source']}/{row['input_file']}"] += 1
            if row["input_file"].startswith("sound"):
                found[f"{row['source']} {row['path']}"] = xxhash.xxh3_128_hexdigest(row["content"])
    problems = manifest["stages"][DOCUMENTS.name]["problems"].values()
    files = {f["path"]: f["sha256"] for stage in manifest["stages"].values() for f in stage["files"]}
    return found, [*problems, *(f"read {name} {n}" for name, n in n_read.items())], files


def outcomes(said: list[str], sources: tuple[Source, ...]) -> Counter[str]:
    """How many changed files of each kind came through whole, in part, or were refused."""
    counts: Counter[str] = Counter()
    read = dict(line.removeprefix("read ").rsplit(" ", 1) for line in said if line.startswith("read "))
    bad = "\n".join(line for line in said if not line.startswith("read "))
    for source in sources[1:]:
        whole = 1 if source.name in ("notebook", "text") else _N_ROWS
        for path in sorted(Path(source.path).glob("changed-*")):
            names = [name for name in read if name.startswith(f"{source.name}/{path.name}")]
            n = sum(int(read[name]) for name in names)
            what = (
                "refused" if path.name in bad and not n else "whole" if n == whole else f"{'in part' if n else 'lost'}"
            )
            counts[f"{source.name} {what}"] += 1
    return counts


def expected() -> dict[str, str]:
    """What sound files hold, by document."""
    hashes: dict[str, str] = {}
    for kind in _KINDS:
        texts, places = _texts(kind), [f"{kind}/{k}.py" for k in range(_N_ROWS)]
        if kind == "text":
            texts, places = ["".join(texts)], ["sound.py"]
        elif kind == "notebook":
            texts, places = ["\n\n".join(t.rstrip("\n") for t in texts) + "\n"], ["sound.ipynb"]
        elif kind == "git":
            places = [f"{k}.py" for k in range(_N_ROWS)]
        for text, path in zip(texts, places, strict=True):
            hashes[f"{kind} {path}"] = xxhash.xxh3_128_hexdigest(text.encode())
    return hashes


def fuzz(out: Path, *, n_files: int, seed: int) -> Counter[str]:
    """One batch in `out`. AssertionError where a sound document is lost or changed, or two runs differ."""
    sources = plant(out / "in", n_files=n_files, draw=random.Random(seed))
    found, said, files = work(out / "run", sources)
    assert found == expected(), sorted(set(found.items()) ^ set(expected().items()))[:5]
    again = work(out / "again", sources)
    assert again == (found, said, files), "two runs over the same input differ"
    counts = outcomes(said, sources)
    assert counts.total() == n_files, f"{counts.total()} of {n_files} files are accounted for"
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--batch", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    for batch in range(-(-options.files // options.batch)):
        folder = options.out / f"batch-{batch:03}"
        counts += fuzz(folder, n_files=options.batch, seed=options.seed * 1_000 + batch)
        shutil.rmtree(folder)
        print(f"{counts.total():,} changed files: {dict(sorted(counts.items()))}", flush=True)
    print("every document of every sound file kept its row and its hash, in both runs of each batch", file=sys.stderr)


if __name__ == "__main__":
    main()
