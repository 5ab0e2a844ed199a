"""Why a document that both runs keep has other numbers of tokens: what is masked in it, the tokenizer, its form."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.config import Mixture
from pipeline.privacy.policies import policy_of

_N_DIGITS = 12  # of a hash: as many as the table of runs shows


@dataclass(frozen=True)
class MadeBy:
    """What of a run, beside its mixture, decides the tokens of a text."""

    tokenizer: str  # SHA-256
    redacted: int  # version of the code of a stage
    tokens: int


def token_causes(
    one: Mapping[str, Any], other: Mapping[str, Any], mixtures: Sequence[Mixture], made_by: Sequence[MadeBy]
) -> Iterator[str]:
    """Both counts and what made them differ; nothing where they do not. `one` and `other` are documents as
    `cases.examples` reads them."""
    if one["n_tokens"] == other["n_tokens"]:
        return
    yield f"it has {one['n_tokens']:,} tokens in A and {other['n_tokens']:,} in B"
    found = [*mask_causes(one, other, mixtures, made_by), *_encoded(one, other, made_by)]
    yield from found
    if not found and has_equal_bytes(one, other):
        yield "nothing that the runs hold says why"


def has_equal_bytes(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both runs read the same bytes, as far as they hold them; of texts that are gone sizes are compared."""
    hashes = one["content_hash"], other["content_hash"]
    return hashes[0] == hashes[1] if None not in hashes else bool(one["n_bytes"] == other["n_bytes"])


def mask_causes(
    one: Mapping[str, Any], other: Mapping[str, Any], mixtures: Sequence[Mixture], made_by: Sequence[MadeBy]
) -> Iterator[str]:
    """How the secrets and personal data of one text are masked in one run and not, or otherwise, in the other.

    Nothing where the bytes differ, since finds of another text say nothing of this one, or where a run has lost its
    table of finds; and nothing of a policy for what is not found in this document.
    """
    if one["masked"] == other["masked"] or None in (one["masked"], other["masked"]) or not has_equal_bytes(one, other):
        return
    places = [Counter(find["kind"] for find in document["findings"]) for document in (one, other)]
    policies = [mixture.privacy.policies for mixture in mixtures]
    masked = [
        {(f["kind"], f["start"], f["end"]) for f in document["findings"] if f["policy"] == "redact"}
        for document in (one, other)
    ]
    for kind in sorted({kind for kind, _, _ in masked[0] ^ masked[1]}):
        n, asked = [found[kind] for found in places], [policy_of(kind, of) for of in policies]
        if asked[0] != asked[1]:
            yield f"masked otherwise: {_times(kind, max(n))}, {asked[0]} in A and {asked[1]} in B by privacy.policies"
        elif n[0] != n[1]:
            yield f"masked otherwise: {kind} is found {n[0]} times in A and {n[1]} in B{_versions(made_by)}"
        else:
            yield f"masked otherwise: {_times(kind, n[0])}, at other places in A and B{_versions(made_by)}"
    if masked[0] == masked[1]:
        kinds = ", ".join(sorted({kind for kind, _, _ in masked[0]}))
        yield f"masked otherwise: the same finds ({kinds}) have other placeholders in A and B{_versions(made_by)}"


def _times(kind: str, n: int) -> str:
    return f"{kind} is found {'once' if n == 1 else f'{n} times'}"


def _versions(made_by: Sequence[MadeBy]) -> str:
    a, b = (made.redacted for made in made_by)
    return f"; the stage redacted is version {a} in A and {b} in B" if a != b else ""


def _encoded(one: Mapping[str, Any], other: Mapping[str, Any], made_by: Sequence[MadeBy]) -> Iterator[str]:
    a, b = made_by
    if a.tokenizer != b.tokenizer:
        yield f"the tokenizers differ, {a.tokenizer[:_N_DIGITS]} in A and {b.tokenizer[:_N_DIGITS]} in B"
    if a.tokens != b.tokens:
        yield f"the stage tokens is version {a.tokens} in A and {b.tokens} in B"
    if one["form"] != other["form"]:
        yield f"its form is {one['form'] or 'plain'} in A and {other['form'] or 'plain'} in B"
