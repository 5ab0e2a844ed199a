"""The tables by which a mixture is signed: what it is, of what, who made it, and how it is spread."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.formats import between, exact
from pipeline.report.numbers import Numbers
from pipeline.report.signing import LengthBin
from pipeline.report.table import COUNT, ID, PATH, PERCENT, SIZE, TEXT, THOUSANDTHS, TIME, Column, ReportTable

_DOCUMENTS, _KEPT, _PACKED = Column("documents"), Column("kept"), Column("packed")
_BYTES, _TOKENS = Column("bytes", SIZE), Column("tokens packed", COUNT)


def identity_table(numbers: Numbers) -> ReportTable:
    """Hashes and names, for whoever compares two runs."""
    one = numbers.identity
    rows = [
        ("mixture", numbers.name),
        ("SHA-256 of its settings", one.mixture_sha256),
        ("seed", str(numbers.seed)),
        ("tokenizer", f"{one.tokenizer_path}, {exact(one.tokenizer_bytes)} bytes"),
        ("SHA-256 of the tokenizer", one.tokenizer_sha256),
        ("report by loopmix", numbers.version),
    ]
    return ReportTable("Identity", [Column("what", TEXT), Column("value", ID)], rows)


def inputs_table(numbers: Numbers) -> ReportTable:
    """Each source with its size."""
    on_disk = next((s.input_bytes for s in reversed(numbers.record.starts) if s.input_bytes), {})
    rows = [
        (
            s.name,
            s.kind,
            s.path,
            on_disk.get(s.name),
            s.n_docs,
            s.n_bytes,
            s.n_kept_docs,
            s.n_packed_docs,
            s.n_packed_tokens,
        )
        for s in numbers.identity.sources
    ]
    columns = [Column("source", TEXT), Column("kind", TEXT, 2), Column("path", PATH, 3), Column("input files", SIZE, 1)]
    columns += [_DOCUMENTS, Column("as text", SIZE), _KEPT, _PACKED, _TOKENS]
    note = "input files: bytes on disk of the files that the last start listed, packed as they are; git: unpacked"
    return ReportTable("Inputs", columns, rows, note)


def stages_table(numbers: Numbers) -> ReportTable:
    """What decided the bytes of each stage."""
    rows = [(s.name, s.version, s.fingerprint) for s in numbers.identity.stages]
    columns = [Column("stage", TEXT), Column("version of its code"), Column("fingerprint", ID)]
    return ReportTable("Stages", columns, rows, "equal fingerprints make equal bytes")


def starts_table(numbers: Numbers) -> ReportTable:
    """Who made it, when and where."""
    rows = [
        (
            s.time[:19].replace("T", " "),
            s.outcome,
            s.seconds,
            s.host,
            s.n_cpus,
            s.workers,
            s.version,
            " ".join(s.command),
        )
        for s in numbers.record.starts
    ]
    columns = [Column("start (UTC)", TEXT), Column("outcome", TEXT), Column("time", TIME), Column("host", TEXT)]
    columns += [Column("cores"), Column("workers", TEXT), Column("loopmix", TEXT), Column("command", PATH)]
    note = "stopped: by whoever ran it; open: its log does not end, as that of the start that wrote this page"
    return ReportTable("Starts", columns, rows, note)


def warnings_table(numbers: Numbers) -> ReportTable:
    """What whoever signs must have read."""
    rows = [(one.message, one.n_starts) for one in numbers.record.warnings]
    note = "each once, in the order in which it was first said"
    return ReportTable("Warnings", [Column("what was said", TEXT), Column("starts")], rows, note)


def libraries_table(numbers: Numbers) -> ReportTable:
    """Versions, as the last start that says them had them."""
    found = next((s.libraries for s in reversed(numbers.record.starts) if s.libraries), {})
    return ReportTable("Libraries", [Column("library", TEXT), Column("version", TEXT)], list(found.items()))


def steps_table(numbers: Numbers) -> ReportTable:
    """What passed on the clock of the driver."""
    rows = [(s.step, s.n_starts, s.n_items, s.seconds) for s in numbers.record.steps]
    columns = [Column("step", TEXT), Column("starts"), Column("items done"), Column("time by the clock", TIME)]
    return ReportTable("Steps by the clock", columns, rows, "with several workers less than the work of their tasks")


# --- counts -----------------------------------------------------------------------------------------------------------


def source_languages_table(numbers: Numbers) -> ReportTable:
    """Each source's languages."""
    rows = [
        (s.source, s.language, s.n_docs, s.n_bytes, s.n_kept_docs, s.n_packed_docs, s.n_packed_tokens)
        for s in numbers.signing.source_languages
    ]
    columns = [Column("source", TEXT), Column("language", TEXT), _DOCUMENTS, _BYTES, _KEPT, _PACKED, _TOKENS]
    return ReportTable("Languages by source", columns, rows)


def lengths_table(bins: Sequence[LengthBin], *, pool: str) -> ReportTable:
    """The bars of the histogram of lengths of a pool."""
    rows = [(between(b.low, b.high), b.n_docs, b.n_bytes, b.n_packed_docs, b.n_packed_bytes) for b in bins]
    columns = [Column("bytes of a document", TEXT), _DOCUMENTS, _BYTES, _PACKED, Column("bytes packed", SIZE)]
    return ReportTable(f"Documents of {pool} by length", columns, rows, "packed: each once, whole")


def copies_table(numbers: Numbers) -> ReportTable:
    """How often documents come again."""
    total = {pool: sum(g.n_packed_tokens for g in numbers.of_pool(pool)) or 1 for pool in ("code", "text")}
    rows = [
        (exact(c.n_copies), c.pool, c.n_docs, c.n_cut_docs, c.n_packed_tokens, c.n_packed_tokens / total[c.pool])
        for c in numbers.signing.copies
    ]
    columns = [Column("whole copies", TEXT), Column("pool", TEXT), Column("kept documents")]
    columns += [Column("of these one more, truncated"), _TOKENS, Column("of the pool", PERCENT)]
    return ReportTable("Epochs", columns, rows, "0 without a truncated one: kept, and not in the mixture")


def spreads_table(numbers: Numbers) -> ReportTable:
    """How evenly repositories give."""
    rows = [(s.pool, s.n_repositories, s.n_packed_tokens, s.gini, s.half) for s in numbers.signing.spreads]
    columns = [Column("pool", TEXT), Column("repositories"), Column("tokens of these"), Column("Gini", THOUSANDTHS)]
    columns.append(Column("give half of them"))
    return ReportTable("Repositories", columns, rows, "Gini: 0 where all give the same, near 1 where one gives all")


def repositories_table(numbers: Numbers) -> ReportTable:
    """The largest of each pool."""
    rows = [(r.name, r.pool, r.n_docs, r.n_packed_tokens, r.frac) for r in numbers.signing.repositories]
    columns = [Column("repository", TEXT), Column("pool", TEXT), _DOCUMENTS, _TOKENS, Column("of the pool", PERCENT)]
    return ReportTable("Largest repositories", columns, rows)
