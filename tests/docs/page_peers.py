"""The page that sets Loopmix beside its peers: tables that other pages measured, copied and never typed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
HEAD = """\
<!-- Made by tests/docs/page_peers.py from the pages that measure: LOOPMIX_WRITE_DOCS=1 pytest tests/docs. -->
# Beside its peers

Every table is copied from the page that measured it, which names the script, the machine, the versions and what does
not compare. Speed is in CPU seconds on the same bytes in one run.
"""
TAIL = """\
## What others do and Loopmix does not

- Crawl, fetch or extract text from HTML: datatrove, NeMo Curator and Dolma's toolkit do.
- Run on GPUs: NeMo Curator deduplicates there.
- Remove equal substrings inside documents that differ otherwise: `deduplicate-text-datasets` does.
- Score with a large language model; Loopmix takes fastText and ONNX models ([plugins.md](plugins.md)).
- Train at scale: Megatron-LM, torchtitan, OLMo-core, nanotron do, and [read what Loopmix exports](data.md#exports).
"""


@dataclass(frozen=True)
class Copied:
    """A table of another page, found by how its first row begins, and what is said above it."""

    heading: str
    page: str
    begins: str
    said: str


COPIED = (
    Copied("The whole path", "speed.md", "| 10 MB | CPU-s | MB/CPU-s |",
           "datatrove's filters and near dedup on the same input; it drops, balances and packs nothing there."),
    Copied("Near dedup", "dedup.md", "| | MB/CPU-s |",
           "Same job, same parquet in and out; ours verifies every pair, theirs do not."),
    Copied("Languages by content alone", "languages/README.md", "| content only, 103 languages |",
           "Top-1 accuracy and macro-F1 on files that nothing was trained on; in brackets ours on the peer's sample."),
    Copied("Languages with file names", "languages/README.md", "| with names |", "Accuracy and macro-F1."),
    Copied("Code or prose", "languages/README.md", "| code or prose |", "Share that is right."),
    Copied("Files a second", "languages/README.md", "| files for each CPU second |", "Whole files, one process."),
    Copied("Tokens", "tokenizer.md", "| | MB | ours | cl100k |",
           "Bytes per token, higher is better; ours has 76,800 entries, the others 100,256 to 199,998."),
    Copied("Training", "training.md", "| 1M shape, 4 x 512 tokens |",
           "Beside a plain Llama in torch, on two CPU cores."),
)  # fmt: skip


def peers() -> str:
    """The page."""
    parts = [HEAD]
    for one in COPIED:
        rows = table_of(DOCS / one.page, one.begins)
        more = [one.said, "", *rows] if rows else ["Not measured in the present form; what has been stands there."]
        parts.append("\n".join([f"## {one.heading}", "", *more, "", f"From [{one.page}]({one.page}).", ""]))
    parts.append("\n".join(["## Filters", "", *paragraph(DOCS / "filters.md", "`opencoder` against"), "",
                            "From [filters.md](filters.md).", ""]))  # fmt: skip
    parts.append("\n".join(["## Secrets", "", *table_of(DOCS / "privacy.md", "| | |"), "",
                            "From [privacy.md](privacy.md#numbers).", ""]))  # fmt: skip
    return "\n".join([*parts, TAIL])


def table_of(page: Path, begins: str) -> list[str]:
    """The lines of a table whose first row begins so; none where the page has none."""
    lines = page.read_text(encoding="utf-8").splitlines()
    at = next((i for i, line in enumerate(lines) if line.startswith(begins)), len(lines))
    found = []
    for line in lines[at:]:
        if not line.startswith("|"):
            break
        found.append(line)
    return found


def paragraph(page: Path, holding: str) -> list[str]:
    """The sentences of a page from those words on, to the end of their paragraph."""
    text = page.read_text(encoding="utf-8")
    return text[text.index(holding) :].partition("\n\n")[0].split("\n")
