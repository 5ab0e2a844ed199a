"""The subcommands `loopmix rules` and `loopmix select`: which rules there are, and what they do to a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.output import RUN, complain, json_option, say, say_json
from pipeline.features import SETS

if TYPE_CHECKING:
    from pipeline.rules.resolve import Asked

_file = click.Path(path_type=Path, dir_okay=False)
N_LANGUAGES = 5  # of each rule on a terminal; --json has all


def add_to(main: click.Group) -> None:
    """Hang the subcommands into `loopmix`."""
    main.add_command(rules)
    main.add_command(select)


@click.command()
@click.argument("mixture", required=False, type=_file)
@click.option("--set", "names", multiple=True, type=click.Choice(SETS), help="A set that ships; default: loopmix.")
@click.option("--features", is_flag=True, help="What rules may ask for instead.")
@json_option("one JSON object a line")
def rules(mixture: Path | None, names: tuple[Any, ...], features: bool, as_json: bool) -> None:
    """Print the rules that judge MIXTURE, or those of the sets that ship."""
    from pipeline.features import FEATURES
    from pipeline.filters import Quality
    from pipeline.request.load import load_mixture
    from pipeline.rules.resolve import resolve

    if mixture is not None and names:
        raise click.UsageError("give either a MIXTURE or --set")
    if features:
        for name, feature in FEATURES.items():
            say_json({"feature": name} | asdict(feature)) if as_json else say(f"{name:<26} {feature.meaning}")
        return
    quality = load_mixture(mixture).quality if mixture else Quality(sets=names or ("loopmix",))
    for asked in resolve(quality):
        if as_json:
            say_json({"key": asked.key} | asked.rule.model_dump(mode="json"))
        else:
            say("\n".join(_lines(asked)))


def _lines(asked: Asked) -> Iterator[str]:
    """A rule on a few lines."""
    rule = asked.rule
    yield f"{rule.reason}: {rule.feature} {rule.side} {rule.limit:g} ({asked.key})"
    for condition in rule.when:
        yield f"  and {condition.feature} {condition.side} {condition.limit:g}"
    where = [f"pool {rule.pool}"] if rule.pool else []
    where += [f"only {', '.join(rule.languages)}"] if rule.languages else []
    where += [f"not {', '.join(rule.exempt)}"] if rule.exempt else []
    where += [f"{rule.keep_frac:.0%} of them stay, by a key of their bytes"] if rule.keep_frac else []
    if where:
        yield f"  {'; '.join(where)}"
    yield f"  {rule.why} (source: {rule.source})" if rule.why else f"  source: {rule.source}"


@click.command()
@click.argument("run", type=RUN)
@click.option(
    "--against",
    type=_file,
    help="Judge by the rules and select of this mixture instead; writes nothing.",
)
@click.option("--examples", is_flag=True, help="Also name ten documents of each rule.")
@json_option("one JSON object: effects by rule and language, examples, totals")
def select(run: str, against: Path | None, examples: bool, as_json: bool) -> None:
    """Say by rule and language what goes, alone and beyond the other rules, from what RUN measured."""
    from pipeline.compare.settings import not_counted
    from pipeline.engine.run_folder import RunFiles
    from pipeline.engine.store import open_store
    from pipeline.reading.rule_effects import effects_of, own_effects
    from pipeline.reading.work import working
    from pipeline.report import rule_tables
    from pipeline.report.terminal_table import table_lines
    from pipeline.request.load import load_mixture

    opened = RunFiles(open_store(run))
    other = load_mixture(against) if against else None
    if other and other.quality.measuring() != opened.mixture.quality.measuring():
        complain("warning: that mixture measures otherwise than the run did; its rules are put to the run's numbers")
    with working() as work:
        found = effects_of(opened, other.quality, other.select) if other else own_effects(opened, work)
    unseen = not_counted(opened.mixture, other) if other else ()
    if as_json:
        say_json(asdict(found) | {"not_counted": unseen})
        return
    tables = [rule_tables.by_reason(found), rule_tables.by_language(found, limit=N_LANGUAGES)]
    tables += [rule_tables.examples(found)] if examples else []
    for table in tables:
        say("\n".join([*table_lines(table), ""]))
    say("\n".join(rule_tables.totals(found, unseen)))
