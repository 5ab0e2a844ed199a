"""The subcommand `loopmix lint`. Parse, call one function, print."""

from __future__ import annotations

import sys
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.output import json_option, say, say_json

if TYPE_CHECKING:
    from pipeline.config import Mixture
    from pipeline.request.lint import LintFinding

_WIDTH = 80
_EXIT_FOUND = 1


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(lint)


@click.command()
@click.argument("mixture", type=click.Path(path_type=Path, dir_okay=False))
@json_option("a JSON list of {kind, key, seen, why, write}")
def lint(mixture: Path, as_json: bool) -> None:
    """Say what MIXTURE will regret, before any run: keys, rules, sources, licences, shares, budgets.

    Looks at a few megabytes of each input. Exit code 0 without findings, 1 with some or with a file that is wrong.
    """
    from pipeline.request.lint_inputs import lint as findings_of
    from pipeline.request.load import load_mixture

    loaded = load_mixture(mixture)
    found = [*findings_of(loaded), *_tokenizer(loaded)]
    if as_json:
        say_json([asdict(one) for one in found])
    else:
        for one in found:
            say("\n".join([*lines_of(one), ""]))
        say(f"{len(found)} finding{'' if len(found) == 1 else 's'}" if found else "nothing to mend")
    if found:
        sys.exit(_EXIT_FOUND)


def lines_of(finding: LintFinding) -> list[str]:
    """A finding on a few lines of 80 columns."""
    lines = [finding.key]
    for name, text in (("", finding.seen), ("why", finding.why), ("write", finding.write)):
        begin = f"  {name:<6}" if name else "  "
        lines += textwrap.wrap(text, _WIDTH, initial_indent=begin, subsequent_indent=" " * len(begin))
    return lines


def _tokenizer(mixture: Mixture) -> list[LintFinding]:
    """A vocabulary that cannot be loaded, or that has no token for what the mixture asks of it."""
    import tokenizer
    from pipeline.request.lint import LintFinding

    try:
        tokenizer.load(mixture.tokenizer.path)
    except tokenizer.TokenizerError as error:
        why, write = "the run stops there", "the path of a tokenizer.json with these tokens, or builtin"
        return [LintFinding("tokenizer", "tokenizer.path", str(error), why, write)]
    from pipeline.recipe import unwritable

    if (said := unwritable(mixture)) is not None:
        return [
            LintFinding("forms", "forms", said, "the run stops there", "builtin, whose vocabulary has these tokens")
        ]
    return []
