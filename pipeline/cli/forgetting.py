"""The subcommand `loopmix forget`. Parse, call one function, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.helping import Sectioned
from pipeline.cli.output import RUN, json_option, say, say_json

if TYPE_CHECKING:
    from pipeline.forget.forget import Done

_MAX_SHOWN = 20  # entries and groups: a screen


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(forget)


@click.command(cls=Sectioned)
@click.argument("run", type=RUN)
@click.option(
    "--list", "listed", required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True), help="One a line."
)
@click.option("--allow-missing", is_flag=True, help="Go on where entries match no document.")
@click.option("--rebuild", is_flag=True, help="Fill no places: the next `curate` balances and packs anew.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would go and what would come; nothing is changed.")
@json_option("what was done, as the manifest has it")
def forget(run: str, listed: Path, allow_missing: bool, rebuild: bool, is_dry: bool, as_json: bool) -> None:
    """Take the documents of a list out of RUN, with all of equal bytes or words, and prove that they are gone.

    A line is doc_id:, path:, repo:, content_hash:, sha256:, sha1: or blob: and a value, or JSON of several. Only what
    holds them is rewritten; surplus of the same group fills their places, so that balance and `verify` hold.
    """
    from pipeline.arrays.pandas_unasked import leave_pandas_out
    from pipeline.engine.store import open_store
    from pipeline.forget.forget import forget as take_back
    from pipeline.forget.listing import read_list

    leave_pandas_out()
    entries = read_list(listed)
    done = take_back(
        open_store(run),
        entries,
        allow_missing=allow_missing,
        is_dry=is_dry,
        is_rebuild=rebuild,
        say=lambda line: say(line, err=True),
    )
    if as_json:
        say_json(done.summary, sort_keys=True)
        return
    for line in _lines(done, is_dry=is_dry):
        say(line)


def _lines(done: Done, *, is_dry: bool) -> list[str]:
    """What a forget did, or would do, for a reader."""
    matched = done.matched
    out = [f"  {n:>9,}  {entry}" for entry, n in matched.of_entry[:_MAX_SHOWN]]
    if (more := len(matched.of_entry) - _MAX_SHOWN) > 0:
        out.append(f"  {'':>9}  and {more:,} more entries")
    if matched.missing:
        out.append(f"{len(matched.missing):,} entries match no document")
    if matched.n_before:
        out.append(f"{matched.n_before:,} documents were forgotten before")
    if not done.summary:
        return [*out, "nothing is to be forgotten"]
    said = done.summary
    out.append(
        f"{'would forget' if is_dry else 'forgot'} {said['documents']:,} documents: {said['listed']:,} listed, "
        f"{said['equal_bytes']:,} of equal bytes, {said['equal_words']:,} of equal words"
    )
    out += _groups(said)
    if is_dry:
        return [*out, f"{said['bytes_removed']:,} bytes would go; nothing was changed"]
    ratio = said["bytes_written"] / max(1, said["bytes_removed"])
    out.append(f"{said['bytes_removed']:,} bytes removed, {said['bytes_written']:,} written: {ratio:.2f} for each")
    proof = said["proof"]
    out.append(f"proof: {proof['said']}")
    out.append(f"proof: {proof['passages_found']} of {proof['passages']:,} passages that only they held were found")
    return out


def _groups(said: dict[str, Any]) -> list[str]:
    """Tokens by group: what went, and what came."""
    names = sorted(said["tokens_removed"].keys() | said["tokens_refilled"].keys())
    out = [
        f"  {name:<28} {said['tokens_removed'].get(name, 0):>12,} tokens removed "
        f"{said['tokens_refilled'].get(name, 0):>12,} refilled"
        for name in names[:_MAX_SHOWN]
    ]
    if len(names) > _MAX_SHOWN:
        out.append(f"  and {len(names) - _MAX_SHOWN} more groups")
    if others := said["tokens_from_other_groups"]:
        out.append(f"{sum(others.values()):,} tokens came from other groups of the pool, for {', '.join(others)}")
    return out
