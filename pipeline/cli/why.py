"""What `loopmix why` prints: what became of one document, and for each reason the limit behind it."""

import json
from typing import Any

from pipeline.reasons import NOT_LOADED
from pipeline.report.formats import CLAIM_WORDS, counted, decided, exact, number, percent, plain

_OUTCOMES = {  # by the ledger's column `fate`
    "packed": "in the mixture",
    "cut": "in the mixture, truncated: its group's budget ends inside it",
    "surplus": "kept, but not needed for the balance",
    "dropped": "dropped",
}
_INDENT = "  "
_MADE_FROM = {"ipynb": "taken out of a Jupyter notebook: code, with other cells as comments (ingest.notebooks: script)"}


def why_lines(document: dict[str, Any]) -> list[str]:
    """What `lookup.why` found about one document, as lines of text.

    First what it is and what became of it, then every reason with the limit that it crossed, then the keeper,
    the tokens and the place in the packed stream.
    """
    return [
        plain(document["path"]),
        f"{_INDENT}fate      {_fate(document)}",
        f"{_INDENT}document  {document['doc_id']}, {_size(document)}{_origin(document)}",
        *_made(document),
        *_language(document),
        *_reasons(document),
        *_findings(document),
        *_duplicates(document),
        *_tokens(document),
        *_features(document),
        *_text(document),
    ]


def _is_unread(document: dict[str, Any]) -> bool:
    """Whether the run holds none of its content, so that nothing was measured."""
    return document["n_bytes"] == 0 and not NOT_LOADED.isdisjoint(document["reasons"])


def _size(document: dict[str, Any]) -> str:
    if not _is_unread(document):
        return f"{exact(document['n_bytes'])} bytes"
    known = document["input_bytes"]
    return "its size is not known" if known is None else f"a file of {exact(known)} bytes, not loaded"


def _fate(document: dict[str, Any]) -> str:
    """What became of it, and the cap that keeps it out where it is one."""
    cap = document["over_cap"]
    if document["fate"] != "surplus" or cap is None:
        return _OUTCOMES.get(document["fate"], plain(document["fate"]))
    who = "its repository gives" if cap == "max_repo_frac" else f"documents marked {plain(cap.partition('.')[2])} give"
    return f"kept, but {who} all that balance.{document['pool']}.{plain(cap)} allows"


def _origin(document: dict[str, Any]) -> str:
    """Where the document came from."""
    parts = [f"source {plain(document['source'])}"]
    parts += [f"{name} {plain(document[name])}" for name in ("repo", "revision") if document[name]]
    parts.append(f"licence {plain(document['license'])}" if document["license"] else "no licence given")
    return ", " + ", ".join(parts)


def _made(document: dict[str, Any]) -> list[str]:
    """That the text is not the file's own."""
    what = _MADE_FROM.get(document["made_from"] or "")
    return [f"{_INDENT}made      {what}"] if what else []


def _language(document: dict[str, Any]) -> list[str]:
    """What decided it, how surely, what it could be else, and whether the content is what the name says."""
    rule = document["decided_by"]
    words = decided(rule)
    decision = f"told by {words}" + ("" if plain(rule) in words or rule == "none" else f" ({plain(rule)})")
    sure = f"confidence {document['confidence']:.3f}"
    lines = [f"{_INDENT}language  {plain(document['language'])} ({document['pool']} pool), {decision}, {sure}"]
    if document["runner_up"] is not None:
        behind = document["runner_up_confidence"]
        lines.append(f"{_INDENT}{'':<9} next likeliest: {plain(document['runner_up'])}, confidence {number(behind)}")
    if document["name_says"]:
        claim = CLAIM_WORDS.get(document["name_says"], document["name_says"])
        lines.append(f"{_INDENT}content   looks like {plain(document['content_kind'])}, though its name says {claim}")
    return lines


def _reasons(document: dict[str, Any]) -> list[str]:
    """Each reason with the limits behind it. A kept document can have rules without effect."""
    lines: list[str] = []
    for reason in document["reasons"]:
        limits = [limit for limit in document["limits"] if limit["reason"] == reason]
        named = [_crossed(limit) for limit in limits if limit["key"] and limit["measured"] is not None]
        lines += [f"{reason}: {'; '.join(named) or document['meanings'][reason]}"]
        lines += [_remedy(limit) for limit in limits]
    shown = [f"{_INDENT}{'because' if i == 0 else '':<9} {line}" for i, line in enumerate(lines)]
    values = [f"{f['rule']} ({_value(f['value'])})" for f in document["fired"] if f["rule"] not in document["reasons"]]
    return shown + ([f"{_INDENT}fired     {', '.join(values)}, without effect"] if values else [])


def _crossed(limit: dict[str, Any]) -> str:
    """160,213 characters, above quality.code.max_markup_line_chars = 100,000 (source: ...)."""
    measured = limit["measured"]
    if not isinstance(measured, str):
        unit = limit["key"].rpartition("_")[2]  # keys end in their unit
        measured = _value(measured) + {"chars": " characters", "lines": " lines", "words": " words"}.get(unit, "")
    return f"{measured}, {limit['crossed']} {_setting(limit)}"


def _setting(limit: dict[str, Any]) -> str:
    value = limit["value"]
    shown = json.dumps(value, ensure_ascii=False) if isinstance(value, bool | list | tuple | dict) else _value(value)
    return f"{limit['key']} = {shown} (source: {limit['source']})"


