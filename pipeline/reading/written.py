"""The text that a row of tokens stands for, whatever form it was written in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FileEntry, Store
from pipeline.errors import LoopmixError
from pipeline.forms.fim import Sentinels, sentinels_of, undo
from pipeline.forms.headers import FileMarks, marks_of, take_apart
from pipeline.mix.encoder import held_encoder
from pipeline.schema import TOKENIZER_FILE
from tokenizer import Encoder


@dataclass(frozen=True)
class WrittenTokens:
    """How a run's tokens are read."""

    encoder: Encoder
    sentinels: Sentinels | None  # None: no document of the run is filled in
    marks: FileMarks | None = None  # None: no files of a repository are joined

    def text(self, ids: np.ndarray) -> bytes:
        """The bytes of a document, of which `ids` are all tokens; a middle is read in its place, a header is not.

        ValueError for pieces that are torn.
        """
        return self.file(ids)[2]

    def file(self, ids: np.ndarray) -> tuple[bytes | None, bytes | None, bytes]:
        """The same with what its header says before it: its repository's name and its path, None where it has none."""
        # No text makes a mark or a sentinel, so the first token tells the form.
        if self.marks is None or ids[0] not in (self.marks.repo, self.marks.file):
            return None, None, self._alone(ids)
        found = take_apart(ids, self.marks)
        repo = None if found.repo is None else self.encoder.decode(found.repo).removesuffix(b"\n")
        filled = (
            np.zeros(0, np.int64) if self.sentinels is None else np.flatnonzero(found.file == self.sentinels.prefix)
        )
        if not filled.size:
            path, _, text = self.encoder.decode(found.file).partition(b"\n")
            return repo, path, text
        before, body = found.file[: filled[0]], found.file[filled[0] :]
        path = self.encoder.decode(before).removesuffix(b"\n")
        return repo, path, self._alone(np.append(body, np.uint32(self.marks.end)))

    def _alone(self, ids: np.ndarray) -> bytes:
        return self.encoder.decode(ids[:-1] if self.sentinels is None else undo(ids, self.sentinels))


@dataclass(frozen=True)
class Form:
    """How the tokens of a run are read, for tasks: by its own tokenizer, which each process reads once."""

    store: Store
    entry: FileEntry  # of the tokenizer
    joined: bool  # files of a repository are
    filled: bool  # some documents are filled in


def form_of(run: RunFiles) -> Form:
    """The form of a run's tokens."""
    return Form(run.store, tokenizer_of(run.store, run.manifest), run.joined, filled=run.mixture.forms.fim is not None)


def written(run: RunFiles) -> WrittenTokens:
    """By the run's own tokenizer. LoopmixError if it is missing, or not one for that run."""
    return _reader(form_of(run), run.tokenizer())


@lru_cache(maxsize=2)
def reader_of(form: Form) -> WrittenTokens:
    """The same of a form, kept for the next shard. LoopmixError as above."""
    data = form.store.read_bytes(form.entry.path)
    if hashlib.sha256(data).hexdigest() != form.entry.sha256:
        raise LoopmixError(f"{form.store.full(form.entry.path)}: is not the tokenizer that made this run")
    return _reader(form, data)


def _reader(form: Form, data: bytes) -> WrittenTokens:
    where = form.store.full(TOKENIZER_FILE)
    encoder = held_encoder(data, where=where)
    marks = None
    if form.joined:
        marks = marks_of(dict(encoder.special), end=encoder.eos_id)
        if marks is None:
            raise LoopmixError(f"{where}: has no tokens for a repository's name and a file's path")
    if not form.filled:
        return WrittenTokens(encoder, None, marks)
    found = sentinels_of(dict(encoder.special), end=encoder.eos_id)
    if found is None:
        raise LoopmixError(f"{where}: has no tokens for prefix, suffix and middle")
    return WrittenTokens(encoder, found, marks)
