"""Lines of metrics.jsonl and the text of result.json. No clock enters either, so equal runs give equal bytes."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

from pipeline.errors import CheckpointError
from pipeline.plt.events import Evaluation, GroupLoss, Step, TrainResult, to_json

_MAX_CURVE_STEPS = 200  # of the training curve in result.json; metrics.jsonl has them all


def metrics_line(entry: Step | Evaluation) -> str:
    """One line for metrics.jsonl, told apart by its `kind`."""
    kind = "step" if isinstance(entry, Step) else "evaluation"
    return to_json({"kind": kind} | dataclasses.asdict(entry))


def read_metrics(path: Path, *, n_bytes: int | None = None) -> tuple[list[Step], list[Evaluation]]:
    """All steps and evaluations in (the first `n_bytes` of) a metrics file. Raises CheckpointError for other lines."""
    steps, evaluations = [], []
    for number, line in enumerate(path.read_bytes()[:n_bytes].splitlines(), start=1):
        try:
            entry = json.loads(line)
            kind = entry.pop("kind")
            if kind == "step":
                steps.append(Step(**_numbers(entry)))
            else:
                evaluations.append(_evaluation(entry))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{path}: line {number} is no metrics line ({error!r}); the file is damaged"
            ) from error
    return steps, evaluations


def _evaluation(entry: dict[str, Any]) -> Evaluation:
    pools, groups = (tuple(GroupLoss(**_numbers(g)) for g in entry.pop(key)) for key in ("pools", "groups"))
    return Evaluation(**_numbers(entry), pools=pools, groups=groups)


def _numbers(entry: dict[str, Any]) -> dict[str, Any]:
    """Null stands for a number that JSON lacks."""
    return {key: math.nan if value is None else value for key, value in entry.items()}


def result_text(result: TrainResult) -> str:
    """result.json: verdict, evaluations, diagnostics and a thinned training curve."""
    steps = result.record.steps
    stride = max(1, -(-len(steps) // _MAX_CURVE_STEPS))
    curve = [s for i, s in enumerate(steps) if i % stride == 0 or i == len(steps) - 1]
    record = dataclasses.replace(result.record, steps=tuple(curve))
    return to_json({"verdict": dataclasses.asdict(result.verdict)} | dataclasses.asdict(record), indent=2) + "\n"
