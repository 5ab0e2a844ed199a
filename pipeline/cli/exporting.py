"""The subcommand `loopmix export-data`. Parse, call one function, print."""

from pathlib import Path

import click

from pipeline.cli.output import RUN, json_option, say, say_json

# Those of pipeline/export/formats.py, which costs too much to import for a help text; a test holds them equal.
FORMAT_NAMES = ("megatron", "mds", "olmo", "nanotron", "parquet", "huggingface")


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(export_data)


@click.command("export-data")
@click.argument("run", type=RUN)
@click.option("--to", required=True, type=click.Choice(FORMAT_NAMES), help="Which trainer's files; see docs/data.md.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="New folder; default: RUN-FORMAT.")
@click.option("--by-pool", is_flag=True, help="A folder for code and one for text, for trainers that blend them.")
@json_option("the bytes of export.json")
def export_data(run: str, to: str, out: Path | None, by_pool: bool, as_json: bool) -> None:
    """Write the packed sequences of RUN as another trainer reads them, in stream order; RUN stays as it is."""
    from pipeline.arrays.pandas_unasked import leave_pandas_out
    from pipeline.engine.run_folder import RunFiles
    from pipeline.engine.store import open_store
    from pipeline.export import export_data as write

    leave_pandas_out()
    made = write(RunFiles(open_store(run)), to=to, out=out, by_pool=by_pool)
    if as_json:
        say_json(made.record, sort_keys=True)
        return
    record, tokens = made.record, made.record["n_tokens"]
    n_bytes = sum(file["n_bytes"] for file in record["files"].values())
    shares = ", ".join(f"{n:,} {pool}" for pool, n in tokens.items())
    say(f"wrote {made.folder}: {len(record['files'])} files, {n_bytes:,} bytes, for {made.format.reader}")
    say(f"  {sum(tokens.values()):,} tokens ({shares}) in {record['n_pieces']:,} pieces of {record['n_sequences']:,}")
    say(f"  sequences; {record['n_pieces_without_end']:,} pieces end without the end-of-document token: cut documents")
    for phase in record.get("phases", ()):
        n_tokens, n_sequences = sum(phase["n_tokens"].values()), phase["n_sequences"]
        say(f"  {phase['folder']}/: {n_tokens:,} tokens in {n_sequences:,} sequences of {phase['seq_len']:,}")
    say(f"  kept: {', '.join(made.format.kept)}")
    if made.format.lost:
        say(f"  lost: {', '.join(made.format.lost)}")
