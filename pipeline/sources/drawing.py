"""Draw a keyed sample of documents, and count what the whole was.

What is drawn is a content key (`content_keys.py`), and with it all documents that have it. So equal documents are in or
out together, and near duplicates nearly so: a sample of documents one by one would keep a pair with the square of the
rate, and hide most of what dedup takes. A smaller rate under the same key draws a part of what a larger one does.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pyarrow as pa
import xxhash

from pipeline.arrays.columns import bytes_of, columns, doc_words, one_chunk, read_only
from pipeline.arrays.keys import keyed_hash
from pipeline.sources.content_keys import content_keys
from pipeline.sources.sampling import CELL_BYTES, CELL_DOCS, N_BYTES, N_DOCS, Sampling

# Endings are told apart by a hash, so that a manifest stays small whatever names an input has. Two that share a number
# are measured together; of a hundred common ones that happens to about ten, mostly to small ones.
_N_ENDINGS = 512
_MIN_CLASS, _MAX_CLASS = 4, 11  # of sizes, by factors of four: below 256 bytes, and from a megabyte on, all are one


def units(documents: pa.Table) -> np.ndarray:
    """What is drawn as one, uint64 [n]: the content key, or the document's own id where it has no content."""
    data, ends = bytes_of(one_chunk(documents["content"]))
    keys = content_keys(read_only(data), read_only(ends))
    alone = doc_words(documents)[0]
    return np.where(np.diff(ends) > 0, keys, alone)


def drawn(unit: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Which units are in the sample, bool [n]."""
    bound = np.uint64(min(2**64 - 1, int(Fraction(repr(sampling.rate)) * 2**64)))
    found: np.ndarray = keyed_hash(np.uint64(sampling.key), unit) < bound
    return found


def sampled(documents: pa.Table, sampling: Sampling) -> tuple[pa.Table, dict[str, int]]:
    """The drawn ones of the documents of a shard, and what is counted of all of them."""
    n_bytes = columns(documents, "n_bytes")[0]
    counts = {N_DOCS: documents.num_rows, N_BYTES: int(n_bytes.sum())}
    cells, number = np.unique(cells_of(documents), return_inverse=True)
    docs, volume = np.bincount(number, minlength=cells.size), np.bincount(number, n_bytes, minlength=cells.size)
    for name, n, size in zip(cells.tolist(), docs.tolist(), volume.tolist(), strict=True):
        counts[f"{CELL_DOCS} {name}"], counts[f"{CELL_BYTES} {name}"] = int(n), int(size)
    return documents.filter(pa.array(drawn(units(documents), sampling))), counts


def cells_of(documents: pa.Table) -> np.ndarray:
    """The name of the cell of each document, str [n]: source, number of the ending, class of the size."""
    labels = documents["language_label"].to_pylist()
    endings = map(_ending, documents["path"].to_pylist(), labels)
    sources, sizes = documents["source"].to_pylist(), documents["n_bytes"].to_pylist()
    named = [f"{s}/{e}/{_size_class(n)}" for s, e, n in zip(sources, endings, sizes, strict=True)]
    return np.array(named, np.str_)


def _ending(path: str, label: str | None) -> int:
    """A number for what tells the language before content is looked at."""
    name = path.rpartition("/")[2]
    said = f"language {label}" if label is not None else name.rpartition(".")[2]
    return xxhash.xxh3_64_intdigest(said.lower().encode()) % _N_ENDINGS


def _size_class(n_bytes: int) -> int:
    return min(_MAX_CLASS, max(_MIN_CLASS, (n_bytes.bit_length() + 1) // 2))
