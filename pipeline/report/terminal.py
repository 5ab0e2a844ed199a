"""The report as terminal tables that fit 80 columns, plain when piped."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.console import Group as Stack
from rich.table import Table
from rich.text import Text

from pipeline.report.fate import fate_lines
from pipeline.report.formats import (
    CLAIM_WORDS,
    FLOW_WORDS,
    NOTHING,
    between,
    exact,
    number,
    percent,
    plain,
    seconds,
    short,
    size,
)
from pipeline.report.numbers import Group, Numbers
from pipeline.report.shares import largest

__all__ = ["fate_lines", "print_report"]

N_LANGUAGES = 15
N_REASONS = 12
N_PAIRS = 10
N_BORDER = 8
N_FAMILIES = 5
_WIDTH = 80
_STYLES = {"fail": "bold red", "warn": "yellow", "note": "cyan"}


def print_report(numbers: Numbers, console: Console, *, brief: bool = False) -> None:
    """Print the numbers from the most to the least asked for; report.json has every digit and every row.

    With `brief` only the first block: what came in, what came out, the balance, what deserves a look.
    """
    parts = (_headline(numbers),) if brief else _parts(numbers)
    for part in parts:
        if part is not None:
            console.print()
            console.print(part, width=min(console.width, _WIDTH), soft_wrap=False)


def _parts(numbers: Numbers) -> tuple[RenderableType | None, ...]:
    return (
        _headline(numbers),
        _shares(numbers, "code"),
        _shares(numbers, "text"),
        _decisions(numbers),
        _pairs(numbers),
        _border(numbers),
        _misnamed(numbers),
        _flow(numbers),
        _drops(numbers),
        _duplicates(numbers),
        _packing(numbers),
        _work(numbers),
        _verdict(numbers),
    )


def _table(*columns: str, names: int = 1) -> Table:
    """The first `names` columns hold names, which wrap; the others hold numbers, which never break."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for place, column in enumerate(columns):
        if place < names:
            table.add_column(column, overflow="fold")
        else:
            table.add_column(column, justify="right", no_wrap=True)
    return table


def _under(title: str, table: Table, *, note: str = "") -> RenderableType:
    """A title over a table, and a note below that is as wide as the terminal, not as the table."""
    parts: list[RenderableType] = [Text(title, style="bold"), table]
    return Stack(*parts, Text(note, style="dim")) if note else Stack(*parts)


def _add(table: Table, *cells: str, style: str | None = None) -> None:
    """Add a row of literal text: names from the data must not be read as markup."""
    table.add_row(*(Text(cell) for cell in cells), style=style)


def _headline(numbers: Numbers) -> RenderableType:
    """What came in, what came out, the balance, and what deserves a look."""
    t, b = numbers.totals, numbers.balance
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    state = "exact" if b.is_exact else "BROKEN"
    prefix = f"worst prefix off by {exact(b.worst_prefix)} of {exact(b.max_prefix)} allowed"
    n_sequences = sum(p.n_sequences for p in numbers.packing.pools)
    _add(table, "in", f"{exact(t.n_docs)} documents, {size(t.n_bytes)}")
    _add(table, "kept", f"{exact(t.n_kept_docs)} documents, {size(t.n_kept_bytes)}, {exact(t.n_kept_tokens)} tokens")
    _add(table, "packed", f"{exact(t.n_packed_docs)} documents, {exact(t.n_packed_tokens)} tokens")
    _add(table, "", f"{exact(n_sequences)} sequences of {exact(numbers.packing.seq_len)}")
    _add(table, "balance", f"{state}: code {exact(b.n_code_tokens)}, text {exact(b.n_text_tokens)} tokens")
    _add(table, "", f"asked for {b.code_parts}:{b.text_parts}; {prefix}", style=None if b.is_kept else "bold red")
    for notice in numbers.notices:
        _add(table, notice.level, notice.message, style=_STYLES[notice.level])
    if not numbers.notices:
        _add(table, "note", "nothing to point out")
    return _under(f"Mixture {numbers.name}", table)


def _shares(numbers: Numbers, pool: str) -> RenderableType:
    """The largest groups of a pool; the paper names only code."""
    code = pool == "code"
    title = "Languages of the code pool" if code else "Sources of the text pool"
    columns = ["language" if code else "source", "docs in", "kept", "tokens", "before", "kept", "after", "target"]
    table = _table(*columns, *(["paper"] if code else []))
    paper = {p.name: p.paper_frac for p in numbers.paper}
    for group in largest(numbers.of_pool(pool), limit=N_LANGUAGES):
        cells = _share_cells(group)
        _add(table, *cells, *([percent(paper.get(group.name))] if code else []))
    return _under(title, table, note="before: share of bytes; kept, after: of tokens before and after balancing")


