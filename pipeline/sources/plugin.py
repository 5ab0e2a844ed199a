"""A function of an installed package as a source: whatever nobody else reads. `docs/plugins.md` has its contract.

The package declares `[project.entry-points."loopmix.sources"] NAME = "package.module:function"`. The function is called
once for each of `n_slices` ranks and yields a mapping for each document, `content` and what else it knows.
"""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config import Columns, Source
from pipeline.errors import ConfigError, LoopmixError, StoreError
from pipeline.installed import SOURCES, Installed, find_installed, refuse_other_version
from pipeline.sources.caps import InputCaps
from pipeline.sources.raw import UNREADABLE, RawDocument
from pipeline.sources.slices import Slice
from pipeline.sources.values import READERS, mapped, metadata_of

_RANK_ROWS = 2**40  # numbers set aside for each rank, as of datatrove's readers


def plan(source: Source, *, shard_bytes: int) -> list[Slice]:
    """An open slice for each rank, which names the version of the package: with another one all is read anew.

    ConfigError for a function that is not there, or that does not take the options; it is not called.
    """
    found = _found(source)
    try:
        inspect.signature(found.function).bind(**_arguments(source, 0))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"{_where(source)}_options: {source.reader} ({found.version}) refuses them: {error}"
        ) from error
    n = source.n_slices
    return [Slice(source.name, (), rank, rank + 1, home=found.version, is_open=True) for rank in range(n)]


def read(source: Source, piece: Slice, *, max_document_bytes: int, caps: InputCaps) -> Iterator[RawDocument]:
    """The documents of one rank. What the function raises is a StoreError; a document without text is a row that
    cannot be read."""
    found, rank = _found(source), piece.first
    refuse_other_version(found, piece.home, where=_where(source))
    who = f"sources.{source.name}: {source.reader} ({found.version}), rank {rank} of {source.n_slices}"
    keys = _keys(source)
    for number, document in enumerate(_documents(found, source, rank, who=who)):
        content, metadata = document.get(keys.content), metadata_of(document, columns=keys)
        if isinstance(content, str):
            content = _encoded(content)
        elif not isinstance(content, bytes):
            content = None
        problem = UNREADABLE if content is None else None
        yield RawDocument(str(source.reader), rank * _RANK_ROWS + number, content, problem, metadata)


def _documents(found: Installed, source: Source, rank: int, *, who: str) -> Iterator[Mapping[str, Any]]:
    try:
        for document in found.function(**_arguments(source, rank)):
            if not isinstance(document, Mapping):
                raise StoreError(f"{who}: gave {type(document).__name__}, expected a mapping for each document")
            yield document
    except LoopmixError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise StoreError(f"{who}: failed: {type(error).__name__}: {said}") from error


def _arguments(source: Source, rank: int) -> dict[str, Any]:
    return {"path": source.path, "rank": rank, "n_ranks": source.n_slices} | source.reader_options


def _keys(source: Source) -> Columns:
    """Every field is taken by its own name where the mixture says nothing; "" takes none."""
    columns = mapped(source)
    given = {field: getattr(source.columns, field) for field in READERS if field not in ("path", "language")}
    return columns.model_copy(update={name: name if key is None else key or None for name, key in given.items()})


def _encoded(text: str) -> bytes | None:
    """UTF-8; None for text with a lone surrogate, which is none."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return None


def _found(source: Source) -> Installed:
    return find_installed(str(source.reader), group=SOURCES, where=_where(source))


def _where(source: Source) -> str:
    return f"sources.{source.name}.reader"
