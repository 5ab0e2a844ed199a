"""The page's sections: a guide that says how to read them, charts, and the tables with the charts' numbers."""

from collections.abc import Callable
from html import escape

from pipeline.report import (
    charts,
    concentration_tables,
    decision_tables,
    document_tables,
    privacy_tables,
    rule_tables,
    signing_tables,
    stream_tables,
    training_tables,
)
from pipeline.report.formats import FLOW_WORDS
from pipeline.report.forms import forms_table
from pipeline.report.markup import Cell, Html, draw, element, figure, section
from pipeline.report.numbers import Numbers
from pipeline.report.repositories import repositories_table
from pipeline.report.shares import largest
from pipeline.report.stream_numbers import PhaseStream
from pipeline.report.syntax import syntax_table
from pipeline.report.text_markup import visible
from pipeline.report.training import loss_changes

# Bars that a chart holds without becoming a wall; the table below it has all of them.
N_BARS = 15
N_EXTENSIONS = 30  # of each language that is none; the first row sums all of them


def languages(numbers: Numbers) -> Html:
    """Code: the chart most people open the page for, the paper beside it, every language below."""
    groups = numbers.of_pool("code")
    paper = {p.name: p.paper_frac for p in numbers.paper}
    has_target = any(g.target_frac is not None for g in groups)
    first = "Look for bars that miss their target mark." if has_target else "No target is set, so after follows kept."
    guide = f"{first} Dialects count with their family: TSX is TypeScript."
    against, shown = draw(document_tables.paper_table(numbers)), largest(groups, limit=N_BARS)
    drawn = figure(charts.shares_chart(shown, name="languages", paper=paper), against) if shown else against
    every = document_tables.groups_table("Languages of the code pool", "language", groups, paper=paper)
    return section("languages", "Languages", drawn, draw(every), guide=guide)


def sources(numbers: Numbers) -> Html:
    """Text: a single source needs no chart, its share is always one."""
    groups = numbers.of_pool("text")
    guide = "The text pool is balanced by source; read it like the languages above."
    table = draw(document_tables.groups_table("Sources of the text pool", "source", groups, paper={}))
    shown = largest(groups, limit=N_BARS)
    drawn = figure(charts.shares_chart(shown, name="sources", paper={}), table) if len(groups) > 1 else table
    spoken = decision_tables.prose_languages_table(numbers)
    by_source = draw(signing_tables.source_languages_table(numbers))
    return section("sources", "Text sources", drawn, *([draw(spoken)] if spoken.rows else []), by_source, guide=guide)


def decisions(numbers: Numbers) -> Html:
    """How languages were decided, from the general to the single document."""
    found = numbers.language_decisions
    guide = (
        "Names and declarations come first; content decides where they leave a choice. The classifier's confidence "
        "belongs to the document; that of a rule is the share of its verdicts that are right on labelled files. Look "
        "for bars on the left and for pairs of languages with many close documents; “loopmix why” tells one document's "
        "story."
    )
    sure = draw(decision_tables.confidences_table(found))
    parts = [figure(charts.confidences_chart(found.confidences), sure) if found.n_content_docs else sure]
    parts.append(draw(decision_tables.decisions_table(numbers)))
    two = decision_tables.pairs_table(found), decision_tables.disagreements_table(numbers)
    parts.append(element("div", *map(draw, two), css="two"))
    single = (
        decision_tables.formats_table(numbers),
        decision_tables.untold_table(found, n_each=N_EXTENSIONS),
        decision_tables.misnamed_table(found),
        decision_tables.border_table(found),
    )
    parts += [draw(table) for table in single if table.rows]
    return section("decisions", "How languages were decided", *parts, guide=guide)


def drops(numbers: Numbers) -> Html:
    """From all documents to those in the mixture, and who lost them where."""
    guide = "A document leaves at the first stage that objects, but every reason is written down."
    parts = [figure(charts.flow_chart(numbers.flow, words=FLOW_WORDS), draw(document_tables.flow_table(numbers)))]
    outcomes = draw(document_tables.outcomes_table(numbers))
    if numbers.drops:
        parts.append(figure(charts.drops_chart(numbers.drops[: N_BARS - 1]), outcomes))
        parts.append(draw(document_tables.drops_table(numbers)))
        parts.append(draw(document_tables.source_drops_table(numbers)))
    else:
        parts.append(outcomes)
    if numbers.lost_fields:
        parts.append(draw(document_tables.lost_fields_table(numbers)))
    return section("drops", "What was dropped", *parts, guide=guide)


def rules(numbers: Numbers) -> Html | None:
    """What each rule takes out that no other would, and documents to judge it by."""
    effects = numbers.rule_effects
    if not effects.effects:
        return None
    guide = (
        "A rule is worth what it drops beyond the others, if that is junk. Read its examples; then move it, or do "
        "without it: “loopmix select RUN --against MIXTURE” shows the effect in seconds, before anything is made anew."
    )
    tables = rule_tables.by_reason(effects), rule_tables.by_language(effects, limit=10), rule_tables.examples(effects)
    return section("rules", "Rules", *map(draw, tables), guide=guide)


