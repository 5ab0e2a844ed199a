"""Which mixture a run is of, and what its logs say of who made it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import yaml

from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.report.signing import (
    Identity,
    InputSource,
    RunRecord,
    RunStart,
    SourceLanguage,
    StageIdentity,
    StepClock,
    without_passwords,
)

LOGS = "logs"
MAX_STARTS = 50  # of which the logs are read, the latest: a run that grows has many


def identity_of(run: RunFiles, languages: Sequence[SourceLanguage]) -> Identity:
    """From the manifest alone, and what was counted by source and language."""
    said = run.mixture.model_dump(mode="json")
    tokenizer = tokenizer_of(run.store, run.manifest)
    fields = ("n_docs", "n_bytes", "n_kept_docs", "n_packed_docs", "n_packed_tokens")
    sources = [
        InputSource(
            one.name,
            one.kind,
            without_passwords(str(one.path)),
            *(sum(getattr(row, field) for row in languages if row.source == one.name) for field in fields),
        )
        for one in run.mixture.sources
    ]
    stages = ((name, run.manifest["stages"][name]) for name in run.stages)
    return Identity(
        mixture=yaml.safe_dump(without_passwords(said), sort_keys=False, allow_unicode=True, width=100),
        mixture_sha256=hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest(),
        tokenizer_path=str(run.mixture.tokenizer.path),
        tokenizer_sha256=tokenizer.sha256,
        tokenizer_bytes=tokenizer.n_bytes,
        sources=tuple(sources),
        stages=tuple(StageIdentity(name, entry["version"], entry["fingerprint"]) for name, entry in stages),
    )


# --- the record -------------------------------------------------------------------------------------------------------


def record_of(run: RunFiles) -> RunRecord:
    """From the logs of the run; empty where they are gone. A line that is no event is passed over."""
    names = sorted(name for name in run.store.files(LOGS) if name.endswith(".jsonl"))[-MAX_STARTS:]
    starts: list[RunStart] = []
    steps: dict[str, StepClock] = {}
    for name in names:
        events = [event for line in run.store.read_bytes(f"{LOGS}/{name}").splitlines() if (event := _event(line))]
        if not events or events[0]["event"] != "start":
            continue
        starts.append(_start(events))
        for event in events:
            if event["event"] == "step_end":
                before = steps.get(event["step"], StepClock(event["step"], 0, 0, 0.0))
                n_items, seconds = before.n_items + int(event["n_items"]), before.seconds + float(event["seconds"])
                steps[event["step"]] = StepClock(event["step"], before.n_starts + 1, n_items, round(seconds, 3))
    return RunRecord(tuple(starts), tuple(steps.values()))


def _event(line: bytes) -> dict[str, Any] | None:
    """A line of a log; None for the last one of a start that was killed while it wrote."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) and {"time", "event"} <= found.keys() else None


def _start(events: Sequence[dict[str, Any]]) -> RunStart:
    first, last = events[0], events[-1]
    seconds = (datetime.fromisoformat(last["time"]) - datetime.fromisoformat(first["time"])).total_seconds()
    outcome = ("done" if last["ok"] else "failed") if last["event"] == "end" else "open"
    said = {key: value for event in events if event["event"] == "inputs" for key, value in event.items()}
    file = first.get("mixture_file") or {}
    return RunStart(
        time=first["time"],
        seconds=round(seconds, 3),
        outcome=outcome,
        host=first["host"],
        version=first["version"],
        command=tuple(first["command"]),
        workers=said.get("workers", ""),
        n_cpus=first.get("n_cpus"),
        libraries=first.get("libraries", {}),
        mixture_file=file.get("text", ""),
        mixture_file_sha256=file.get("sha256", ""),
        input_bytes=said.get("bytes", {}),
    )
