"""The help of `loopmix`: commands by what one does with them, options by subject where they are many.

A command whose name is missing in GROUPS stands under the last heading; a test asks for its line here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence

import click

GROUPS: dict[str, tuple[str, ...]] = {
    "Make a mixture": ("config", "lint", "forecast", "curate", "status"),
    "Look at it": ("report", "browse", "compare", "why", "trace", "select", "rules", "classify"),
    "Prove it": ("verify", "validate"),
    "Change it": ("forget", "propose"),
    "Train on it": ("train", "diagnose", "export"),
    "Take its data elsewhere": ("export-data", "publish"),
    "Tokenizers": ("train-tokenizer", "tokenizer-report"),
}
OTHERS = "More"
# Options by the names of their parameters; what is not named stands under the first heading.
FIRST = "Options"
SUBJECTS: dict[str, tuple[str, ...]] = {
    "Where the work runs": ("executor", "workers", "ray_address", "scratch"),
    "What is not sound": ("on_bad_shard", "check"),
    "The search": ("mixtures", "target", "max_epochs", "mixture_tokens", "spread", "confirm_seeds", "seed"),
    "The trainings": ("tokens", "loops", "seeds"),
    "The model": ("config", "tokenizer"),
    "An estimate": ("dry_run", "processes", "device_memory"),
    "What is printed": ("quiet", "as_json"),
}
_MANY = 5  # options, --help among them, that are read in one go


def summary(command: click.Command) -> str:
    """The first sentence of a command's help, whole."""
    paragraph = inspect.cleandoc(command.help or "").partition("\n\n")[0].replace("\n", " ")
    return paragraph.partition(". ")[0].rstrip(".") + "."


def by_group(names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Headings and the commands below each, of those that there are."""
    for heading, listed in GROUPS.items():
        if here := [name for name in listed if name in names]:
            yield heading, here
    known = {name for listed in GROUPS.values() for name in listed}
    if rest := [name for name in names if name not in known]:
        yield OTHERS, rest


def by_subject(params: Sequence[click.Parameter]) -> Mapping[str, list[click.Parameter]]:
    """Headings and the options below each: one heading where they are few."""
    options = [param for param in params if isinstance(param, click.Option)]
    subject_of = {name: subject for subject, listed in SUBJECTS.items() for name in listed}
    found: dict[str, list[click.Parameter]] = {subject: [] for subject in (FIRST, *SUBJECTS)}
    for option in options:
        found[subject_of.get(option.name or "", FIRST) if len(options) > _MANY else FIRST].append(option)
    return {subject: listed for subject, listed in found.items() if listed}


class Sectioned(click.Command):
    """A command whose help has its options by subject."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each subject."""
        for subject, params in by_subject(self.get_params(ctx)).items():
            with formatter.section(subject):
                formatter.write_dl([record for param in params if (record := param.get_help_record(ctx))])


class Grouped(click.Group):
    """A group whose help has its commands by what one does with them, each with its whole first sentence."""

    command_class = Sectioned

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group."""
        width = max(map(len, self.commands))  # one column for all groups
        for heading, names in by_group(self.list_commands(ctx)):
            with formatter.section(heading):
                formatter.write_dl([(f"{name:<{width}}", summary(self.commands[name])) for name in names])