def syntax(numbers: Numbers) -> Html | None:
    """How much of each language a parser could not read."""
    if not numbers.syntax:
        return None
    guide = (
        "Where a grammar is at hand, tree-sitter parsed the documents of a sample (quality.parse: sample), or all. "
        "Sound files have errors too, for grammars know no dialects and macros; a language of which many are broken "
        "has a damaged source, or files that are something else."
    )
    return section("syntax", "Syntax", draw(syntax_table(numbers.syntax)), guide=guide)


def forms(numbers: Numbers) -> Html | None:
    """How documents of code are written."""
    if not numbers.forms and numbers.repositories is None:
        return None
    guides, tables = list[str](), list[Cell]()
    if numbers.forms:
        guides.append(
            "Of documents that are filled in, the model reads beginning and end before the middle. PSM puts the "
            "beginning first, SPM the end. Each language has the share that forms.fim.rate asks for, to one document."
        )
        tables.append(draw(forms_table(numbers.forms)))
    if numbers.repositories is not None:
        guides.append(
            "Files of a repository stand side by side in a sequence, where they attend to each other. An import is of "
            "use to the model where the imported file stands before: what many files import can do so for some only."
        )
        tables.append(draw(repositories_table(numbers.repositories)))
    return section("forms", "Forms", *tables, guide=" ".join(guides))


def duplicates(numbers: Numbers) -> Html:
    """Two histograms and what they counted."""
    d = numbers.duplicates
    guide = (
        "Equal documents share every byte. Near duplicates were found by MinHash and each pair was then compared "
        f"exactly; only pairs at a similarity of {d.min_similarity:g} or more count. A document is dropped "
        "only for one that is kept."
    )
    beside = document_tables.duplicates_table(d), document_tables.sizes_table(d)
    parts = [figure(charts.duplicates_chart(d), *map(draw, beside))]
    if d.families:
        parts.append(draw(document_tables.families_table(d)))
    return section("duplicates", "Duplicates", *parts, guide=guide)


def origins(numbers: Numbers) -> Html:
    """Who may use it."""
    guide = (
        "Licences are as the documents state them. The class decides which of several copies is kept: permissive "
        "before unknown before other."
    )
    return section("origins", "Licences", draw(document_tables.licenses_table(numbers)), guide=guide)


def concentration(numbers: Numbers) -> Html:
    """What one repository or folder gives, and what documents of a mark do."""
    guide = (
        "A model takes on the habits of what it sees most. Look for a repository, or a folder of generated files, that "
        "gives more of a pool than it should; max_repo_frac and max_mark_frac below balance.code and balance.text cap "
        "them where there are no phases."
    )
    found = numbers.concentration
    spread = signing_tables.spreads_table(numbers), signing_tables.repositories_table(numbers)
    tables = (*spread, concentration_tables.places_table(found), concentration_tables.marks_table(found))
    return section("concentration", "Concentration", *(draw(t) for t in tables if t.rows), guide=guide)


def privacy(numbers: Numbers) -> Html | None:
    """What was found of each kind, where, and what happened to it."""
    found = numbers.privacy
    if not found.kinds:
        return None
    guide = (
        "Places that look like a secret or like personal data, never what stands there; “loopmix why” shows the lines "
        "of one document. What is redacted has a placeholder of its kind in the mixture. Look for what is left in it."
    )
    places = (
        privacy_tables.places_table("By language", "language", found.languages),
        privacy_tables.places_table("By source", "source", found.sources),
    )
    return section("privacy", "Privacy", draw(privacy_tables.kinds_table(found)), *map(draw, places), guide=guide)


def stream(numbers: Numbers) -> Html:
    """Balance and languages from the first to the last sequence."""
    b = numbers.balance
    weighed = "" if b.code_parts == b.text_parts == 1 else f" (code x {b.text_parts} minus text x {b.code_parts})"
    if numbers.phases:
        weighed = ", each phase weighed by its ratio,"
    guide = (
        "A trainer reads the stream from the left and may stop anywhere. The first chart shows code minus text tokens "
        f"up to each place{weighed}: it must stay between the dashed lines and end at zero. The second shows "
        "whether languages are spread evenly; stripes of equal height are good."
    )
    parts: list[Cell] = [draw(stream_tables.phases_table(numbers.phases))] if numbers.phases else []
    for one in numbers.streams:
        parts += _named(one)
        parts.append(figure(charts.balance_chart(one.balance), draw(stream_tables.prefixes_table(one.balance))))
        parts.append(figure(charts.mix_chart(one.mix), draw(stream_tables.mix_table(one.mix))))
    return section("stream", "Balance along the stream", *parts, guide=guide)


def packing(numbers: Numbers) -> Html:
    """How full the sequences are."""
    guide = (
        "Padding is compute spent on nothing, so little is good. A document longer than a sequence is cut into "
        "pieces; pools are never mixed inside a sequence."
    )
    parts: list[Cell] = []
    for one in numbers.streams:
        tables = stream_tables.packing_table(numbers, one.packing), stream_tables.pieces_table(one.packing)
        parts += [*_named(one), figure(charts.pieces_chart(one.packing), *map(draw, tables))]
    return section("packing", "Packing", *parts, guide=guide)


