"""Sentences that several papers share. What they count comes from the facts; what they promise, from the stages."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.publish.facts import Facts

PACKED_COLUMNS = {
    "token_ids": "the sequence: as many ids as every other one has, padding last",
    "n_real": "how many of them are no padding",
    "cu_seqlens": "where pieces begin, then `n_real`: piece j is `token_ids[cu_seqlens[j]:cu_seqlens[j + 1]]`",
    "piece_bounds": "only where files of a repository are joined (`docs/repositories.md`): where pieces begin, then "
    "`n_real`; `cu_seqlens` is then of what attends to itself, one piece or several",
    "doc_ids": "the document of each piece",
    "doc_offsets": "at which token of its document each piece begins",
    "pool": "`code` or `text`",
    "groups": "the balancing group of each piece: family of its language, or source of text",
}

STEPS = {
    "documents": "read the sources, one row for each input document; decoded to UTF-8",
    "exact_dups": "grouped documents of equal bytes",
    "languages": "told language and pool of each document by path, first line and content",
    "redacted": "found secrets and personal data and put placeholders in their place",
    "quality": "measured every document",
    "judged": "judged by rules, each with its limit and the measured value",
    "overlaps": "compared with benchmarks to stay clear of",
    "signatures": "signed the words of each document (MinHash)",
    "similar": "compared candidates for near duplicates word by word",
    "near_dups": "kept the verified pairs above the threshold",
    "select": "chose what stays and wrote every reason of what does not",
    "forms": "chose which documents are written as fill-in-the-middle, or beside their repository",
    "tokens": "made token ids of what stays",
    "balance": "chose how many tokens of each language and source enter",
    "packed": "laid documents into sequences, in balance in every prefix",
    "ledger": "wrote the fate of every document",
}


def steps_of(facts: Facts) -> Iterator[tuple[str, int, str]]:
    """Name, version and work of each stage."""
    for one in facts.stages:
        did = STEPS[one.name]
        if one.name == "overlaps" and not facts.mixture.against:
            did = "compared with no benchmark, as the mixture names none"
        yield one.name, one.version, did


# `docs/privacy.md`; of what points to a person addresses alone are kinds.
_NOT_SOUGHT = "Names of people in running text, telephone numbers and numbers of cards are not looked for."


def personal_of(facts: Facts) -> str:
    """What was found of secrets and personal data, and what became of it."""
    found = facts.counts.finds
    if not found:
        return f"Nothing that looks like a secret or like an address was found in the input. {_NOT_SOUGHT}"
    kinds = ", ".join(f"{name} {n:,}" for name, n in sorted(found.items(), key=lambda item: (-item[1], item[0])))
    kept = sorted(name for name, policy in facts.mixture.privacy.policies.items() if policy == "report")
    left = f" Left as found, because the mixture says so: {', '.join(kept)}." if kept else ""
    what = "Of all others what" if kept else "What"
    return (
        f"Found by form, name and look in all documents, dropped ones included: {kinds}.{left} {what} "
        f"enters has placeholders in their place, or was dropped for them. {_NOT_SOUGHT}"
    )


def duplicates_of(facts: Facts) -> str:
    """How copies were told."""
    near = facts.mixture.near_dups
    return (
        f"Documents of equal bytes, and those whose shingles of {near.shingle_words} words have a verified Jaccard "
        f"similarity of {near.min_similarity} or more, are kept once."
    )


def limits_of(facts: Facts) -> Iterator[str]:
    """What nobody should expect of it."""
    if facts.sample:
        yield f"It is {facts.sample} of its input: shares and counts are those of the sample."
    yield duplicates_of(facts) + " A near duplicate at the threshold is found with probability 0.99, not always."
    yield "Languages, quality and licences are told by rules and by what sources say; some are told wrong."
    yield "Secrets are found by form, name and look: a password that is a plain word stays."
    benchmarks = [one.name for one in facts.mixture.against if one.kind != "run"]
    yield (
        f"Compared with the benchmarks {', '.join(benchmarks)}; others may overlap with it."
        if benchmarks
        else "It was compared with no benchmark: any may overlap with it."
    )
    yield "It is text as people wrote it, with their errors and their views; it was not checked for either."
