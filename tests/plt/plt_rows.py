"""Packed rows read one at a time in plain Python: the reference that the trainer's reader is held against."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pyarrow as pa
import torch

from pipeline.plt.data import Batch, PackedRun
from pipeline.plt.head import NO_TARGET


def read_row(run: PackedRun, index: int) -> dict[str, Any]:
    """Row `index` of the stream."""
    return pa.Table.from_batches(run.blocks).slice(index, 1).to_pylist()[0]


def batch_by_hand(rows: list[dict[str, Any]]) -> Batch:
    """Tensors of these rows, token by token. The target of a token is the next one of its piece."""
    tokens, documents, targets = [], [], []
    for row in rows:
        length = len(row["token_ids"])
        of_token, next_token = [-1] * length, [NO_TARGET] * length
        for number, (start, end) in enumerate(pairwise(row["cu_seqlens"])):
            of_token[start:end] = [number] * (end - start)
            next_token[start : end - 1] = row["token_ids"][start + 1 : end]
        tokens.append(row["token_ids"])
        documents.append(of_token)
        targets.append(next_token)
    pools, n_real = tuple(r["pool"] for r in rows), tuple(r["n_real"] for r in rows)
    return Batch(torch.tensor(tokens), torch.tensor(documents), torch.tensor(targets), pools, n_real)
