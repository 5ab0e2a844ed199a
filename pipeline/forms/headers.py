"""The tokens around a file of a repository document: whose it is, which file, and where the repository ends.

    <|repo_name|> NAME LF  <|file_sep|> PATH LF CONTENT  <|file_sep|> PATH LF CONTENT  ...  <end>

The name stands before the first file of a repository alone, and the end behind the last one: each file carries what is
its own, so that its tokens are the same wherever it stands. A file longer than a sequence has an end of its own,
since no other ever joins it. Names and contents are encoded apart, and no text makes one of the marks: so a row of
tokens says by itself where its parts begin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.forms.fim import N_SENTINELS, Sentinels, slices_of

Ids = np.ndarray  # uint32 [n]
Encode = Callable[[Sequence[bytes]], list[Ids]]  # ids of each text, without an end

# Names by family of vocabularies: ours and Qwen's, StarCoder's.
_NAMES = (("<|repo_name|>", "<|file_sep|>"), ("<repo_name>", "<file_sep>"))


@dataclass(frozen=True)
class FileMarks:
    """The ids before a repository's name and a file's path, and the one that ends a document."""

    repo: int
    file: int
    end: int


def marks_of(special: dict[str, int], *, end: int) -> FileMarks | None:
    """Those of a vocabulary with these special tokens; None if it has none."""
    for names in _NAMES:
        if all(name in special for name in names):
            repo, file = (special[name] for name in names)
            return FileMarks(repo, file, end)
    return None


def header(encode: Encode, marks: FileMarks, *, repo: str | None, path: str) -> Ids:
    """What stands before a file's content; `repo`: of the first file of its repository, else None."""
    texts = [f"{name}\n".encode() for name in (repo, path) if name is not None]
    parts = []
    for mark, ids in zip((marks.repo, marks.file)[-len(texts) :], encode(texts), strict=True):
        parts += [np.array([mark], np.uint32), ids]
    return np.concatenate(parts)


@dataclass(frozen=True)
class FileIds:
    """A row of tokens of a file, taken apart: the ids of its repository's name (None: it has no name), those of path
    and content, and whether the document's end stands behind it."""

    repo: Ids | None
    file: Ids
    ends: bool


def take_apart(ids: Ids, marks: FileMarks) -> FileIds:
    """The parts of a row that `header` begins. ValueError if it is none."""
    where = np.flatnonzero(ids == marks.file)
    begins = ids.size > 0 and ids[0] in (marks.repo, marks.file)
    if not begins or where.size != 1 or int((ids == marks.repo).sum()) != int(ids[0] == marks.repo):
        raise ValueError("no file of a repository: it needs one mark of its path, after that of its repository's name")
    ends = bool(ids[-1] == marks.end)
    at = int(where[0])
    return FileIds(ids[1:at] if ids[0] == marks.repo else None, ids[at + 1 : ids.size - ends], ends)


def headed_slices(ids: Ids, n_tokens: int, mark: Sentinels) -> Iterator[tuple[int, int]]:
    """`fim.slices_of` of a row that a header may stand before, and that may leave its end to what follows it."""
    where = np.flatnonzero(ids == mark.prefix)
    skip = int(where[0]) if where.size else ids.size
    if skip >= n_tokens:  # it is not filled in, or enters with no more than its header
        yield 0, n_tokens
        return
    body = with_end(ids[skip:], mark)
    wanted = n_tokens - skip
    open_end = body.size - (ids.size - skip)  # 1: the end is not its own
    if wanted > body.size - N_SENTINELS:
        wanted += open_end  # asked for and cut off below: the end is the first sentinel that makes up a number
    slices = [(start + skip, min(stop + skip, ids.size)) for start, stop in slices_of(body, wanted, mark)]
    if slices[0][0] == skip:  # the header stands before a whole piece, or a plain slice with its first sentinel
        slices[0] = (0, slices[0][1])
    elif skip:
        yield 0, skip
    yield from slices


def with_end(ids: Ids, mark: Sentinels) -> Ids:
    """A filled-in row as `fim` reads it, its end behind it."""
    return ids if ids[-1] == mark.end else np.append(ids, np.uint32(mark.end))
