"""The subcommands `loopmix train-tokenizer` and `loopmix tokenizer-report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli.output import json_option, say, say_json
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipeline.targets import TokenizerSample
    from pipeline.tokenizer_sample import GroupTaken
    from tokenizer import Encoder

# Ids of four bytes could number more, but learning sets memory aside for each entry that is asked for.
_MOST_ENTRIES = 2**20
_NAMED = 8  # groups of a pool that a line names
_file = click.Path(path_type=Path, dir_okay=False)


def add_to(main: click.Group) -> None:
    """Hang the subcommands into `loopmix`."""
    main.add_command(train_tokenizer)
    main.add_command(tokenizer_report)


@click.command("train-tokenizer")
@click.argument("mixture", type=_file)
@click.option("--out", required=True, type=_file, help="tokenizer.json to write.")
@click.option(
    "--vocab-size", type=click.IntRange(max=_MOST_ENTRIES), default=76_800, show_default=True, help="Its entries."
)
@click.option(
    "--sample-bytes",
    type=click.IntRange(1_000),
    default=100_000_000,
    show_default=True,
    help="Code and text together, in the parts that the mixture's tokenizer.sample says; half each without.",
)
def train_tokenizer(mixture: Path, out: Path, vocab_size: int, sample_bytes: int) -> None:
    """Train the byte-level BPE on a keyed sample of the mixture's sources.

    How languages and sources share it stands in the mixture: tokenizer.sample. Equal documents count once.
    A vocabulary that the sample cannot fill is refused, with the largest that it can.
    """
    import tokenizer
    from pipeline.engine.store import open_store
    from pipeline.request.load import load_mixture
    from pipeline.tokenizer_sample import sample

    def show(done: int, total: int) -> None:
        if done == total or done % 10 == 0:
            say(f"  read {done}/{total} slices (each twice)")

    loaded = load_mixture(mixture)
    texts, taken = sample(loaded, n_bytes=sample_bytes, on_slice=show)
    for line in _shares(taken, wanted=loaded.tokenizer.sample):
        say(line)
    say(f"  training {vocab_size:,} entries on {len(texts):,} documents, {sum(map(len, texts)):,} characters")
    try:
        trained = tokenizer.train(texts, vocab_size=vocab_size)
    except tokenizer.TokenizerError as error:
        raise ConfigError(f"train-tokenizer: {error}") from error
    open_store(str(out.parent)).write_bytes(out.name, trained.to_str().encode())
    say(f"wrote {out}")


@click.command("tokenizer-report")
@click.argument("file", metavar="FILE|builtin")
@click.option(
    "--on",
    "paths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A mixture, files or folders that the tokenizer was not trained on; may be given more than once.",
)
@click.option("--sample-bytes", default=50_000_000, show_default=True, help="About how much of them is encoded.")
@json_option("the whole report as one JSON object")
def tokenizer_report(file: str, paths: tuple[Path, ...], sample_bytes: int, as_json: bool) -> None:
    """Say how FILE fits unseen texts, beside public vocabularies, and which of its entries nothing needs.

    Bytes per token by language need --on. The public vocabularies come from packages (the extra `peers`); those that
    are not installed are named.
    """
    from pipeline.cli import fit

    report = fit.report_on(_opened(file), file=file, paths=paths, sample_bytes=sample_bytes)
    say_json(report) if as_json else say("\n".join(fit.lines(report)))


def _shares(taken: Sequence[GroupTaken], *, wanted: TokenizerSample) -> Iterator[str]:
    """A line a pool: its bytes and its largest groups; and a line for shares of groups that hold nothing."""
    from pipeline.schema import OTHERS

    for pool, shares in (("code", wanted.code.shares), ("text", wanted.text.shares)):
        mine = [group for group in taken if group.pool == pool]
        total = sum(group.n_taken for group in mine)
        named = ", ".join(f"{group.group} {group.n_taken / total:.1%}" for group in mine[:_NAMED])
        more = f", and {len(mine) - _NAMED} more" if len(mine) > _NAMED else ""
        yield f"  {pool} {total:,} bytes of {len(mine)} groups: {named}{more}"
        if empty := sorted(set(shares) - {OTHERS} - {group.group for group in mine}):
            yield f"  warning: tokenizer.sample.{pool}.shares: no document of {', '.join(empty)} passes the rules"


def _opened(file: str) -> Encoder:
    import tokenizer

    try:
        return tokenizer.load(file)
    except tokenizer.TokenizerError as error:
        raise ConfigError(f"tokenizer-report: {error}") from error
