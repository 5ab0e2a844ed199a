"""The report of `loopmix tokenizer-report`: as JSON can say it, and as lines of a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.report.table import ReportTable
    from tokenizer import Encoder
    from tokenizer.compare import VocabularyComparison

# Of a language: below it one or two files decide, so it stands in no mean. The languages that ship their samples in
# public test sets have this much from about ten files on.
MIN_MEAN_BYTES = 20_000
N_LANGUAGES = 40  # rows on a terminal; --json has all
N_EXAMPLES = 8  # entries named of each kind; --json has more
N_NAMED = 1_000
UNSEEN = (
    "These numbers hold only if the tokenizer never saw these files: on its own training sample every tokenizer "
    "looks better than it is."
)


def report_on(encoder: Encoder, *, file: str, paths: tuple[Path, ...], sample_bytes: int) -> dict[str, Any]:
    """What is said of a tokenizer. Without paths only what its file shows. ConfigError if they hold no text."""
    from pipeline.cli.unseen import documents_on
    from tokenizer import entries
    from tokenizer.compare import compare
    from tokenizer.peers import PEERS, installed

    peers, missing = installed()
    report: dict[str, Any] = {
        "file": file,
        "file_hash": encoder.file_hash,
        "n_entries": encoder.vocab_size,
        "n_text_entries": encoder.vocab_size - len(encoder.special_ids),
        "peers": {peer.name: {"n_entries": peer.n_entries, "missing": missing.get(peer.name)} for peer in PEERS},
        "unreachable": _named(encoder, entries.unreachable(encoder)),
        "sample": None,
    }
    if paths:
        found = compare(documents_on(paths, sample_bytes=sample_bytes), encoder=encoder, peers=peers)
        if not found.groups:
            raise ConfigError(f"tokenizer-report: no text in {', '.join(map(str, paths))}; give files that hold some")
        report["sample"] = _sample(found, encoder=encoder)
    return report


def _sample(found: VocabularyComparison, *, encoder: Encoder) -> dict[str, Any]:
    from tokenizer import entries

    uses, is_text = found.uses, np.ones(encoder.vocab_size, dtype=np.bool_)
    is_text[list(encoder.special_ids)] = False
    unused = is_text & (uses.counts == 0)
    # With one origin every entry would be its own.
    lonely = (uses.counts > 0) & ~uses.is_shared if found.n_origins > 1 else np.zeros_like(unused)
    means = {name: round(found.mean(name, min_bytes=MIN_MEAN_BYTES), 4) for name in found.vocabularies}
    return {
        "note": UNSEEN,
        "n_docs": sum(group.n_docs for group in found.groups),
        "n_bytes": sum(group.n_bytes for group in found.groups),
        "n_origins": found.n_origins,
        "mean_bytes_per_token": means,
        "min_mean_bytes": MIN_MEAN_BYTES,
        "n_mean_groups": sum(group.n_bytes >= MIN_MEAN_BYTES for group in found.groups),
        "groups": [
            {
                "group": group.group,
                "n_docs": group.n_docs,
                "n_bytes": group.n_bytes,
                "bytes_per_token": {name: round(group.bytes_per_token(name), 4) for name in found.vocabularies},
            }
            for group in found.groups
        ],
        "n_used": int((is_text & ~unused).sum()),
        "unused": _named(encoder, np.flatnonzero(unused).tolist()),
        "only_steps": _named(encoder, np.flatnonzero(unused & entries.steps(encoder)).tolist()),
        "one_origin": _named(encoder, sorted(np.flatnonzero(lonely).tolist(), key=lambda i: (-int(uses.counts[i]), i))),
    }


def _named(encoder: Encoder, ids: list[int]) -> dict[str, Any]:
    """How many, and the first of them: bytes that are no text are shown as such."""
    shown = [{"id": i, "text": encoder.decode([i]).decode(errors="backslashreplace")} for i in ids[:N_NAMED]]
    return {"n": len(ids), "entries": shown}


def lines(report: dict[str, Any]) -> Iterator[str]:
    """The report for a terminal."""
    from pipeline.report.terminal_table import table_lines

    n_text, sample = report["n_text_entries"], report["sample"]
    yield f"{report['file']}: {report['n_entries']:,} entries, {n_text:,} of them for text"
    for name, peer in report["peers"].items():
        if peer["missing"]:
            yield f"not compared with {name}: {peer['missing']}"
    yield ""
    if sample is None:
        yield "bytes per token: give files that the tokenizer was not trained on, --on PATH"
    else:
        yield from table_lines(_table(report))
        yield ""
        yield f"used by the sample: {sample['n_used']:,} of {n_text:,} entries ({sample['n_used'] / n_text:.1%})"
        yield from _entries("never used", sample["unused"])
        yield from _entries("of these, part of just one longer entry", sample["only_steps"])
        one = f"used by one of {sample['n_origins']:,} origins only"
        yield from _entries(one, sample["one_origin"]) if sample["n_origins"] > 1 else ()
    yield from _entries("unreachable (their own bytes give other ids)", report["unreachable"])


def _entries(what: str, found: dict[str, Any]) -> Iterator[str]:
    yield f"{what}: {found['n']:,}"
    room, shown = 74, []
    for entry in found["entries"][:N_EXAMPLES]:
        word = ascii(entry["text"])
        room -= len(word) + 2
        if room < 0:
            break
        shown.append(word)
    if shown:
        yield f"  such as {', '.join(shown)}"[:80]


def _table(report: dict[str, Any]) -> ReportTable:
    """Languages by bytes; behind each public vocabulary's rate stands nothing, so five of them fit 80 columns."""
    from pipeline.report.table import SIZE, TEXT, Column, Kind, ReportTable
    from tokenizer.compare import OURS

    rate, sample = Kind("{:.2f}".format), report["sample"]
    names = list(sample["mean_bytes_per_token"])
    peers = [name for name in names if name != OURS]
    columns = [Column("language", TEXT), Column("bytes", SIZE, 2), *(Column(name, rate) for name in names)]
    columns += [Column("of best", rate, 1)] if peers else []

    def row(title: str, n_bytes: int | None, rates: dict[str, float]) -> tuple[Any, ...]:
        best = max((rates[name] for name in peers), default=0.0)
        return (
            title,
            n_bytes,
            *(rates[name] for name in names),
            *((rates[OURS] / best if best else None,) if peers else ()),
        )

    mean = f"mean of {sample['n_mean_groups']} languages"
    rows = [row(mean, None, sample["mean_bytes_per_token"])]
    rows += [row(g["group"], g["n_bytes"], g["bytes_per_token"]) for g in sample["groups"][:N_LANGUAGES]]
    more = len(sample["groups"]) - N_LANGUAGES
    note = f"the mean counts languages of at least {MIN_MEAN_BYTES:,} bytes once each. {UNSEEN}"
    note += f" Languages left out here: {more}, --json has them" if more > 0 else ""
    return ReportTable("Bytes per token", columns, rows, note)
