"""Read exports with the reader of the project whose format it is; prints what it gave as JSON.

Run as a program, with `.venv/readers` on the path: these projects pin other versions of libraries than this one, and
import clients of clouds that no test needs. So they come without their dependencies, and what only clouds and pictures
need is an empty module here. Nothing of what reads tokens is replaced.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import json
import os
import sys
import tempfile
import types
from pathlib import Path
from typing import Any, ClassVar

_CLOUDS = ("boto3", "botocore", "google.cloud.storage")
ABSENT = (*_CLOUDS, "PIL", "brotli", "einops", "snappy", "spmd_types", "torch_checkpointing", "torchvision", "zstd")


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives empty modules under the names in ABSENT."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> Any:
        if any(name == absent or name.startswith(f"{absent}.") for absent in ABSENT):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        return Empty(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing."""


class Empty(types.ModuleType):
    """Whose every name is an exception class, so that it can be a base and be caught, and does nothing."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (Exception,), {})
        setattr(self, name, made)
        return made


def megatron(folder: Path, **_: Any) -> dict[str, Any]:
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    found = IndexedDataset(str(folder / "tokens"))
    return {
        "pieces": [found[i].tolist() for i in range(len(found))],
        "sequences": found.document_indices.tolist(),
        "type": found.index.dtype.__name__,
    }


def mds(folder: Path, **_: Any) -> dict[str, Any]:
    from streaming import StreamingDataset

    found = StreamingDataset(local=str(folder), shuffle=False, batch_size=1, validate_hash="sha256")
    rows = [found[i] for i in range(len(found))]
    return {"rows": [{k: v.tolist() if hasattr(v, "tolist") else v for k, v in row.items()} for row in rows]}


def olmo(folder: Path, *, vocab_size: int, eos_id: int, **_: Any) -> dict[str, Any]:
    from olmo_core.data import TokenizerConfig
    from olmo_core.data.composable import NumpyDocumentSourceConfig
    from olmo_core.data.utils import iter_document_indices

    path = str(folder / "tokens.npy")
    tokenizer = TokenizerConfig(vocab_size=vocab_size, eos_token_id=eos_id, pad_token_id=eos_id)
    config = NumpyDocumentSourceConfig(source_paths=[path], tokenizer=tokenizer)
    (source,) = config.build(tempfile.mkdtemp())
    ids = source.get_token_range(0, source.num_tokens)["input_ids"].tolist()
    bounds = iter_document_indices(path, use_array_if_local=False, dtype=config.get_dtype())
    return {"pieces": [ids[start:end] for start, end in bounds], "ids": ids, "type": config.get_dtype().__name__}


def nanotron(folder: Path, *, seq_len: int, vocab_size: int, **_: Any) -> dict[str, Any]:
    """What nanotron's data sets are made of. A window is one token more than its sequence length."""
    from datatrove.utils.dataset import DatatroveFolderDataset

    size = 2 if vocab_size <= 1 << 16 else 4  # as its configuration chooses
    found = DatatroveFolderDataset(str(folder), seq_len - 1, "*.ds", token_size=size, return_positions=True)
    windows = [found[i] for i in range(len(found))]
    return {name: [w[name].tolist() for w in windows] for name in ("input_ids", "positions")}


def program(folder: Path, *, code: str, show: str, names: dict[str, Any]) -> Any:
    """Run a program of the documentation in the folder that holds RUN."""
    os.chdir(folder)
    exec(code, names)
    return eval(show, names)


if __name__ == "__main__":
    sys.meta_path.insert(0, Absent())
    name, *exports = sys.argv[1:]  # each as JSON: its folder, and what its reader must be told
    results = [globals()[name](Path(export.pop("folder")), **export) for export in map(json.loads, exports)]
    print("\n" + json.dumps(results))  # on a line of its own, behind what libraries print
