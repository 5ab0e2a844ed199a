"""Recount what a finished run promises, from its files alone.

Nothing of what the stages counted is believed: hashes, alignment, keepers, the balance of the whole and of every
prefix, and the way back from each packed token to its document are taken from the shards again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import doc_words
from pipeline.arrays.keys import keyed_hash, stage_key
from pipeline.arrays.trained import trained
from pipeline.config import said_sample
from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError
from pipeline.reading.files_stand import FilesStand, files_stand
from pipeline.reading.forgotten import has_forgotten, nothing_is_left
from pipeline.reading.unread import unread_of
from pipeline.reading.verify_caps import caps_hold
from pipeline.reading.verify_duplicates import bytes_differ, duplicates_hold, similarities_hold, texts_agree
from pipeline.reading.verify_epochs import epochs_hold
from pipeline.reading.verify_forms import forms_hold
from pipeline.reading.verify_ledger import ledger_holds
from pipeline.reading.verify_phases import phases_hold
from pipeline.reading.verify_repositories import repositories_hold
from pipeline.reading.verify_stream import balance_holds, sequences_hold
from pipeline.reading.written import written
from pipeline.reasons import TAKEN_BACK
from pipeline.schema import DOCUMENTS, REDACTED, SELECT, TOKENS
from pipeline.sources.sampling import N_DOCS, sampling_of

# A sample, because texts are decoded: with this size an error in one of a hundred documents is missed with probability
# 4e-5, and it takes seconds at any size of run.
N_DECODED = 1_000  # documents whose tokens are decoded and compared with their bytes

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


def verify(run: RunFiles, *, quick: bool = False) -> Iterator[Finding]:
    """Check every promise; yields one finding each. A check that cannot read its files is a broken promise.

    `quick` believes files by their sizes and leaves out the promises that take texts or token ids, so it takes about as
    long at any size of text. Raises StoreError if there is no finished run.
    """
    _ = run.manifest
    checks: tuple[tuple[str, Callable[[RunFiles], tuple[bool, str]]], ...] = (
        ("files", _sizes if quick else _files),
        ("alignment", _alignment),
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
        ("text", _text),
        ("privacy", _privacy),
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
    for promise, check in checks:
        if quick and promise in READS_TEXT:
            yield Finding(promise, None, "not recounted: it takes texts or token ids")
            continue
        try:
            kept, detail = check(run)
        except LoopmixError as error:
            kept, detail = False, str(error)
        except (IndexError, KeyError, ValueError, pa.ArrowException) as error:
            # Checks take for granted what an earlier one has found broken, such as tables of equal length.
            kept, detail = False, f"cannot be recounted: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        yield Finding(promise, kept, detail)
    yield _inputs(run)


def _inputs(run: RunFiles) -> Finding:
    """Rows that could not be read are no broken promise, as each has its reason; many of them are a broken input."""
    limit = f"{run.mixture.ingest.max_unreadable_frac:.3g}"
    try:
        found = unread_of(run)
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


def _drawn(run: RunFiles) -> tuple[bool, str]:
    """That the run holds what its rate and key draw, and nothing else of the input."""
    from pipeline.sources.drawing import drawn, units  # late: a kernel, for runs over samples alone

    sampling = sampling_of(run.mixture)
    assert sampling is not None
    n_docs = n_strange = 0
    for documents in run.shards(DOCUMENTS, columns=["doc_id", "content", "problem"]):
        strange = ~drawn(units(documents), sampling)
        # What is forgotten has no text by which it was drawn.
        strange &= ~pc.fill_null(pc.equal(documents["problem"], TAKEN_BACK), False).to_numpy()
        n_docs, n_strange = n_docs + len(documents), n_strange + int(strange.sum())
    n_input = run.manifest["stages"][DOCUMENTS.name]["counts"].get(N_DOCS, 0)
    what = f"{said_sample(sampling.rate)}: {n_docs:,} of {n_input:,} documents"
    return n_strange == 0, f"{what}; {n_strange:,} of them are not drawn by its key" if n_strange else what


def _files(run: RunFiles) -> tuple[bool, str]:
    return _stand(run, by_hash=True)


def _sizes(run: RunFiles) -> tuple[bool, str]:
    return _stand(run, by_hash=False)


def _stand(run: RunFiles, *, by_hash: bool) -> tuple[bool, str]:
    found = FilesStand()
    found.add(run.store, tokenizer_of(run.store, run.manifest), by_hash=by_hash)
    for stage in run.stages:
        files_stand(run, stage, by_hash=by_hash, found=found)
    if found.n_strange:  # whoever opens a table by its folder would read them
        return False, f"{found.n_strange} files are not of this run: {found.strange}"
    if found.n_bad:
        return False, f"{found.n_bad} of {found.n_files} files are missing or damaged: {found.bad}"
    what = "hashes" if by_hash else "sizes"
    return True, f"{found.n_files} files, {found.n_bytes:,} bytes have the {what} of the manifest"


def _alignment(run: RunFiles) -> tuple[bool, str]:
    ids_of: list[pa.Array] = []
    for shard in range(run.n_shards):
        ids = run.tables.read(DOCUMENTS, shard, columns=["doc_id"])["doc_id"]
        ids_of.append(ids.combine_chunks())
        for table in run.aligned:
            name = "doc_id" if "doc_id" in table.schema.names else table.schema.names[0]
            other = run.tables.read(table, shard, columns=[name])[name]
            if len(other) != len(ids) or (name == "doc_id" and not other.equals(ids)):
                return False, f"shard {shard} of {table.name} has other rows than documents"
    n_docs = sum(len(i) for i in ids_of)
    n_distinct = len(pc.unique(pa.concat_arrays(ids_of)))
    return n_distinct == n_docs, f"{n_docs:,} documents, each with one row in every table; {n_distinct:,} distinct ids"


# Two that need kernels, which a quick look does not load.


def _trace(run: RunFiles) -> tuple[bool, str]:
    from pipeline.reading.verify_trace import trace_holds

    return trace_holds(run)


def _privacy(run: RunFiles) -> tuple[bool, str]:
    from pipeline.reading.verify_privacy import redaction_holds

    return redaction_holds(run)


def _trained(run: RunFiles, shard: int) -> pa.LargeBinaryArray:
    return trained(*(run.tables.read(table, shard, columns=["content"]) for table in (DOCUMENTS, REDACTED)))


def _text(run: RunFiles) -> tuple[bool, str]:
    """Decode a keyed sample of kept documents back to their bytes, placeholders included."""
    reader = written(run)
    n_kept = sum(int(pc.sum(t["keep"]).as_py() or 0) for t in run.shards(SELECT, columns=["keep"]))
    limit = min(1.0, N_DECODED / max(1, n_kept)) * 2**64
    n_same = n_seen = 0
    for shard in range(run.n_shards):
        tokens = run.tables.read(TOKENS, shard)
        key = keyed_hash(stage_key(0, "verify"), *doc_words(tokens))
        rows = np.flatnonzero((key.astype(np.float64) < limit) & tokens["token_ids"].is_valid().to_numpy())
        content = _trained(run, shard) if rows.size else None
        for row in rows.tolist():
            assert content is not None
            n_same += reader.text(np.asarray(tokens["token_ids"][row].values)) == content[row].as_py()
            n_seen += 1
    return n_same == n_seen, f"{n_same} of {n_seen} sampled documents decode to their bytes"
