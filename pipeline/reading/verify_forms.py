"""The promise of the forms: filled-in documents at the rates that were asked for, and none of their pieces cut."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import lists_with
from pipeline.engine.forgotten import PATCHED
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.forms.fim import Sentinels, parts_of
from pipeline.forms.headers import with_end
from pipeline.forms.splits import LEAST_BYTES
from pipeline.reading.stream_files import StreamFiles, stream_files
from pipeline.reading.work import Span, Work
from pipeline.reading.written import written
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import BALANCE, FORMS, LEDGER
from pipeline.sequences import rows_of
from pipeline.targets import Fim


def forms_hold(run: RunFiles, work: Work) -> tuple[bool, str]:
    """Rates per group of what could be filled in, to one document; every piece whole, or a slice that asks nothing."""
    fim = run.mixture.forms.fim
    assert fim is not None
    n_docs, wrong = _rates(run, fim, work)
    if wrong:
        return False, f"{len(wrong)} groups have another share of filled-in documents than {fim.rate}: {wrong[0]}"
    mark = written(run).sentinels
    assert mark is not None
    files = written(run).marks
    joined = () if files is None else (files.repo, files.file)
    n_whole, n_plain, n_torn = _pieces(run, mark, joined, work)
    said = f"{n_docs['fim']:,} of {n_docs['all']:,} kept documents of code are filled in, {n_docs['spm']:,} as SPM"
    if n_torn:
        return False, f"{n_torn:,} filled-in pieces are torn; {said}"
    return True, f"{said}, each group's share to one; {n_whole:,} pieces whole, {n_plain:,} slices of truncated ones"


def _rates(run: RunFiles, fim: Fim, work: Work) -> tuple[Counter[str], list[str]]:
    """How many documents could be, and are, filled in; and the groups in which that is not the rate."""
    could, psm, spm, gone = (Counter[str]() for _ in range(4))
    is_patched = bool(run.manifest.get(PATCHED))
    for found in work.each(partial(_forms, run.tables, is_patched), work.shards(run), name="verify.forms"):
        for counter, more in zip((could, psm, spm, gone), found, strict=True):
            counter.update(more)
    forms = {"psm": psm, "spm": spm}
    wrong = []
    for group in sorted(could.keys() | forms["psm"].keys() | forms["spm"].keys()):
        n_spm, n_fim = forms["spm"][group], forms["psm"][group] + forms["spm"][group]
        wanted, wanted_spm = Fraction(repr(fim.rate)) * could[group], Fraction(repr(fim.spm_rate)) * n_fim
        if max(abs(n_fim - wanted), abs(n_spm - wanted_spm)) >= 1 + gone[group]:
            wrong.append(f"{group}: {n_fim:,} of {could[group]:,}, {n_spm:,} of them SPM")
    n_spm = forms["spm"].total()
    return Counter(all=could.total(), fim=n_spm + forms["psm"].total(), spm=n_spm), wrong


def _forms(tables: Tables, is_patched: bool, span: Span) -> tuple[Counter[str], ...]:
    """Documents of some shards by group: what could be filled in, what is as PSM and as SPM, and forgotten documents,
    of which nobody knows any more what form they had."""
    could, psm, spm, gone = (Counter[str]() for _ in range(4))
    for shard in span.items:
        ledger = tables.read(LEDGER, shard, columns=["pool", "keep", "n_bytes", "group", "reasons"])
        form = tables.read(FORMS, shard, columns=["form"])["form"]
        is_code = pc.and_(ledger["keep"], pc.equal(ledger["pool"], "code"))
        open_ = pc.and_(is_code, pc.greater_equal(ledger["n_bytes"], LEAST_BYTES))
        could.update(ledger["group"].filter(open_).to_pylist())
        for name, found in (("psm", psm), ("spm", spm)):
            found.update(ledger["group"].filter(pc.and_(ledger["keep"], pc.equal(form, name))).to_pylist())
        if is_patched:
            gone.update(ledger["group"].filter(pa.array(lists_with(ledger["reasons"], TAKEN_BACK))).to_pylist())
    return could, psm, spm, gone


def _pieces(run: RunFiles, mark: Sentinels, joined: tuple[int, ...], work: Work) -> tuple[int, int, int]:
    """Packed pieces with sentinels: whole ones, plain slices of documents that enter truncated, and torn ones."""
    # One document of each group and phase, so these are few.
    found = work.each(partial(_truncated, run.tables), work.shards(run), name="verify.truncated")
    truncated = frozenset(doc_id for ids in found for doc_id in ids)
    files = stream_files(run)
    task = partial(_filled, files, mark, joined, truncated)
    counts = np.zeros(3, np.int64)
    for here in work.each(task, files.spans(work, run), name="verify.filled"):
        counts += here
    n_whole, n_plain, n_torn = counts.tolist()
    return n_whole, n_plain, n_torn


def _truncated(tables: Tables, span: Span) -> list[str]:
    found: list[str] = []
    for shard in span.items:
        plan = tables.read(BALANCE, shard, columns=["doc_id", "cut_tokens"])
        found += plan["doc_id"].filter(pc.greater(plan["cut_tokens"], 0)).to_pylist()
    return found


def _filled(
    files: StreamFiles, mark: Sentinels, joined: tuple[int, ...], truncated: frozenset[str], span: Span
) -> tuple[int, int, int]:
    """The same of some packed shards."""
    n_whole = n_plain = n_torn = 0
    for number in span.items:
        for block in files.read(number).to_batches():
            rows = rows_of(block, where=f"packed shard {number}")
            first = np.repeat(np.arange(len(rows.n_real)), rows.n_pieces)
            starts, ids, docs = rows.starts.tolist(), rows.token_ids, rows.doc_ids
            for piece, (row, start, end) in enumerate(zip(first.tolist(), starts, rows.ends.tolist(), strict=True)):
                own = ids[row, start:end]
                if joined:  # a header stands before its first piece, and its end may be what follows
                    at = np.flatnonzero(own == mark.prefix)
                    own = with_end(own[at[0] :], mark) if at.size and own[0] in joined else own
                if not np.isin(own, (mark.prefix, mark.suffix, mark.middle)).any():
                    continue
                try:
                    parts_of(own, mark)
                    n_whole += 1
                except ValueError:
                    is_slice = docs[piece] in truncated and (own[1:] != mark.prefix).all() and _one_mark(own, mark)
                    n_plain, n_torn = n_plain + is_slice, n_torn + (not is_slice)
    return n_whole, n_plain, n_torn


def _one_mark(ids: np.ndarray, mark: Sentinels) -> bool:
    """Whether its only sentinel is its first token, so that nothing is asked of which the answer is missing."""
    return not np.isin(ids[1:], (mark.prefix, mark.suffix, mark.middle)).any()
