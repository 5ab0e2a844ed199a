"""The tables of a comparison, defined once for terminal and page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.compare.found import KINDS, ChangedDocument, DocumentChanges, DocumentSide, RunComparison, ShareChange
from pipeline.compare.settings import value
from pipeline.report.formats import exact, percent
from pipeline.report.stream_numbers import PhaseStream
from pipeline.report.table import COUNT, ID, PATH, PERCENT, POINTS, SIZE, STATUS, TEXT, Column, Kind, ReportTable


def runs_table(found: RunComparison) -> ReportTable:
    """Both runs in numbers."""
    rows = []
    for name, side in (("A", found.a), ("B", found.b)):
        counts = (side.n_docs, side.n_bytes, side.n_kept_docs, side.n_packed_tokens)
        rows.append(
            (name, side.mixture, *counts, "all" if side.sample is None else percent(side.sample), side.tokenizer[:12])
        )
    columns = [Column("run", TEXT), Column("mixture", TEXT), Column("documents"), Column("bytes", SIZE, 2)]
    columns += [Column("kept"), Column("tokens packed"), Column("of the input", TEXT, 3), Column("tokenizer", ID, 1)]
    return ReportTable("Runs", columns, rows)


def settings_table(found: RunComparison) -> ReportTable:
    """Every key of the mixtures that differs."""
    rows = [(change.key, _set(change.a), _set(change.b)) for change in found.settings]
    return ReportTable("Settings that differ", [Column("key", TEXT), *_sides("A", "B", TEXT)], rows)


def _sides(a: str, b: str, kind: Kind = COUNT, priority: int = 0) -> list[Column]:
    """The same of both runs: a number of one says nothing without that of the other."""
    return [Column(title, kind, priority, pair=a) for title in (a, b)]


def _set(found: Any) -> str | None:
    return None if found is None else value(found)


def stages_table(found: RunComparison) -> ReportTable:
    """Which tables are the same bytes."""
    rows = [(s.stage, s.n_files_a, s.n_files_b, s.n_equal, s.version_a, s.version_b) for s in found.stages]
    columns = [Column("stage", TEXT), *_sides("files in A", "files in B"), Column("equal")]
    columns += _sides("version in A", "version in B", COUNT, 1)
    note = "equal: files of the same place and SHA-256, as the manifests say"
    return ReportTable("Stages", columns, rows, note)


def inputs_table(found: RunComparison) -> ReportTable | None:
    """How the files that were read differ; None where both plans name the same ones."""
    inputs = found.inputs
    if inputs is None or not (inputs.n_only_a or inputs.n_only_b or inputs.n_changed):
        return None
    rows = [("in both, changed in size, time or version", inputs.n_changed)]
    rows += [("in the input of A alone", inputs.n_only_a), ("in the input of B alone", inputs.n_only_b)]
    note = "; ".join((*inputs.named, f"A read {exact(inputs.n_files_a)} files, B {exact(inputs.n_files_b)}"))
    return ReportTable("Input files that differ", [Column("input files", TEXT), Column("files")], rows, note)


# --- documents -------------------------------------------------------------------------------------------------------


def kinds_table(found: DocumentChanges) -> ReportTable:
    """What changed, of how many documents."""
    n = max(1, found.n_both + found.counts["only_a"] + found.counts["only_b"])
    rows = [(KINDS[kind], count, count / n) for kind, count in found.counts.items() if count]
    note = f"{exact(found.n_both)} documents are in both; one can stand in several rows"
    if not found.bytes_known:
        note += "; the texts of a run are gone, so equal sizes count as equal bytes"
    return ReportTable(
        "Documents that differ", [Column("what", TEXT), Column("documents"), Column("of all", PERCENT)], rows, note
    )


def flows_table(found: DocumentChanges) -> ReportTable:
    """From which fate to which; rows add up to all documents."""
    rows = [(f.fate_a, f.fate_b, f.n_docs, f.n_bytes, f.n_tokens_a, f.n_tokens_b) for f in found.flows]
    columns = [*_sides("in A", "in B", TEXT), Column("documents"), Column("bytes", SIZE, 1)]
    columns += _sides("packed in A", "packed in B")
    note = (
        "surplus: kept and not needed for the balance; cut: in with its beginning alone; packed: with whole copies, "
        "and perhaps the beginning of one more; packed in A, in B: tokens"
    )
    return ReportTable("From fate to fate", columns, rows, note)


def reasons_table(found: DocumentChanges) -> ReportTable:
    """Reasons, and the limits of theirs that differ."""
    rows = [
        (
            r.reason,
            r.n_docs_a,
            r.n_docs_b,
            r.n_left,
            r.n_left_alone,
            r.n_entered,
            r.n_entered_alone,
            "; ".join(r.settings) or None,
        )
        for r in found.reasons
    ]
    (left, entered), (left_alone, entered_alone) = (
        _sides("A kept, B dropped", "A dropped, B kept"),
        _sides("by it alone", "by it alone", COUNT, 2),
    )
    columns = [Column("reason", ID), *_sides("dropped in A", "dropped in B"), left, left_alone, entered, entered_alone]
    columns += [Column("its limits that differ", TEXT, 1)]
    note = "a document can have several reasons; by it alone: no other reason drops it"
    return ReportTable("Why documents were dropped", columns, rows, note)


def shares_table(title: str, name: str, shares: Sequence[ShareChange]) -> ReportTable:
    """Documents and tokens of each group or source, and the difference of shares."""
    rows = [
        (s.name, s.n_docs_a, s.n_docs_b, s.n_kept_docs_a, s.n_kept_docs_b, s.n_tokens_a, s.n_tokens_b,
         s.n_tokens_b - s.n_tokens_a, s.frac_a, s.frac_b, s.frac_b - s.frac_a)
        for s in shares
    ]  # fmt: skip
    columns = [Column(name, TEXT), *_sides("documents in A", "in B", COUNT, 3), *_sides("kept in A", "in B", COUNT, 2)]
    columns += [*_sides("tokens in A", "in B"), Column("more", COUNT, 1)]
    columns += [*_sides("share in A", "in B", PERCENT), Column("points", POINTS)]
    return ReportTable(title, columns, rows, "tokens: as packed, copies included; points: B less A")


def moves_table(found: DocumentChanges) -> ReportTable:
    """Documents of another language or pool."""
    rows = [(f"{m.language_a} ({m.pool_a})", f"{m.language_b} ({m.pool_b})", m.n_docs) for m in found.moves]
    columns = [*_sides("in A", "in B", TEXT), Column("documents")]
    return ReportTable("Documents of another language", columns, rows)


def examples_table(kind: str, examples: Sequence[ChangedDocument]) -> ReportTable:
    """Documents of one kind, with both sides and the cause."""
    rows = [(e.path, e.cause, said(e.a), said(e.b), e.source, e.doc_id) for e in examples]
    columns = [Column("document", PATH), Column("why", TEXT), *_sides("A", "B", TEXT)]
    columns += [Column("source", TEXT, 2), Column("doc_id", ID, 3)]
    title = f"{KINDS[kind][0].upper()}{KINDS[kind][1:]}"
    return ReportTable(title, columns, rows)


def said(side: DocumentSide | None) -> str | None:
    """What one run says of a document, in one line."""
    if side is None:
        return None
    parts = [f"{side.language}, {side.fate}"]
    if side.n_packed_tokens:
        parts.append(f"{exact(side.n_packed_tokens)} tokens")
    parts += side.said
    if side.keeper_path is not None:
        parts.append(f"keeper {side.keeper_path}")
    return "; ".join(parts)


# --- promises --------------------------------------------------------------------------------------------------------


def balance_table(found: RunComparison) -> ReportTable:
    """Balance, prefixes and padding of the packed streams."""
    rows = [row for name, side in (("A", found.a), ("B", found.b)) for row in _streams(name, side.streams)]
    columns = [Column("stream", TEXT), Column("ratio", TEXT), Column("code tokens"), Column("text tokens")]
    columns += [
        Column("worst prefix"),
        Column("allowed"),
        Column("sequences"),
        Column("of", COUNT, 1),
        Column("balance", STATUS),
    ]
    return ReportTable("Balance", columns, rows)


def _streams(name: str, streams: Sequence[PhaseStream]) -> Iterator[tuple[Any, ...]]:
    for stream in streams:
        b = stream.balance
        called = f"{name}, {stream.name}" if stream.name else name
        counts = (
            b.n_code_tokens,
            b.n_text_tokens,
            b.worst_prefix,
            b.max_prefix,
            stream.n_sequences,
            stream.packing.seq_len,
        )
        yield (called, f"{b.code_parts}:{b.text_parts}", *counts, "pass" if b.is_kept else "fail")


def notices_table(found: RunComparison) -> ReportTable | None:
    """What the report of one run says and that of the other does not."""
    rows = [(name, n.level, n.message) for name, side in (("A", found.a), ("B", found.b)) for n in side.notices]
    columns = [Column("run", TEXT), Column("level", STATUS), Column("what the report says", TEXT)]
    return ReportTable("Notices of one run alone", columns, rows) if rows else None


def verdicts_table(found: RunComparison) -> ReportTable | None:
    """The verdicts of trainings and validations that were named."""
    rows = [
        (what, *(getattr(side, what) for side in (found.a, found.b)))
        for what in ("training", "validation")
        if found.a.__dict__[what] or found.b.__dict__[what]
    ]
    return ReportTable("Verdicts", [Column("what", TEXT), *_sides("A", "B", TEXT)], rows) if rows else None