def _share_cells(group: Group) -> Sequence[str]:
    """Rounded counts: the page and report.json have every digit."""
    return (
        plain(group.name),
        short(group.n_docs),
        short(group.n_kept_docs),
        short(group.n_packed_tokens),
        percent(group.before_frac),
        percent(group.kept_frac),
        percent(group.after_frac),
        "natural" if group.target_frac is None else percent(group.target_frac),
    )


def _flow(numbers: Numbers) -> RenderableType:
    """Documents, bytes and tokens from stage to stage."""
    table = _table("stage", "documents", "of all", "bytes", "tokens")
    for step in numbers.flow:
        tokens = NOTHING if step.n_tokens is None else exact(step.n_tokens)
        share = percent(step.n_docs / max(1, numbers.totals.n_docs))
        _add(table, FLOW_WORDS[step.stage], exact(step.n_docs), share, size(step.n_bytes), tokens)
    return _under("What was left after each stage", table)


def _drops(numbers: Numbers) -> RenderableType | None:
    """The most frequent reasons."""
    if not numbers.drops:
        return None
    table = _table("reason", "stage", "documents", "of all", "bytes", "alone", names=2)
    for d in numbers.drops[:N_REASONS]:
        share = percent(d.n_docs / max(1, numbers.totals.n_docs))
        _add(table, d.reason, d.stage, exact(d.n_docs), share, size(d.n_bytes), exact(d.n_only_docs))
    more = len(numbers.drops) - N_REASONS
    left_out = f"; {more} rarer reasons are left out" if more > 0 else ""
    return _under("Why documents were dropped", table, note=f"alone: documents without any other reason{left_out}")


def _duplicates(numbers: Numbers) -> RenderableType:
    """Equal and near documents, found and dropped."""
    d = numbers.duplicates
    table = _table("what", "number")
    _add(table, "groups of equal documents", exact(d.n_groups))
    _add(table, "documents beyond the first of a group", exact(d.n_repeats))
    if d.sizes:
        last = d.sizes[-1]
        _add(table, f"groups of {between(last.low, last.high)} documents, the largest", exact(last.n_groups))
    if d.n_candidates is not None:
        _add(table, "pairs compared", exact(d.n_candidates))
    _add(table, f"pairs verified at {d.min_similarity:g} or more", exact(d.n_pairs))
    _add(table, "documents dropped as equal", exact(d.n_exact_docs))
    _add(table, "documents dropped as near duplicates", exact(d.n_near_docs))
    if d.n_known_docs:
        _add(table, "documents near to a run in against", exact(d.n_known_docs))
    if d.n_crowded_buckets:
        _add(table, "crowded buckets, compared with their keepers only", exact(d.n_crowded_buckets))
    if d.n_crowd_unlisted:
        _add(table, "keepers of crowded buckets not compared with", exact(d.n_crowd_unlisted))
    if not d.families:
        return _under("Duplicates", table)
    families = _table("largest families: kept document", "language", "dropped", "least similar", names=2)
    for f in d.families[:N_FAMILIES]:
        _add(families, plain(f.path), plain(f.language), exact(f.n_docs), f"{f.min_similarity:.3f}")
    return Stack(_under("Duplicates", table), Text(), families)


def _packing(numbers: Numbers) -> RenderableType:
    """How full the sequences are."""
    packing = numbers.packing
    table = _table("pool", "sequences", "pieces", "real tokens", "padding")
    for p in packing.pools:
        counts = (exact(n) for n in (p.n_sequences, p.n_pieces, p.n_real_tokens))
        _add(table, p.pool, *counts, f"{p.padding_frac:.3%}")
    full = f"{exact(packing.n_full_sequences)} sequences are full"
    split = f"{exact(packing.n_split_docs)} documents are longer than a sequence"
    return _under(f"Packing into sequences of {exact(packing.seq_len)}", table, note=f"{full}; {split}")


def _work(numbers: Numbers) -> RenderableType:
    """What each stage cost."""
    table = _table("stage", "task time", "documents/s", "MB/s", "files", "stored")
    for w in numbers.work:
        docs = NOTHING if w.docs_per_second is None else short(round(w.docs_per_second))
        megabytes = number(w.megabytes_per_second, digits=1)
        _add(table, w.name, seconds(w.seconds), docs, megabytes, exact(w.n_files), size(w.n_stored_bytes))
    return _under("Work", table, note="seconds add up over tasks; rates count the whole input")


