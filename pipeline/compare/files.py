"""The files of two runs and of their inputs: which are the same, by the hashes that stand in manifests and on disk."""

from __future__ import annotations

from itertools import zip_longest

from pipeline.compare.found import InputChanges, SameBytes, StageFiles
from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FileEntry, Store
from pipeline.errors import StoreError
from pipeline.reading.files_stand import FilesStand, files_stand
from pipeline.reading.work import Work
from pipeline.sources.documents import read_plan
from pipeline.sources.slices import InputFile

_MAX_NAMED = 5


def stage_files(a: RunFiles, b: RunFiles) -> tuple[StageFiles, ...]:
    """Every stage of both runs, in the order of work, and how many of its files have the same place and hash."""
    found = []
    for name in (*a.stages, *(stage for stage in b.stages if stage not in a.stages)):
        files = [run.files(name) if name in run.stages else iter(()) for run in (a, b)]
        n = [0, 0]
        n_equal = 0
        for pair in zip_longest(*files):
            for side, file in enumerate(pair):
                n[side] += file is not None
            n_equal += _named(pair[0]) == _named(pair[1])
        found.append(StageFiles(name, _version(a, name), _version(b, name), n[0], n[1], n_equal))
    return tuple(found)


def _version(run: RunFiles, stage: str) -> int | None:
    return int(run.manifest["stages"][stage]["version"]) if stage in run.stages else None


def _named(file: FileEntry | None) -> tuple[str, str] | None:
    return None if file is None else (file.path, file.sha256)


def same_bytes(a: RunFiles, b: RunFiles, stages: tuple[StageFiles, ...], work: Work) -> SameBytes | None:
    """Both runs hashed anew, where their manifests name the same files; None where these differ.

    StoreError where a file is not what its manifest says: then nothing is known to be equal.
    """
    if any(not stage.n_files_a == stage.n_files_b == stage.n_equal for stage in stages):
        return None
    tokenizers = [tokenizer_of(run.store, run.manifest) for run in (a, b)]
    if tokenizers[0].sha256 != tokenizers[1].sha256:
        return None
    found = FilesStand()
    for run, tokenizer in ((a, tokenizers[0]), (b, tokenizers[1])):
        found = FilesStand()
        for stage in run.stages:
            files_stand(run, work, stage, by_hash=True, found=found)
        found.add(run.store, [tokenizer], by_hash=True)
        if found.n_bad:
            raise StoreError(
                f"{run.store.root}: {found.n_bad} of {found.n_files:,} files are missing or have not the hash of the "
                f"manifest, the first is {found.bad[0]}; curate the run again, which makes anew what is damaged"
            )
    return SameBytes(found.n_files, found.n_bytes)


def input_changes(a: RunFiles, b: RunFiles) -> InputChanges | None:
    """How the files of the inputs differ, by the plans that the runs keep; None where one keeps none."""
    old, new = _input_files(a.store), _input_files(b.store)
    if old is None or new is None:
        return None
    changed = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    alone = [sorted(mine.keys() - others.keys()) for mine, others in ((old, new), (new, old))]
    named = [
        *(f"{source}: {path} (changed)" for source, path in changed[:_MAX_NAMED]),
        *(f"{source}: {path} (A alone)" for source, path in alone[0][:_MAX_NAMED]),
        *(f"{source}: {path} (B alone)" for source, path in alone[1][:_MAX_NAMED]),
    ]
    return InputChanges(len(old), len(new), len(alone[0]), len(alone[1]), len(changed), tuple(named))


def _input_files(store: Store) -> dict[tuple[str, str], InputFile] | None:
    plan = read_plan(store)
    if plan is None:
        return None
    return {(piece.source, file.path): file for piece in plan.slices for file in piece.files}
