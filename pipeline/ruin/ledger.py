"""What the run's own ledger says of its documents: paths for the page, labels and counts to hold the shards to."""

import json
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import StoreError, why

_COLUMNS = ["doc_id", "path", "source", "pool", "group", "n_copies", "n_packed_tokens"]


class Entry(NamedTuple):
    """One ledger row of a document that was packed."""

    path: str
    source: str
    pool: str
    group: str
    n_copies: int
    n_packed_tokens: int


def read_ledger(run: Path) -> dict[str, Entry]:
    """Entries of all packed documents by id; empty where the run has no ledger. Raises StoreError if it is damaged."""
    found: dict[str, Entry] = {}
    for path in sorted((run / "tables" / "ledger").glob("part-*.parquet")):
        try:
            table = pq.read_table(path, columns=_COLUMNS, filters=[("n_packed_tokens", ">", 0)])
        except (pa.ArrowException, OSError) as error:
            message = f"{path}: cannot be read as a ledger ({why(error)}); `loopmix curate` puts it back"
            raise StoreError(message) from error
        doc_ids, *columns = (table[name].to_pylist() for name in _COLUMNS)
        found.update(zip(doc_ids, map(Entry._make, zip(*columns, strict=True)), strict=True))
    return found


def read_max_copies(run: Path) -> int:
    """How often the run's mixture lets a document stand in the sequences; without a manifest once."""
    path = run / "manifest.json"
    if not path.is_file():
        return 1
    balance = json.loads(path.read_text(encoding="utf-8")).get("mixture", {}).get("balance", {})
    own = [(balance.get(pool) or {}).get("unimax") for pool in ("code", "text")]
    return max(int(balance.get("max_copies", 1)), *(int(rule["max_epochs"]) for rule in own if rule), 1)
