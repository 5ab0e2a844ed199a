"""The page's sections on documents: languages, sources, what was dropped, duplicates, licences."""

from __future__ import annotations

from pipeline.report import charts
from pipeline.report.formats import FLOW_WORDS, NOTHING, between, exact, license_name, percent, points, short, size
from pipeline.report.markup import Cell, Html, bar, figure, section, table
from pipeline.report.numbers import Group, License, Numbers
from pipeline.report.shares import largest

N_BARS = 15
N_LICENSES = 25
N_REASONS = 14


def languages(numbers: Numbers) -> Html:
    """Code: the chart most people open the page for, the paper beside it, every language below."""
    groups = numbers.of_pool("code")
    paper = {p.name: p.paper_frac for p in numbers.paper}
    has_target = any(g.target_frac is not None for g in groups)
    first = "Look for bars that miss their target mark." if has_target else "No target is set, so after follows kept."
    guide = (
        f"{first} Before: share of the code bytes that came in. Kept: share of the "
        "code tokens that passed all rules. After: share of the code tokens in the packed stream. Dialects "
        "count with their family: TSX is TypeScript."
    )
    against = table(
        "Against the paper's mixture (LoopCoder-v2)",
        ("language", "before", "kept", "after", "target", "paper", "difference"),
        rows=[
            (
                p.name,
                percent(p.before_frac),
                percent(p.kept_frac),
                percent(p.after_frac),
                _target(p.target_frac),
                percent(p.paper_frac),
                points(p.after_frac - p.paper_frac),
            )
            for p in numbers.paper
        ],
    )
    shown = largest(groups, limit=N_BARS)
    drawn = figure(charts.shares_chart(shown, name="languages", paper=paper), against) if shown else against
    return section("languages", "Languages", drawn, _group_table("All languages", groups, paper=paper), guide=guide)


def sources(numbers: Numbers) -> Html:
    """Text: a single source needs no chart, its share is always one."""
    groups = numbers.of_pool("text")
    guide = "The text pool is balanced by source; read it like the languages above."
    rows = _group_table("All text sources", groups, paper={})
    if len(groups) < 2:
        return section("sources", "Text sources", rows, guide=guide)
    shown = largest(groups, limit=N_BARS)
    shares = table(
        "Shares of the text pool",
        ("source", "before", "kept", "after", "target"),
        rows=[
            (g.name, *(percent(f) for f in (g.before_frac, g.kept_frac, g.after_frac)), _target(g.target_frac))
            for g in shown
        ],
    )
    chart = charts.shares_chart(shown, name="sources", paper={})
    return section("sources", "Text sources", figure(chart, shares), rows, guide=guide)


def _target(frac: float | None) -> str:
    """Natural: the mixture asks for no share, so what is there decides."""
    return "natural" if frac is None else percent(frac)


def _group_table(title: str, groups: tuple[Group, ...], *, paper: dict[str, float]) -> Html:
    """Every group with every number. Copies are packed over kept tokens: below 1 some stay out, above 1 some repeat."""
    columns = ["name", "documents", "kept", "bytes", "tokens kept", "tokens packed", "copies"]
    columns += ["before", "kept", "after", "target"] + (["paper"] if paper else [])
    rows: list[list[Cell]] = []
    for g in groups:
        copies = f"{g.n_packed_tokens / g.n_kept_tokens:.2f}x" if g.n_kept_tokens else NOTHING
        wanted = _target(g.target_frac) + (f", at most {percent(g.max_frac)}" if g.max_frac is not None else "")
        row: list[Cell] = [g.name, exact(g.n_docs), exact(g.n_kept_docs), size(g.n_bytes)]
        row += [exact(g.n_kept_tokens), exact(g.n_packed_tokens), copies]
        row += [percent(g.before_frac), percent(g.kept_frac), percent(g.after_frac), wanted]
        rows.append(row + ([percent(paper.get(g.name))] if paper else []))
    return table(title, columns, rows=rows)


# --- what was left out -----------------------------------------------------------------------------------------------


def drops(numbers: Numbers) -> Html:
    """From all documents to those in the mixture, and who lost them where."""
    guide = (
        "A document leaves at the first stage that objects, but every reason is written down. “Only reason” counts "
        "the documents that this reason alone keeps out: what would come back if it were lifted."
    )
    n_docs = max(1, numbers.totals.n_docs)
    flow = table(
        "What was left after each stage",
        ("stage", "documents", "of all", "bytes", "tokens"),
        rows=[
            (
                FLOW_WORDS[s.stage],
                exact(s.n_docs),
                percent(s.n_docs / n_docs),
                size(s.n_bytes),
                NOTHING if s.n_tokens is None else exact(s.n_tokens),
            )
            for s in numbers.flow
        ],
    )
    reasons = table(
        "Every reason",
        ("reason", "meaning", "stage", "documents", "of all", "code", "text", "bytes", "only reason"),
        rows=[
            (
                d.reason,
                d.meaning,
                d.stage,
                exact(d.n_docs),
                percent(d.n_docs / n_docs),
                exact(d.n_code_docs),
                exact(d.n_text_docs),
                size(d.n_bytes),
                exact(d.n_only_docs),
            )
            for d in numbers.drops
        ],
        names=3,
    )
    parts: list[Cell] = [figure(charts.flow_chart(numbers.flow, words=FLOW_WORDS), flow)]
    if numbers.drops:
        parts.append(figure(charts.drops_chart(numbers.drops[:N_REASONS]), _fates(numbers)))
        parts.append(reasons)
    else:
        parts.append(_fates(numbers))
    return section("drops", "What was dropped", *parts, guide=guide)


