"""The sequences of a run, one after another, for a loader of one's own that needs no torch and any storage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.api.asked import number_of
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import ConfigError
from pipeline.export.finished import Finished
from pipeline.sequences import Rows


def sequences_of(run: RunFiles, *, rank: int, n_ranks: int, start: int) -> Iterator[dict[str, Any]]:
    """See `FinishedRun.sequences`. ConfigError now, and not when the first is asked for."""
    rank, n_ranks = number_of(rank, what="rank"), number_of(n_ranks, what="n_ranks")
    start = number_of(start, what="start")
    if not 0 <= rank < n_ranks or start < 0:
        raise ConfigError(f"rank {rank} of {n_ranks} from sequence {start}: expected 0 <= rank < n_ranks, start >= 0")
    return _each(Finished.of(run), rank=rank, n_ranks=n_ranks, start=start)


def _each(source: Finished, *, rank: int, n_ranks: int, start: int) -> Iterator[dict[str, Any]]:
    stop = 0
    for phase in source.by_phase():
        first, stop = stop, stop + phase.n_sequences
        # Rounds begin anew with each phase: what an earlier one left over is not made up for.
        begin = max(first, start)
        end = begin + (stop - begin) // n_ranks * n_ranks if begin < stop else begin
        yield from _of_phase(phase, first, range(begin + rank, end, n_ranks))


def _of_phase(phase: Finished, number: int, wanted: range) -> Iterator[dict[str, Any]]:
    """The wanted sequences of a phase whose first one is `number`."""
    for rows in phase.rows():
        n_rows = len(rows.n_real)
        if number < wanted.stop and number + n_rows > wanted.start:
            piece = 0
            for row, n_pieces in enumerate(rows.n_pieces.tolist()):
                if number + row in wanted:
                    yield _as_dict(rows, row, piece, piece + n_pieces)
                piece += n_pieces
        number += n_rows


def _as_dict(rows: Rows, row: int, first: int, last: int) -> dict[str, Any]:
    """One row, whose pieces are `first` up to `last` of all."""
    one = rows.block.slice(row, 1)
    closes = rows.closes[first:last]
    return {
        "token_ids": rows.token_ids[row],
        "n_real": int(rows.n_real[row]),
        "cu_seqlens": [0, *rows.ends[first:last][closes].tolist()],
        "doc_ids": one.column("doc_ids")[0].as_py(),
        "groups": one.column("groups")[0].as_py(),
        "pool": rows.pools[row],
    }
