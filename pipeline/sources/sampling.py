"""What a sample of the input is: its rate and key, and what is counted of all that was read.

`drawing.py` draws it. Documents that are not drawn leave no row. They are counted, in cells of source, ending of the
path (or language label) and size, so that what is measured of the sample can be scaled to sizes that are known.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.arrays.keys import stage_key
from pipeline.config import Mixture
from pipeline.fields import Frozen

N_DOCS, N_BYTES = "n_input_docs", "n_input_bytes"  # counts of all documents that were read, drawn or not
CELL_DOCS, CELL_BYTES = "cell_docs", "cell_bytes"  # the same of one cell; its name follows after a blank


class Sampling(Frozen):
    """Which documents are drawn."""

    rate: float  # of content keys; above 0, below 1
    key: int  # 64 bits


def sampling_of(mixture: Mixture) -> Sampling | None:
    """The sample that a mixture asks for; None for the whole input."""
    rate = mixture.ingest.sample
    return None if rate is None else Sampling(rate=rate, key=int(stage_key(mixture.seed, "sample")))


def of_cells(counts: Mapping[str, int], kind: str) -> dict[str, int]:
    """What was counted of one kind, by cell."""
    return {name.removeprefix(f"{kind} "): n for name, n in counts.items() if name.startswith(f"{kind} ")}
