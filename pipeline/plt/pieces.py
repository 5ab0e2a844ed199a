"""A checkpoint that several processes wrote: each its own pieces of the tensors, and an index of what lies where.

    step-00000200/pieces.json                        this index, as JSON: tensor -> dtype, size, pieces
    step-00000200/pieces-00000-of-00008.safetensors  what process 0 wrote

A checkpoint that one process wrote is read the same way: each of its tensors is one piece.
"""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.errors import CheckpointError, why
from pipeline.results import read_file

INDEX_NAME = "pieces.json"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}
_REMEDY = "run `loopmix train` again, which goes on from the newest sound checkpoint"


@dataclass(frozen=True)
class Piece:
    """A block of a tensor: `sizes` numbers from `offsets` on, along each dimension."""

    file: str
    key: str  # inside the file
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class PiecedTensor:
    """Where a tensor lies."""

    dtype: str
    size: tuple[int, ...]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True)
class PieceIndex:
    """Every tensor of a checkpoint by name."""

    tensors: dict[str, PiecedTensor]


def read_index(folder: Path) -> PieceIndex:
    """The index of `folder`. Raises CheckpointError where it is missing, damaged, or leaves part of a tensor out."""
    path = folder / INDEX_NAME
    index = read_file(PieceIndex, path, remedy=_REMEDY)
    for name, tensor in index.tensors.items():
        n_found = sum(math.prod(piece.sizes) for piece in tensor.pieces)
        if min([0, *tensor.size, *(n for p in tensor.pieces for n in (*p.sizes, *p.offsets))]) < 0:
            raise CheckpointError(f"{path}: {name!a:.80} has negative sizes or places; {_REMEDY}")
        if n_found != math.prod(tensor.size) or tensor.dtype not in DTYPES:
            raise CheckpointError(
                f"{path}: {name} of {tensor.dtype} and size {list(tensor.size)} has pieces of {n_found} numbers, "
                f"expected {math.prod(tensor.size)} of one of {sorted(DTYPES)}; {_REMEDY}"
            )
        foreign = [piece.file for piece in tensor.pieces if Path(piece.file).name != piece.file]
        if foreign:
            raise CheckpointError(f"{path}: {name} lies in {foreign[0]!r}, expected a file beside it; {_REMEDY}")
    # Before room is made for it: tensors hold no more than the files that they are read from.
    claimed = sum(math.prod(tensor.size) * DTYPES[tensor.dtype].itemsize for tensor in index.tensors.values())
    names = {piece.file for tensor in index.tensors.values() for piece in tensor.pieces}
    held = sum((folder / name).stat().st_size for name in names if (folder / name).is_file())
    if claimed > held:
        raise CheckpointError(f"{path}: names tensors of {claimed:,} bytes, its files have {held:,}; {_REMEDY}")
    return index


def index_whole_files(folder: Path, names: tuple[str, ...]) -> PieceIndex:
    """The index of plain safetensors files, from their headers."""
    tensors = {}
    for name in names:
        with open_file(folder / name) as file:
            for key in file.keys():  # noqa: SIM118 (no mapping)
                size = tuple(file.get_slice(key).get_shape())
                piece = Piece(name, key, offsets=(0,) * len(size), sizes=size)
                tensors[key] = PiecedTensor("float32", size, (piece,))  # what `write_model` gives checkpoints
    return PieceIndex(tensors)


def read_pieces(folder: Path, index: PieceIndex) -> dict[str, Tensor]:
    """Every tensor of `index`, put together on the CPU."""
    whole = {name: torch.empty(of.size, dtype=DTYPES[of.dtype]) for name, of in index.tensors.items()}
    for name, piece, file in _by_file(folder, index):
        try:
            place = tuple(slice(o, o + n) for o, n in zip(piece.offsets, piece.sizes, strict=True))
            whole[name][place] = file.get_tensor(piece.key)
        except (SafetensorError, RuntimeError, IndexError, ValueError) as error:
            said = str(error).splitlines()[0]
            raise CheckpointError(
                f"{folder / piece.file}: a piece of {name!a:.80} does not fit ({said:.200}); {_REMEDY}"
            ) from error
    return whole


def _by_file(folder: Path, index: PieceIndex) -> Iterator[tuple[str, Piece, Any]]:
    """Each piece with its opened file; a file is opened once."""
    with ExitStack() as stack:
        opened: dict[str, Any] = {}
        for name, tensor in index.tensors.items():
            for piece in tensor.pieces:
                if piece.file not in opened:
                    opened[piece.file] = stack.enter_context(open_file(folder / piece.file))
                yield name, piece, opened[piece.file]


def open_file(path: Path) -> Any:
    """A safetensors file to read slices of."""
    try:
        return safe_open(str(path), framework="pt", device="cpu")
    except (OSError, SafetensorError) as error:
        said = f"{path}: cannot be read ({why(error)}); the file is missing or damaged; {_REMEDY}"
        raise CheckpointError(said) from error
