"""What a careful reader would point at before the mixture is used. Thresholds are ours; each says why it is there."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from pipeline.config import said_sample
from pipeline.report.advice import ADVICE
from pipeline.report.concentration_tables import concentrated
from pipeline.report.formats import exact, percent, plain
from pipeline.report.numbers import Level, Notice, Numbers
from pipeline.report.syntax import killers

MAX_MISSED_FRAC = 0.005  # of the pool: a share further from its target was stopped by a limit
MAX_UNKNOWN_FRAC = 0.05  # of the documents: beyond it a source probably lacks its paths
MIN_UNFILLED_FRAC = 0.01  # of the documents of a source: below it small files are without a field by chance
MAX_MISNAMED_FRAC = 0.02  # of the kept documents: beyond it a source's names cannot be trusted
MAX_PADDING_FRAC = 0.05  # of the packed tokens: compute spent on nothing
MAX_COPIES = (
    4  # beyond it repeats help a model little (Muennighoff et al. 2023, Scaling Data-Constrained Language Models)
)
MAX_SURPLUS_FRAC = 0.25  # of a pool's kept tokens: enough to be worth a thought about the parts
_MAX_NAMED = 3  # a notice is one sentence; the tables name them all


def notices_of(numbers: Numbers) -> Numbers:
    """The same numbers with their notices, the gravest first."""
    found = [
        Notice(level, message, *ADVICE[check.__name__.removeprefix("_")])
        for check in _CHECKS
        for level, message in check(numbers)
    ]
    rank: dict[Level, int] = {"fail": 0, "warn": 1, "note": 2}
    return replace(numbers, notices=tuple(sorted(found, key=lambda n: rank[n.level])))


_Found = Iterator[tuple[Level, str]]


def _balance(numbers: Numbers) -> _Found:
    """The one promise whose breach makes the data useless for what it is for."""
    for stream in numbers.streams:
        b, said = stream.balance, stream.said
        if not b.is_exact:
            yield (
                "fail",
                f"{said}Balance is broken: code {exact(b.n_code_tokens)} and text {exact(b.n_text_tokens)} tokens are "
                f"not {b.code_parts}:{b.text_parts}.",
            )
        if b.worst_prefix > b.max_prefix:
            off = f"A prefix of the stream is off by {exact(b.worst_prefix)} tokens; {exact(b.max_prefix)} allowed."
            yield "fail", f"{said}{off}"


def _sample(numbers: Numbers) -> _Found:
    """Shards of a trial look like any others; who trains on them should know."""
    if numbers.sample is not None:
        yield "warn", f"A run over {said_sample(numbers.sample.rate)} of the input, to look at and not to train on."


def _bad_shards(numbers: Numbers) -> _Found:
    """Skipped input is missing from every number below."""
    if numbers.bad_shards:
        n = len(numbers.bad_shards)
        yield "warn", f"Input shards that could not be read and were skipped: {n} of {numbers.n_shards}; see Work."


def _unread(numbers: Numbers) -> _Found:
    """A file of another format, or cut in its rows, shows as rows that nobody could read."""
    if numbers.unread:
        yield "warn", f"Rows that could not be read: {_named(plain(str(one)) for one in numbers.unread)}."


def _lost_fields(numbers: Numbers) -> _Found:
    """A column that never holds what its field wants is mapped wrongly."""
    if numbers.lost_fields:
        shown = _named(f"{one.field} of {exact(one.n_docs)} documents" for one in numbers.lost_fields)
        yield "note", f"Fields that could not be read and are empty: {shown}."


def _unfilled_fields(numbers: Numbers) -> _Found:
    """A column that some files lack is null there, and every rule on it works on the rest alone."""
    found = [
        f"{one.field} of {exact(one.n_docs)} of {exact(numbers.source_docs[one.source])} in {plain(one.source)}"
        for one in numbers.unfilled_fields
        if one.n_docs > MIN_UNFILLED_FRAC * numbers.source_docs[one.source]
    ]
    if found:
        yield "note", f"Mapped fields that all documents of an input file are without: {_named(found)}."


def _default_columns(numbers: Numbers) -> _Found:
    """What was taken without being asked for."""
    for field, sources in numbers.default_columns.items():
        yield "note", f"The column named {field} was taken as the {field}, unasked, in: {_named(map(plain, sources))}."


def _training(numbers: Numbers) -> _Found:
    """The verdict, and whether it is about these data at all."""
    training = numbers.training
    if training is None:
        return
    if not training.is_same_data:
        yield "warn", "The model was trained on other packed shards than those of this run."
    if training.status == "fail":
        yield "fail", training.message
    elif training.status != "pass":
        yield "warn", training.message


def _named(found: Iterable[str]) -> str:
    """The first few, and how many there are beyond them."""
    names = list(found)
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(names[:_MAX_NAMED]) + more


def _targets(numbers: Numbers) -> _Found:
    """Shares that the mixture asked for and did not get, the furthest off first."""
    missed = [
        g for g in numbers.groups if g.target_frac is not None and abs(g.after_frac - g.target_frac) > MAX_MISSED_FRAC
    ]
    if missed:
        missed.sort(key=lambda g: (-abs(g.after_frac - (g.target_frac or 0.0)), g.name))
        shown = _named(f"{plain(g.name)} {percent(g.after_frac)} for {percent(g.target_frac)}" for g in missed)
        yield "warn", f"Targets missed, because a limit on tokens, copies or shares was met: {shown}."


def _copies(numbers: Numbers) -> _Found:
    """Groups that the balance repeats too often."""
    often = [g for g in numbers.groups if g.n_packed_tokens > MAX_COPIES * max(1, g.n_kept_tokens)]
    if often:
        names = _named(plain(g.name) for g in often)
        yield "warn", f"Repeated more than {MAX_COPIES} times, where repeats stop helping: {names}."


def _unknown(numbers: Numbers) -> _Found:
    """Many unknown languages usually mean that a column is not mapped."""
    n = sum(d.n_docs for d in numbers.drops if d.reason == "unknown_language")
    if n > MAX_UNKNOWN_FRAC * numbers.totals.n_docs:
        share = percent(n / max(1, numbers.totals.n_docs))
        yield "warn", f"The language of {share} of the documents could not be told; does each source name its paths?"


def _misnamed(numbers: Numbers) -> _Found:
    """Prose counted as code, and code as prose, would bend the balance."""
    n = sum(d.n_kept_docs for d in numbers.language_decisions.disagreements)
    if n > MAX_MISNAMED_FRAC * numbers.totals.n_kept_docs:
        share = percent(n / max(1, numbers.totals.n_kept_docs))
        yield "note", f"{share} of the kept documents look like something else than their names say."


def _nearly_lost(numbers: Numbers) -> _Found:
    """What did not stop the run, and is still seldom meant."""
    many = {"source": "sources", "language": "languages", "repository": "repositories"}
    there = [g for g in numbers.nearly_lost if g.n_groups]
    lost = [f"{exact(g.n_groups)} {g.kind if g.n_groups == 1 else many[g.kind]}" for g in there]
    if lost:
        yield "warn", f"Lost nearly whole to rules or duplicates (above select.max_loss): {', '.join(lost)}."


def _padding(numbers: Numbers) -> _Found:
    """Compute that would be spent on nothing."""
    pools = numbers.packing.pools
    n_padding = sum(p.n_padding_tokens for p in pools)
    frac = n_padding / max(1, n_padding + sum(p.n_real_tokens for p in pools))
    if frac > MAX_PADDING_FRAC:
        yield "warn", f"{percent(frac)} of the packed tokens are padding; shorter sequences or more data fill better."


def _sensitive(numbers: Numbers) -> _Found:
    """Credentials ask for a decision; personal data is common in prose and only noted."""
    t = numbers.totals
    if t.n_packed_secret_docs:
        yield (
            "warn",
            f"Documents in the mixture that keep what looks like a credential: {exact(t.n_packed_secret_docs)}.",
        )
    if t.n_packed_personal_docs:
        yield (
            "note",
            f"Documents in the mixture that keep what looks like personal data: {exact(t.n_packed_personal_docs)}.",
        )


def _licenses(numbers: Numbers) -> _Found:
    """What a lawyer would ask first."""
    n = {c.name: c.n_packed_tokens for c in numbers.license_classes}
    total = max(1, sum(n.values()))
    bound = n.get("copyleft", 0) + n.get("other", 0)
    if bound:
        yield "note", f"{percent(bound / total)} of the packed tokens have a licence that is not permissive."
    if n.get("unknown"):
        yield "note", f"{percent(n['unknown'] / total)} of the packed tokens have no known licence."


def _stricter(numbers: Numbers) -> _Found:
    """Labels that contradict each other, which no rule can settle where the texts are not equal."""
    found = numbers.stricter_copies
    if found.n_packed_tokens:
        share = percent(found.n_packed_tokens / max(1, sum(c.n_packed_tokens for c in numbers.license_classes)))
        yield (
            "note",
            f"{share} of the packed tokens ({exact(found.n_packed_tokens)} in {exact(found.n_docs)} documents) have an "
            "equal or near duplicate that was judged more strictly.",
        )


def _concentrated(numbers: Numbers) -> _Found:
    """One repository's habits would become the model's."""
    for message in concentrated(numbers.concentration, in_phases=bool(numbers.phases)):
        yield "note", message


def _killers(numbers: Numbers) -> _Found:
    """A document that kills a parser is one that somebody made to, or a grammar's fault."""
    for message in killers(numbers.syntax):
        yield "warn", message


