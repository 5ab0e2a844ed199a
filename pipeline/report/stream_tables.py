"""The report's tables on the packed stream, and on the work that the run took."""

from pipeline.report.formats import between, exact
from pipeline.report.numbers import Numbers
from pipeline.report.stream_numbers import PhaseStream, SequencePacking, StreamMix, TokenBalance
from pipeline.report.table import BAR, FINE_PERCENT, PERCENT, SIZE, TENTHS, TEXT, TIME, Column, ReportTable

_END = Column("up to sequence", TEXT)


def prefixes_table(balance: TokenBalance) -> ReportTable:
    """Extremes of the prefix balance along the stream."""
    rows = [(exact(p.n_sequences), p.low, p.high) for p in balance.points]
    return ReportTable("Code minus text tokens", (_END, Column("lowest"), Column("highest")), rows)


def mix_table(mix: StreamMix) -> ReportTable:
    """Languages along the stream."""
    columns = [_END, *(Column(name, PERCENT) for name in mix.names)]
    rows = [(exact(s.n_sequences), *s.fracs) for s in mix.segments]
    return ReportTable("Share of code tokens since the row before", columns, rows)


def phases_table(phases: tuple[PhaseStream, ...]) -> ReportTable:
    """What each phase is, in the order of training."""
    columns = [Column("phase", TEXT), Column("sequences"), Column("of tokens"), Column("code tokens")]
    columns += [Column("text tokens"), Column("asked", TEXT), Column("worst prefix"), Column("allowed")]
    rows = []
    for phase in phases:
        b = phase.balance
        tokens = (b.n_code_tokens, b.n_text_tokens, f"{b.code_parts}:{b.text_parts}")
        rows.append((phase.name, phase.n_sequences, phase.packing.seq_len, *tokens, b.worst_prefix, b.max_prefix))
    return ReportTable("Phases", columns, rows, "each is exact and balanced in every prefix by itself")


def packing_table(numbers: Numbers, packing: SequencePacking) -> ReportTable:
    """How full each pool's sequences are, of the whole stream or of a phase."""
    n_cut = numbers.totals.n_cut_docs
    rows = [
        (p.pool, p.n_sequences, p.n_pieces, p.n_real_tokens, p.n_padding_tokens, p.padding_frac) for p in packing.pools
    ]
    columns = [Column("pool", TEXT), Column("sequences"), Column("pieces"), Column("real tokens")]
    columns += [Column("padding"), Column("of all", FINE_PERCENT)]
    note = (
        f"{exact(packing.n_full_sequences)} sequences are full; {exact(packing.n_split_docs)} documents are longer "
        f"than a sequence; {exact(n_cut)} are truncated where a budget ends"
    )
    return ReportTable(f"Sequences of {exact(packing.seq_len)} tokens", columns, rows, note)


def pieces_table(packing: SequencePacking) -> ReportTable:
    """How many pieces of documents make up a sequence."""
    columns = [Column("pieces", TEXT), Column("code sequences"), Column("text sequences")]
    rows = [(between(b.low, b.high), b.n_code, b.n_text) for b in packing.pieces]
    return ReportTable("Pieces in a sequence", columns, rows)


def work_table(numbers: Numbers) -> ReportTable:
    """What each stage cost."""
    most = max((w.cpu_seconds or 0.0 for w in numbers.work), default=0.0) or 1.0
    rows = []
    for w in numbers.work:
        n_docs = None if w.docs_per_second is None else round(w.docs_per_second)
        bar = ((w.cpu_seconds or 0.0) / most, "code")
        rate = (n_docs, w.megabytes_per_second)
        rows.append((w.name, w.cpu_seconds, w.seconds, *rate, w.n_files, w.n_stored_bytes, bar))
    columns = [Column("stage", TEXT), Column("CPU time", TIME), Column("clock", TIME)]
    columns += [Column("documents/CPU-s"), Column("MB/CPU-s", TENTHS)]
    columns += [Column("files"), Column("stored", SIZE), Column("", BAR)]
    note = "times add up over tasks; rates count the whole input, by CPU-second"
    return ReportTable("What each stage took", columns, rows, note)


def bad_shards_table(numbers: Numbers) -> ReportTable:
    """Input that could not be read."""
    columns = [Column("stage", TEXT), Column("shard", TEXT), Column("problem", TEXT)]
    rows = [(b.stage, exact(b.shard), b.problem) for b in numbers.bad_shards]
    return ReportTable("Shards that were skipped", columns, rows)
