"""The text that a row of tokens stands for, whatever form it was written in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.engine.run_folder import RunFiles
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


def written(run: RunFiles) -> WrittenTokens:
    """By the run's own tokenizer. LoopmixError if it is missing, or not one for that run."""
    where = run.store.full(TOKENIZER_FILE)
    encoder = held_encoder(run.tokenizer(), where=where)
    marks = None
    if run.joined:
        marks = marks_of(dict(encoder.special), end=encoder.eos_id)
        if marks is None:
            raise LoopmixError(f"{where}: has no tokens for a repository's name and a file's path")
    if run.mixture.forms.fim is None:
        return WrittenTokens(encoder, None, marks)
    found = sentinels_of(dict(encoder.special), end=encoder.eos_id)
    if found is None:
        raise LoopmixError(f"{where}: has no tokens for prefix, suffix and middle")
    return WrittenTokens(encoder, found, marks)
