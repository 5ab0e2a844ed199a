"""Look at the documents of a packed run before anything is trained on it, and say what is wrong with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.results import Inspection
from pipeline.ruin import healthy
from pipeline.ruin.copies import contained
from pipeline.ruin.find import find
from pipeline.ruin.group_signs import group_signs
from pipeline.ruin.hurt import worst_documents
from pipeline.ruin.kinds import Measured, kinds_of
from pipeline.ruin.ledger import read_ledger, read_max_copies
from pipeline.ruin.measure import measure_all
from pipeline.ruin.pairs import PairTable, packaged
from pipeline.ruin.rows import repeated_rows, short_rows, wrong_labels
from pipeline.ruin.sample import (
    PackedPieces,
    SampledDocument,
    Spellings,
    draw,
    list_pieces,
    read_documents,
    read_spellings,
)


@dataclass(frozen=True)
class Looked:
    """What was found, and the documents that were looked at: a model may be asked about them too."""

    inspection: Inspection
    documents: list[SampledDocument]


def inspect(run: Path, blocks: Sequence[pa.RecordBatch], *, tokenizer: Path, seed: int) -> Looked:
    """All findings of the sequences in `blocks`, which lie in `run`. The ledger is asked for paths, if there is one."""
    spellings = read_spellings(tokenizer)
    pieces, documents, measured = measure_run(blocks, spellings=spellings, seed=seed, table=packaged())
    ledger = read_ledger(run)
    kinds = [kinds_of(m) for m in measured]
    table = healthy.packaged()
    found = find([(d.pool, d.group) for d in documents], kinds, [d.doc_id for d in documents], healthy=table)
    found += (
        repeated_rows(pieces, ledger, max_copies=read_max_copies(run))
        + short_rows(pieces, ledger)
        + wrong_labels(pieces, ledger)
    )
    inspection = Inspection(
        n_docs=pieces.n_docs,
        n_sampled=len(documents),
        groups=group_signs(documents, measured, spellings=spellings, healthy=table, seed=seed),
        findings=tuple(found),
        documents=worst_documents(documents, measured, kinds, healthy=table, ledger=ledger),
    )
    return Looked(inspection, documents)


def measure_run(
    blocks: Sequence[pa.RecordBatch], *, spellings: Spellings, seed: int, table: PairTable
) -> tuple[PackedPieces, list[SampledDocument], list[Measured]]:
    """Every piece of the blocks, a keyed sample of their documents, and what is measured of each."""
    pieces = list_pieces(blocks)
    share, n_anchors = contained(blocks, pieces)
    documents = read_documents(blocks, pieces, draw(pieces, seed=seed), spellings=spellings)
    numbers = np.array([d.number for d in documents])
    measured = measure_all(documents, share[numbers], n_anchors[numbers], spellings=spellings, table=table)
    return pieces, documents, measured
