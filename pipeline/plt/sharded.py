"""Checkpoints of several processes, through `torch.distributed.checkpoint`, written while training goes on.

Each process copies its own parts of weights and moments to the CPU and writes them from a thread of its own; no process
ever holds the whole model. torch plans who writes what (a tensor that all hold is written once) and, on reading, which
slices a process needs, whatever their number was when it was written. What it would put on the disk beside them is a
pickle, so the files and their index are ours (see `pieces.py`): safetensors and JSON, hashed, under a hidden name until
the first process, which hears of the last one's end, renames the folder.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future as PendingSave
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem, SavePlan, SavePlanner
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

from pipeline.errors import CheckpointError
from pipeline.plt.distributed import Ranks
from pipeline.plt.durable import sha256_of, sync_path
from pipeline.plt.pieces import DTYPES, INDEX_NAME, Piece, PiecedTensor, PieceIndex, open_file
from pipeline.results import to_json


class _Written(NamedTuple):
    """What a process tells the first one of a piece that it wrote."""

    piece: Piece
    sha256: str  # of the piece's file


class _Writer(StorageWriter):
    """Pieces into `folder`; `commit` gets the hashes of all files when all have been written."""

    def __init__(self, folder: Path, *, ranks: Ranks, commit: Callable[[dict[str, str]], None]) -> None:
        self._folder, self._commit = folder, commit
        self._name = f"pieces-{ranks.rank:05d}-of-{ranks.size:05d}.safetensors"

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """There is nothing to forget: a writer writes once."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """The folder has been made."""

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        return plans

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        tensors: dict[str, Tensor] = {}
        pieces: list[tuple[MetadataIndex, Piece]] = []
        for item in plan.items:
            value = planner.resolve_data(item)
            assert isinstance(value, Tensor) and item.tensor_data is not None, "the state is tensors"
            chunk, key = item.tensor_data.chunk, f"{len(pieces):06d}"
            tensors[key] = value.detach().cpu().contiguous()
            pieces.append((item.index, Piece(self._name, key, tuple(chunk.offsets), tuple(chunk.sizes))))
        digest = ""
        if tensors:
            save_file(tensors, str(self._folder / self._name))
            sync_path(self._folder / self._name)
            digest = sha256_of(self._folder / self._name)
        done: Future[list[WriteResult]] = Future()
        sizes = [tensors[piece.key].nbytes for _, piece in pieces]
        done.set_result(
            [WriteResult(of, n, _Written(piece, digest)) for (of, piece), n in zip(pieces, sizes, strict=True)]
        )
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Only the first process comes here, when all have written."""
        written = [result for of_process in results for result in of_process]
        pieces: dict[str, list[Piece]] = {}
        for result in written:
            pieces.setdefault(result.index.fqn, []).append(result.storage_data.piece)
        tensors = {
            name: PiecedTensor(
                str(of.properties.dtype).removeprefix("torch."),
                tuple(of.size),
                tuple(sorted(pieces[name], key=lambda piece: piece.offsets)),
            )
            for name, of in sorted(metadata.state_dict_metadata.items())
            if isinstance(of, TensorStorageMetadata)
        }
        (self._folder / INDEX_NAME).write_text(to_json(PieceIndex(tensors)) + "\n", encoding="utf-8")
        self._commit({result.storage_data.piece.file: result.storage_data.sha256 for result in written})

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return False  # it is made by hand only


class _Reader(StorageReader):
    """The slices that a process needs, from the pieces in `folder`."""

    def __init__(self, folder: Path, index: PieceIndex) -> None:
        self._folder, self._index = folder, index

    def reset(self, checkpoint_id: str | os.PathLike[str] | None = None) -> None:
        """There is nothing to forget."""

    def read_metadata(self, *args: Any) -> Metadata:
        return Metadata(
            {
                name: TensorStorageMetadata(
                    TensorProperties(DTYPES[of.dtype]),
                    torch.Size(of.size),
                    [ChunkStorageMetadata(torch.Size(p.offsets), torch.Size(p.sizes)) for p in of.pieces],
                )
                for name, of in self._index.tensors.items()
            }
        )

    def set_up_storage_reader(self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """The index has been read."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        by_file: dict[str, list[tuple[Piece, ReadItem]]] = {}
        for item in plan.items:
            pieces = self._index.tensors[item.storage_index.fqn].pieces
            piece = next(p for p in pieces if p.offsets == tuple(item.storage_index.offset or (0,) * len(p.offsets)))
            by_file.setdefault(piece.file, []).append((piece, item))
        for name, wanted in by_file.items():
            with open_file(self._folder / name) as file:
                for piece, item in wanted:
                    place = tuple(slice(o, o + n) for o, n in zip(item.storage_offsets, item.lengths, strict=True))
                    target = planner.resolve_tensor(item).detach()
                    target.copy_(file.get_slice(piece.key)[place])
                    planner.commit_tensor(item, target)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: str | os.PathLike[str]) -> bool:
        return False


def save_shards(
    tensors: dict[str, Tensor], folder: Path, *, ranks: Ranks, commit: Callable[[dict[str, str]], None]
) -> PendingSave[Any]:
    """Begin to write `tensors`, each process its parts, into the existing `folder`. A collective call.

    Returns when all is copied to the CPU; the future is done when `commit` is, which the first process calls.
    """
    writer = _Writer(folder, ranks=ranks, commit=commit)
    pending = async_save(tensors, storage_writer=writer, process_group=ranks.group)
    return pending if isinstance(pending, PendingSave) else pending.upload_completion


def load_shards(tensors: dict[str, Tensor], folder: Path, index: PieceIndex, *, ranks: Ranks) -> None:
    """Fill `tensors`, divided among the processes as they are, from a checkpoint of any number. A collective call."""
    sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    found = {name: of.size for name, of in index.tensors.items()}
    if found != sizes:
        wrong = sorted(set(found.items()) ^ set(sizes.items()))[:4]
        raise CheckpointError(f"{folder}: its tensors do not fit the model: {wrong}; it belongs to another model")
    load(tensors, storage_reader=_Reader(folder, index), process_group=ranks.group)
