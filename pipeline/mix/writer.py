"""How one document becomes tokens: alone or as a file of its repository, from start to end or with its middle last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.forms.fim import Filler
from pipeline.forms.headers import FileMarks, header
from pipeline.mix.settings import LEAST_SEQ_LEN, Filling
from tokenizer import Encoder

Ids = np.ndarray  # uint32 [n]


@dataclass(frozen=True)
class Unwritten:
    """What is written, and its form: plain, psm or spm."""

    text: bytes
    doc_id: str
    language: str
    form: str


@dataclass(frozen=True)
class Writer:
    """Writes documents by one tokenizer. `filler` and `marks` are there if a mixture asks for what needs them."""

    encoder: Encoder
    filler: Filler | None
    marks: FileMarks | None
    max_tokens: int

    def alone(self, document: Unwritten) -> Ids:
        """A document of its own, its end included."""
        if document.form == "plain" or self.filler is None:
            return self.encoder.encode_batch([document.text])[1]
        return self._filled(document, self.filler)

    def file(self, document: Unwritten, *, repo: str | None, path: str, is_last: bool) -> Ids:
        """A file of a repository document, its header first; `repo` of the first file, the end behind the last.

        A file that is longer than a sequence is joined with none, so it has an end too.
        """
        assert self.marks is not None
        before = header(self.encode, self.marks, repo=repo, path=path)
        room = self.max_tokens - before.size
        if document.form == "plain" or self.filler is None or room < LEAST_SEQ_LEN // 2:
            body = self.encoder.encode_batch([document.text])[1]
            ends = is_last or before.size + body.size - 1 > self.max_tokens
        else:
            body = self._filled(document, replace(self.filler, max_tokens=room))
            # One piece has one middle, which what follows can end; several stand alone.
            ends = is_last or int((body == self.filler.sentinels.middle).sum()) > 1
        return np.concatenate([before, body if ends else body[:-1]])

    def encode(self, texts: Sequence[bytes]) -> list[Ids]:
        """The ids of each text, without an end."""
        offsets, ids = self.encoder.encode_batch(texts)
        return [ids[a : b - 1] for a, b in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]

    @staticmethod
    def _filled(document: Unwritten, filler: Filler) -> Ids:
        spm = document.form == "spm"
        return filler.fill(document.text, doc_id=document.doc_id, language=document.language, spm=spm)


def writer_of(encoder: Encoder, config: Filling) -> Writer:
    """For what a mixture asks for."""
    marks = config.marks(encoder) if config.joins else None
    writer = Writer(encoder, None, marks, config.max_tokens)
    if config.fim is None:
        return writer
    sizes = np.array([len(token) for token in encoder.vocabulary], np.int64)
    return replace(writer, filler=Filler(writer.encode, sizes, config.sentinels(encoder), **dict(config.fim)))
