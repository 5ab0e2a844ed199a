"""What a run came to in a few lines: what came in, what came out, the balance, and what deserves a look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.config import said_sample

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pipeline.report.numbers import Numbers

STATUS_STYLES = {"pass": "green", "fail": "bold red", "warn": "yellow", "note": "cyan"}


@dataclass(frozen=True)
class Brief:
    """Title and lines; each line is a name, what is said, and a style of the terminal or none."""

    title: str
    lines: tuple[tuple[str, str, str | None], ...]


def brief_of(numbers: Numbers) -> Brief:
    """The first block of the report."""
    from pipeline.report.formats import exact, plain, sample_of, size

    t = numbers.totals
    lines: list[tuple[str, str, str | None]] = [
        ("in", f"{exact(t.n_docs)} documents, {size(t.n_bytes)}", None),
        ("kept", f"{exact(t.n_kept_docs)} documents, {size(t.n_kept_bytes)}, {exact(t.n_kept_tokens)} tokens", None),
        ("packed", f"{exact(t.n_packed_docs)} documents, {exact(t.n_packed_tokens)} tokens", None),
    ]
    for stream in numbers.streams:
        b = stream.balance
        prefix = f"worst prefix off by {exact(b.worst_prefix)} of {exact(b.max_prefix)} allowed"
        state = "exact" if b.is_exact else "BROKEN"
        tokens = f"{state}: code {exact(b.n_code_tokens)}, text {exact(b.n_text_tokens)} tokens"
        sequences = f"{exact(stream.n_sequences)} sequences of {exact(stream.packing.seq_len)}"
        lines.append(("phase", f"{plain(stream.name)}: {sequences}", None) if stream.name else ("", sequences, None))
        lines.append(("balance" if not stream.name else "", tokens, None))
        lines.append(("", f"asked for {b.code_parts}:{b.text_parts}; {prefix}", None if b.is_kept else "bold red"))
    if numbers.forms:
        psm, spm = (sum(getattr(f, name) for f in numbers.forms) for name in ("n_psm_docs", "n_spm_docs"))
        n_code = sum(f.n_docs for f in numbers.forms)
        said = f"{exact(psm + spm)} of {exact(n_code)} documents of code filled in, {exact(spm)} of them as SPM"
        lines.append(("forms", said, None))
    if numbers.repositories is not None:
        from pipeline.report.repositories import repositories_line

        lines.append(("repos", repositories_line(numbers.repositories), None))
    title = f"Mixture {plain(numbers.name)}"
    if (sample := numbers.sample) is not None:
        title = f"{title}: {said_sample(sample.rate)} of its input"
        lines.insert(0, ("sample", sample_of(sample.rate, sample.n_input_docs, sample.n_input_bytes), "yellow"))
    lines += [(notice.level, notice.message, STATUS_STYLES[notice.level]) for notice in numbers.notices]
    if not numbers.notices:
        lines.append(("note", "nothing to point out", None))
    return Brief(title, tuple(lines))


def drawn(brief: Brief) -> RenderableType:
    """As a terminal shows it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, said, style in brief.lines:
        table.add_row(Text(name), Text(said), style=style)  # Text: names from the data are no markup
    return Group(Text(brief.title, style="bold"), table)
