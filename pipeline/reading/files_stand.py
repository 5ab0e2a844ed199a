"""Whether the files of a run stand as its manifest says, and no other beside them; stage by stage, so that what is held
is the names of one table's files."""

from dataclasses import dataclass, field

from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FileEntry, Store
from pipeline.schema import PACKED

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

    def add(self, store: Store, file: FileEntry, *, by_hash: bool, size: int | None = None) -> None:
        """Compare a file; `size` is what a listing says of it, so that nobody need be asked for that."""
        self.n_files += 1
        self.n_bytes += file.n_bytes
        is_sound = size == file.n_bytes if size is not None else True
        if (by_hash or size is None) and is_sound:
            is_sound = store.is_intact(file, by_hash=by_hash)
        if not is_sound:
            self.n_bad += 1
            self.bad = [*self.bad, file.path][:_MAX_NAMED]

    def add_strange(self, path: str) -> None:
        """A file that the manifest does not name."""
        self.n_strange += 1
        self.strange = [*self.strange, path][:_MAX_NAMED]


def files_stand(run: RunFiles, stage: str, *, by_hash: bool, found: FilesStand) -> None:
    """Compare the files of one stage, and look for others in their folders."""
    store, folders = run.store, [f"tables/{stage}"]
    if stage == PACKED:
        folders = [PACKED, *(f"{PACKED}/{name}" for name in store.folders(PACKED))]
    there = {folder: store.files(folder) for folder in folders}
    for file in run.files(stage):
        folder, _, name = file.path.rpartition("/")
        found.add(store, file, by_hash=by_hash, size=there.get(folder, {}).pop(name, None))
    for folder in sorted(there):
        for name in there[folder]:
            if not name.startswith("."):
                found.add_strange(f"{folder}/{name}")
