"""The promise of repository documents: whole files of one repository, in its order, and headers that say so."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.reading.joined_files import count_joined
from pipeline.reading.verify_texts import count_rows, drawn_rows
from pipeline.reading.work import Span, Work
from pipeline.reading.written import Form, form_of, reader_of, written
from pipeline.schema import DOCUMENTS, FORMS, PACKED

# A sample, because tokens are decoded: a wrong header in one of a hundred files is missed with probability 4e-5.
N_HEADERS = 1_000


def repositories_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Places of each repository, spans of the stream, headers of a sample, and imports, all counted again."""
    found, misplaced = count_joined(run, work)
    if misplaced:
        return False, f"{misplaced:,} repositories do not have each of their kept files in a place of its own"
    counts = run.manifest["stages"][PACKED]["counts"]
    said = counts.get("n_imports", 0), counts.get("n_imports_earlier", 0)
    share = f"{found.earlier:,} of {found.imports:,} imports find their target earlier in the same sequence"
    if found.torn or found.strange:
        return False, f"{found.torn:,} joined pieces are no whole files, {found.strange:,} stand out of their order"
    if said != (found.imports, found.earlier):
        return False, f"{share}; the manifest says {said[1]:,} of {said[0]:,}"
    n_read, wrong = _headers(run, work)
    if wrong:
        return False, f"{len(wrong)} of {n_read} headers say another repository or path: {wrong[0]}"
    return True, f"{found.spans:,} documents of {found.files:,} files, each of one repository, in order; {share}"


def _headers(run: RunFiles, work: Work) -> tuple[int, list[str]]:
    """Of a keyed sample of the files: how many were read, and those whose tokens begin or end otherwise than they
    should."""
    assert written(run).marks is not None
    limit = min(1.0, N_HEADERS / max(1, count_rows(run, work, _is_placed, name="verify.n-placed"))) * 2**64
    task = partial(_wrong_headers, run.tables, form_of(run), run.mixture.pack.seq_len, limit)
    n_read, wrong = 0, list[str]()
    for n, found in work.each(task, work.shards(run), name="verify.headers"):
        n_read, wrong = n_read + n, wrong + found
    return n_read, wrong


def _is_placed(tables: Tables, shard: int) -> np.ndarray:
    return np.asarray(tables.read(FORMS, shard, columns=["repo_place"])["repo_place"].is_valid())


def _wrong_headers(tables: Tables, form: Form, seq_len: int, limit: float, span: Span) -> tuple[int, list[str]]:
    """How many files are drawn from some shards, and those with a wrong header."""
    reader = reader_of(form)
    assert reader.marks is not None
    n_read, wrong = 0, list[str]()
    for shard in span.items:
        rows, tokens = drawn_rows(tables, shard, key="headers", limit=limit, mask=_is_placed)
        if tokens is None:
            continue
        documents = tables.read(DOCUMENTS, shard, columns=["repo", "path"]).take(pa.array(rows)).to_pylist()
        forms = tables.read(FORMS, shard, columns=["repo_place", "repo_size"]).take(pa.array(rows)).to_pylist()
        for row, origin, placed in zip(rows.tolist(), documents, forms, strict=True):
            ids = np.asarray(tokens["token_ids"][row].values)
            repo, path, _ = reader.file(ids)
            first, last = placed["repo_place"] == 0, placed["repo_place"] + 1 == placed["repo_size"]
            ends = ids[-1] == reader.marks.end or ids.size <= seq_len
            told = path == origin["path"].encode() and repo == (origin["repo"].encode() if first else None)
            if not told or not ends or (last and ids[-1] != reader.marks.end):
                wrong.append(f"{origin['repo']} {origin['path']}")
        n_read += rows.size
    return n_read, wrong
