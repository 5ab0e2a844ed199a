"""All that the papers of a mixture say, as data: taken from its manifest and tables, and from what its maker stated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline import __version__
from pipeline.config import Mixture, said_sample
from pipeline.engine.manifest import tokenizer_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import FileEntry
from pipeline.phased import Phased
from pipeline.publication import Publication
from pipeline.publish.counts import Composition, count
from pipeline.schema import LEDGER, PACKED, POOLS, packed_schema

SEQUENCES, DOCUMENTS = "sequences", "documents"
_MEANING = {
    SEQUENCES: "packed sequences in the order of training, code and text in balance",
    DOCUMENTS: "every document: where it is from, under which licence, and how many of its tokens are here",
}


@dataclass(frozen=True)
class DataPart:
    """Files of one schema that belong together, as hubs and Croissant know them. Paths start where the card lies."""

    name: str
    kind: str  # SEQUENCES or DOCUMENTS
    glob: str
    suffix: str  # arrow or parquet
    schema: pa.Schema
    files: tuple[FileEntry, ...]
    loads: bool = True  # whether the card offers it as a configuration

    @property
    def meaning(self) -> str:
        return _MEANING[self.kind]


@dataclass(frozen=True)
class StreamFacts:
    """Sequences of one length, in the order of training."""

    name: str  # of the phase; "" where the run has none
    seq_len: int
    n_sequences: int
    n_tokens: dict[str, int]  # real ones, by pool

    @property
    def n_padding(self) -> int:
        return self.n_sequences * self.seq_len - sum(self.n_tokens.values())


@dataclass(frozen=True)
class StageFacts:
    """A stage that made a table, and the version of its code. Its fingerprint holds times of input files, which are
    others on another machine; what names the bytes are the hashes of files."""

    name: str
    version: int


@dataclass(frozen=True)
class Facts:
    """Everything a paper may say."""

    title: str
    mixture: Mixture
    counts: Composition
    streams: tuple[StreamFacts, ...]
    parts: tuple[DataPart, ...]
    stages: tuple[StageFacts, ...]
    tokenizer: FileEntry
    version: str = __version__

    @property
    def said(self) -> Publication:
        """What its maker stated."""
        return self.mixture.publish

    @property
    def sample(self) -> str | None:
        """In words the sample of its input that the run was made of; None: of all of it."""
        rate = self.mixture.ingest.sample
        return None if rate is None else said_sample(rate)

    @property
    def n_tokens(self) -> dict[str, int]:
        """Real tokens of all sequences, by pool."""
        return {pool: sum(one.n_tokens[pool] for one in self.streams) for pool in POOLS}

    @property
    def n_sequences(self) -> int:
        return sum(one.n_sequences for one in self.streams)


def facts_of(run: RunFiles, *, said: Publication | None = None) -> Facts:
    """The facts of a finished run as it lies. `said` is stated instead of what its mixture states.

    Reads small columns of all tables, and no text. Raises StoreError and SchemaError for what is missing or damaged.
    """
    streams = tuple(_stream(run, phase) for phase in run.phases)
    return assemble(run, streams, parts=_parts_of(run), counts=count(run), said=said)


def assemble(
    run: RunFiles,
    streams: Iterable[StreamFacts],
    *,
    parts: tuple[DataPart, ...],
    counts: Composition,
    said: Publication | None = None,
    phase: str | None = None,
) -> Facts:
    """Facts of what was counted already; `phase` is the one that the files are of, if they are of one alone."""
    mixture = run.mixture if said is None else run.mixture.model_copy(update={"publish": said})
    name = mixture.publish.name or mixture.name
    made = run.manifest["stages"]
    stages = tuple(StageFacts(one, made[one]["version"]) for one in run.stages)
    return Facts(
        title=name if phase is None else f"{name}-{phase}",
        mixture=mixture,
        counts=counts,
        streams=tuple(streams),
        parts=parts,
        stages=stages,
        tokenizer=tokenizer_of(run.store, run.manifest),
    )


def _parts_of(run: RunFiles) -> tuple[DataPart, ...]:
    """The sequences of a run, each phase by itself, and its ledger."""
    every = list(run.files(PACKED))
    parts = []
    for phase in run.phases:
        files = tuple(file for file in every if file.path.rpartition("/")[0] == phase.folder)
        schema = packed_schema(phase.seq_len, joined=run.joined)
        parts.append(DataPart(phase.name or PACKED, SEQUENCES, f"{phase.folder}/*.arrow", "arrow", schema, files))
    ledger = tuple(run.files(LEDGER.name))
    glob = f"tables/{LEDGER.name}/*.parquet"
    # `datasets` reads all configurations of a folder by one format, and its sequences are Arrow files.
    return (*parts, DataPart(LEDGER.name, DOCUMENTS, glob, "parquet", LEDGER.schema, ledger, loads=False))


def _stream(run: RunFiles, phase: Phased) -> StreamFacts:
    """Counted from the packed shards; of one on a server two small columns are fetched."""
    n_sequences, n_tokens = 0, dict.fromkeys(POOLS, 0)
    schema = packed_schema(phase.seq_len, joined=run.joined)
    for file in run.files(PACKED):
        if file.path.rpartition("/")[0] != phase.folder:
            continue
        rows = run.store.read_ipc(file.path, schema=schema, columns=["n_real", "pool"])
        n_sequences += rows.num_rows
        for pool in POOLS:
            n_tokens[pool] += int(pc.sum(rows["n_real"].filter(pc.equal(rows["pool"], pool))).as_py() or 0)
    return StreamFacts(phase.name, phase.seq_len, n_sequences, n_tokens)
