"""Verdicts of trainings and validations that are named beside the runs, and whether they are of these runs at all."""

from __future__ import annotations

from pathlib import Path

from pipeline.engine.run_folder import RunFiles
from pipeline.errors import CheckpointError
from pipeline.report.training import packed_hashes, read_training
from pipeline.results import (
    IDENTITY_NAME,
    MODELS_NAME,
    Validation,
    model_name,
    read_identity,
    read_validation,
)


def training_verdict(folder: Path, run: RunFiles) -> str:
    """Of the model in `folder`, in one line. CheckpointError where it is none, or was trained on other data."""
    found = read_training(folder, hashes=packed_hashes(run))
    if not found.is_same_data:
        raise _of_another_run(folder, run, "--models MODEL_A MODEL_B")
    return f"{found.status or 'unfinished'}: {found.message}"


def validation_verdict(folder: Path, run: RunFiles) -> str:
    """Of the validation in `folder`, in one line; what its trainings read says of which run it is.

    CheckpointError where it is none, or of another run.
    """
    found = read_validation(folder)
    models = _models(folder, found)
    if any(read_identity(model).data != packed_hashes(run) for model in models):
        raise _of_another_run(folder, run, "--validations V_A V_B")
    unknown = "" if models else " (its models are gone, so nothing says of which run it is)"
    return f"{found.status}: {found.message}{unknown}"


def _models(folder: Path, found: Validation) -> list[Path]:
    """Folders of the trainings on the validated mixture itself that are still there; others were compared with it."""
    own = [v for v in found.variants if v.mixture == found.mixture and Path(v.mixture).name == v.mixture]
    models = [folder / MODELS_NAME / model_name(v.mixture, n_loops=v.n_loops, seed=v.seed) for v in own]
    return [model for model in models if (model / IDENTITY_NAME).exists()]


def _of_another_run(folder: Path, run: RunFiles, option: str) -> CheckpointError:
    return CheckpointError(
        f"{folder}: is of other packed shards than those of {run.store.root}; give the folders of both runs in their "
        f"order: {option}"
    )
