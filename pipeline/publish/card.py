"""The dataset card: what a mixture is made of, counted from its tables. Names in it are strangers': escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from pipeline.publish.facts import DOCUMENTS, SEQUENCES, Facts
from pipeline.publish.licenses import LICENSE_FILE, NONE_GIVEN, front_matter_of
from pipeline.publish.markdown import escaped, plain, table, tallied, to_state
from pipeline.publish.words import PACKED_COLUMNS, limits_of, personal_of, steps_of
from pipeline.schema import POOLS, TOKENIZER_FILE

CARD = "README.md"
# Hubs sort data sets into these by their number of rows.
_SIZES = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B", "1B<n<10B",
          "10B<n<100B", "100B<n<1T", "n>1T")  # fmt: skip
_ISO_639 = re.compile(r"[a-z]{2,3}")
_NEWER = {"iw": "he", "jw": "jv", "in": "id", "ji": "yi", "mo": "ro", "sh": "sr"}  # codes that were given up


_MORE = (
    "",
    "## More",
    "",
    "`croissant.json` says the same for programs; `training_content.md` is a draft of the public summary of training "
    "content that the European Union asks of providers of general-purpose models.",
)


def card(facts: Facts) -> str:
    """README.md: front matter that `datasets` and hubs read, then tables for people."""
    lines = [*_head(facts), *_made_of(facts), *_made(facts), *_limits(facts), *_MORE]
    return f"---\n{front_matter(facts)}---\n" + "\n".join(lines) + "\n"


def front_matter(facts: Facts) -> str:
    """The YAML at the top of the card: what files there are, and what hubs sort data sets by."""
    configs = [
        {"config_name": part.name, "data_files": part.glob, **({"default": True} if number == 0 else {})}
        for number, part in enumerate(part for part in facts.parts if part.loads)
    ]
    found = {
        "pretty_name": plain(facts.title),
        "language": languages_of(facts),
        **front_matter_of(facts),
        "task_categories": ["text-generation"],
        "size_categories": [size_of(facts.n_sequences)],
        "tags": ["code", "pretokenized", "packed-sequences", "loopmix"],
        "configs": configs,
    }
    return yaml.safe_dump(found, sort_keys=False, allow_unicode=False)


def size_of(n_rows: int) -> str:
    """The class of sizes that a number of rows belongs to."""
    return next((words for power, words in enumerate(_SIZES[:-1], start=3) if n_rows < 10**power), _SIZES[-1])


def languages_of(facts: Facts) -> list[str]:
    """Codes of ISO 639 of what enters, most tokens first, and `code` for programs."""
    found = ["code"] if facts.n_tokens["code"] else []
    for code, _ in sorted(facts.counts.prose.items(), key=lambda item: (-item[1], item[0] or "")):
        first = (code or "").partition("-")[0].lower()
        first = _NEWER.get(first, first)
        if _ISO_639.fullmatch(first) and first not in ("un", "und", "zxx"):
            found.append(first)
    return list(dict.fromkeys(found)) or ["und"]


def _head(facts: Facts) -> Iterator[str]:
    n_tokens = facts.n_tokens
    shares = ", ".join(f"{n_tokens[pool]:,} of {pool}" for pool in POOLS)
    lengths = " and ".join(f"{length:,}" for length in dict.fromkeys(one.seq_len for one in facts.streams))
    n_padding = sum(one.n_padding for one in facts.streams)
    said = facts.said
    yield from (f"# {escaped(facts.title)}", "")
    if facts.sample:
        yield from (f"**Made of {facts.sample} of its input: to look at, not to train on.**", "")
    yield (
        f"{facts.n_sequences:,} sequences of {lengths} token ids: {sum(n_tokens.values()):,} tokens ({shares}) and "
        f"{n_padding:,} of padding. Rows are in the order of training, in which code and text stay in balance."
    )
    yield ""
    yield (
        f"`{TOKENIZER_FILE}` made the ids (SHA-256 `{facts.tokenizer.sha256}`). Every document keeps its own licence: "
        f"`{LICENSE_FILE}` lists them. They are what sources say of their documents, not legal advice."
    )
    yield ""
    yield from table(
        ("who and where", ""),
        [
            ("made by", escaped(said.creator) if said.creator else to_state("creator")),
            ("contact", escaped(said.contact) if said.contact else to_state("contact")),
            ("published at", escaped(said.address) if said.address else to_state("address")),
            ("on", escaped(said.published) if said.published else to_state("date")),
            ("version", escaped(said.version)),
        ],
    )


def _made_of(facts: Facts) -> Iterator[str]:
    counts = facts.counts
    if len(facts.streams) > 1:
        rows = [
            (escaped(one.name), f"{one.seq_len:,}", f"{one.n_sequences:,}", *(f"{one.n_tokens[p]:,}" for p in POOLS))
            for one in facts.streams
        ]
        yield from ("", "## Phases", "", *table(("phase", "length", "sequences", *POOLS), rows))
    for part in facts.parts:
        if part.loads and part.kind == SEQUENCES:
            rows = [(f"`{name}`", PACKED_COLUMNS[name]) for name in part.schema.names]
            yield from ("", f"## Columns of `{part.name}`", "", *table(("column", "meaning"), rows))
        elif part.loads and part.kind == DOCUMENTS:
            yield from ("", f"The configuration `{part.name}` holds {part.meaning}.")
    yield from ("", "## Languages", "", *tallied(("pool", "language"), counts.by("pool", "language"), none="none"))
    if counts.prose:
        n_prose = max(1, sum(counts.prose.values()))
        ordered = sorted(counts.prose.items(), key=lambda item: (-item[1], item[0] or ""))
        rows = [(escaped(code or "unsure"), f"{n:,}", f"{n / n_prose:.2%}") for code, n in ordered if n]
        yield from ("", "## Natural languages of the texts", "", *table(("language", "tokens", "share"), rows))
    yield from ("", "## Licences", "", *tallied(("licence",), counts.by("license"), none=NONE_GIVEN))
    yield from ("", "## Sources", "", *tallied(("pool", "source"), counts.by("pool", "source"), none="none"))


def _made(facts: Facts) -> Iterator[str]:
    """How it came to be: every stage, and what the rules took away."""
    counts = facts.counts
    yield from ("", "## How it was made", "")
    rows = [(f"`{name}`", str(version), did) for name, version, did in steps_of(facts)]
    yield f"By Loopmix {facts.version} from the mixture {escaped(facts.mixture.name)} with seed {facts.mixture.seed}:"
    yield from ("", *table(("stage", "version", "what it did"), rows))
    n_docs, n_dropped = counts.total("n_docs"), counts.total("n_dropped_docs")
    yield from ("", "## Dropped", "")
    yield f"{n_dropped:,} of {n_docs:,} documents were dropped; one can have several reasons."
    ordered = sorted(counts.reasons.items(), key=lambda item: (-item[1], item[0]))
    yield from ("", *table(("reason", "documents"), [(escaped(name), f"{n:,}") for name, n in ordered]))
    quality = facts.mixture.quality
    without = f", without {', '.join(quality.without)}" if quality.without else ""
    own = f", and {len(quality.rules)} of its own" if quality.rules else ""
    yield from ("", f"Rules of the sets {', '.join(quality.sets) or 'none'}{without}{own} judged every document.")


def _limits(facts: Facts) -> Iterator[str]:
    yield from ("", "## Secrets and personal data", "", personal_of(facts))
    yield from ("", "## Limits", "", *(f"- {line}" for line in limits_of(facts)))
