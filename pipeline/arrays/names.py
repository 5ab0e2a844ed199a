"""Names as 64-bit hashes: what is counted by repository is counted by eight bytes, however long the names are.

Among ten million names two meet with probability 3e-6.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

from pipeline.arrays.columns import one_chunk


def name_hashes(column: pa.ChunkedArray) -> np.ndarray:
    """A hash of each name, uint64 [n], 0 where there is none."""
    coded = one_chunk(column).dictionary_encode()
    hashes = [*(xxhash.xxh3_64_intdigest(name.encode()) for name in coded.dictionary.to_pylist()), 0]
    found: np.ndarray = np.array(hashes, np.uint64)[pc.fill_null(coded.indices, len(hashes) - 1).to_numpy()]
    return found
