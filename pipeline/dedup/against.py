"""What a mixture is compared with beyond its own sources: finished runs, and the files of benchmarks."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline.config import Mixture, source_of
from pipeline.dedup.shingling import signing_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import Tables, open_store
from pipeline.errors import ConfigError, StoreError
from pipeline.sources import plan_slices

_LARGE = 2**62  # a benchmark is read whole, however it is cut


def open_known(mixture: Mixture) -> tuple[tuple[Tables, ...], str]:
    """The tables of each run in `against`, and what names their content.

    Raises ConfigError if a run is not finished, or if its signatures were made of other words.
    """
    tables, keys = [], []
    for entry in mixture.against:
        if entry.kind != "run":
            continue
        run = RunFiles(open_store(entry.path))
        try:
            stages = run.manifest["stages"]
        except StoreError as error:
            raise ConfigError(f"against.{entry.name}: {error}") from error
        theirs, ours = signing_of(run.mixture.near_dups), signing_of(mixture.near_dups)
        if theirs != ours:
            differing = [k for k in type(ours).model_fields if getattr(ours, k) != getattr(theirs, k)]
            raise ConfigError(
                f"against.{entry.name}: near_dups.{', near_dups.'.join(differing)} differ from that run's, so its "
                "signatures cannot be compared; give both the same values"
            )
        tables.append(run.tables)
        keys.append([entry.name, stages["signatures"]["fingerprint"], stages["select"]["fingerprint"]])
    return tuple(tables), json.dumps(keys) if keys else ""


def describe_benchmarks(mixture: Mixture) -> str:
    """The files of all benchmarks as text: changes when one is added, removed, resized or touched."""
    entries = [a for a in mixture.against if a.kind != "run"]
    slices = [asdict(s) for a in entries for s in plan_slices(source_of(a), shard_bytes=_LARGE)]
    return json.dumps(slices, sort_keys=True) if slices else ""
