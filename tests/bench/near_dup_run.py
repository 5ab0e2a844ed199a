"""Near dedup from parquet to parquet with the product's own stages, for the benchmarks beside this file.

    python tests/bench/near_dup_run.py IN.parquet... --out FOLDER [--partitions 8] [--workers N]

Reads the column `content` of the files, runs exact dedup, signatures, near dedup with verification and the choice of
keepers in this process, and writes the documents that stay as parquet (zstd). Prints CPU seconds by step as JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from pipeline.config import Mixture, NearDups, Partitioned, Source
from pipeline.dedup.exact_dups import group_equal
from pipeline.dedup.near_dups import keep_near
from pipeline.dedup.settings import linking_of, signing_of, threshold_of
from pipeline.dedup.signatures import sign
from pipeline.dedup.similar import find_similar
from pipeline.engine.done import StepDone
from pipeline.engine.executor import Executor, InlineExecutor
from pipeline.engine.markers import Outcome
from pipeline.engine.progress import silent
from pipeline.engine.ray_tasks import RayExecutor
from pipeline.engine.run import Run
from pipeline.engine.stage import Job
from pipeline.engine.store import open_store, part
from pipeline.engine.tables import Tables
from pipeline.schema import DOCUMENTS, EXACT_DUPS, JUDGED, LANGUAGES, OVERLAPS, REDACTED, SELECT, SIGNATURES, Table
from pipeline.select.select import select
from pipeline.select.settings import Selection

pa.set_cpu_count(1)
pa.set_io_thread_count(1)


def content_hashes(raw: pa.LargeBinaryArray) -> tuple[np.ndarray, bytes]:
    """Offsets and xxh3-128 of each document, as ingest makes them."""
    n = len(raw)
    offsets = np.frombuffer(raw.buffers()[1], np.int64)[raw.offset : raw.offset + n + 1]
    view = memoryview(raw.buffers()[2]) if n else memoryview(b"")
    bounds = offsets.tolist()
    return offsets, b"".join(xxhash.xxh3_128_digest(view[a:b]) for a, b in itertools.pairwise(bounds))


def documents_of(content: pa.Array, *, shard: int) -> pa.Table:
    """The columns of `documents` that near dedup reads; others are null or empty."""
    n = len(content)
    raw = content.cast(pa.large_binary())
    offsets, hashes = content_hashes(raw)
    ids = [f"{shard:08x}{row:024x}" for row in range(n)]
    known = {
        "doc_id": pa.array(ids, pa.string()),
        "content": raw,
        "n_bytes": pa.array(np.diff(offsets)),
        "content_hash": pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), n, [None, pa.py_buffer(hashes)]),
    }
    blank = {"string": "", "int64": 0}
    for f in DOCUMENTS.schema:
        if f.name not in known:
            is_blank = not f.nullable and str(f.type) in blank
            known[f.name] = pa.repeat(pa.scalar(blank[str(f.type)], f.type), n) if is_blank else _empty(f, n)
    columns = [known[f.name] for f in DOCUMENTS.schema]
    return pa.table(columns, schema=DOCUMENTS.schema)


def facts_of(documents: pa.Table) -> dict[Table, pa.Table]:
    """Everything is code in one language, and no rule fires."""
    n, ids = documents.num_rows, documents["doc_id"].combine_chunks()
    fixed = {"pool": "code", "language": "Python", "confidence": 1.0, "decided_by": "override", "content_kind": "code"}
    fixed["group"] = "Python"
    languages = pa.table(
        [ids if f.name == "doc_id" else pa.repeat(pa.scalar(fixed.get(f.name), f.type), n) for f in LANGUAGES.schema],
        schema=LANGUAGES.schema,
    )
    facts = {LANGUAGES: languages}
    for table in (REDACTED, JUDGED, OVERLAPS):
        columns = [ids if f.name == "doc_id" else _empty(f, n) for f in table.schema]
        facts[table] = pa.table(columns, schema=table.schema)
    return facts


def _empty(field: pa.Field, n: int) -> pa.Array:
    kind = field.type
    if field.nullable:
        return pa.nulls(n, kind)
    if pa.types.is_list(kind):
        return pa.ListArray.from_arrays(pa.array(np.zeros(n + 1, np.int32)), pa.array([], kind.value_type), type=kind)
    return pa.array(np.zeros(n), pa.float64()).cast(kind)


def read_each(files: list[Path], hashing: list[tuple[int, float]]) -> Iterator[pa.Array]:
    """The column `content` of each file in turn; appends its bytes and the CPU seconds of reading and hashing them."""
    for file in files:
        started = time.process_time()
        content = pq.read_table(file, columns=["content"])["content"].combine_chunks()
        offsets, _ = content_hashes(content.cast(pa.large_binary()))
        hashing.append((int(offsets[-1] - offsets[0]), time.process_time() - started))
        yield content


def prepare(contents: Iterable[pa.Array], folder: Path, *, executor: Executor | None = None) -> Run:
    """A run whose `documents` are these contents: the input in the form in which a run holds it."""
    mixture = Mixture(name="bench", sources=(Source(name="bench", kind="directory", path="/nowhere"),))
    run = Run(open_store(str(folder)), mixture, executor or InlineExecutor(), silent())
    made = 0
    for shard, content in enumerate(contents):
        documents = documents_of(content, shard=shard)
        for table, data in {DOCUMENTS: documents, **facts_of(documents)}.items():
            run.store.write_parquet(f"shard/{table.name}/{shard}", data, schema=table.schema)
        made += 1
    tables = Tables(run.store, made)
    for shard in range(made):
        for table in (DOCUMENTS, LANGUAGES, REDACTED, JUDGED, OVERLAPS):
            target = folder / tables.path(table, shard)
            target.parent.mkdir(parents=True, exist_ok=True)
            (folder / f"shard/{table.name}/{shard}").rename(target)
    return run


def dedup(run: Run, *, n_shards: int, config: NearDups, n_partitions: int) -> dict[str, float]:
    """Exact and near dedup, keepers, survivors. CPU seconds of this process by step."""
    tables, seconds = Tables(run.store, n_shards), {}
    small = Partitioned(n_partitions=n_partitions)
    selection = Selection(
        n_partitions=n_partitions, n_pair_shards=config.n_partitions, min_similarity=config.min_similarity
    )
    threshold = threshold_of(config)
    steps = (
        ("exact_dups", partial(group_equal, config=small)),
        ("signatures", partial(_sign_all, tables=tables, config=config)),
        ("similar", partial(find_similar, config=linking_of(config))),
        ("near_dups", partial(keep_near, config=threshold)),
        ("select", partial(select, config=selection)),
        ("survivors", partial(_write_all, tables=tables)),
    )
    for name, make in steps:
        started = time.process_time()
        make(Job(run.workplace, tables, name, "bench", None))
        seconds[name] = time.process_time() - started
    return seconds


def _sign_all(job: Job, *, tables: Tables, config: NearDups) -> StepDone:
    return job.step("", partial(_sign, tables, config), items=tables.n_shards)


def _sign(tables: Tables, config: NearDups, shard: int, _: None) -> Outcome:
    content = tables.read(DOCUMENTS, shard, columns=["content"])
    first = tables.read(EXACT_DUPS, shard, columns=["is_first"])
    pool, text = tables.read(LANGUAGES, shard, columns=["pool"]), tables.read(REDACTED, shard, columns=["content"])
    table = sign(content, first, pool, text, config=signing_of(config))
    return Outcome((tables.write(SIGNATURES, shard, data=table),), {})


def _write_all(job: Job, *, tables: Tables) -> StepDone:
    return job.step("", partial(_write, tables), items=tables.n_shards)


def _write(tables: Tables, shard: int, _: None) -> Outcome:
    keep = tables.read(SELECT, shard, columns=["keep"])["keep"]
    kept = tables.read(DOCUMENTS, shard, columns=["doc_id", "content"]).filter(keep)
    name = f"out/{part(shard, tables.n_shards)}"
    return Outcome((tables.store.write_parquet(name, kept, schema=kept.schema),), {"n_kept": kept.num_rows})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--partitions", type=int, default=8)
    parser.add_argument("--workers", type=int, help="on a local Ray cluster of so many CPUs; wall-clock time counts")
    options = parser.parse_args()
    executor: Executor = InlineExecutor()
    if options.workers:
        import ray

        ray.init(
            num_cpus=options.workers, include_dashboard=False, object_store_memory=200_000_000, log_to_driver=False
        )
        executor = RayExecutor(address="local")
    config = NearDups(preset="code", n_partitions=options.partitions)
    first = pq.ParquetFile(options.files[0]).iter_batches(200, columns=["content"])
    with tempfile.TemporaryDirectory() as folder:  # compiles, or loads what is compiled
        few = prepare([next(first)["content"]] * max(1, options.workers or 1), Path(folder), executor=executor)
        dedup(few, n_shards=max(1, options.workers or 1), config=config, n_partitions=options.partitions)
    hashing: list[tuple[int, float]] = []
    run = prepare(read_each(options.files, hashing), options.out, executor=executor)
    pa.default_memory_pool().release_unused()
    seconds = {"read": sum(spent for _, spent in hashing)}
    started = time.perf_counter()
    seconds |= dedup(run, n_shards=len(options.files), config=config, n_partitions=options.partitions)
    wall = time.perf_counter() - started
    n_bytes = sum(n for n, _ in hashing)
    kept = sum(pq.read_metadata(f).num_rows for f in (options.out / "out").iterdir())
    print(
        json.dumps(
            {"megabytes": n_bytes / 1e6, "cpu_seconds": sum(seconds.values()), "wall_seconds": wall, "kept": kept}
            | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6}
            | {name: round(s, 4) for name, s in seconds.items()}
        )
    )


if __name__ == "__main__":
    main()