def _named(stream: PhaseStream) -> list[Cell]:
    """A heading for a phase; none for a stream without a name."""
    return [element("h3", f"Phase {stream.name}")] if stream.name else []


def training(numbers: Numbers) -> Html | None:
    """The verdict first, then the curves that it rests on."""
    trained = numbers.training
    if trained is None:
        return None
    guide = (
        "A small model trained on these shards. Held-out loss must fall below the dotted lines, which counting tokens "
        "alone would reach, and must fall for every language."
    )
    parts: list[Cell] = [element("p", trained.message, css=f"big {trained.status or 'warn'}")]
    if trained.checks:
        parts.append(draw(training_tables.checks_table(trained.checks)))
    if trained.curve and trained.evaluations:
        parts.append(figure(charts.loss_chart(trained), draw(training_tables.losses_table(trained))))
    changes = loss_changes(trained)
    if changes:
        most = changes[: charts.N_CURVES]
        parts.append(
            figure(charts.curves_chart(trained, most), draw(training_tables.group_curves_table(trained, most)))
        )
        parts.append(figure(charts.groups_chart(changes), draw(training_tables.loss_changes_table(changes))))
    if trained.loops:
        parts.append(draw(training_tables.loops_table(trained)))
    return section("training", "Training", *parts, guide=guide)


def lengths(numbers: Numbers) -> Html:
    """Short and long documents, and how often they come."""
    guide = (
        "Rules and the balance change which lengths there are. Look for a length that is gone, or that is nearly all; "
        "and for documents that come more often than a model gains from."
    )
    parts: list[Cell] = []
    for pool in ("code", "text"):
        bins = [b for b in numbers.signing.lengths if b.pool == pool]
        if bins:
            parts.append(figure(charts.lengths_chart(bins), draw(signing_tables.lengths_table(bins, pool=pool))))
    parts.append(draw(signing_tables.copies_table(numbers)))
    return section("lengths", "Lengths and copies", *parts, guide=guide)


def identity(numbers: Numbers) -> Html:
    """What somebody signs."""
    one = numbers.identity
    guide = (
        "Which mixture this is. Two runs whose stages have equal fingerprints hold equal bytes, whoever made them; "
        "the section Record says who did."
    )
    tables = signing_tables.identity_table(numbers), signing_tables.inputs_table(numbers)
    settings = element(
        "details",
        element("summary", "All settings, as they were resolved"),
        element("pre", Html(escape(visible(one.mixture))), css="text", tabindex="0"),
    )
    stages = draw(signing_tables.stages_table(numbers))
    return section("identity", "Identity", *map(draw, tables), settings, stages, guide=guide)


def record(numbers: Numbers) -> Html | None:
    """Who made it."""
    found = numbers.record
    if not found.starts:
        return None
    guide = "From the logs of the run: no two runs share this section, nor Work."
    file = next((start for start in reversed(found.starts) if start.mixture_file), None)
    tables = signing_tables.starts_table(numbers), signing_tables.warnings_table(numbers)
    parts = [draw(table) for table in tables if table.rows]
    if file is not None:
        said = f"The mixture file, as it was written (SHA-256 {file.mixture_file_sha256})"
        text = element("pre", Html(escape(visible(file.mixture_file))), css="text", tabindex="0")
        parts.append(element("details", element("summary", said), text))
    two = signing_tables.steps_table(numbers), signing_tables.libraries_table(numbers)
    parts.append(element("div", *(draw(table) for table in two if table.rows), css="two"))
    return section("record", "Record", *parts, guide=guide)


def work(numbers: Numbers) -> Html:
    """What the stages cost, and which input could not be read."""
    guide = (
        "Times of tasks add up, so with several workers less time passed than the clocks say. "
        "On a busy machine the clocks run on while a task waits; CPU time does not."
    )
    tables = stream_tables.work_table(numbers), stream_tables.bad_shards_table(numbers)
    return section("work", "Work", *(draw(table) for table in tables if table.rows), guide=guide)


# In the order of the page; the name is the section's id, the title its link at the top.
SECTIONS: tuple[tuple[str, str, Callable[[Numbers], Html | None]], ...] = (
    ("identity", "Identity", identity),
    ("languages", "Languages", languages),
    ("sources", "Text sources", sources),
    ("decisions", "Languages decided", decisions),
    ("drops", "Drops", drops),
    ("rules", "Rules", rules),
    ("syntax", "Syntax", syntax),
    ("duplicates", "Duplicates", duplicates),
    ("origins", "Licences", origins),
    ("lengths", "Lengths", lengths),
    ("concentration", "Concentration", concentration),
    ("privacy", "Privacy", privacy),
    ("stream", "Stream", stream),
    ("packing", "Packing", packing),
    ("forms", "Forms", forms),
    ("training", "Training", training),
    ("work", "Work", work),
    ("record", "Record", record),
)
