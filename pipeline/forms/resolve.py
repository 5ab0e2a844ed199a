"""Which file of its repository a target is: of the first alternative that fits any the nearest, then in path order."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pipeline.forms.paths_of import Target, folder

_PACKAGE_MARK = "__init__.py"
_MOST_IN_FOLDER = 64  # files that a folder stands for; of more, the import says too little


class Files:
    """The files of one repository, found by path, by the end of a path, and by folder.

    `paths` stand in path order, without repeats; places count in that order.
    """

    def __init__(self, paths: Sequence[str], *, repo: str) -> None:
        self.paths = paths
        self.repo = repo.rstrip("/").rpartition("/")[2].lower()
        self._place = {path: place for place, path in enumerate(paths)}
        self._ends: dict[str, list[str]] = defaultdict(list)  # paths by their last name, and by their last two
        self._folders: dict[str, list[str]] = defaultdict(list)
        for path in paths:
            self._folders[folder(path)].append(path)
            for end in _last_names(path):
                self._ends[end].append(path)
        self._folder_ends: dict[str, list[str]] = defaultdict(list)
        for name in self._folders:
            for end in _last_names(name):
                self._folder_ends[end].append(name)
        for found in self._folder_ends.values():
            found.sort()
        self._found: dict[str, list[str]] = {}  # by pattern, whoever asks

    def imported(self, path: str, targets: Sequence[Target]) -> list[int]:
        """The places of the files that `targets` of the file at `path` are, rising; its own is not among them."""
        found: set[int] = set()
        for target in targets:
            for alternative in target:
                hits = self._matches(alternative, path)
                if hits:
                    found.update(self._place[hit] for hit in hits)
                    break
        found.discard(self._place[path])
        return sorted(found)

    def _matches(self, alternative: str, path: str) -> list[str]:
        kind, pattern = alternative[0], alternative[1:]
        if kind == "=":
            if "*" not in pattern:
                return [pattern] if pattern in self._place else []
            return self._in_folder(folder(pattern), pattern)
        if kind == "@":
            return self._by_address(pattern)
        if pattern.rpartition("/")[2].startswith("*"):
            name = folder(pattern)
            near = _nearest(self._ending(name, of=self._folder_ends), path)
            return self._in_folder(near, pattern) if near is not None else []
        found = self._ending(pattern, of=self._ends)
        if kind == "^":
            found = self._below_roots(found, pattern, path)
        near = _nearest(found, path)
        return [near] if near is not None else []

    def _ending(self, end: str, *, of: Mapping[str, list[str]]) -> list[str]:
        """Paths, or folders, that end so at a slash, in order."""
        key = f"{id(of)} {end}"
        if key not in self._found:
            names = of.get("/".join(end.rsplit("/", 2)[-2:]), [])
            self._found[key] = [one for one in names if one == end or one.endswith("/" + end)]
        return self._found[key]

    def _below_roots(self, found: list[str], end: str, path: str) -> list[str]:
        """Those of `found` that an absolute import of Python may mean."""
        out = []
        for one in found:
            root = one[: len(one) - len(end)].rstrip("/")
            if "/" not in end and not (f"{path}".startswith(f"{root}/") or not root):
                continue  # a module that only its name tells: `logging` is not any file of that name
            if root == folder(path) or f"{root}/{_PACKAGE_MARK}".lstrip("/") not in self._place:
                out.append(one)
        return out

    def _in_folder(self, name: str, pattern: str) -> list[str]:
        end = pattern.rpartition("*")[2]
        found = [one for one in self._folders.get(name, ()) if one.endswith(end) and not one.endswith("_test.go")]
        return found if len(found) <= _MOST_IN_FOLDER else []

    def _by_address(self, pattern: str) -> list[str]:
        """A package of Go: within the repository, or copied into it with its whole address."""
        parts = pattern.split("/")[:-1]
        names = [part.lower() for part in parts]
        if self.repo in names:
            inner = "/".join(parts[names.index(self.repo) + 1 :])
            if hits := self._in_folder(inner, pattern):
                return hits
        copied = _nearest(self._ending("/".join(parts), of=self._folder_ends), "")
        return self._in_folder(copied, pattern) if copied is not None else []


def _last_names(path: str) -> set[str]:
    """A path's last name, and its last two."""
    return {path.rpartition("/")[2], "/".join(path.rsplit("/", 2)[-2:])} if path else set()


def _nearest(found: list[str], path: str) -> str | None:
    """The first of the sorted paths `found` that shares most folders with `path`."""
    if len(found) <= 1:
        return found[0] if found else None
    home = folder(path)
    while home:
        first = bisect_left(found, home + "/")
        if first < len(found) and found[first].startswith(home + "/"):
            return found[first]
        home = folder(home)
    return found[0]
