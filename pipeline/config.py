"""The mixture: one frozen pydantic model per stage, read from strict YAML.

Strict means: unknown and duplicate keys, text where a number belongs (YAML reads `1e-3` and `262,144` as text, `no`
as false) and numbers out of range are errors that name file and dotted key. What changes the output lies in the file;
the command line decides only where the work runs. Each field's description is what `loopmix config` prints beside it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.fields import (
    Count,
    Frac,
    Frozen,
    Glob,
    Globs,
    Known,
    Language,
    License,
    Name,
    Option,
    ProseFormat,
    ProseLanguage,
    SourceName,
)
from pipeline.filters import Quality
from pipeline.phases import MAX_PHASES, Phase
from pipeline.publication import Publication
from pipeline.targets import Balance, Forms, Pack, TokenizerSample

_FIELDS = ("path", "repo", "revision", "license", "stars", "language")  # what a prefix may say of its document


def check_prefix(pattern: str) -> str:
    """`pattern` as it is; ValueError if RE2 does not take it, or if it names what no document has."""
    from pyarrow import ArrowInvalid, array
    from pyarrow.compute import extract_regex

    if pattern == "starcoderdata":
        return pattern
    try:
        named = extract_regex(array([""]), pattern=f"(?P<whole>{pattern})").type
    except ArrowInvalid as error:
        raise ValueError(f"{pattern!r} is no pattern of RE2 with named groups only: {error}") from None
    if strange := [field.name for field in named if field.name not in ("whole", *_FIELDS)]:
        raise ValueError(f"the group {strange[0]!r} names no column; expected one of {list(_FIELDS)}")
    return pattern


StripPattern = Annotated[str, Field(min_length=1), AfterValidator(check_prefix)]


class Columns(Frozen):
    """Which column or key holds what; null: the source has none, "": one that is there is not meant.

    Dots step into nested ones, as in `meta.license`.
    """

    content: str = Field("content", description="text or bytes of the document; the only one that must exist")
    path: str | None = Field(None, description="file path; null: `path`, if there is one, else file#number")
    repo: str | None = Field(None, description="repository name")
    revision: str | None = Field(None, description="commit or version")
    revision_time: str | None = Field(None, description="when that revision was made, timestamp or ISO 8601 text")
    license: str | None = Field(None, description="SPDX id, or a list of them, of which all hold: joined with AND")
    stars: str | None = Field(None, description="popularity count of the repository")
    language: str | None = Field(None, description="language by name or alias; decides; null: `language`, if any")


class Source(Frozen):
    """One place that documents come from."""

    name: Name = Field(description="unique; part of every doc_id and the balancing group of text")
    kind: Literal["directory", "git", "parquet", "jsonl", "huggingface", "datatrove", "plugin"] = Field(
        description="how to read it; huggingface: a folder of `save_to_disk`; plugin: an installed function"
    )
    path: str = Field("", description="folder, file or glob; relative to the mixture file; any fsspec URL")
    pool: Literal["code", "text", "auto"] = Field("auto", description="auto: decided per document by its language")
    license: License | None = Field(None, description="licence of documents that carry none of their own")
    repo: str | None = Field(None, description="repository of documents that carry none of their own")
    columns: Columns = Field(
        default_factory=Columns, description="mapping of parquet columns, jsonl keys, datatrove metadata"
    )
    explode: str | None = Field(
        None, description="column with a list of files in each row; each becomes a document, repeated ones a ledger row"
    )
    strip_prefix: StripPattern | None = Field(
        None, description="taken off each content: starcoderdata, or a pattern of RE2; named groups fill empty columns"
    )
    include: Globs = Field(
        ("*",), min_length=1, description='gitignore patterns of what to read; the last decides; ".*", "_*": hidden too'
    )
    exclude: Globs = Field((), description="gitignore patterns of what to leave out, folders too; the last decides")
    reader: str | None = Field(
        None, description="datatrove: class in datatrove.pipeline.readers; plugin: entry point in loopmix.sources"
    )
    reader_options: dict[str, Option | list[Option] | dict[str, Option]] = Field(
        default_factory=dict, description="datatrove, plugin: its arguments"
    )
    n_slices: Count = Field(1, description="datatrove, plugin: ranks the reader is divided into; one shard each")

    @model_validator(mode="after")
    def _kind_fits(self) -> Source:
        has_reader = self.kind in ("datatrove", "plugin")
        if has_reader and not self.reader:
            raise ValueError(f"a {self.kind} source needs `reader`")
        if not has_reader and (self.reader or self.reader_options):
            raise ValueError("`reader` and `reader_options` belong to datatrove and plugin sources only")
        if not has_reader and not self.path:
            raise ValueError("`path` is missing")
        if not has_reader and self.n_slices != 1:
            raise ValueError("`n_slices` belongs to sources with a `reader`; `ingest.shard_bytes` cuts the others")
        if has_reader and (self.include, self.exclude) != (("*",), ()):
            raise ValueError(f"`include` and `exclude` have no effect on {self.kind}; use its `reader_options`")
        if self.kind in ("directory", "git") and self.columns != Columns():
            raise ValueError("`columns` has no effect on files; it belongs to parquet, jsonl and datatrove sources")
        if self.kind not in ("parquet", "jsonl", "huggingface") and self.explode is not None:
            raise ValueError("`explode` belongs to parquet, jsonl and huggingface sources only")
        return self


class Ingest(Frozen):
    """Cut the sources into shards. The partition made here lasts until packing."""

    shard_bytes: Annotated[int, Field(ge=1024)] = Field(64_000_000, description="raw bytes a shard aims at")
    max_document_bytes: Count = Field(8_000_000, description="larger documents get a ledger row but no content")
    max_rows: Count = Field(
        1_000_000_000, description="one input file with more rows is refused as a bad one; docs/cluster.md says why"
    )
    max_unpacked_frac: Annotated[float, Field(ge=1)] = Field(
        5_000.0,
        description="the same of a file that makes more bytes than this for each of its own; a row counts as 512 more",
    )
    max_unreadable_frac: Frac = Field(
        0.01, description="more unread rows of one source or file are a warning in terminal, report and verify"
    )
    min_encoding_confidence: Frac = Field(
        0.75, description="documents in an old 8-bit or East Asian encoding that is less sure are dropped, not guessed"
    )
    notebooks: Literal["script", "keep"] = Field(
        "script",
        description="Jupyter notebooks (.ipynb): script: code, with the text of other cells as comments; keep: JSON",
    )
    sample: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None, description="a trial: this share of the input, equal documents together; also --sample; null: all of it"
    )


def said_sample(rate: float | None) -> str:
    """What of its input a run takes, in words."""
    return "the whole of its input" if rate is None else f"a sample of {100 * rate:.3g}%"


class Exchange(Frozen):
    """How a global stage divides its keys. The count follows the mixture and its input, never the number of CPUs."""

    n_partitions: Count | None = Field(
        None, description="partitions of the key space; bounds the memory of one task; null: by the bytes of the input"
    )


class Partitioned(Exchange):
    """The same where the input is known."""

    n_partitions: Count


class Override(Frozen):
    """Languages that the mixture knows better than any rule. The first override that fits a document decides."""

    path: Glob = Field("*", description="gitignore pattern on the document's path")
    source: SourceName | None = Field(None, description="only documents of this source; null: of all")
    language: Language = Field(min_length=1, description="linguist's name or an alias; Text for prose")
    pool: Literal["code", "text"] | None = Field(None, description="null: by the language, unless the source says")


class Classify(Frozen):
    """Which language a document is in."""

    min_confidence: Frac = Field(
        0.35, description="content verdicts below it become Other code or unknown, which is dropped"
    )
    max_scan_bytes: Count = Field(8_192, description="bytes that content rules and the classifier read from the start")
    classifier: Literal["loopmix", "guesslang"] = Field(
        "loopmix", description="loopmix: our model, with guesslang's as second voter; guesslang: that one alone"
    )
    overrides: tuple[Override, ...] = Field((), description="languages by source or path pattern; the first that fits")
    merge: dict[Language, Language] = Field(
        default_factory=dict, description="languages to count as another: {Batchfile: Shell}"
    )
    prose_in: dict[ProseFormat, Literal["keep", "apart", "text"]] = Field(
        default_factory=dict,
        description="prose in a format: keep it there; apart: in a group of its own, `XML prose`; text: in that pool",
    )

    @model_validator(mode="after")
    def _merge_is_flat(self) -> Classify:
        if chained := sorted(set(self.merge) & set(self.merge.values())):
            raise ValueError(f"`merge` maps {chained[0]} and maps to it; write the last name for each")
        return self


class Words(Frozen):
    """What a word is. Shingles are made of words."""

    kind: Literal["identifiers", "unicode"] = Field(
        "identifiers", description="letters, digits, marks and _ of any script; identifiers: operators count too"
    )
    fold_case: bool = Field(False, description="capitals count as small letters")
    skip_header: bool = Field(True, description="a leading comment that speaks of rights does not count")


_PROSE = {"kind": "unicode", "fold_case": True}
NEAR_DUP_PRESETS: dict[str, dict[str, Any]] = {
    "mixed": {"text_words": _PROSE},
    "code": {},
    "text": {"code_words": _PROSE, "text_words": _PROSE},
    "the-stack-v2": {"n_bands": 25, "rows_per_band": 10, "n_hashes": 256},
    "fineweb": {"code_words": _PROSE, "text_words": _PROSE, "n_bands": 14, "rows_per_band": 8, "n_hashes": 112},
}


class Privacy(Frozen):
    """Find secrets and personal data, and put placeholders in their place before anything is made of the text."""

    policies: dict[Annotated[str, Known("secret")], Literal["report", "redact", "drop"]] = Field(
        default_factory=dict,
        description="by kind or class (key, token, private_key, password, email, address): report: count only; redact: "
        "a placeholder; drop: the document; a kind goes before its class, and what is not named is redacted",
    )


class NearDups(Exchange):
    """MinHash-LSH over shingles of words, every candidate verified by exact Jaccard."""

    preset: Literal["mixed", "code", "text", "the-stack-v2", "fineweb"] = Field(
        "mixed", description="where settings that are not given come from; mixed: words by pool, 25 bands of 5"
    )
    shingle_words: Count = Field(5, description="words in a shingle; shorter documents are one shingle")
    code_words: Words = Field(default_factory=Words, description="words of documents in the code pool")
    text_words: Words = Field(default_factory=Words, description="words of documents in the text pool")
    n_hashes: Annotated[int, Field(ge=1, le=4096)] = Field(128, description="permutations; hashes in a signature")
    n_bands: Count = Field(25, description="LSH bands")
    rows_per_band: Count = Field(5, description="hashes in a band; bands x rows may not exceed n_hashes")
    min_similarity: Annotated[float, Field(gt=0, le=1)] = Field(0.7, description="verified Jaccard of a near duplicate")
    min_stored_similarity: Annotated[float, Field(gt=0, le=1)] = Field(
        0.5, description="verified pairs are stored down to it; min_similarity can move above it without new work"
    )
    max_bucket_docs: Annotated[int, Field(ge=2)] = Field(
        64, description="buckets up to this size list all pairs; larger ones are compared with their keepers only"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        preset = data.get("preset", "mixed")
        return {**NEAR_DUP_PRESETS.get(preset, {}), **data} if isinstance(preset, str) else data

    @model_validator(mode="after")
    def _numbers_fit(self) -> NearDups:
        if self.n_bands * self.rows_per_band > self.n_hashes:
            wanted = self.n_bands * self.rows_per_band
            raise ValueError(f"n_bands x rows_per_band is {wanted}, above n_hashes {self.n_hashes}; raise n_hashes")
        if self.min_stored_similarity > self.min_similarity:
            raise ValueError("min_stored_similarity is above min_similarity; no pair in between would be found")
        return self


class Against(Frozen):
    """What to compare with: a finished run, whose kept documents count as kept here, or a benchmark to avoid."""

    name: Name = Field(description="shown in the report and in `why`")
    kind: Literal["run", "parquet", "jsonl", "directory"] = Field(description="run: a run folder; else a benchmark")
    path: str = Field(min_length=1, description="run folder, or file, folder or glob of the benchmark")
    content: str = Field("content", description="benchmarks: column or key of an item's text")
    ngram_words: Annotated[int, Field(ge=5)] = Field(13, description="benchmarks: runs of equal words of that length")
    min_telling_words: Count = Field(
        2, description="benchmarks: such runs in one place, with so many different words that tell the item"
    )
    min_contained_frac: Frac = Field(
        0.5, description="benchmarks: or, in one place, such a share of an item's 5-word shingles"
    )


def source_of(entry: Against) -> Source:
    """A benchmark as a source that can be read."""
    kind = entry.kind
    assert kind != "run"
    columns = Columns() if kind == "directory" else Columns(content=entry.content)
    return Source(name=entry.name, kind=kind, path=entry.path, columns=columns)


class Select(Exchange):
    """Choose the keepers and write every reason."""

    drop_languages: tuple[Language, ...] = Field((), description="languages that never enter")
    drop_licenses: tuple[Literal["permissive", "unknown", "copyleft", "other"], ...] = Field(
        (), description="licence classes that never enter; other: all that is said and not permissive, copyleft too"
    )
    license_of_equals: Literal["freest", "strictest"] = Field(
        "strictest",
        description="strictest: equal documents may enter if none is dropped; freest: if one states a licence that may",
    )
    drop_prose_in: tuple[ProseFormat, ...] = Field((), description="formats whose documents of prose never enter")
    drop_prose_languages: tuple[ProseLanguage, ...] = Field(
        (), description="natural languages whose texts never enter: codes as en, pt, zh-Hant"
    )
    keep_prose_languages: tuple[ProseLanguage, ...] = Field(
        (),
        description="the only natural languages whose texts enter, and texts where it is unsure; empty: all",
    )
    drop_unknown: bool = Field(True, description="drop documents whose language could not be told")
    max_loss: Frac = Field(
        0.95,
        description="share of its documents that a source, a language or a repository (of at least a hundredth of all "
        "documents) may lose to rules and duplicates; more stops the run",
    )
    allow_loss: tuple[str, ...] = Field((), description="sources, languages, repositories that may lose more")


class Tokenizer(Frozen):
    """The byte-level BPE that turns documents into token ids."""

    path: str = Field("builtin", description="tokenizer.json, relative to the mixture file; builtin: the shipped one")
    sample: TokenizerSample = Field(default_factory=TokenizerSample, description="what train-tokenizer learns from")


def _twice(key: str, names: list[str]) -> str:
    """What is said of a name that is given twice, with the place of the second."""
    again = next(i for i, name in enumerate(names) if name in names[:i])
    return f"{key}.{again}.name: two {key} share a name: [{names[again]!r}]; give each its own"


class Mixture(Frozen):
    """Everything that decides the bytes of a run."""

    name: Name = Field(description="shown in the report")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="key of every random choice")
    sources: tuple[Source, ...] = Field(min_length=1, description="where documents come from")
    ingest: Ingest = Field(default_factory=Ingest)
    against: tuple[Against, ...] = Field((), description="runs and benchmarks that new documents may not repeat")
    exact_dups: Exchange = Field(default_factory=Exchange, description="Group equal documents.")
    classify: Classify = Field(default_factory=Classify)
    quality: Quality = Field(default_factory=Quality)
    privacy: Privacy = Field(default_factory=Privacy)
    near_dups: NearDups = Field(default_factory=NearDups)
    select: Select = Field(default_factory=Select)
    tokenizer: Tokenizer = Field(default_factory=Tokenizer)
    forms: Forms = Field(default_factory=Forms)
    balance: Balance = Field(default_factory=Balance)
    pack: Pack = Field(default_factory=Pack)
    phases: tuple[Phase, ...] = Field(
        (), max_length=MAX_PHASES, description="parts of the training, in their order; none: one stream of all"
    )
    publish: Publication = Field(default_factory=Publication)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Mixture:
        names = [s.name for s in self.sources]
        if len(set(names)) != len(names):
            raise ValueError(_twice("sources", names))
        others = [a.name for a in self.against]
        if len(set(others)) != len(others):
            raise ValueError(_twice("against", others))
        return self

    @model_validator(mode="after")
    def _phases_fit(self) -> Mixture:
        if not self.phases:
            return self
        names = [phase.name for phase in self.phases]
        if len(set(names)) != len(names):
            raise ValueError(_twice("phases", names))
        wrong: list[str] = []
        if self.balance.total_tokens is not None:
            wrong.append("phases have tokens of their own; take balance.total_tokens out")
        if (n_open := sum(phase.tokens is None for phase in self.phases)) > 1:
            wrong.append(f"{n_open} phases have no `tokens`; only one can have what the others leave")
        wrong += [f"balance.{cap} cannot be held over several phases; take it or them out" for cap in self.balance.caps]
        if wrong:
            raise ValueError("; ".join(wrong))
        batch = self.pack.global_batch
        for phase in self.phases:
            if self.forms.fim is not None and (phase.seq_len or self.pack.seq_len) < self.pack.seq_len:
                raise ValueError(
                    f"forms.fim fits pieces to pack.seq_len {self.pack.seq_len:,}, which the sequences of phase "
                    f"{phase.name}, of {phase.seq_len:,} tokens, would cut; let the shortest be pack.seq_len"
                )
            if batch is not None and batch * self.pack.seq_len % (phase.seq_len or self.pack.seq_len):
                raise ValueError(
                    f"pack.global_batch: {batch:,} sequences of {self.pack.seq_len:,} tokens are no whole number of "
                    f"those of phase {phase.name}, of {phase.seq_len:,}"
                )
        return self
