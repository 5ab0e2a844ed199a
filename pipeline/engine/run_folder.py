"""A finished run as its readers see it: the manifest and the shards of its tables."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from pipeline.config import Mixture
from pipeline.engine.forgotten import refuse_half_forgotten
from pipeline.engine.manifest import MANIFEST, files_of, read_manifest, tokenizer_of
from pipeline.engine.same_rows import SameRows
from pipeline.engine.store import FileEntry, Store
from pipeline.engine.tables import Tables
from pipeline.errors import StoreError
from pipeline.listed import n_files_of
from pipeline.phased import Phased, of_phase, phases_of
from pipeline.schema import (
    ALIGNED,
    BALANCE,
    DOCUMENTS,
    LEDGER,
    NEAR_DUPS,
    OPTIONAL,
    PACKED,
    PHASED_BALANCE,
    TABLES,
    TOKENS,
    Table,
    packed_schema,
)
from pipeline.yaml_file import validate

# Of every run, in the order of work.
STAGES = (*(table.name for table in TABLES if table is not LEDGER), PACKED, LEDGER.name)


def refuse_no_run(store: Store) -> None:
    """StoreError for a folder without a manifest, before anything, as a lease, is written into it."""
    if not store.exists(MANIFEST):
        raise StoreError(f"{store.full(MANIFEST)}: does not exist; make the run with `loopmix curate` first")


def _refuse_incomplete(manifest: dict[str, Any], *, where: str) -> None:
    """StoreError for a manifest that names all stages and yet cannot be that of a finished run."""
    stages, wrong = manifest["stages"], None
    n_shards = n_files_of(stages[DOCUMENTS.name])
    if not isinstance(manifest.get("mixture"), dict):
        wrong = "names no mixture"
    elif n_shards == 0:
        wrong = f"lists no file of stage {DOCUMENTS.name!r}"
    for table in (*ALIGNED, *OPTIONAL):
        if table.name in stages and (n_files := n_files_of(stages[table.name])) != n_shards:
            wrong = wrong or f"lists {n_files} files of stage {table.name!r}, {n_shards} of {DOCUMENTS.name!r}"
    if wrong:
        raise StoreError(f"{where}: is damaged: it {wrong}; put it back from a copy, or remove it and curate again")


@dataclass(frozen=True)
class RunFiles:
    """Read access to a run. Raises StoreError where the run is not finished or not a run."""

    store: Store
    is_forgetting: bool = False  # read by the forget that is at work on it
    is_recounted: bool = False  # read by `verify`, which says itself which tables have other rows

    def recounted(self) -> "RunFiles":
        """The same for `verify`. Its manifest is not read again."""
        other = replace(self, is_recounted=True)
        vars(other).update({name: vars(self)[name] for name in ("manifest", "mixture") if name in vars(self)})
        return other

    @cached_property
    def manifest(self) -> dict[str, Any]:
        refuse_no_run(self.store)
        manifest = read_manifest(self.store)
        if not self.is_forgetting:
            refuse_half_forgotten(self.store, manifest)
        missing = [s for s in STAGES if s not in manifest["stages"]]
        if missing:
            raise StoreError(
                f"{self.store.full(MANIFEST)}: stages {missing} are not done; finish with `loopmix curate` first"
            )
        _refuse_incomplete(manifest, where=self.store.full(MANIFEST))
        return manifest

    @cached_property
    def stages(self) -> tuple[str, ...]:
        """Of this run, in the order of work: those of every run, and before `tokens` those that only some have."""
        more = [table.name for table in OPTIONAL if table.name in self.manifest["stages"]]
        at = STAGES.index(TOKENS.name)
        return (*STAGES[:at], *more, *STAGES[at:])

    @property
    def aligned(self) -> tuple[Table, ...]:
        """Its tables that have one row for each document."""
        return (*ALIGNED, *(table for table in OPTIONAL if table.name in self.manifest["stages"]))

    @cached_property
    def mixture(self) -> Mixture:
        return validate(Mixture, self.manifest["mixture"], where=self.store.full(MANIFEST))

    def tokenizer(self) -> bytes:
        """The tokenizer file that made the token ids. StoreError if it is missing or another one."""
        entry = tokenizer_of(self.store, self.manifest)
        if not self.store.is_intact(entry, by_hash=True):
            raise StoreError(
                f"{self.store.full(entry.path)}: is missing, or not the tokenizer that made this run "
                f"(SHA-256 {entry.sha256}); curate the run again, which puts it back"
            )
        return self.store.read_bytes(entry.path)

    @property
    def n_shards(self) -> int:
        return n_files_of(self.manifest["stages"][DOCUMENTS.name])

    def files(self, stage: str) -> Iterator[FileEntry]:
        """The files of a stage's table, in the order of its shards."""
        return files_of(self.store, self.manifest["stages"][stage])

    @cached_property
    def tables(self) -> Tables:
        """All of them, for reading."""
        return Tables(self.store, self.n_shards, same=None if self.is_recounted else SameRows())

    def shards(self, table: Table, *, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Every shard of an aligned table, in order."""
        return (self.tables.read(table, shard, columns=columns) for shard in range(self.n_shards))

    def near_dups(self) -> pa.Table:
        """All verified pairs."""
        return pa.concat_tables(
            self.store.read_parquet(f.path, schema=NEAR_DUPS.schema) for f in self.files(NEAR_DUPS.name)
        )

    @property
    def joined(self) -> bool:
        """Whether its packed sequences join files of a repository, so that pieces have bounds of their own."""
        return self.mixture.forms.repositories is not None

    @cached_property
    def phases(self) -> tuple[Phased, ...]:
        """The phases of the run; one without a name where its mixture has none."""
        return phases_of(self.mixture)

    @cached_property
    def packed_schemas(self) -> dict[str, pa.Schema]:
        """What packed shards have for columns, by their folder."""
        return {of.folder: packed_schema(of.seq_len, joined=self.joined) for of in self.phases}

    def packed(self, phase: Phased | None = None) -> Iterator[pa.Table]:
        """Every packed shard, or those of one phase, in stream order, memory-mapped where the disk is local."""
        for file in self.files(PACKED):
            folder = file.path.rpartition("/")[0]
            if phase is not None and folder != phase.folder:
                continue
            yield self.store.read_ipc_whole(file.path, schema=self.packed_schemas[folder])

    def plan(self, phase: Phased) -> Iterator[pa.Table]:
        """doc_id, n_tokens, n_copies, cut_tokens of every shard of `balance`, as one phase takes them."""
        return (plan_of(self.tables, phase, shard) for shard in range(self.n_shards))


def plan_of(tables: Tables, phase: Phased, shard: int) -> pa.Table:
    """doc_id, n_tokens, n_copies, cut_tokens of one shard of `balance`, as one phase takes them."""
    if phase.number is None:
        return tables.read(BALANCE, shard, columns=["doc_id", "n_tokens", "n_copies", "cut_tokens"])
    return of_phase(tables.read(PHASED_BALANCE, shard), phase.number)
