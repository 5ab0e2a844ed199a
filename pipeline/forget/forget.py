"""Forget: take documents out of a finished run and leave it as exact, as balanced and as provable as it was.

Find them and all that equals them; plan what takes their places; write the plan down; change what holds them; look for
them everywhere; say in the manifest what was done. From the plan on the run refuses readers until the end is reached,
and whoever calls again after a stop reaches it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from pipeline.engine.forgotten import AT_WORK, HISTORY, JOURNAL, PATCHED, drop_made
from pipeline.engine.lease import hold
from pipeline.engine.manifest import read_manifest, write_manifest
from pipeline.engine.run_folder import RunFiles, refuse_no_run
from pipeline.engine.store import Store
from pipeline.errors import ConfigError, StageError
from pipeline.forget.listing import Listed
from pipeline.forget.matching import Matched, match, refuse_missing
from pipeline.forget.plan import ForgetPlan, damaged_plan, read_plan, write_plan
from pipeline.forget.planning import REBUILD, plan_of, rebuild_plan
from pipeline.forget.prints import n_found
from pipeline.forget.proof import look_for, texts_left
from pipeline.forget.texts import CHANGES_FILE
from pipeline.forget.writing import commit, write, write_sources

Say = Callable[[str], None]


@dataclass(frozen=True)
class Done:
    """What a forget did, or would do."""

    matched: Matched
    summary: dict[str, Any]  # as the manifest has it; empty where nothing was to be done
    completed: dict[str, Any] | None = None  # that of an earlier forget, which was cut off and came first


def forget(
    store: Store,
    entries: Sequence[Listed],
    *,
    allow_missing: bool = False,
    is_dry: bool = False,
    is_rebuild: bool = False,
    say: Say = print,
) -> Done:
    """Forget what the entries name; `is_dry`: only say what that is. A forget that was cut off is completed first.
    `is_rebuild`: fill no places, but leave all that is made of `documents` to the next `curate`.

    Raises StoreError for a run that is not finished or is worked on, ConfigError for entries that match nothing or two
    things, StageError, before anything is changed, where a pool has too little surplus to fill the places.
    """
    refuse_no_run(store)
    with hold(store) as held:
        completed = None
        if AT_WORK in read_manifest(held):
            say("a forget of this run was cut off: completing it first")
            try:
                completed = _work_off(held, read_plan(held), 0)
            except (IndexError, KeyError, ValueError, OverflowError) as error:  # of a plan that is not of this run
                raise damaged_plan(held) from error
        for path in (JOURNAL, CHANGES_FILE):
            held.remove(path)  # of one that was cut off before it changed anything, or after all was done
        run = RunFiles(held)
        matched = match(run, entries)
        if not allow_missing:
            refuse_missing(matched)
        if not matched.n_docs:
            return Done(matched, {}, completed)
        if not is_rebuild:
            _refuse_in_place(run)
        plan = rebuild_plan(run, matched) if is_rebuild else plan_of(run, matched)
        if is_dry:
            return Done(matched, plan.summary, completed)
        n_bytes = write_plan(held, plan)
        manifest = read_manifest(held)
        write_manifest(held, manifest | {AT_WORK: {"documents": matched.n_docs}})
        return Done(matched, _work_off(held, plan, n_bytes), completed)


def _refuse_in_place(run: RunFiles) -> None:
    """Raise ConfigError for runs whose places surplus cannot take one for one.

    A phase takes only what may enter it, and files that lie side by side attend to each other.
    """
    for held, said in ((run.mixture.phases, "phases"), (run.joined, "repository documents (forms.repositories)")):
        if held:
            raise ConfigError(
                f"{run.store.root}: places in a run with {said} cannot be filled where they stand; say --rebuild, "
                "which takes the documents out and leaves the rest to `loopmix curate`"
            )


def _work_off(store: Store, plan: ForgetPlan, n_bytes: int) -> dict[str, Any]:
    """Do all that is planned, prove it, and say so; may be called again after a stop anywhere in it.

    `n_bytes`: written already.
    """
    is_rebuild = bool(plan.summary.get(REBUILD))
    run = RunFiles(store, is_forgetting=True)
    written = (write_sources if is_rebuild else write)(run, plan)
    commit(run, written.files)
    proof = _proven_texts(store) if is_rebuild else _proven(store, plan)
    summary = plan.summary | {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "bytes_written": n_bytes + written.n_bytes,
        "bytes_by_table": written.by_table | {"plan": n_bytes},
        "proof": proof,
    }
    manifest = read_manifest(store)
    if is_rebuild:
        drop_made(store, manifest)
    else:
        manifest[PATCHED] = True
    del manifest[AT_WORK]
    write_manifest(store, manifest | {HISTORY: [*manifest.get(HISTORY, []), summary]})
    for path in (JOURNAL, CHANGES_FILE):
        store.remove(path)
    return summary


def _proven(store: Store, plan: ForgetPlan) -> dict[str, Any]:
    """Look for all that was ever forgotten, and for passages of what is now; StageError if anything is found."""
    run = RunFiles(store, is_forgetting=True)
    left = look_for(run)
    in_tokens, in_packed = n_found(run, np.array(plan.prints, np.uint64))
    if not left.is_nothing or in_tokens or in_packed:
        raise StageError(
            f"{store.root}: {left}; {in_tokens + in_packed} of {len(plan.prints):,} passages are still there; run the "
            "same line again, and if that says the same, make the run anew with `loopmix curate --replace`"
        )
    return {"passages": len(plan.prints), "passages_found": 0, "said": str(left)}


def _proven_texts(store: Store) -> dict[str, Any]:
    """The same of a run in which only texts are left."""
    n_docs, n_texts = texts_left(RunFiles(store, is_forgetting=True))
    if n_texts:
        raise StageError(f"{store.root}: {n_texts:,} of {n_docs:,} forgotten documents have a text; run the line again")
    said = f"{n_docs:,} documents are forgotten: no text of them is left, and no sequences; `loopmix curate` makes them"
    return {"passages": 0, "passages_found": 0, "said": said}
