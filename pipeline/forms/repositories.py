"""Repository documents: which files of a repository stand beside each other, in which order, and what they import.

Files are kept documents of code that have a repository; a repository is a name within a source. What its files import
is read where they lie; then paths and imports meet in one partition, where the files are put in order.
"""

from functools import partial
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.arrays.columns import bytes_of, columns, doc_words, one_chunk
from pipeline.arrays.keys import keyed_hash
from pipeline.arrays.runs import starts_run
from pipeline.engine.exchange import Channel, positions, row_of, shard_of, spread
from pipeline.engine.markers import Outcome
from pipeline.engine.stage import Job
from pipeline.engine.tables import Tables
from pipeline.forms.imports import imports_of
from pipeline.forms.order import by_imports
from pipeline.forms.resolve import Files
from pipeline.forms.settings import Forming
from pipeline.schema import DOCUMENTS, FORMS, LANGUAGES, SELECT

# A repository enters in parts of so many bytes, as budgets take parts and copies of a part keep their distance: one of
# gigabytes would else fill what stands between its copies.
PART_BYTES = 1 << 20
PLACED = pa.schema(
    [
        pa.field("position", pa.uint64()),
        *(FORMS.schema.field(name) for name in ("repo_place", "repo_size", "repo_part", "imports")),
    ]
)
_BETWEEN = "\n"  # of alternatives of a target while they travel: no path that is read from a line holds it


def place_files(job: Job, *, config: Forming) -> Channel:
    """Put the files of each repository in order; a batch for each shard: position, place, size, part, imports."""
    tables, n_shards, n = job.tables, job.tables.n_shards, config.n_partitions
    found = job.channel("imports", n_sources=n_shards, n_partitions=n)
    placed = job.channel("places", n_sources=n, n_partitions=n_shards)
    job.step("imports", partial(_read_imports, tables, found), items=n_shards)
    job.step("places", partial(_place, found, placed, config), items=n)
    return placed


def _read_imports(tables: Tables, out: Channel, shard: int, _: None) -> Outcome:
    """One row for each file: its repository, path, and the targets of its imports."""
    documents = tables.read(DOCUMENTS, shard, columns=["doc_id", "source", "repo", "path", "content", "n_bytes"])
    languages = tables.read(LANGUAGES, shard, columns=["pool", "language"])
    keep = tables.read(SELECT, shard, columns=["keep"])["keep"]
    # A name that breaks a line could not be told from the text behind it.
    plain = [pc.invert(pc.match_substring(documents[name], "\n")) for name in ("repo", "path")]
    chosen = [keep, pc.equal(languages["pool"], "code"), documents["repo"].is_valid(), *plain]
    rows = np.flatnonzero(np.logical_and.reduce([np.asarray(pc.fill_null(mask, False)) for mask in chosen]))
    content = documents["content"]
    documents = documents.drop_columns(["content"]).take(pa.array(rows))
    repos = [
        f"{source}\n{repo}"
        for source, repo in zip(*(documents[c].to_pylist() for c in ("source", "repo")), strict=True)
    ]
    hashes = np.array([xxhash.xxh3_64_intdigest(repo.encode()) for repo in repos], np.uint64)
    high, low = doc_words(documents)
    targets = _targets(
        content, rows, documents["path"].to_pylist(), languages["language"].take(pa.array(rows)).to_pylist()
    )
    table = pa.table(
        {
            "hash": hashes,
            "repo": pa.array(repos, pa.string()),
            "path": documents["path"],
            "high": high,
            "low": low,
            "position": positions(shard, rows),
            "n_bytes": documents["n_bytes"],
            "targets": pa.array(targets, pa.list_(pa.string())),
        }
    )
    entry = out.scatter(shard, table, partition=spread(hashes, out.n_partitions))
    return Outcome((entry,), {"n_files": rows.size})