def _remedy(limit: dict[str, Any]) -> str:
    """What to write in the mixture to pass the limit, after the setting where the line before does not name it."""
    if limit["key"] is None:
        measured = "" if limit["measured"] is None else f"measured {_value(limit['measured'])}; "
        return f"{measured}fixed: no setting changes it (source: {limit['source']})"
    if limit["value"] is None:  # a rule that asks whether something is there
        return f"to pass it, write in the mixture: {limit['change']} (source: {limit['source']})"
    setting = f"{_setting(limit)}; " if limit["measured"] is None else ""
    if limit["change"] is None:
        return f"{setting}no value of {limit['key']} lets both in"
    # Only this limit: another reason, or a second near duplicate, may still keep the document out.
    return f"{setting}to pass this limit, write in the mixture: {limit['change']}"


_MAX_INDENT = 60  # of a mark below its line, which a terminal may have to break
_N_PLACES = 12  # lines; `--json` has all


def _findings(document: dict[str, Any]) -> list[str]:
    """Where secrets and personal data stand in the source, and what was done; never what they are."""
    found = document.get("findings", [])
    words = {"redact": "redacted", "report": "left as it is", "drop": "drops the document"}
    lines = [f"line {f['line']}, column {f['column']}: {f['kind']}, {words[f['policy']]}" for f in found[:_N_PLACES]]
    lines += [f"and {exact(len(found) - _N_PLACES)} more"] if len(found) > _N_PLACES else []
    return [f"{_INDENT}{'finds' if i == 0 else '':<9} {line}" for i, line in enumerate(lines)]


def _duplicates(document: dict[str, Any]) -> list[str]:
    """Who was kept instead, and how many share its bytes."""
    lines = []
    if document["keeper_id"]:
        where = plain(document["keeper_path"]) if document["keeper_path"] else "a document whose path is unknown"
        similar = (
            f"similarity {document['similarity']:.3f}" if document["similarity"] is not None else "similarity unknown"
        )
        lines.append(f"{_INDENT}keeper    {where} ({document['keeper_id']}), {similar}")
    if document.get("judged"):
        lines.append(f"{_INDENT}judged    as its equal {plain(document['judged']['path'])} ({document['judged_id']})")
    if document["group_size"] > 1:
        lines.append(f"{_INDENT}equals    others with the same bytes: {exact(document['group_size'] - 1)}")
    lines += [f"{_INDENT}          {plain(line)}" for line in document.get("diff", [])]
    return lines + [line for match in document.get("matches", ()) for line in _match(match)]


def _match(match: dict[str, Any]) -> list[str]:
    """What it shares with an item of a benchmark, as it stands in both."""
    lines = [
        f"{_INDENT}shares    {exact(match['n_ngrams'])} n-grams with {exact(match['n_telling_words'])} telling words, "
        f"and {percent(match['contained_frac'])} of its shingles, with item {exact(match['item'])} of benchmark "
        f"{plain(match['benchmark'])}"
    ]
    for place, passage in (("here", match.get("passage")), ("item", match.get("item_passage"))):
        if passage is None:
            lines.append(f"{_INDENT}          {place}: the benchmark cannot be read any more, or has other items now")
            continue
        lines.append(f"{_INDENT}          {place}: from line {exact(passage['line'])} on")
        lines += [f"{_INDENT}          | {plain(line)}" for line in passage["text"].split("\n")]
    return lines


def _tokens(document: dict[str, Any]) -> list[str]:
    """How much of it is packed, and where."""
    if not document["keep"]:
        return []
    copies = counted(document["n_copies"], "whole copy", "whole copies")
    cut = document["n_packed_tokens"] - document["n_copies"] * document["n_tokens"]
    more = f" and the first {exact(cut)} tokens of one more" if cut else ""
    shown = f"{copies}{more}" if document["n_copies"] else "its first ones only"
    group = f" of group {plain(document['group'])}" if document["group"] else ""
    form = f", filled in as {document['form'].upper()}" if document["form"] in ("psm", "spm") else ""
    written = f"{exact(document['n_tokens'])}{group}{form}"
    lines = [f"{_INDENT}tokens    {written}; {exact(document['n_packed_tokens'])} packed"]
    if document["n_packed_tokens"]:
        lines[0] += f": {shown}"
        lines.append(f"{_INDENT}packed in sequence {', '.join(exact(s) for s in document['sequences'])}")
    return lines


def _features(document: dict[str, Any]) -> list[str]:
    """The measured numbers, a few to a line."""
    if _is_unread(document):
        return []
    shown = [f"{name} {_feature(name, value)}" for name, value in document["features"].items() if value is not None]
    if document["prose_language"] is not None:
        shown.insert(0, f"prose_language {plain(document['prose_language'])}")
    rows = [shown[i : i + 4] for i in range(0, len(shown), 4)]
    return [f"{_INDENT}{'measured' if i == 0 else '':<9} {', '.join(row)}" for i, row in enumerate(rows)]


def _text(document: dict[str, Any]) -> list[str]:
    """The text line by line, where it was asked for; nothing in it reaches the terminal as a command."""
    if "text" not in document:
        return []
    if document["text"] is None:
        return [f"{_INDENT}text      is no longer in the run"]
    lines = [f"{_INDENT}text"]
    for n, line in enumerate(document["text"].split("\n"), 1):
        lines.append(plain(line.removesuffix("\r").expandtabs()))
        for place in document.get("places", ()):
            if place["line"] == n:
                before = len(plain(line[: place["column"] - 1].expandtabs()))
                about = f"{plain(place['reason'])}, {exact(place['n_chars'])} characters"
                lines.append(f"{' ' * min(before, _MAX_INDENT)}^ {about}, column {exact(place['column'])}")
    return lines


def _feature(name: str, value: float) -> str:
    """Fractions as percent."""
    return percent(value) if name.endswith("_frac") else _value(value)


def _value(value: float) -> str:
    """Whole numbers with separators, others with four digits."""
    return exact(int(value)) if float(value).is_integer() else f"{value:.4g}"
