"""The promise of repository documents: whole files of one repository, in its order, and headers that say so."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.arrays.columns import doc_words, one_chunk
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError
from pipeline.reading.written import written
from pipeline.schema import DOCUMENTS, FORMS, LEDGER, PACKED, TOKENS
from pipeline.sequences import rows_of

# A sample, because tokens are decoded: a wrong header in one of a hundred files is missed with probability 4e-5.
N_HEADERS = 1_000


@dataclass(frozen=True)
class _Files:
    """Of every document its id, a number of its repository, its place there (-1: none), tokens, places of imports."""

    ids: pa.StringArray
    repo: np.ndarray
    place: np.ndarray
    n_tokens: np.ndarray
    imports: pa.ListArray


@dataclass
class Joined:
    """What was counted of the packed stream."""

    spans: int = 0
    files: int = 0
    torn: int = 0  # pieces of a span that are no whole files
    strange: int = 0  # of another repository than the one before, or not behind it
    imports: int = 0
    earlier: int = 0


def repositories_hold(run: RunFiles) -> tuple[bool, str]:
    """Places of each repository, spans of the stream, headers of a sample, and imports, all counted again."""
    found, misplaced = count_joined(run)
    if misplaced:
        return False, f"{misplaced:,} repositories do not have each of their kept files in a place of its own"
    counts = run.manifest["stages"][PACKED]["counts"]
    said = counts.get("n_imports", 0), counts.get("n_imports_earlier", 0)
    share = f"{found.earlier:,} of {found.imports:,} imports find their target earlier in the same sequence"
    if found.torn or found.strange:
        return False, f"{found.torn:,} joined pieces are no whole files, {found.strange:,} stand out of their order"
    if said != (found.imports, found.earlier):
        return False, f"{share}; the manifest says {said[1]:,} of {said[0]:,}"
    n_read, wrong = _headers(run)
    if wrong:
        return False, f"{len(wrong)} of {n_read} headers say another repository or path: {wrong[0]}"
    return True, f"{found.spans:,} documents of {found.files:,} files, each of one repository, in order; {share}"


def count_joined(run: RunFiles) -> tuple[Joined, int]:
    """What is joined in the packed stream, and how many repositories have a file without a place of its own."""
    files, misplaced = _read_files(run)
    found = Joined()
    for number, table in enumerate(run.packed()):
        for block in table.combine_chunks().to_batches():
            _count(found, block, files, where=f"packed shard {number}")
    return found, misplaced


def _read_files(run: RunFiles) -> tuple[_Files, int]:
    """All documents, and how many repositories have not just the places 0 .. n - 1 for their n kept files of code."""
    ids, repos, places, sizes, tokens, imports = [], [], [], [], [], []
    for shard in range(run.n_shards):
        ledger = run.tables.read(
            LEDGER, shard, columns=["doc_id", "source", "repo", "path", "pool", "keep", "n_tokens"]
        )
        forms = run.tables.read(FORMS, shard, columns=["repo_place", "repo_size", "imports"])
        names = zip(*(ledger[name].to_pylist() for name in ("source", "repo", "path")), strict=True)
        is_file = np.asarray(pc.and_(ledger["keep"], pc.equal(ledger["pool"], "code")))
        hashes = [
            0
            if repo is None or "\n" in repo or "\n" in path
            else xxhash.xxh3_64_intdigest(f"{source}\n{repo}".encode()) | 1
            for source, repo, path in names
        ]
        repos.append(np.where(is_file, np.array(hashes, np.uint64), np.uint64(0)))
        ids.append(one_chunk(ledger["doc_id"]))
        places.append(np.asarray(pc.fill_null(forms["repo_place"], -1), np.int64))
        sizes.append(np.asarray(pc.fill_null(forms["repo_size"], -1), np.int64))
        tokens.append(ledger["n_tokens"].to_numpy())
        imports.append(one_chunk(forms["imports"]))
    repo, place, size = (np.concatenate(values) for values in (repos, places, sizes))
    files = _Files(pa.concat_arrays(ids), repo, place, np.concatenate(tokens), pa.concat_arrays(imports))
    return files, _misplaced(repo, place, size)


def _misplaced(repo: np.ndarray, place: np.ndarray, size: np.ndarray) -> int:
    order = np.lexsort((place, repo))
    _, first, n = np.unique(repo[order], return_index=True, return_counts=True)
    of_run = np.repeat(np.arange(n.size), n)
    alone = (n[of_run] == 1) | (repo[order] == 0)
    wanted_place = np.where(alone, -1, np.arange(order.size) - first[of_run])
    wanted_size = np.where(alone, -1, n[of_run])
    bad = (place[order] != wanted_place) | (size[order] != wanted_size)
    return int(np.unique(of_run[bad]).size)


def _count(found: Joined, block: pa.RecordBatch, files: _Files, *, where: str) -> None:
    rows = rows_of(block, where=where)
    at = pc.index_in(block.column("doc_ids").flatten(), value_set=files.ids)
    if at.null_count:
        raise LoopmixError(f"{where}: a sequence names a document that is not in `ledger`")
    doc = np.asarray(at, np.int64)
    offset = np.asarray(block.column("doc_offsets").flatten(), np.int64)
    span = np.cumsum(~rows.joins) - 1
    several = np.bincount(span, minlength=1)[span] > 1
    whole = (offset == 0) & (rows.ends - rows.starts == files.n_tokens[doc])
    behind = np.flatnonzero(rows.joins)
    same = files.repo[doc[behind]] == files.repo[doc[behind - 1]]
    in_order = files.place[doc[behind]] > files.place[doc[behind - 1]]
    found.spans += int(np.unique(span[several]).size)
    found.files += int(several.sum())
    found.torn += int((several & ~whole).sum())
    found.strange += int((~(same & in_order & (files.place[doc[behind - 1]] >= 0))).sum())
    begins = np.flatnonzero((offset == 0) & (files.place[doc] >= 0))
    asked = files.imports.take(pa.array(doc[begins]))
    owner = begins[np.asarray(pc.list_parent_indices(asked), np.int64)]
    target = np.asarray(asked.flatten(), np.int64)
    there = np.stack([span, files.place[doc]], axis=1)
    wanted = np.stack([span[owner], target], axis=1)
    stands = np.isin(_one_number(wanted), _one_number(there)) & (target < files.place[doc[owner]])
    found.imports += target.size
    found.earlier += int(stands.sum())


def _one_number(pairs: np.ndarray) -> np.ndarray:
    return np.asarray((pairs[:, 0] << 32) + pairs[:, 1])


def _headers(run: RunFiles) -> tuple[int, list[str]]:
    """Of a keyed sample of the files: how many were read, and those whose tokens begin or end otherwise than they
    should."""
    reader = written(run)
    assert reader.marks is not None
    placed = [np.asarray(forms["repo_place"].is_valid()) for forms in run.shards(FORMS, columns=["repo_place"])]
    limit = min(1.0, N_HEADERS / max(1, sum(int(p.sum()) for p in placed))) * 2**64
    n_read, wrong = 0, []
    for shard, is_placed in enumerate(placed):
        tokens = run.tables.read(TOKENS, shard)
        key = keyed_hash(stage_key(0, "headers"), *doc_words(tokens))
        rows = np.flatnonzero((key.astype(np.float64) < limit) & is_placed)
        documents = run.tables.read(DOCUMENTS, shard, columns=["repo", "path"]).take(pa.array(rows)).to_pylist()
        forms = run.tables.read(FORMS, shard, columns=["repo_place", "repo_size"]).take(pa.array(rows)).to_pylist()
        for row, origin, form in zip(rows.tolist(), documents, forms, strict=True):
            ids = np.asarray(tokens["token_ids"][row].values)
            repo, path, _ = reader.file(ids)
            first, last = form["repo_place"] == 0, form["repo_place"] + 1 == form["repo_size"]
            ends = ids[-1] == reader.marks.end or ids.size <= run.mixture.pack.seq_len
            told = path == origin["path"].encode() and repo == (origin["repo"].encode() if first else None)
            if not told or not ends or (last and ids[-1] != reader.marks.end):
                wrong.append(f"{origin['repo']} {origin['path']}")
        n_read += rows.size
    return n_read, wrong
