"""A finished run as it is exported: its sequences in stream order, held against the manifest and counted on the way."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

import tokenizer
from pipeline.config import said_sample
from pipeline.engine.manifest import MANIFEST, files_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FileEntry
from pipeline.errors import ConfigError, SchemaError, StoreError, first_of
from pipeline.phased import Phased
from pipeline.schema import PACKED, POOLS, TOKENIZER_FILE, packed_schema
from pipeline.sequences import Rows, rows_of

# Tokens that are looked at together: with their copies some tens of megabytes, and enough for each to cost nothing.
_BLOCK_TOKENS = 1 << 21


@dataclass
class Tally:
    """What was exported, counted while it was read."""

    n_sequences: int = 0
    n_pieces: int = 0
    n_padding: int = 0
    # Pieces that do not end with the end-of-document token, because a document was cut: who looks for that token alone
    # takes them and what follows for one document.
    n_pieces_without_end: int = 0
    n_tokens: dict[str, int] = field(default_factory=lambda: dict.fromkeys(POOLS, 0))

    def join(self, other: "Tally") -> None:
        """Count what another one counted too."""
        for name in ("n_sequences", "n_pieces", "n_padding", "n_pieces_without_end"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for pool in POOLS:
            self.n_tokens[pool] += other.n_tokens[pool]

    def add(self, rows: Rows, *, eos_id: int) -> None:
        self.n_sequences += len(rows.n_real)
        self.n_pieces += rows.ends.size
        self.n_padding += rows.token_ids.size - int(rows.n_real.sum())
        row = np.repeat(np.arange(len(rows.n_real)), rows.n_spans)
        self.n_pieces_without_end += int((rows.token_ids[row, rows.span_ends - 1] != eos_id).sum())
        for pool in POOLS:
            self.n_tokens[pool] += int(rows.n_real[[p == pool for p in rows.pools]].sum())


@dataclass(frozen=True)
class Finished:
    """A finished run to export from. `of` raises StoreError where it is unfinished, or the tokenizer is not its own."""

    run: RunFiles
    manifest: bytes = field(repr=False)
    vocab_size: int  # one more than the largest id of the tokenizer
    eos_id: int  # ends every document, and fills what is behind the last piece of a sequence
    by_pool: bool = False  # whether code and text become streams of their own
    phase: Phased | None = None  # of a run with phases the one whose sequences these are

    @classmethod
    def of(cls, run: RunFiles, *, by_pool: bool = False) -> "Finished":
        _ = run.manifest  # refuses what is not finished
        try:
            encoder = tokenizer.load_bytes(run.tokenizer(), where=run.store.full(TOKENIZER_FILE), fast=False)
        except tokenizer.TokenizerError as error:
            raise ConfigError(str(error)) from error
        return cls(run, run.store.read_bytes(MANIFEST), encoder.vocab_size, encoder.eos_id, by_pool)

    def by_phase(self) -> list["Finished"]:
        """The same run phase by phase, each with a tally of its own; itself alone where it has none."""
        return [replace(self, phase=phase) for phase in self.run.phases] if self.run.mixture.phases else [self]

    @property
    def folder(self) -> str:
        """Of the phase's files inside the export, as inside the run; empty without phases."""
        return "" if self.phase is None else self.phase.folder.removeprefix(f"{PACKED}/")

    @property
    def seq_len(self) -> int:
        return self.run.mixture.pack.seq_len if self.phase is None else self.phase.seq_len

    @property
    def schema(self) -> pa.Schema:
        """The columns of its packed shards."""
        return packed_schema(self.seq_len, joined=self.run.joined)

    @property
    def sample(self) -> str | None:
        """In words the sample of its input that the run was made of; None: of all of it."""
        rate = self.run.mixture.ingest.sample
        return None if rate is None else said_sample(rate)

    @property
    def id_type(self) -> npt.DTypeLike:
        """The unsigned type that readers choose by the size of the vocabulary: two bytes where they suffice."""
        return np.dtype("<u2") if self.vocab_size <= 1 << 16 else np.dtype("<u4")

    @cached_property
    def tally(self) -> Tally:
        """Of what has been read so far: right when `rows` has been read through, once."""
        return Tally()

    @property
    def files(self) -> list[FileEntry]:
        """The packed shards in stream order."""
        every = files_of(self.run.store, self.run.manifest["stages"][PACKED])
        return [f for f in every if self.phase is None or f.path.startswith(f"{self.phase.folder}/")]

    @property
    def n_sequences(self) -> int:
        """How many there are, by the headers of the shards."""
        return sum(self.run.store.read_ipc(f.path, schema=self.schema, columns=["n_real"]).num_rows for f in self.files)

    def rows(self) -> Iterator[Rows]:
        """All sequences in stream order, a few thousand at a time, whatever the size of the run; counted in `tally`.

        Raises StoreError for a shard that is missing or damaged, SchemaError for rows or ids that cannot be.
        """
        for file in self.files:
            yield from self.shard(file)

    def streams(self) -> Iterator[tuple[str, Iterator[Rows]]]:
        """Where in the export each stream is to stand, as a prefix of names, and its sequences."""
        if not self.by_pool:
            yield "", self.rows()
            return
        for pool in POOLS:
            yield f"{pool}/", (rows for file in self.files for rows in self.shard(file, pool=pool))

    def shard(self, file: FileEntry, *, pool: str | None = None) -> Iterator[Rows]:
        """The sequences of one packed shard, or those of one pool among them."""
        store, where = self.run.store, self.run.store.full(file.path)
        if not store.is_intact(file, by_hash=True):
            raise StoreError(
                f"{where}: is missing or damaged: expected {file.n_bytes} bytes with SHA-256 {file.sha256}; "
                "curate the run again, which makes it anew"
            )
        per_block = max(1, _BLOCK_TOKENS // self.seq_len)
        for batch in store.read_ipc_whole(file.path, schema=self.schema).to_batches():
            for start in range(0, batch.num_rows, per_block):
                rows = rows_of(batch.slice(start, per_block), where=where, first=start)
                largest = int(rows.token_ids.max())
                if largest >= self.vocab_size:
                    raise SchemaError(
                        f"{where}: holds token id {largest}, but {TOKENIZER_FILE} has {self.vocab_size} entries; "
                        "curate the run again"
                    )
                if pool is not None:
                    rows = rows_of(rows.block.filter(pc.equal(rows.block["pool"], pool)), where=where)
                self.tally.add(rows, eos_id=self.eos_id)
                yield rows

    def refuse_changes(self) -> None:
        """StoreError if the run became another one while it was read."""
        if self.run.store.read_bytes(MANIFEST) != self.manifest:
            where = self.run.store.full(MANIFEST)
            raise StoreError(
                f"{where}: changed while the run was exported; let `loopmix curate` end, then export again"
            )

    def refuse_damage(self) -> None:
        """StoreError unless all shards are there with their sizes: seen at once, before the first is read."""
        bad = [file.path for file in self.files if not self.run.store.is_intact(file, by_hash=False)]
        if bad:
            raise StoreError(
                f"{self.run.store.root}: {len(bad)} of {len(self.files)} packed shards are missing or damaged "
                f"({first_of(bad, most=3)}); curate the run again, which makes them anew"
            )
