"""A finished run to ask: facts, tables, sequences, and the questions that the command line answers too.

Nothing is written into a run.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.api.asked import number_of, place_of, text_of
from pipeline.api.mixtures import PlainMixture, public
from pipeline.api.tables import RunTable, table_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError
from pipeline.reading.lookup import trace, why
from pipeline.reading.verify import Finding, verify
from pipeline.reading.work import Work, working
from pipeline.schema import BALANCE, DOCUMENTS, LEDGER, OPTIONAL, PACKED, PHASED_BALANCE, TABLES, packed_schema
from pipeline.yaml_file import nearest

if TYPE_CHECKING:
    from pipeline.publish.papers import Published
    from pipeline.report.numbers import Numbers

_SCHEMAS = {table.name: table.schema for table in (*TABLES, *OPTIONAL)}


def open_run(path: str | os.PathLike[str]) -> FinishedRun:
    """The finished run in a folder, or at a URL (`s3://`, `gs://`, `az://`, or any that fsspec knows), for reading.

    Raises StoreError for a run that is unfinished, damaged, of another format, or was changed by hand, and ConfigError
    for what is no path.
    """
    files = RunFiles(open_store(place_of(path, what="run")))
    _ = files.manifest  # refuses what is no finished run
    return FinishedRun(files)


@dataclass(frozen=True)
class FinishedRun:
    """A run that `curate` has finished. Cheap to make: tables are read when they are asked for.

    Raises StoreError and SchemaError, here and below, where a file is missing, damaged or another one.
    """

    _files: RunFiles

    @property
    def root(self) -> str:
        """Its folder or URL."""
        return self._files.store.root

    @property
    def name(self) -> str:
        """Of its mixture."""
        return self._files.mixture.name

    @cached_property
    def mixture(self) -> PlainMixture:
        """The mixture that it was made of, names resolved; sizes that followed from the input are filled in."""
        return public(self._files.mixture)

    @property
    def manifest(self) -> dict[str, Any]:
        """What manifest.json says, a copy: stages with version, fingerprint, files and hashes, counts, seconds."""
        return copy.deepcopy(self._files.manifest)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of its stages, in the order of work."""
        return self._files.stages

    @property
    def phases(self) -> tuple[str, ...]:
        """Names of its phases, in the order of training; empty where it is one stream."""
        return tuple(phase.name for phase in self._files.phases if phase.number is not None)

    # --- tables ---------------------------------------------------------------------------------------------------

    @property
    def tables(self) -> tuple[str, ...]:
        """What `table` takes: a stage has the name of its table."""
        return self._files.stages

    def table(self, name: str, *, phase: str | None = None) -> RunTable:
        """A table by name; `docs/data.md` has all columns. `phase` is needed for `packed` of a run that has some."""
        if text_of(name, what="table") not in self.tables:
            raise ConfigError(f"table {name!r}: this run has none of that name{nearest(name, self.tables)}")
        if name == PACKED:
            return self._packed(phase)
        if phase is not None:
            raise ConfigError(f"table {name!r} is not divided into phases; only {PACKED!r} is")
        schema = PHASED_BALANCE.schema if name == BALANCE.name and self.phases else _SCHEMAS[name]
        suffix = next(table.suffix for table in (*TABLES, *OPTIONAL) if table.name == name)
        paths = [file.path for file in self._files.files(name) if file.path.endswith(suffix)]
        return table_of(self._files.store, name, schema=schema, paths=paths)

    def _packed(self, phase: str | None) -> RunTable:
        if phase is None and self.phases:
            raise ConfigError(f"table {PACKED!r}: say which phase: {', '.join(self.phases)}")
        found = [one for one in self._files.phases if phase is None or one.name == phase]
        if not found:
            raise ConfigError(f"phase {phase!r}: this run has none of that name{nearest(str(phase), self.phases)}")
        schema = packed_schema(found[0].seq_len, joined=self._files.joined)
        every = (file.path for file in self._files.files(PACKED))
        paths = [path for path in every if path.rpartition("/")[0] == found[0].folder]
        return table_of(self._files.store, PACKED, schema=schema, paths=paths)

    def documents(self) -> RunTable:
        """Every input document with its text: iterating holds a shard at a time, some 64 MB of text by default."""
        return self.table(DOCUMENTS.name)

    @property
    def ledger(self) -> RunTable:
        """The fate of every input document, with all reasons."""
        return self.table(LEDGER.name)

    def sequences(self, *, rank: int = 0, n_ranks: int = 1, start: int = 0) -> Iterator[dict[str, Any]]:
        """Packed sequences in the order of training, as `pipeline.plt.SequenceStream` gives them, without torch.

        Each is a dict: `token_ids` uint32 [L], `n_real`, `cu_seqlens` from 0 to n_real, `doc_ids`, `groups`, `pool`.
        Rank r of n reads start + r, start + r + n, ...; the last round of a phase, if not every rank has one, is left.
        Every shard is held against its hash before its first sequence is given. Raises ConfigError for ranks that
        cannot be.
        """
        from pipeline.api.streamed import sequences_of

        return sequences_of(self._files, rank=rank, n_ranks=n_ranks, start=start)

    # --- questions ------------------------------------------------------------------------------------------------

    def why(self, document: str | os.PathLike[str], *, text: bool = False, workers: int = 1) -> list[dict[str, Any]]:
        """What became of the documents of this id, path or path ending, at most 20, as `loopmix why --json` says it.

        Raises LoopmixError if there is none.
        """
        with _at_work(workers) as work:
            return list(why(self._files, text_of(document, what="document"), text=text, work=work))

    def trace(self, sequence: int, *, offset: int | None = None, workers: int = 1) -> list[dict[str, Any]]:
        """Which documents stand in a packed sequence, or at one of its tokens. Raises LoopmixError if there is none."""
        number = number_of(sequence, what="sequence")
        token = None if offset is None else number_of(offset, what="offset")
        with _at_work(workers) as work:
            return trace(self._files, number, offset=token, work=work)

    def verify(self, *, quick: bool = False, workers: int = 1) -> list[Finding]:
        """Recount what the run promises; a broken promise is a Finding whose `kept` is False, and no exception."""
        with _at_work(workers) as work:
            return list(verify(self._files, quick=quick, work=work))

    def report(self, *, workers: int = 1) -> Numbers:
        """Everything the report says, as data, counted anew; `dataclasses.asdict` of it is what report.json holds."""
        from pipeline.report import count

        with _at_work(workers) as work:
            return count(self._files, work=work)

    def publish(self, out: str | os.PathLike[str] | None = None, **stated: str) -> Published:
        """Write dataset card, licences, Croissant and the EU's summary into a new folder beside the run, or `out`.

        `stated` has keys of the mixture's `publish`: name, creator, contact, address, published, version, license.
        Raises ConfigError for one that cannot be, StoreError for a folder that is not empty.
        """
        from pipeline.publish.papers import publish_to

        return publish_to(self._files, out=None if out is None else Path(out), stated=stated)


def _at_work(workers: int) -> AbstractContextManager[Work]:
    n_workers = number_of(workers, what="workers", least=1)
    return working() if n_workers == 1 else _in_processes(n_workers)


@contextmanager
def _in_processes(workers: int) -> Iterator[Work]:
    from pipeline.engine.processes import processes

    with processes(workers) as executor, working(executor) as work:
        yield work
