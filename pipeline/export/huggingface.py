"""A folder to upload to a hub: `data/` with the sequences, `documents/` with where each is from, and what says so."""

from collections.abc import Iterator
from itertools import repeat

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine.manifest import files_of
from pipeline.engine.sink import HashingFile
from pipeline.engine.store import FileEntry, Store
from pipeline.errors import StoreError
from pipeline.export.finished import Finished
from pipeline.export.parquet import SETTINGS, write_shards
from pipeline.publish import DataPart, Facts, StreamFacts, assemble, count, papers
from pipeline.publish.facts import DOCUMENTS, SEQUENCES
from pipeline.schema import LEDGER

# What names and licenses a document whose tokens are given away; why others were dropped is a matter of the run.
_COLUMNS = (
    *("doc_id", "source", "repo", "path", "revision", "license", "pool", "language", "group"),
    *("n_bytes", "n_tokens", "n_copies", "n_packed_tokens"),
)
DOCUMENTS_FILE = "documents/train-00000.parquet"


def write(source: Finished, out: Store) -> list[FileEntry]:
    """Write the shards, the documents and the papers that go with them."""
    sequences = write_shards(source, out, name="data/train")
    schema = pa.schema([LEDGER.schema.field(name) for name in _COLUMNS])

    def fill(file: HashingFile) -> None:
        with pq.ParquetWriter(file, schema, **SETTINGS) as writer:
            for ledger in _ledger(source):
                packed = ledger.filter(pc.greater(ledger["n_packed_tokens"], 0))
                writer.write_table(packed.select(_COLUMNS))

    documents = out.write_stream(DOCUMENTS_FILE, fill)
    parts = (
        DataPart(SEQUENCES, SEQUENCES, "data/*.parquet", "parquet", source.schema, tuple(sequences)),
        DataPart(DOCUMENTS, DOCUMENTS, "documents/*.parquet", "parquet", schema, (documents,)),
    )
    made = papers(_facts(source, parts))
    return [*sequences, documents, *(out.write_bytes(name, data) for name, data in made.items())]


def _facts(source: Finished, parts: tuple[DataPart, ...]) -> Facts:
    """What the papers say of the run, or of one phase of it, as it was exported."""
    tally, phase = source.tally, source.phase
    name = "" if phase is None else phase.name
    stream = StreamFacts(name, source.seq_len, tally.n_sequences, tally.n_tokens)
    counts = count(source.run, _ledger(source))
    return assemble(source.run, [stream], parts=parts, counts=counts, phase=name or None)


def _ledger(source: Finished) -> Iterator[pa.Table]:
    """Every shard of the ledger, held against the manifest; of a phase with what that one takes."""
    store, phase = source.run.store, source.phase
    files = files_of(store, source.run.manifest["stages"][LEDGER.name])
    plans = repeat(None) if phase is None else source.run.plan(phase)
    for file, plan in zip(files, plans, strict=phase is not None):
        if not store.is_intact(file, by_hash=True):
            raise StoreError(f"{store.full(file.path)}: is missing or damaged; curate the run again")
        ledger = store.read_parquet(file.path, schema=LEDGER.schema)
        if plan is not None:
            n_packed = pc.add(pc.multiply(plan["n_copies"], plan["n_tokens"]), plan["cut_tokens"])
            for name, values in (("n_copies", plan["n_copies"]), ("n_packed_tokens", n_packed)):
                ledger = ledger.set_column(ledger.column_names.index(name), LEDGER.schema.field(name), values)
        yield ledger
