"""What a source takes or takes off without a word, told from its first rows and the names of its files."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.config import Mixture, Source
from pipeline.errors import first_of
from pipeline.request.heads import Head, unstripped
from pipeline.request.lint import LintFinding
from pipeline.yaml_file import closest, did_you_mean

_MAX_NAMED = 8  # splits of a finding; a data set has two or three


def choices(source: Source, head: Head, mixture: Mixture) -> Iterator[LintFinding]:
    """A prefix that no row has, and splits that nobody chose."""
    if source.strip_prefix is not None:
        yield from _prefix(source, source.strip_prefix, unstripped(mixture, source, head))
    if source.kind == "huggingface":
        yield from _splits(source, head)


def _prefix(source: Source, pattern: str, contents: list[bytes]) -> Iterator[LintFinding]:
    """A name with a slip in it is an expression like any other, and fits nothing."""
    from pipeline.sources.prefix import NAMED, n_fitting  # late: Arrow's kernels take a tenth of a second

    if not contents or n_fitting(contents, pattern=pattern):
        return
    near = closest(pattern, NAMED)
    yield LintFinding(
        "prefix_fits_nothing",
        f"sources.{source.name}.strip_prefix",
        f"{pattern!r} fits 0 of {len(contents)} rows looked at{did_you_mean(near) if near else ''}",
        "what stands before each content is trained on, and no field is filled from it",
        f"strip_prefix: {near[0] if near else 'one of ' + ', '.join(NAMED) + ', or an expression that fits'} "
        f"in source {source.name}, or leave it out",
    )


def _splits(source: Source, head: Head) -> Iterator[LintFinding]:
    """`save_to_disk` of several splits makes a folder of each, and one of them is often to be tested on."""
    splits = sorted({file.path.partition("/")[0] for file in head.files if "/" in file.path})
    if len(splits) < 2 or source.include != ("*",) or source.exclude:
        return
    patterns = ", ".join(f"/{name}/" for name in splits)
    yield LintFinding(
        "all_splits",
        f"sources.{source.name}.include",
        f"all {len(splits)} splits of source {source.name} are read: {first_of(splits, most=_MAX_NAMED)}",
        "what is kept apart to test a model on would be trained on",
        f"include: [/{'train' if 'train' in splits else splits[0]}/] in source {source.name}, "
        + (f"or [{patterns}] where all are meant" if len(splits) <= _MAX_NAMED else "or all of them by name"),
    )
