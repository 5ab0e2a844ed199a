"""Two finished runs beside each other, from their files alone: nothing is written into either."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline import __version__
from pipeline.compare import tally
from pipeline.compare.cases import examples
from pipeline.compare.files import input_changes, same_bytes, stage_files
from pipeline.compare.found import DocumentChanges, RunComparison, SettingChange, SideOf
from pipeline.compare.meet import hold_the_same, meet
from pipeline.compare.settings import limits_that_differ, setting_changes
from pipeline.compare.verdicts import training_verdict, validation_verdict
from pipeline.engine.run_folder import RunFiles
from pipeline.reading.work import Work
from pipeline.report import counted
from pipeline.report.numbers import Numbers
from pipeline.schema import DOCUMENTS

Folders = tuple[Path, Path] | None


def compare(
    a: RunFiles, b: RunFiles, work: Work, *, models: Folders = None, validations: Folders = None
) -> RunComparison:
    """Everything that differs between two runs; where they are the same bytes, that is proven and no document is read.

    `models` and `validations` are folders of `loopmix train` and `loopmix validate`, of A and of B. Raises StoreError
    for a run that is not finished or damaged, SchemaError for one of another version, CheckpointError for folders that
    are no models or validations, or of other runs.
    """
    runs = (a, b)
    # First, so that what is refused is refused before hours of counting.
    trained = [training_verdict(models[k], run) if models else None for k, run in enumerate(runs)]
    judged = [validation_verdict(validations[k], run) if validations else None for k, run in enumerate(runs)]
    changes, stages = setting_changes(a.mixture, b.mixture), stage_files(a, b)
    same = same_bytes(a, b, stages, work)
    documents = None if same else _documents(runs, changes, work)
    numbers = [counted(run, work=work) for run in runs]
    return RunComparison(
        version=__version__,
        a=_side(a, numbers[0], numbers[1], training=trained[0], validation=judged[0]),
        b=_side(b, numbers[1], numbers[0], training=trained[1], validation=judged[1]),
        same=same,
        settings=changes,
        stages=stages,
        inputs=input_changes(a, b),
        documents=documents,
    )


def _side(run: RunFiles, numbers: Numbers, others: Numbers, *, training: str | None, validation: str | None) -> SideOf:
    totals = numbers.totals
    return SideOf(
        run=run.store.root,
        mixture=numbers.name,
        tokenizer=numbers.tokenizer,
        sample=numbers.sample.rate if numbers.sample else None,
        n_docs=totals.n_docs,
        n_bytes=totals.n_bytes,
        n_kept_docs=totals.n_kept_docs,
        n_packed_tokens=totals.n_packed_tokens,
        streams=numbers.streams,
        notices=tuple(notice for notice in numbers.notices if notice not in others.notices),
        training=training,
        validation=validation,
    )


def _documents(runs: Sequence[RunFiles], changes: Sequence[SettingChange], work: Work) -> DocumentChanges:
    a, b = runs
    met = meet(a, b, work)
    groups = tally.groups(met)
    return DocumentChanges(
        side_by_side=hold_the_same(a, b),
        bytes_known=all(run.store.exists(run.tables.path(DOCUMENTS, 0)) for run in runs),
        n_both=met.n_both,
        counts=tally.counts(met),
        flows=tally.flows(met),
        groups=groups,
        sources=tally.sources(met),
        reasons=tally.reasons(met, limits_that_differ(a.mixture, b.mixture)),
        moves=tally.moves(met),
        examples=examples(met, runs, work, changes=changes, groups=groups),
    )