def _fates(numbers: Numbers) -> Html:
    """Each document once, at the first stage that objected, so a row's numbers add up to its documents."""
    columns = ("group", "documents", "ingest", "rules", "exact", "near", "surplus", "packed")
    rows = [
        (
            g.name,
            *(
                short(n)
                for n in (
                    g.n_docs,
                    g.n_ingest_docs,
                    g.n_rules_docs,
                    g.n_exact_docs,
                    g.n_near_docs,
                    g.n_surplus_docs,
                    g.n_packed_docs,
                )
            ),
        )
        for g in sorted(numbers.groups, key=lambda g: (-g.n_docs, g.pool, g.name))
    ]
    return table("Where each group's documents went", columns, rows=rows)


def duplicates(numbers: Numbers) -> Html:
    """Two histograms and what they counted."""
    d = numbers.duplicates
    guide = (
        "Equal documents share every byte. Near duplicates were found by MinHash and each pair was then compared "
        f"exactly; only pairs at a similarity of {d.min_similarity:g} or more count. A document is dropped "
        "only for one that is kept."
    )
    facts = [
        ("groups of equal documents", exact(d.n_groups)),
        ("documents beyond the first of a group", exact(d.n_repeats)),
        ("pairs compared", NOTHING if d.n_candidates is None else exact(d.n_candidates)),
        ("pairs verified", exact(d.n_pairs)),
        ("documents dropped as equal", exact(d.n_exact_docs)),
        ("documents dropped as near duplicates", exact(d.n_near_docs)),
        *([("documents near to a run in `against`", exact(d.n_known_docs))] if d.n_known_docs else []),
        *_crowds(numbers),
    ]
    sizes = [
        (f"groups of {between(s.low, s.high)}", f"{exact(s.n_groups)} ({exact(s.n_docs)} documents)") for s in d.sizes
    ]
    similar = [(f"pairs of similarity {b.low:.2f} to {b.high:.2f}", exact(b.n)) for b in d.similarities]
    dropped = [
        (f"dropped at similarity {b.low:.2f} to {b.high:.2f}", exact(b.n)) for b in d.dropped_similarities if b.n
    ]
    rows = table("Duplicates in numbers", ("what", "number"), rows=[*facts, *sizes, *similar, *dropped])
    parts = [figure(charts.duplicates_chart(d), rows), _duplicate_shares(numbers)]
    return section("duplicates", "Duplicates", *parts, *_families(numbers), guide=guide)


def _crowds(numbers: Numbers) -> list[tuple[str, str]]:
    """What was done about buckets with too many documents to list their pairs."""
    d = numbers.duplicates
    if not d.n_crowded_buckets:
        return []
    return [
        ("crowded buckets, compared with their keepers only", exact(d.n_crowded_buckets)),
        ("comparisons inside them", exact(d.n_crowd_compared)),
        ("kept documents beyond their limit, not compared with", exact(d.n_crowd_unlisted)),
    ]


def _duplicate_shares(numbers: Numbers) -> Html:
    """What each language or source lost to duplicates; only documents that nothing else spoke against."""
    groups = [g for g in numbers.groups if g.n_exact_docs + g.n_near_docs]
    rows = [
        (
            g.name,
            exact(g.n_docs),
            exact(g.n_exact_docs),
            exact(g.n_near_docs),
            percent((g.n_exact_docs + g.n_near_docs) / max(1, g.n_docs)),
            bar((g.n_exact_docs + g.n_near_docs) / max(1, g.n_docs), colour="code"),
        )
        for g in sorted(groups, key=lambda g: (-g.n_exact_docs - g.n_near_docs, g.pool, g.name))
    ]
    columns = ("group", "documents", "equal", "near", "share lost", "")
    return table("What each group lost to duplicates", columns, rows=rows)


def _families(numbers: Numbers) -> list[Html]:
    """Who stands for the most others."""
    rows = [
        (
            f.path,
            f.source,
            f.language,
            exact(f.n_docs),
            exact(f.n_near_docs),
            f"{f.min_similarity:.3f}",
            size(f.n_bytes),
        )
        for f in numbers.duplicates.families
    ]
    columns = ("kept document", "from", "language", "dropped for it", "of these near", "least similar", "bytes")
    return [table("Largest families", columns, rows=rows, names=3)] if rows else []


def origins(numbers: Numbers) -> Html:
    """Who may use it."""
    guide = (
        "Licences are as the documents state them. The class decides which of several copies is kept: permissive "
        "before unknown before other."
    )
    total = max(1, sum(c.n_packed_tokens for c in numbers.license_classes))
    columns = ("licence", "class", "of all", "tokens packed", "tokens kept", "documents", "kept", "")

    def row(x: License, name: str) -> tuple[Cell, ...]:
        share = x.n_packed_tokens / total
        counts = (x.n_packed_tokens, x.n_kept_tokens, x.n_docs, x.n_kept_docs)
        return (name, x.license_class, percent(share), *(exact(n) for n in counts), bar(share, colour="code"))

    classes = [row(c, f"all {c.license_class}") for c in numbers.license_classes]
    found = [row(x, license_name(x.name)) for x in numbers.licenses[:N_LICENSES]]
    more = len(numbers.licenses) - N_LICENSES
    title = "Licences" + (f"; {more} rarer ones are left out here" if more > 0 else "")
    licences = table(title, columns, rows=[*classes, *found], names=2)
    return section("origins", "Licences", licences, guide=guide)
