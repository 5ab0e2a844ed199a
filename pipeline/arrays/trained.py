"""The text that stands for a document wherever something is made of it or compared: redacted where it was."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.arrays.columns import one_chunk


def trained(documents: pa.Table, redacted: pa.Table) -> pa.LargeBinaryArray:
    """Content of the same rows of both tables: that of `redacted`, or where it is null, that of `documents`."""
    changed, content = one_chunk(redacted["content"]), one_chunk(documents["content"])
    return content if changed.null_count == len(changed) else pc.coalesce(changed, content)
