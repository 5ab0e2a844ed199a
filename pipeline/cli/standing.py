"""The subcommand `loopmix status`. Parse, call one function, print."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from pipeline.cli.output import RUN, json_option, say, say_json

if TYPE_CHECKING:
    from pipeline.engine.status import Status, Step

_WIDTH = 80
_INDENT = 10  # of what stands behind the names
_GO_ON = "; run the same command again to go on"
_STATES = {
    "working": "working",
    "dead": f"its driver is dead{_GO_ON}",
    "stopped": f"stopped{_GO_ON}",
    "failed": "failed; mend the cause and run the same command again",
    "finished": "finished",
}


def add_to(main: click.Group) -> None:
    """Hang the subcommand into `loopmix`."""
    main.add_command(status)


@click.command()
@click.argument("run", type=RUN)
@json_option("one JSON object: state is working, dead, stopped, failed or finished")
def status(run: str, as_json: bool) -> None:
    """Say how RUN stands: who works on it, the stage, shards done, rate, time left, what went wrong.

    Reads the run's files alone, so any machine that sees them may ask. A driver on another machine is watched for some
    seconds, to see whether it lives.
    """
    from pipeline.engine.progress import printable
    from pipeline.engine.status import status_of
    from pipeline.engine.store import open_store

    found = status_of(open_store(run))
    if as_json:
        say_json(_as_json(found))
        return
    for name, text in _rows(found):
        say(_wrapped(name, printable(text)))


def _wrapped(name: str, text: str) -> str:
    lines = textwrap.wrap(text, _WIDTH - _INDENT, break_on_hyphens=False, break_long_words=False)
    return "\n".join(f"{name if not i else '':<{_INDENT}}{line}" for i, line in enumerate(lines))


def _rows(found: Status) -> Iterator[tuple[str, str]]:
    from pipeline.engine.status import last

    yield "run", f"{found.run}, mixture {found.mixture!r}"
    state = f"stopped by whoever ran it{_GO_ON}" if found.by_hand else _STATES[found.state]
    # The same line would remove what it is to go on from.
    yield "state", state.replace("same command", "same command without --replace") if found.replaces else state
    if found.driver:
        yield "driver", found.driver
    if found.stages:
        at = "" if found.stage is None else f", now {found.stage[1]} ({found.stage[0]} of {len(found.stages)})"
        yield "stages", f"{len(found.done)} of {len(found.stages)} done{at if found.state != 'finished' else ''}"
    if found.step is not None:
        yield "step", _said(found.step, is_alive=found.state == "working")
    for line in last(found.problems):
        yield "skipped", line
    for line in last(found.warnings):
        yield "warning", line
    if found.error:
        yield "error", found.error
    if found.log:
        yield "log", found.log


def _said(step: Step, *, is_alive: bool) -> str:
    from pipeline.engine.status import seconds_since

    parts = [f"{step.name} {step.n_done:,} of {step.n_items:,}"]
    if step.seconds > 0 and step.n_bytes:
        parts.append(f"{step.n_bytes / step.seconds / 1e6:.1f} MB/s")
    if step.seconds > 0 and step.n_docs and step.n_bytes:  # steps that read no document count other things
        parts.append(f"{step.n_docs / step.seconds:,.0f} documents/s")
    if is_alive and step.seconds_left is not None:
        parts.append(f"{step.seconds_left:,.0f} s left")
    return f"{', '.join(parts)} ({max(0.0, seconds_since(step.said)):,.0f} s ago)"


def _as_json(found: Status) -> dict[str, Any]:
    from pipeline.engine.status import seconds_since

    said = asdict(found) | {
        "stage": None if found.stage is None else {"number": found.stage[0], "name": found.stage[1]}
    }
    if found.step is not None:
        said["step"] |= {"seconds_left": found.step.seconds_left, "seconds_ago": seconds_since(found.step.said)}
    return said
