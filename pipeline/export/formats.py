"""The formats, and what of a run each one keeps: said by the command, in `export.json` and in `docs/data.md`."""

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.engine.store import FileEntry, Store
from pipeline.export import huggingface, mds, megatron, nanotron, olmo, parquet
from pipeline.export.finished import Finished

_ROWS = ("order of the stream", "padding and `n_real`", "bounds of documents", "doc_ids and offsets", "pool", "groups")
_STREAM = ("order of the stream in the file",)
# Trainers of these cut the stream anew into sequences of their own length, so padding would be trained on.
_UNPACKED = ("padding", "pool", "groups")


@dataclass(frozen=True)
class Format:
    """How to write a format, what its files keep of a run, and what they have no place for."""

    name: str
    reader: str  # what reads it
    write: Callable[[Finished, Store], list[FileEntry]]
    kept: tuple[str, ...]
    lost: tuple[str, ...] = ()


FORMATS = {
    each.name: each
    for each in (
        Format(
            "megatron",
            "Megatron-LM: `--data-path DIR/tokens`",
            megatron.write,
            (*_STREAM, "bounds of documents (Megatron's sequences)", "packed sequences (Megatron's documents)"),
            (*_UNPACKED, "doc_ids and offsets"),
        ),
        Format("mds", "MosaicML Streaming: `StreamingDataset(local=DIR)`", mds.write, _ROWS),
        Format(
            "olmo",
            "OLMo-core: `DIR/tokens.npy`",
            olmo.write,
            (*_STREAM, "bounds of documents, doc_ids, pool and groups (`tokens.csv.gz`)"),
            ("padding", "bounds of packed sequences", "offsets"),
        ),
        Format(
            "nanotron",
            "nanotron, datatrove: `DatatroveFolderDataset(DIR, ...)`",
            nanotron.write,
            (*_STREAM, "bounds of documents (`tokens.ds.index`)"),
            (*_UNPACKED, "bounds of packed sequences", "doc_ids and offsets"),
        ),
        Format("parquet", "whatever reads Parquet", parquet.write, _ROWS),
        Format(
            "huggingface",
            "datasets: `load_dataset(DIR)`, and the hub",
            huggingface.write,
            (*_ROWS, "source, path, licence and language of every packed document (configuration `documents`)"),
        ),
    )
}
