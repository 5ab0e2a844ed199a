"""One document's story in words, for `loopmix why`."""

from __future__ import annotations

from typing import Any

from pipeline.report.formats import CLAIM_WORDS, decided, exact, number, percent, plain

_FATES = {
    "packed": "in the mixture",
    "cut": "in the mixture, truncated: its group's budget ends inside it",
    "surplus": "kept, but not needed for the balance",
    "dropped": "dropped",
}
_INDENT = "  "


def fate_lines(fact: dict[str, Any]) -> list[str]:
    """What `lookup.why` found about one document, as lines of text.

    First what it is and what became of it, then every reason with its meaning and the measured value, then the keeper,
    the tokens and the place in the packed stream.
    """
    return [
        plain(fact["path"]),
        f"{_INDENT}fate      {_FATES.get(fact['fate'], plain(fact['fate']))}",
        f"{_INDENT}document  {fact['doc_id']}, {exact(fact['n_bytes'])} bytes{_origin(fact)}",
        *_language(fact),
        *_reasons(fact),
        *_duplicates(fact),
        *_tokens(fact),
        *_features(fact),
    ]


def _origin(fact: dict[str, Any]) -> str:
    """Where the document came from."""
    parts = [f"source {plain(fact['source'])}"]
    parts += [f"{name} {plain(fact[name])}" for name in ("repo", "revision") if fact[name]]
    parts.append(f"licence {plain(fact['license'])}" if fact["license"] else "no licence given")
    return ", " + ", ".join(parts)


def _language(fact: dict[str, Any]) -> list[str]:
    """What told it, how surely, what it could be else, and whether the content is what the name says."""
    rule = fact["decided_by"]
    words = decided(rule)
    told = f"told by {words}" + ("" if plain(rule) in words or rule == "none" else f" ({plain(rule)})")
    sure = f"confidence {fact['confidence']:.3f}"
    lines = [f"{_INDENT}language  {plain(fact['language'])} ({fact['pool']} pool), {told}, {sure}"]
    if fact["runner_up"] is not None:
        behind = fact["runner_up_confidence"]
        lines.append(f"{_INDENT}{'':<9} next likeliest: {plain(fact['runner_up'])}, confidence {number(behind)}")
    if fact["name_says"]:
        claim = CLAIM_WORDS.get(fact["name_says"], fact["name_says"])
        lines.append(f"{_INDENT}content   looks like {plain(fact['content_kind'])}, though its name says {claim}")
    return lines


def _reasons(fact: dict[str, Any]) -> list[str]:
    """Each reason with its meaning; rules carry what was measured. A kept document can have rules without effect."""
    values = {fired["rule"]: fired["value"] for fired in fact["fired"]}
    lines: list[str] = []
    for reason in fact["reasons"]:
        measured = f"; measured {_value(values[reason])}" if reason in values else ""
        limits = fact.get("limits", {}).get(reason, {})
        measured += "".join(f"; {key} is {_value(value)}" for key, value in limits.items())
        lines.append(f"{_INDENT}{'because' if not lines else '':<9} {reason}: {fact['meanings'][reason]}{measured}")
    unheeded = [r for r in values if r not in fact["reasons"]]
    if unheeded:
        lines.append(f"{_INDENT}fired     {', '.join(f'{r} ({_value(values[r])})' for r in unheeded)}, without effect")
    return lines


def _duplicates(fact: dict[str, Any]) -> list[str]:
    """Who was kept instead, and how many share its bytes."""
    lines = []
    if fact["keeper_id"]:
        where = plain(fact["keeper_path"]) if fact["keeper_path"] else "a document whose path is unknown"
        similar = f"similarity {fact['similarity']:.3f}" if fact["similarity"] is not None else "similarity unknown"
        lines.append(f"{_INDENT}keeper    {where} ({fact['keeper_id']}), {similar}")
    if fact["group_size"] > 1:
        lines.append(f"{_INDENT}equals    others with the same bytes: {exact(fact['group_size'] - 1)}")
    overlap = fact.get("overlap") or {}
    if overlap.get("benchmark"):
        lines.append(
            f"{_INDENT}overlaps  item {exact(overlap['item'])} of benchmark {plain(overlap['benchmark'])}, of which it "
            f"holds {percent(overlap['contained_frac'])}; {exact(overlap['n_shared_ngrams'])} n-grams are shared"
        )
    return lines + [f"{_INDENT}          {plain(line)}" for line in fact.get("diff", [])]


def _tokens(fact: dict[str, Any]) -> list[str]:
    """How much of it is packed, and where."""
    if not fact["keep"]:
        return []
    copies = f"{exact(fact['n_copies'])} whole {'copy' if fact['n_copies'] == 1 else 'copies'}"
    cut = fact["n_packed_tokens"] - fact["n_copies"] * fact["n_tokens"]
    more = f" and the first {exact(cut)} tokens of one more" if cut else ""
    shown = f"{copies}{more}" if fact["n_copies"] else "its first ones only"
    group = f" of group {plain(fact['group'])}" if fact["group"] else ""
    lines = [f"{_INDENT}tokens    {exact(fact['n_tokens'])}{group}; {exact(fact['n_packed_tokens'])} packed"]
    if fact["n_packed_tokens"]:
        lines[0] += f": {shown}"
        lines.append(f"{_INDENT}packed in sequence {', '.join(exact(s) for s in fact['sequences'])}")
    return lines


def _features(fact: dict[str, Any]) -> list[str]:
    """The measured numbers, a few to a line."""
    shown = [f"{name} {_feature(name, value)}" for name, value in fact["features"].items() if value is not None]
    rows = [shown[i : i + 4] for i in range(0, len(shown), 4)]
    return [f"{_INDENT}{'measured' if i == 0 else '':<9} {', '.join(row)}" for i, row in enumerate(rows)]


def _feature(name: str, value: float) -> str:
    """Fractions as percent."""
    return percent(value) if name.endswith("_frac") else _value(value)


def _value(value: float) -> str:
    """Whole numbers with separators, others with four digits."""
    return exact(int(value)) if float(value).is_integer() else f"{value:.4g}"
