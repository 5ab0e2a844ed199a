"""Any reader of datatrove as a source: WARC files, the Hugging Face hub, CSV, Arrow IPC and what else it reads.

The name must be one of the reader classes that `datatrove.pipeline.readers` itself offers; nothing else is imported.
Its documents are divided into `n_slices` ranks, as datatrove does it, and numbered rank by rank. What a reader passes
over (its documents without text, lines it cannot parse) never reaches us and has no ledger row: where that matters,
read parquet and JSON lines with their own kinds.
"""

import inspect
from collections.abc import Iterator
from typing import Any

from pipeline.config import Source
from pipeline.errors import ConfigError
from pipeline.sources.caps import InputCaps
from pipeline.sources.raw import UNREADABLE, RawDocument
from pipeline.sources.roots import store_errors
from pipeline.sources.slices import Slice
from pipeline.sources.values import metadata_of

INPUT_FILE = "datatrove"
_RANK_ROWS = 2**40  # numbers set aside for each rank: more than any has rows, and 2^23 ranks fit into 63 bits


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """An open slice for each rank: only the reader knows where its input can be cut.

    Builds the reader, so that a wrong name or option fails before any work.
    """
    reader = _reader(source)
    folder = getattr(reader, "data_folder", None)
    if folder is not None and not getattr(reader, "paths_file", None):
        with store_errors(f"sources.{source.name}: {folder.path}: cannot be listed"):
            found = folder.list_files(recursive=reader.recursive, glob_pattern=reader.glob_pattern)
        if not found:
            raise ConfigError(f"sources.{source.name}: {source.reader} finds no file in {folder.path}")
    return [Slice(source.name, (), rank, rank + 1, is_open=True) for rank in range(source.n_slices)]


def read(source: Source, piece: Slice, *, max_document_bytes: int, caps: InputCaps) -> Iterator[RawDocument]:
    """The documents of one rank. Text that is no UTF-8 (a lone surrogate) is a row that cannot be read."""
    rank = piece.first
    with store_errors(f"sources.{source.name}: {source.reader} failed on rank {rank} of {source.n_slices}"):
        for i, document in enumerate(_reader(source).run(rank=rank, world_size=source.n_slices)):
            metadata = metadata_of(document.metadata, columns=source.columns)
            if source.columns.path is None:
                metadata = metadata._replace(path=str(document.id))
            try:
                content = document.text if isinstance(document.text, bytes) else str(document.text).encode("utf-8")
            except UnicodeEncodeError:
                content = None
            problem = UNREADABLE if content is None else None
            yield RawDocument(INPUT_FILE, rank * _RANK_ROWS + i, content, problem, metadata)


def _reader(source: Source) -> Any:
    where = f"sources.{source.name}.reader"
    try:
        from datatrove.pipeline import readers
    except ImportError as error:
        raise ConfigError(f"{where}: needs datatrove ({error}); pip install 'loopmix[datatrove]'") from error
    classes = {name: value for name, value in vars(readers).items() if inspect.isclass(value)}
    if source.reader not in classes:
        raise ConfigError(f"{where}: {source.reader!r} is no reader of datatrove; expected one of {sorted(classes)}")
    kind = classes[source.reader]
    place = (source.path,) if source.path else ()
    options = source.reader_options
    if options.get("shuffle_files"):
        raise ConfigError(f"{where}_options.shuffle_files: must be false: the same mixture must give the same bytes")
    try:
        inspect.signature(kind.__init__).bind(None, *place, **options)
        return kind(*place, **options)
    except ImportError as error:
        raise ConfigError(f"{where}: {error}; pip install 'loopmix[datatrove]' brings them") from error
    except (TypeError, ValueError, OSError) as error:
        raise ConfigError(f"{where}_options: {source.reader} refuses {options}: {error}") from error
