"""Which mixture a run is of, and what its logs say of who made it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from datetime import datetime

import yaml

from pipeline.engine.logged import LogEvent, MixtureFile, events_of, logs_of
from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.report.signing import (
    Identity,
    InputSource,
    RunRecord,
    RunStart,
    RunWarning,
    SourceLanguage,
    StageIdentity,
    StepClock,
    without_passwords,
)

MAX_STARTS = 50  # of which the logs are read, the latest: a run that grows has many
MAX_WARNINGS, MAX_MESSAGE_CHARS = 100, 1_000  # a page stays readable whatever a log says


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
    starts: list[RunStart] = []
    steps: dict[str, StepClock] = {}
    warned: Counter[str] = Counter()
    for path in logs_of(run.store)[-MAX_STARTS:]:
        events = list(events_of(run.store, path))
        if not events or events[0].event != "start":
            continue
        starts.append(_start(events))
        warned.update(dict.fromkeys((_message(event) for event in events if event.event == "warning"), 1))
        for event in events:
            if event.event == "step_end":
                before = steps.get(event.step, StepClock(event.step, 0, 0, 0.0))
                n_items, seconds = before.n_items + event.n_items, before.seconds + event.seconds
                steps[event.step] = StepClock(event.step, before.n_starts + 1, n_items, round(seconds, 3))
    warnings = tuple(RunWarning(message, n) for message, n in list(warned.items())[:MAX_WARNINGS])
    return RunRecord(tuple(starts), tuple(steps.values()), warnings)


def _message(warning: LogEvent) -> str:
    said = str(without_passwords(warning.message))
    return said if len(said) <= MAX_MESSAGE_CHARS else f"{said[:MAX_MESSAGE_CHARS]}…"


def _start(events: Sequence[LogEvent]) -> RunStart:
    first, last = events[0], events[-1]
    seconds = (datetime.fromisoformat(last.time) - datetime.fromisoformat(first.time)).total_seconds()
    outcome = ("done" if last.ok else "stopped" if last.stopped else "failed") if last.event == "end" else "open"
    inputs = next((event for event in reversed(events) if event.event == "inputs"), first)
    file = first.mixture_file or MixtureFile()
    return RunStart(
        time=first.time,
        seconds=round(seconds, 3),
        outcome=outcome,
        host=first.host,
        version=first.version,
        command=first.command,
        workers=inputs.workers,
        n_cpus=first.n_cpus,
        libraries=first.libraries,
        mixture_file=file.text,
        mixture_file_sha256=file.sha256,
        input_bytes=inputs.bytes,
    )