def _surplus(numbers: Numbers) -> _Found:
    """Data that passed and is not used: a hint to change parts or add to the other pool."""
    for pool in ("code", "text"):
        groups = numbers.of_pool(pool)
        n_kept, n_packed = sum(g.n_kept_tokens for g in groups), sum(g.n_packed_tokens for g in groups)
        if n_kept - n_packed > MAX_SURPLUS_FRAC * n_kept:
            share = percent((n_kept - n_packed) / n_kept)
            found = numbers.concentration
            capped = found.n_over_docs[pool] or any(m.n_over_docs for m in found.marks if m.pool == pool)
            why = "the balance does not need them" + (", or they are over a cap" if capped else "")
            if numbers.phases:
                why = "no phase takes them; of a document that one phase has cut no other gets the rest"
            yield "note", f"{share} of the kept {pool} tokens stay out, because {why}."


def _joined_nothing(numbers: Numbers) -> _Found:
    """Repository documents were asked for, and there is none."""
    if numbers.repositories is not None and not numbers.repositories.n_files:
        yield (
            "warn",
            (
                "forms.repositories joins no file: no two packed documents of code are of one repository; say which "
                "column holds it (columns.repo of a source)."
            ),
        )


_CHECKS = (
    _balance,
    _sample,
    _training,
    _bad_shards,
    _unread,
    _lost_fields,
    _unfilled_fields,
    _default_columns,
    _targets,
    _copies,
    _sensitive,
    _nearly_lost,
    _unknown,
    _misnamed,
    _padding,
    _concentrated,
    _killers,
    _surplus,
    _joined_nothing,
    _licenses,
    _stricter,
)