def _targets(content: pa.ChunkedArray, rows: np.ndarray, paths: list[str], languages: list[str]) -> list[list[str]]:
    data, ends = bytes_of(one_chunk(content))
    found = []
    for row, path, language in zip(rows.tolist(), paths, languages, strict=True):
        text = data[ends[row] : ends[row + 1]].tobytes()
        found.append([_BETWEEN.join(target) for target in imports_of(text, path=path, language=language)])
    return found


def _place(found: Channel, out: Channel, config: Forming, partition: int, _: None) -> Outcome:
    """Order the files of each repository of a partition; those of one file stay documents of their own."""
    rows = found.gather(partition)
    coded = one_chunk(rows["repo"]).dictionary_encode()
    path = one_chunk(rows["path"]).to_numpy(zero_copy_only=False).astype(str)
    high, low, position, n_bytes, hashes = columns(rows, "high", "low", "position", "n_bytes", "hash")
    repo = coded.indices.to_numpy()
    # Not by position: where a document was read must not show.
    order = np.lexsort((low, high, path, repo, hashes))
    first = np.flatnonzero(starts_run(repo[order]))
    targets = one_chunk(rows["targets"])
    made: list[pa.Table] = []
    for begin, end in pairwise([*first.tolist(), order.size]):
        mine = order[begin:end]
        if mine.size < 2:
            continue
        name = coded.dictionary[int(repo[mine[0]])].as_py()
        imports = _imports(path[mine].tolist(), targets.take(pa.array(mine)), repo=name)
        sequence = by_imports(imports, n_bytes[mine].tolist()) if config.order == "imports" else list(range(mine.size))
        made.append(_placed(np.array(sequence), imports, position[mine], n_bytes[mine], hashes[mine[0]]))
    table = pa.concat_tables([PLACED.empty_table(), *made])
    entry = out.scatter(partition, table, partition=shard_of(table["position"].to_numpy()))
    n_imports = sum(len(one.flatten()) for one in table["imports"].chunks)
    return Outcome((entry,), {"n_repositories": len(made), "n_placed": table.num_rows, "n_imports": n_imports})


def _imports(paths: list[str], targets: pa.ListArray, *, repo: str) -> list[list[int]]:
    """The files, by their number in path order, that each file imports; of one path in two revisions the first."""
    distinct = list(dict.fromkeys(paths))
    first = {path: i for i, path in reversed(list(enumerate(paths)))}
    files = Files(distinct, repo=repo)
    found = []
    for path, listed in zip(paths, targets.to_pylist(), strict=True):
        split = [tuple(target.split(_BETWEEN)) for target in listed]
        found.append([first[distinct[i]] for i in files.imported(path, split)] if split else [])
    return found


def _placed(
    sequence: np.ndarray, imports: list[list[int]], position: np.ndarray, n_bytes: np.ndarray, repo_hash: np.uint64
) -> pa.Table:
    """The files in the order `sequence` of their numbers."""
    size = sequence.size
    place_of = np.empty(size, np.int64)
    place_of[sequence] = np.arange(size)
    own = n_bytes[sequence]
    part = ((np.cumsum(own) - own) // PART_BYTES).astype(np.uint64)
    lists = [sorted(place_of[imports[i]].tolist()) if imports[i] else [] for i in sequence.tolist()]
    return pa.table(
        {
            "position": position[sequence],
            "repo_place": np.arange(size, dtype=np.int32),
            "repo_size": np.full(size, size, np.int32),
            "repo_part": keyed_hash(repo_hash, part),
            "imports": pa.array(lists, PLACED.field("imports").type),
        },
        schema=PLACED,
    )


def placed_columns(rows: pa.Table, *, n_rows: int) -> dict[str, pa.Array]:
    """What table `forms` says of repositories in a shard of `n_rows`, from the rows that `place_files` sent to it."""
    at = np.full(n_rows, -1, np.int64)
    at[row_of(rows["position"].to_numpy())] = np.arange(rows.num_rows)
    indices = pa.array(at, mask=at < 0)
    return {field.name: one_chunk(rows[field.name]).take(indices) for field in PLACED if field.name != "position"}
