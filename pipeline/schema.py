"""The columns of every table, in one place. A table is a set of shards; see `store.py` for where they lie.

All tables but `similar`, `near_dups` and `packed` are *aligned*: shard k has one row for each row of shard k of
`documents`, in the same order, so a join is reading side by side. A document's `position` is its shard number times
2**32 plus its row: eight bytes that name a document inside one run. Exchanges move positions, hashes and counts, never
text.

Types: `doc_id` is 32 hex characters, a 128-bit hash of source, input_file and input_row (not of the text, so that exact
duplicates stay visible). Counts are int64, fractions float64 in [0, 1].
"""

from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from pipeline.errors import SchemaError
from pipeline.features import FEATURES

POOLS = ("code", "text")
PROSE_GROUP = "{} prose"  # the group of a format's documents of prose, where a mixture sets them apart
OTHERS = "others"  # the key under which mixtures and reports pool all groups that are not named


@dataclass(frozen=True)
class Table:
    """A table's name, which is its folder and its stage's name too, and its columns.

    An aligned table has one row for each row of `documents`, shard by shard, in the same order. A mapped one lies in
    plain Arrow files instead of Parquet: it is read where it is, without a copy.
    """

    name: str
    schema: pa.Schema
    aligned: bool = True
    mapped: bool = False

    @property
    def suffix(self) -> str:
        """How the names of its shards end."""
        return "arrow" if self.mapped else "parquet"


def _required(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


def _table(name: str, *columns: pa.Field, aligned: bool = True, mapped: bool = False) -> Table:
    return Table(name, pa.schema(columns), aligned, mapped)


def _required_list(name: str, item: pa.DataType) -> pa.Field:
    return pa.field(name, pa.list_(pa.field("element", item, nullable=False)), nullable=False)


DOCUMENTS = _table(
    "documents",
    _required("doc_id", pa.string()),
    _required("source", pa.string()),  # the source's name in the mixture
    pa.field("repo", pa.string()),
    _required("path", pa.string()),  # as the source gives it; never opened, only classified and shown
    pa.field("revision", pa.string()),
    pa.field("revision_time", pa.timestamp("us", tz="UTC")),  # decides "newest" between copies
    pa.field("license", pa.string()),
    pa.field("stars", pa.int64()),
    _required("pool_hint", pa.string()),  # code, text or auto, from the source
    pa.field("language_label", pa.string()),  # what the source calls the language, if the mixture maps a column
    _required("content", pa.large_binary()),  # UTF-8 wherever `encoding` says it could be decoded
    _required("n_bytes", pa.int64()),  # of content
    _required("content_hash", pa.binary(16)),  # xxh3-128 of content
    _required("encoding", pa.string()),  # of the raw bytes: utf-8, cp1252, ..., utf-8-damaged, binary, unread
    pa.field("encoding_confidence", pa.float32()),  # 1: the bytes leave no doubt; below, a guess; null: binary, unread
    _required("n_replaced", pa.int64()),  # characters U+FFFD in content that stand for bytes that could not be read
    _required("n_repaired", pa.int64()),  # damaged places of UTF-8 read as what they are: CESU-8, a line of cp1252
    _required("input_file", pa.string()),  # relative to the source's root
    _required("input_row", pa.int64()),  # its number in the file, of JSON the byte where it starts: docs/ingest.md
    pa.field("problem", pa.string()),  # why it is no document: too_large, unreadable_row, lfs_pointer, ...
    pa.field("made_from", pa.string()),  # the format that content was taken out of, so it is not the file's: ipynb
    _required_list("lost_fields", pa.string()),  # mapped fields that are null because what they held could not be read
)

EXACT_DUPS = _table(
    "exact_dups",
    _required("doc_id", pa.string()),
    _required("group_position", pa.uint64()),  # position of the group's first document by doc_id, its representative
    _required("group_size", pa.int64()),  # documents with these bytes, this one included
    _required("is_first", pa.bool_()),  # this document is the representative
)

LANGUAGES = _table(
    "languages",
    _required("doc_id", pa.string()),
    _required("pool", pa.string()),  # code or text
    _required("language", pa.string()),  # linguist's name; "Text" for prose
    _required("confidence", pa.float64()),
    _required("decided_by", pa.string()),  # hint, filename, extension, shebang, classifier, ...; all in report/words.py
    _required("group", pa.string()),  # unit of balancing: the family of its language (code), its source (text)
    pa.field("runner_up", pa.string()),  # the second likeliest language; null where content was not looked at
    pa.field("runner_up_confidence", pa.float64()),
    # code, prose, data, binary, empty: by content, whatever the name says; prose in XML, HTML and data formats too
    _required("content_kind", pa.string()),
)

FINDING = pa.struct([_required("kind", pa.string()), _required("start", pa.int64()), _required("end", pa.int64())])

REDACTED = _table(
    "redacted",
    _required("doc_id", pa.string()),
    # secrets and personal data by their bytes in `documents`, in order, whatever their policy; never their values
    _required_list("findings", FINDING),
    pa.field("content", pa.large_binary()),  # with placeholders; null: as in documents
)

FIRED = pa.struct([_required("rule", pa.string()), _required("value", pa.float64())])

_FEATURE_TYPES = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}

