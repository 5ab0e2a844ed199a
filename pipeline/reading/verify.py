"""Recount what a finished run promises, from its files alone.

Nothing of what the stages counted is believed: hashes, alignment, keepers, the balance of the whole and of every
prefix, and the way back from each packed token to its document are taken from the shards again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.config import said_sample
from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.errors import LoopmixError
from pipeline.reading.files_stand import FilesStand, files_stand
from pipeline.reading.forgotten import has_forgotten, nothing_is_left
from pipeline.reading.unread import unread_of
from pipeline.reading.verify_alignment import alignment_holds
from pipeline.reading.verify_caps import caps_hold
from pipeline.reading.verify_duplicates import bytes_differ, similarities_hold, texts_agree
from pipeline.reading.verify_epochs import epochs_hold
from pipeline.reading.verify_forms import forms_hold
from pipeline.reading.verify_kept import duplicates_hold
from pipeline.reading.verify_ledger import ledger_holds
from pipeline.reading.verify_phases import phases_hold
from pipeline.reading.verify_repositories import repositories_hold
from pipeline.reading.verify_stream import balance_holds, sequences_hold
from pipeline.reading.verify_texts import redaction_holds, text_holds
from pipeline.reading.work import UNCOUNTED, Span, Work, working
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import DOCUMENTS
from pipeline.sources.sampling import N_DOCS, Sampling, sampling_of

# What `quick` leaves out.
READS_TEXT = frozenset(
    ("bytes", "forgotten", "similarity", "agreement", "trace", "text", "privacy", "repositories", "sample", "forms")
)


@dataclass(frozen=True)
class Finding:
    """One promise: kept or broken, and the numbers behind it."""

    promise: str
    kept: bool | None  # None: it was not recounted
    detail: str
    look: bool = False  # nothing was promised, but somebody should look at it


Check = Callable[[RunFiles, Work], tuple[bool, str]]


def verify(run: RunFiles, *, quick: bool = False, work: Work | None = None) -> Iterator[Finding]:
    """Check every promise; yields one finding each. A check that cannot read its files is a broken promise.

    `quick` believes files by their sizes and leaves out the promises that take texts or token ids, so it takes about as
    long at any size of text. `work` says where it is done, by default in this process; what is found is the same.
    Raises StoreError if there is no finished run.
    """
    run = run.recounted()
    _ = run.manifest
    with working() if work is None else nullcontext(work) as here:
        for promise, check in _checks(run, quick=quick):
            if quick and promise in READS_TEXT:
                yield Finding(promise, None, "not recounted: it takes texts or token ids")
                continue
            try:
                kept, detail = check(run, here)
            except LoopmixError as error:
                kept, detail = False, str(error)
            except UNCOUNTED as error:
                said = " ".join(str(error).split())[:200]
                kept, detail = False, f"cannot be recounted: {type(error).__name__}: {said}"
            here.clear()
            yield Finding(promise, kept, detail)
        yield _inputs(run, here)
        here.memo.clear()


def _checks(run: RunFiles, *, quick: bool) -> tuple[tuple[str, Check], ...]:
    """The promises that a run made, in the order in which they are said."""
    checks: tuple[tuple[str, Check], ...] = (
        ("files", _sizes if quick else _files),
        ("alignment", alignment_holds),
        ("ledger", ledger_holds),
        ("duplicates", duplicates_hold),
        ("bytes", bytes_differ),
        ("similarity", similarities_hold),
        ("agreement", texts_agree),
        ("balance", balance_holds),
        ("caps", caps_hold),
        ("sequences", sequences_hold),
        ("epochs", epochs_hold),
        ("trace", _trace),
        ("text", text_holds),
        ("privacy", redaction_holds),
    )
    if run.mixture.forms.fim is not None:
        checks = (*checks, ("forms", forms_hold))
    if run.joined:
        checks = (*checks, ("repositories", repositories_hold))
    if run.mixture.phases:
        checks = (*checks, ("phases", phases_hold))
    if has_forgotten(run):
        checks = (*checks, ("forgotten", nothing_is_left))
    if run.mixture.ingest.sample is not None:
        checks = (*checks, ("sample", _drawn))
    return checks


def _inputs(run: RunFiles, work: Work) -> Finding:
    """Rows that could not be read are no broken promise, as each has its reason; many of them are a broken input."""
    limit = f"{run.mixture.ingest.max_unreadable_frac:.3g}"
    try:
        found = unread_of(run, work)
    except (LoopmixError, KeyError, pa.ArrowException) as error:
        return Finding("inputs", False, f"cannot be recounted: {' '.join(str(error).split())[:200]}")
    skipped = [problem for made in run.manifest["stages"].values() for problem in made["problems"].values()]
    if skipped:
        left = f"{len(skipped)} input shards were skipped, and no row of them has a ledger row: {skipped[0]}"
        return Finding("inputs", True, "; ".join([left, *map(str, found[:3])]), look=True)
    if not found:
        return Finding("inputs", True, f"no source and no file has more than {limit} of its rows unread")
    shown = "; ".join(map(str, found[:3]))
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return Finding("inputs", True, f"more than {limit} could not be read: {shown}{more}", look=True)


def _drawn(run: RunFiles, work: Work) -> tuple[bool, str]:
    """That the run holds what its rate and key draw, and nothing else of the input."""
    sampling = sampling_of(run.mixture)
    assert sampling is not None
    n_docs = n_strange = 0
    for n, strange in work.each(partial(_strange, run.tables, sampling), work.shards(run), name="verify.sample"):
        n_docs, n_strange = n_docs + n, n_strange + strange
    n_input = run.manifest["stages"][DOCUMENTS.name]["counts"].get(N_DOCS, 0)
    what = f"{said_sample(sampling.rate)}: {n_docs:,} of {n_input:,} documents"
    return n_strange == 0, f"{what}; {n_strange:,} of them are not drawn by its key" if n_strange else what


def _strange(tables: Tables, sampling: Sampling, span: Span) -> tuple[int, int]:
    """How many documents some shards hold, and how many of them are not drawn."""
    from pipeline.sources.drawing import drawn, units  # late: a kernel, for runs over samples alone

    n_docs = n_strange = 0
    for shard in span.items:
        documents = tables.read(DOCUMENTS, shard, columns=["doc_id", "content", "problem"])
        strange = ~drawn(units(documents), sampling)
        # What is forgotten has no text by which it was drawn.
        strange &= ~pc.fill_null(pc.equal(documents["problem"], TAKEN_BACK), False).to_numpy()
        n_docs, n_strange = n_docs + len(documents), n_strange + int(strange.sum())
    return n_docs, n_strange


def _files(run: RunFiles, work: Work) -> tuple[bool, str]:
    return _stand(run, work, by_hash=True)


def _sizes(run: RunFiles, work: Work) -> tuple[bool, str]:
    return _stand(run, work, by_hash=False)


def _stand(run: RunFiles, work: Work, *, by_hash: bool) -> tuple[bool, str]:
    found = FilesStand()
    found.add(run.store, [tokenizer_of(run.store, run.manifest)], by_hash=True)  # one small file, which all ids need
    for stage in run.stages:
        files_stand(run, work, stage, by_hash=by_hash, found=found)
    if found.n_strange:  # whoever opens a table by its folder would read them
        return False, f"{found.n_strange} files are not of this run: {found.strange}"
    if found.n_bad:
        return False, f"{found.n_bad} of {found.n_files} files are missing or damaged: {found.bad}"
    what = "hashes" if by_hash else "sizes"
    return True, f"{found.n_files} files, {found.n_bytes:,} bytes have the {what} of the manifest"


# One that needs a kernel, which a quick look does not load.


def _trace(run: RunFiles, work: Work) -> tuple[bool, str]:
    from pipeline.reading.verify_trace import trace_holds

    return trace_holds(run, work)