def _verdict(numbers: Numbers) -> RenderableType | None:
    """What training on the run showed, if a model was given."""
    training = numbers.training
    if training is None:
        return None
    parts: list[RenderableType] = [Text("Training", style="bold"), Text(plain(training.message))]
    if training.evaluations:
        first, last = training.evaluations[0], training.evaluations[-1]
        losses = f"held-out loss {number(first.loss)} at step {first.step}, {number(last.loss)} at step {last.step}"
        parts.append(Text(losses))
    if training.checks:
        table = _table("check", "status", "what was found", names=3)
        for c in training.checks:
            status = Text(plain(c.status), style=_STYLES.get(c.status, ""))
            table.add_row(Text(plain(c.name)), status, Text(plain(c.message)))
        parts.append(table)
    return Stack(*parts)


# --- how languages were decided --------------------------------------------------------------------------------------


def _decisions(numbers: Numbers) -> RenderableType:
    """What decided, and how sure the verdicts from content are."""
    t = numbers.language_decisions
    table = _table("decided by", "pool", "documents", "of all", "bytes", "tokens kept", "confidence", names=2)
    for d in t.decisions:
        share = percent(d.n_docs / max(1, numbers.totals.n_docs))
        counts = (short(d.n_docs), share, size(d.n_bytes), short(d.n_kept_tokens))
        _add(table, plain(d.decided_by), d.pool, *counts, number(d.mean_confidence))
    unsure = sum(b.n_docs for b in t.confidences if b.high <= 0.5)
    share = f"{percent(unsure / max(1, t.n_content_docs))} of these lie below a confidence of 0.5"
    note = f"content decided for {exact(t.n_content_docs)} documents; {share}"
    docs, volume = ([getattr(b, field) for b in t.confidences] for field in ("n_docs", "n_bytes"))
    bars = [Text(f"{name:<9} 0 {_bars(sums)} 1") for name, sums in (("documents", docs), ("bytes", volume))]
    title = Text("Confidence of verdicts from content", style="bold")
    return Stack(_under("How languages were decided", table, note=note), Text(), title, *bars)


def _bars(sums: Sequence[int]) -> str:
    """A histogram of one line; what is there but small is told apart from nothing."""
    most = max(1, *sums)
    return "".join(" " if n == 0 else "▁▂▃▄▅▆▇█"[min(7, 8 * n // most)] for n in sums)


def _pairs(numbers: Numbers) -> RenderableType | None:
    """Languages that are nearly taken for each other."""
    t = numbers.language_decisions
    if not t.confusions:
        return None
    table = _table("language", "runner-up", "close", "bytes", "of", "mean margin", names=2)
    for c in t.confusions[:N_PAIRS]:
        counts = (short(c.n_close_docs), size(c.n_close_bytes), short(c.n_docs))
        _add(table, plain(c.language), plain(c.runner_up), *counts, number(c.mean_margin))
    more = t.n_close_pairs - N_PAIRS
    left_out = f"; {more} pairs are left out" if more > 0 else ""
    note = f"close: documents whose runner-up lies within {t.max_margin:g}; of: all documents of the pair{left_out}"
    return _under("Confusable pairs", table, note=note)


def _border(numbers: Numbers) -> RenderableType | None:
    """The least sure documents."""
    if not numbers.language_decisions.border:
        return None
    table = _table("path", "language, confidence", "runner-up", names=3)
    for u in numbers.language_decisions.border[:N_BORDER]:
        behind = f"{plain(u.runner_up)} {number(u.runner_up_confidence)}" if u.runner_up else NOTHING
        _add(table, _end(u.path, limit=38), f"{plain(u.language)} {number(u.confidence)}", behind)
    return _under("At the border: the least sure documents that were kept", table)


def _misnamed(numbers: Numbers) -> RenderableType | None:
    """Content that is not what its name says, with one document each."""
    if not numbers.language_decisions.disagreements:
        return None
    table = _table("name says", "looks like", "for instance", "documents", "of all", "kept", names=3)
    for d in numbers.language_decisions.disagreements:
        share = percent(d.n_docs / max(1, numbers.totals.n_docs))
        names = (
            CLAIM_WORDS.get(d.name_says, plain(d.name_says)),
            plain(d.content_kind),
            _end(d.documents[0].path, limit=24),
        )
        _add(table, *names, short(d.n_docs), share, short(d.n_kept_docs))
    return _under("Content that is not what its name says", table)


def _end(path: str, *, limit: int) -> str:
    """A foreign path, safe to print; of a long one its end, which tells the most."""
    shown = plain(path)
    return shown if len(shown) <= limit else "..." + shown[3 - limit :]