QUALITY = _table(
    "quality",
    _required("doc_id", pa.string()),
    *(pa.field(name, _FEATURE_TYPES[f.kind], nullable=f.nullable) for name, f in FEATURES.items()),
    pa.field("prose_language", pa.string()),  # of texts: a code as en or zh-Hant; null: code, or it could not be told
    _required_list("marks", pa.string()),  # what the document is, beside its language: lock_file, vendored, ...
    pa.field("extra", pa.map_(pa.string(), pa.float64())),  # numbers of plug-ins and scorers by name; null: none asked
)

JUDGED = _table(
    "judged",
    _required("doc_id", pa.string()),
    _required_list("fired", FIRED),  # every rule that fires, with the measured value, in documented order
)

SIGNATURES = _table(
    "signatures",
    _required("n_shingles", pa.int64()),  # repeats included; 0: not signed (an equal document is, or no words)
    _required("digest_high", pa.uint64()),  # 128 bits of all its shingles in order; 0 where it is not signed
    _required("digest_low", pa.uint64()),
    pa.field("signature", pa.list_(pa.field("element", pa.uint32(), nullable=False))),
    # of the same words and of its rights comment, which did not count; null: it has none, or it counts
    pa.field("signature_with_header", pa.list_(pa.field("element", pa.uint32(), nullable=False))),
)

# What a document shares with an item of a benchmark, and where; words are counted from 0, `last` is the one behind.
MATCH = pa.struct(
    [
        _required("benchmark", pa.string()),
        _required("item", pa.int64()),  # its number in that benchmark, from 0
        _required("n_ngrams", pa.int64()),  # distinct n-grams that stand in the item too
        _required("n_telling_words", pa.int64()),  # different words in them that tell the item from other texts
        _required("contained_frac", pa.float64()),  # share of the item's telling 5-word shingles; 0 below 0.3
        _required("first_word", pa.int64()),  # the place in the document
        _required("last_word", pa.int64()),
        _required("first_item_word", pa.int64()),  # the same in the item
        _required("last_item_word", pa.int64()),
    ]
)

OVERLAPS = _table(
    "overlaps",
    _required("doc_id", pa.string()),
    _required_list("matches", MATCH),  # at most two of each benchmark
)

NEAR_DUPS = _table(
    "near_dups",
    _required("doc_id", pa.string()),
    _required("other_id", pa.string()),
    _required("similarity", pa.float64()),  # exact Jaccard of the two shingle sets
    _required("containment", pa.float32()),  # share of the smaller shingle set that lies in the other, exact
    _required("position", pa.uint64()),
    _required("other_position", pa.uint64()),
    aligned=False,
)

# Members of crowds: buckets with too many documents to list all pairs. Arrow files beside `similar`.
CROWDS = pa.schema(
    [
        _required("position", pa.uint64()),
        _required("doc_id", pa.string()),
        _required("keys", pa.large_list(pa.uint64())),  # of its crowded buckets
        _required("shingles", pa.large_list(pa.uint64())),  # without repeats
    ]
)

SELECT = _table(
    "select",
    _required("doc_id", pa.string()),
    _required("keep", pa.bool_()),
    _required_list("reasons", pa.string()),  # all reasons in documented order; empty when kept
    pa.field("keeper_id", pa.string()),
    pa.field("similarity", pa.float64()),  # to the keeper, verified; 1.0 for an exact duplicate
    pa.field("judged_id", pa.string()),  # an equal document whose licence or contamination holds for this one too
)

# Of runs whose mixture asks for forms alone.
FORMS = _table(
    "forms",
    _required("doc_id", pa.string()),
    _required("form", pa.string()),  # plain, or fill-in-the-middle: psm, spm; plain for all that is dropped too
    pa.field("repo_place", pa.int32()),  # in the order of its repository's files, from 0; null: it stands alone
    pa.field("repo_size", pa.int32()),  # how many files these are
    pa.field("repo_part", pa.uint64()),  # hash of the repository and its part of about a megabyte
    pa.field("imports", pa.list_(pa.field("element", pa.int32(), nullable=False))),  # places of files that it imports
)

# Ids hardly compress (zstd takes a third of the size off for thirty times the time of writing them as they are), and
# `packed` copies slices of them in another order: so they are mapped.
TOKENS = _table(
    "tokens",
    _required("doc_id", pa.string()),
    pa.field("token_ids", pa.large_list(pa.field("element", pa.uint32(), nullable=False))),  # null if dropped
    _required("n_tokens", pa.int64()),  # the end-of-document token included
    mapped=True,
)

BALANCE = _table(
    "balance",
    _required("doc_id", pa.string()),
    _required("n_tokens", pa.int64()),
    _required("n_copies", pa.int64()),  # whole copies in the mixture
    _required("cut_tokens", pa.int64()),  # tokens of one more, truncated copy; 0: none
    pa.field("over_cap", pa.string()),  # of a kept document: the cap that keeps it out, max_repo_frac, max_mark_frac.x
)

