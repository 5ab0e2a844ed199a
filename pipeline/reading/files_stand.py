"""Whether the files of a run stand as its manifest says, and no other beside them; stage by stage, so that what is held
is the names of one table's files."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FileEntry, Store
from pipeline.reading.work import Work
from pipeline.schema import PACKED

FILES_PER_TASK = 256  # of 64 MB, so that a task that hashes them takes some ten seconds
_MAX_NAMED = 3


@dataclass
class FilesStand:
    """What was found so far, with the first few names of what is wrong."""

    n_files: int = 0
    n_bytes: int = 0
    n_bad: int = 0
    n_strange: int = 0
    bad: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def add(self, store: Store, files: Sequence[FileEntry], *, by_hash: bool) -> None:
        """Compare some files here and now."""
        self.count(files)
        self.add_bad(_bad(store, by_hash, (0, tuple(files))))

    def count(self, files: Sequence[FileEntry]) -> None:
        """Files that are compared."""
        self.n_files += len(files)
        self.n_bytes += sum(file.n_bytes for file in files)

    def add_bad(self, paths: Sequence[str]) -> None:
        """Files that do not stand as they should."""
        self.n_bad += len(paths)
        self.bad = [*self.bad, *paths][:_MAX_NAMED]

    def add_strange(self, path: str) -> None:
        """A file that the manifest does not name."""
        self.n_strange += 1
        self.strange = [*self.strange, path][:_MAX_NAMED]


def files_stand(run: RunFiles, work: Work, stage: str, *, by_hash: bool, found: FilesStand) -> None:
    """Compare the files of one stage by tasks, and look for others in their folders."""
    files = list(run.files(stage))
    found.count(files)
    spans = work.spans(len(files), n_rows=len(files) * work.rows_per_task // FILES_PER_TASK)
    items = [(span.number, tuple(files[span.first : span.end])) for span in spans]
    for bad in work.each(partial(_bad, run.store, by_hash), items, name="verify.files"):
        found.add_bad(bad)
    folders = [f"tables/{stage}"]
    if stage == PACKED:
        folders = [PACKED, *(f"{PACKED}/{name}" for name in run.store.folders(PACKED))]
    named = {file.path for file in files}
    for folder in sorted(folders):
        for name in run.store.files(folder):
            if not name.startswith(".") and f"{folder}/{name}" not in named:
                found.add_strange(f"{folder}/{name}")


def _bad(store: Store, by_hash: bool, item: tuple[int, tuple[FileEntry, ...]]) -> list[str]:
    files = item[1]
    return [f.path for f, stands in zip(files, store.intact(files, by_hash=by_hash), strict=True) if not stands]
