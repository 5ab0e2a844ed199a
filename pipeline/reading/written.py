"""The text that a row of tokens stands for, whatever form it was written in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError
from pipeline.forms.fim import Sentinels, sentinels_of, undo
from pipeline.mix.encoder import held_encoder
from pipeline.schema import TOKENIZER_FILE
from tokenizer import Encoder


@dataclass(frozen=True)
class Written:
    """How a run's tokens are read."""

    encoder: Encoder
    sentinels: Sentinels | None  # None: no document of the run is filled in

    def text(self, ids: np.ndarray) -> bytes:
        """The bytes of a document, of which `ids` are all tokens; a middle is read in its place.

        ValueError for pieces that are torn.
        """
        # No text makes a sentinel, so the first token tells the form.
        if self.sentinels is not None and ids.size and ids[0] == self.sentinels.prefix:
            return self.encoder.decode(undo(ids, self.sentinels))
        return self.encoder.decode(ids[:-1])


def written(run: RunFiles) -> Written:
    """By the run's own tokenizer. LoopmixError if it is missing, or not one for that run."""
    where = run.store.full(TOKENIZER_FILE)
    encoder = held_encoder(run.tokenizer(), where=where)
    if run.mixture.forms.fim is None:
        return Written(encoder, None)
    found = sentinels_of(dict(encoder.special), end=encoder.eos_id)
    if found is None:
        raise LoopmixError(f"{where}: has no tokens for prefix, suffix and middle")
    return Written(encoder, found)