# The same table of a mixture with phases. Lists hold one number for each phase, in the order of training.
PHASED_BALANCE = _table(
    "balance",
    *BALANCE.schema,  # of all phases together: cut_tokens may be those of several truncated copies
    _required_list("phase_copies", pa.int64()),
    _required_list("phase_cut_tokens", pa.int64()),
)

LEDGER = _table(
    "ledger",
    _required("doc_id", pa.string()),
    _required("source", pa.string()),
    pa.field("repo", pa.string()),
    _required("path", pa.string()),
    pa.field("revision", pa.string()),
    pa.field("license", pa.string()),
    _required("pool", pa.string()),
    _required("language", pa.string()),
    _required("decided_by", pa.string()),
    _required("n_bytes", pa.int64()),
    _required("keep", pa.bool_()),
    # packed (with whole copies, and perhaps the beginning of one more), cut (enters with its beginning alone), surplus
    # (kept, not needed for the balance), dropped
    _required("fate", pa.string()),
    _required_list("reasons", pa.string()),
    _required_list("fired", FIRED),
    pa.field("keeper_id", pa.string()),
    pa.field("similarity", pa.float64()),
    pa.field("judged_id", pa.string()),
    _required("group", pa.string()),
    _required("n_tokens", pa.int64()),
    _required("n_copies", pa.int64()),
    _required("n_packed_tokens", pa.int64()),
    pa.field("over_cap", pa.string()),  # which cap below balance.code or balance.text keeps it out
    pa.field("form", pa.string()),  # of its tokens: plain, psm or spm; null: it has none
)

SIMILAR = Table("similar", NEAR_DUPS.schema, aligned=False)
TABLES = (
    DOCUMENTS,
    EXACT_DUPS,
    LANGUAGES,
    REDACTED,
    QUALITY,
    JUDGED,
    OVERLAPS,
    SIGNATURES,
    SIMILAR,
    NEAR_DUPS,
    SELECT,
    TOKENS,
    BALANCE,
    LEDGER,
)
OPTIONAL = (FORMS,)  # aligned too, in the runs that have them
ALIGNED = tuple(table for table in TABLES if table.aligned)
TOKENIZER_FILE = "tokenizer.json"  # of a run: the tokenizer that made its token ids, byte for byte
PIECE_BOUNDS = "piece_bounds"  # of packed sequences in which pieces are joined
PACKED = "packed"  # its shards are Arrow files with columns that depend on the sequence length: `packed_schema`


def bounds_of_pieces(columns: Collection[str]) -> str:
    """Which of the `columns` of packed sequences bounds pieces."""
    return PIECE_BOUNDS if PIECE_BOUNDS in columns else "cu_seqlens"


def packed_schema(seq_len: int, *, joined: bool = False) -> pa.Schema:
    """Columns of a packed shard; one row is one sequence of exactly `seq_len` tokens.

    Piece j of a sequence is token_ids[cu_seqlens[j]:cu_seqlens[j + 1]]; it is a slice of document doc_ids[j] that
    starts at token doc_offsets[j] of that document's `tokens` row. Everything after n_real is padding.

    `joined`: pieces may be laid end to end and attend to each other (files of a repository). Then `cu_seqlens` bounds
    what attends to itself, a span of one piece or several, and `piece_bounds` the pieces.
    """
    return pa.schema(
        [
            _required("token_ids", pa.list_(pa.field("element", pa.uint32(), nullable=False), seq_len)),
            _required("n_real", pa.int32()),
            _required_list("cu_seqlens", pa.int32()),  # from 0 to n_real, one more entry than pieces
            *([_required_list(PIECE_BOUNDS, pa.int32())] if joined else []),  # as cu_seqlens, which is among them
            _required_list("doc_ids", pa.string()),
            _required_list("doc_offsets", pa.int64()),
            _required("pool", pa.string()),
            _required_list("groups", pa.string()),  # the balancing group of each piece: language or text source
        ]
    )


def check(table: pa.Table, schema: pa.Schema, *, name: str) -> pa.Table:
    """Return `table` with exactly the columns, order and types of `schema`; raise SchemaError where it cannot be.

    Runs on every read and write. Nulls in a required column are an error, not a repair.
    """
    missing = [f.name for f in schema if f.name not in table.column_names]
    if missing:
        raise SchemaError(f"{name}: columns {missing} are missing; found {table.column_names}")
    extra = [c for c in table.column_names if c not in schema.names]
    if extra:
        raise SchemaError(f"{name}: columns {extra} are not in the schema; expected {schema.names}")
    for field in schema:
        column = table.column(field.name)
        if column.type != field.type:
            raise SchemaError(f"{name}: column {field.name!r} has type {column.type}, expected {field.type}")
        if not field.nullable and column.null_count:
            raise SchemaError(f"{name}: column {field.name!r} holds {column.null_count} nulls, expected none")
    return table.select(schema.names).cast(schema)
