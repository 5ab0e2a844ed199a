"""Why a document is dropped, rules aside: every reason, in the order in which the ledger lists them.

The order is part of the contract: first what the input did to the document, then what it is, then the rules that judge
it (`rules/`), then who it duplicates. A document carries *all* reasons that apply, never only the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

TAKEN_BACK = "forgotten"  # the reason of what `loopmix forget` has taken back

REASONS: dict[str, str] = {
    TAKEN_BACK: "taken back by `loopmix forget`, or equal to what was; its text is not in this run",
    # what ingest found
    "unreadable_row": "the input row could not be read as a document",
    "missing_object": "the git repository lacks the file's content: a partial or damaged clone",
    "too_large": "larger than ingest.max_document_bytes; its content was not loaded",
    "no_files": "its row lists no file: a place in the ledger for the row, and no document",
    "repeated_entry": "the same row lists the same path and content before",
    "empty": "no content, or white space only",
    "lfs_pointer": "a Git LFS pointer; the content itself was not fetched",
    "pickle": "Python objects as pickle writes them",
    "merge_conflict": "git's conflict markers stand in it: two versions, and nobody chose",
    "bidi_controls": "controls turn the writing direction where nothing is written from right to left (Trojan Source)",
    "binary": "not text in any encoding that could be detected",
    "crashed_worker": "it ended every process that worked on it; its content was not loaded",
    "undecidable_encoding": "its encoding is a guess less sure than ingest.min_encoding_confidence",
    # what it is
    "unknown_language": "the language could not be told and select.drop_unknown is set",
    "dropped_language": "its language stands in select.drop_languages",
    "prose_in_format": "prose in a format of markup or data that stands in select.drop_prose_in",
    "dropped_prose_language": "a text whose natural language stands in select.drop_prose_languages",
    "other_prose_language": "a text whose natural language does not stand in select.keep_prose_languages",
    "dropped_license": "its licence class, or that of an equal document, stands in select.drop_licenses",
    "contaminated": "it, or its equal, holds what tells an item of a benchmark in `against`",
    "secret": "it holds a secret of a kind whose policy in privacy.policies is drop",
    "personal_data": "it holds personal data of a kind whose policy in privacy.policies is drop",
    # who it duplicates; the ledger names the keeper
    "exact_duplicate": "a better document has the same bytes",
    "known_duplicate": "it, or its equal, reaches near_dups.min_similarity to a document that a run in `against` kept",
    "near_duplicate": "it, or its equal, reaches near_dups.min_similarity to its keeper",
}


@dataclass(frozen=True)
class Setting:
    """What in the mixture decides a reason that is no rule of a pool; rules name their own thresholds."""

    reason: str
    key: str | None  # dotted; {benchmark} stands for the name of an entry of `against`. None: fixed
    applies: Literal[
        "above", "below", "at least", "in", "not in", "set", "drops", ""
    ]  # how the document stands to the key
    source: str  # whose limit it is


# A reason that is no rule stands here, once for each limit that may cause it.
SETTINGS = (
    Setting(TAKEN_BACK, None, "", "ours: whoever asks for it is asked for no reason"),
    Setting("unreadable_row", None, "", "ours: there is no content to judge"),
    Setting("missing_object", None, "", "ours: there is no content to judge"),
    Setting("too_large", "ingest.max_document_bytes", "above", "RefineCode: files of more than 8 MB are skipped"),
    Setting("no_files", None, "", "ours: every row of the input is spoken of"),
    Setting("repeated_entry", None, "", "ours: a row of The Stack v3 lists a file several times"),
    Setting("empty", None, "", "ours: there is nothing to learn from it"),
    Setting("lfs_pointer", None, "", "Git LFS specification, version 1"),
    Setting("pickle", None, "", "ours: tokens are made of text"),
    Setting("merge_conflict", None, "", "ours: it is no version of the file"),
    Setting("bidi_controls", None, "", "Trojan Source: CVE-2021-42574"),
    Setting("binary", None, "", "ours: tokens are made of text"),
    Setting("crashed_worker", None, "", "ours: one document costs itself, not the run"),
    Setting("undecidable_encoding", "ingest.min_encoding_confidence", "below", "ours: `docs/encodings.md`"),
    Setting("unknown_language", "select.drop_unknown", "set", "ours: no rules and no budget fit it"),
    Setting("dropped_language", "select.drop_languages", "in", "ours: the default drops none"),
    Setting("prose_in_format", "select.drop_prose_in", "in", "ours: the default drops none"),
    Setting("dropped_prose_language", "select.drop_prose_languages", "in", "ours: the default drops none"),
    Setting("other_prose_language", "select.keep_prose_languages", "not in", "ours: the default keeps all"),
    Setting("dropped_license", "select.drop_licenses", "in", "ours: the default drops none"),
    Setting(
        "contaminated",
        "against.{benchmark}.min_telling_words",
        "at least",
        "ours, in runs of 13 words as GPT-3 counts them: digits and loops are no leak",
    ),
    Setting(
        "contaminated", "against.{benchmark}.min_contained_frac", "at least", "ours: finds an item edited throughout"
    ),
    Setting("secret", "privacy.policies", "drops", "ours: the default redacts all"),
    Setting("personal_data", "privacy.policies", "drops", "ours: the default redacts all"),
    Setting("exact_duplicate", None, "", "every peer: one of equal documents stays"),
    Setting("known_duplicate", "near_dups.min_similarity", "at least", "The Stack v2: Jaccard of 0.7"),
    Setting("near_duplicate", "near_dups.min_similarity", "at least", "The Stack v2: Jaccard of 0.7"),
)

# What is said of a document's words and not of its place: it holds for every document of equal bytes or equal words.
# The bits of `select` follow this order, so a new one stands at the end.
JUDGEMENTS = ("dropped_license", "contaminated")

INGEST_PROBLEMS = (
    "unreadable_row",
    "missing_object",
    "too_large",
    "no_files",
    "repeated_entry",
    "empty",
    "lfs_pointer",
    "pickle",
    "merge_conflict",
    "bidi_controls",
    "binary",
    "crashed_worker",
    "undecidable_encoding",
)

# Of these the content is not in the run: no bytes of it were counted, and nothing was measured.
NOT_LOADED = frozenset(
    {
        "unreadable_row",
        "missing_object",
        "too_large",
        "no_files",
        "repeated_entry",
        "crashed_worker",
        "undecidable_encoding",
    }
)


# Groups whose loss nobody should overlook, as `select` counts them.
LOSS_KINDS = ("source", "language", "repository")


_AFTER_RULES = ("exact_duplicate", "known_duplicate", "near_duplicate")


def in_order(reasons: set[str], *, rules: Sequence[str] = ()) -> list[str]:
    """`reasons` in documented order; `rules` are the reasons of the rules that judge, in theirs.

    A reason that is neither is a programming error.
    """
    before = [reason for reason in REASONS if reason not in _AFTER_RULES]
    order = list(dict.fromkeys((*before, *rules, *_AFTER_RULES)))
    unknown = reasons - set(order)
    assert not unknown, f"undocumented reasons {unknown}"
    return [r for r in order if r in reasons]
