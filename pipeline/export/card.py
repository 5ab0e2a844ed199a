"""The dataset card: what a mixture is made of, counted from its ledger. Names in it are strangers': escaped."""

import html
import string
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import yaml

from pipeline.export.columns import PACKED_COLUMNS
from pipeline.export.finished import Finished
from pipeline.schema import POOLS, TOKENIZER_FILE

_MAX_ROWS = 100  # of a table; the others are one row
_NO_LICENSE = "none given"
# The hub sorts data sets into these by their number of rows.
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
_LARGER = ((10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"))
_COUNTED = ("pool", "language", "license", "source", "reasons", "n_packed_tokens")

Counts = dict[tuple[str, ...], list[int]]  # name -> documents, tokens


@dataclass
class Composition:
    """Documents and packed tokens of a run by language, licence and source; dropped documents by reason."""

    languages: Counts = field(default_factory=dict)
    licenses: Counts = field(default_factory=dict)
    sources: Counts = field(default_factory=dict)
    reasons: Counts = field(default_factory=dict)
    n_documents: int = 0
    n_dropped: int = 0

    def add(self, ledger: pa.Table) -> None:
        """Count one shard of the ledger."""
        self.n_documents += ledger.num_rows
        columns = (ledger[name].to_pylist() for name in _COUNTED)
        for pool, language, license_, source, reasons, n_tokens in zip(*columns, strict=True):
            self.n_dropped += bool(reasons)
            for reason in reasons:
                _count(self.reasons, (reason,), 0)
            if n_tokens:
                _count(self.languages, (pool, language), n_tokens)
                _count(self.licenses, (license_ if license_ is not None else _NO_LICENSE,), n_tokens)
                _count(self.sources, (pool, source), n_tokens)


def _count(counts: Counts, name: tuple[str, ...], n_tokens: int) -> None:
    entry = counts.setdefault(name, [0, 0])
    entry[0] += 1
    entry[1] += n_tokens


def card(source: Finished, of: Composition) -> str:
    """README.md of a hub folder: front matter that `datasets` reads, then tables for people."""
    tally, name = source.tally, source.run.mixture.name
    if source.phase is not None:
        name = f"{name}-{source.phase.name}"
    spelled_by = f"../{TOKENIZER_FILE}" if source.folder else TOKENIZER_FILE
    n_tokens = sum(tally.n_tokens.values())
    shares = [f"{tally.n_tokens[pool]:,} of {pool}" for pool in POOLS]
    lines = [
        f"# {escaped(name)}",
        "",
        *([f"**Made of {source.sample} of its input: to look at, not to train on.**", ""] if source.sample else []),
        f"{tally.n_sequences:,} sequences of {source.seq_len:,} token ids: {n_tokens:,} tokens ({', '.join(shares)}) "
        f"and {tally.n_padding:,} of padding, in {tally.n_pieces:,} pieces of documents. Rows are in the order of "
        "training, in which code and text stay in balance.",
        "",
        f"`{spelled_by}` made the ids: {source.vocab_size:,} entries. Id {source.eos_id} ends every document and "
        "fills what is behind `n_real`.",
        "",
        "Every document keeps its own licence. The licences below are what its source said of it, not legal advice; "
        "the configuration `documents` names file, repository and licence of every document of which tokens are here.",
        "",
        "## Columns of `sequences`",
        "",
        *table(("column", "meaning"), [(f"`{column}`", PACKED_COLUMNS[column]) for column in source.schema.names]),
        *_section("Languages", ("pool", "language"), of.languages, total=n_tokens),
        *_section("Licences", ("licence",), of.licenses, total=n_tokens),
        *_section("Sources", ("pool", "source"), of.sources, total=n_tokens),
        *_dropped(of),
    ]
    return f"---\n{front_matter(name, n_sequences=tally.n_sequences)}---\n" + "\n".join(lines) + "\n"


def front_matter(name: str, *, n_sequences: int) -> str:
    """The YAML at the top of the card: what files there are, as `datasets` and hubs read it."""
    size = next((words for n, words in (*_SIZES, *_LARGER) if n_sequences < n), "10B<n<100B")
    found = {
        "pretty_name": name,
        "license": "other",  # of each document its own
        "task_categories": ["text-generation"],
        "size_categories": [size],
        "tags": ["code", "pretokenized", "packed-sequences"],
        "configs": [
            {"config_name": "sequences", "data_files": "data/*.parquet", "default": True},
            {"config_name": "documents", "data_files": "documents/*.parquet"},
        ],
    }
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=False)


def _section(title: str, names: Sequence[str], counts: Counts, *, total: int) -> list[str]:
    """A table of documents, tokens and shares, most tokens first."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1][1], item[0]))
    rows = [(*map(escaped, name), f"{docs:,}", f"{n:,}", f"{n / max(1, total):.2%}") for name, (docs, n) in ordered]
    if rest := ordered[_MAX_ROWS:]:
        docs, n = (sum(count[i] for _, count in rest) for i in (0, 1))
        blank = [""] * (len(names) - 1)
        rows[_MAX_ROWS:] = [(f"{len(rest)} more", *blank, f"{docs:,}", f"{n:,}", f"{n / max(1, total):.2%}")]
    return ["", f"## {title}", "", *table((*names, "documents", "tokens", "share"), rows)]


def _dropped(of: Composition) -> list[str]:
    """Which reasons dropped how many documents; one may have several."""
    said = f"{of.n_dropped:,} of {of.n_documents:,} documents were dropped; one can have several reasons."
    ordered = sorted(of.reasons.items(), key=lambda item: (-item[1][0], item[0]))
    rows = [(escaped(name), f"{docs:,}") for (name,), (docs, _) in ordered]
    return ["", "## Dropped", "", said, "", *table(("reason", "documents"), rows)]


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a Markdown table; cells are escaped already."""
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def escaped(text: str) -> str:
    """A name as Markdown shows it letter by letter: no mark-up, link, HTML or cell of a table can come of it."""
    plain = "".join(_escape(letter) for letter in text)
    return " ".join(plain.split()) or "(empty)"


def _escape(letter: str) -> str:
    if letter in "&<>\"'":
        return html.escape(letter)
    if letter in string.punctuation:
        return f"\\{letter}"
    if letter.isspace():
        return " "
    # Control, direction and private characters, and surrogates, which no file could hold.
    return "\ufffd" if unicodedata.category(letter).startswith("C") else letter
