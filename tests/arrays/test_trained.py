import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arrays.trained import texts_of, trained, trained_rows

rows = st.lists(st.tuples(st.binary(max_size=6), st.none() | st.binary(max_size=6)), max_size=12)


@given(rows, st.integers(0, 12))
def test_redacted_content_stands_where_there_is_some(found: list[tuple[bytes, bytes | None]], first: int) -> None:
    kind = pa.large_binary()
    tables = [pa.table({"content": pa.array([row[side] for row in found], kind)}).slice(first) for side in (0, 1)]
    got = trained(*tables)
    assert got.to_pylist() == [content if changed is None else changed for content, changed in found[first:]]
    assert list(texts_of(*tables, rows=np.arange(len(got))[::2])) == got.to_pylist()[::2]
    backwards = np.arange(len(got))[::-1]
    assert trained_rows(*tables, rows=backwards).equals(got.take(pa.array(backwards)))
    assert got.type == kind
    got.validate(full=True)
    assert got.equals(pc.coalesce(*(t["content"].combine_chunks() for t in reversed(tables)))) or not len(got)
