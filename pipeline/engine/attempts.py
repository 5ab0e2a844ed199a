"""Which attempt at a stage a run is in: a word in the paths of all that its inner steps leave for the next start.

    RUN/state/attempts.json    for each stage its fingerprint and the attempt

A task reads tables by names that all configurations share. So one of a driver that was taken for dead may read, late,
what its successor wrote under another configuration, and its exchange files and marker stand under its own fingerprint
all the same. A stage begins a new attempt whenever its fingerprint is not what it was at the start before. Who comes
back to the first configuration thus finds nothing that was made after another had the run; who goes on with the same
one finds all. (The step that writes the table needs no such word: its table's name is the lease holder's alone.)
"""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from pipeline.engine.store import ATTEMPTS, Store

_WORD = Annotated[str, Field(pattern="^[0-9a-f]{12}$")]
_RECORDED = TypeAdapter(dict[str, tuple[str, _WORD]])


def attempts_of(store: Store, marks: dict[str, str]) -> dict[str, str]:
    """The attempt at each stage of `marks` (stage -> fingerprint), which is recorded before any work.

    A record that cannot be read is none: all inner steps are done again.
    """
    before = _recorded(store)
    new = store.driver[:12]  # of 128 random bits that no other start bears
    now = {name: (mark, before[name][1] if before.get(name, ("",))[0] == mark else new) for name, mark in marks.items()}
    if now != before:
        store.write_bytes(ATTEMPTS, json.dumps(now, indent=1, sort_keys=True).encode())
    return {name: attempt for name, (_, attempt) in now.items()}


def _recorded(store: Store) -> dict[str, tuple[str, str]]:
    try:
        return _RECORDED.validate_json(store.find(ATTEMPTS) or b"{}")
    except ValidationError:
        return {}
