import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.arrays.columns import doc_words, id_array

FOUND = ["0" * 32, "f" * 32]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(FOUND, pa.large_string()),
        pa.array([FOUND[0], None]),
        pa.array(["0" * 31, "f" * 33, "0"]),
        pa.array(["0" * 31]),
    ],
)
def test_what_is_no_column_of_ids_gives_no_words(column: pa.Array) -> None:
    with pytest.raises(ValueError, match="doc_id: expected ids of 32 hex digits as string, found"):
        doc_words(pa.table({"doc_id": column}))


ids = st.lists(st.integers(0, 2**128 - 1).map("{:032x}".format), max_size=6)


@given(ids, st.integers(0, 6), st.integers(0, 6))
def test_ids_become_words_and_text_again(found: list[str], first: int, cut: int) -> None:
    column = pa.chunked_array([pa.array(found[:cut], pa.string()), pa.array(found[cut:], pa.string())]).slice(first)
    high, low = doc_words(pa.table({"doc_id": column}))
    wanted = found[first:]
    assert [f"{int(h) << 64 | int(w):032x}" for h, w in zip(high, low, strict=True)] == wanted
    assert id_array(high, low).equals(pa.array(wanted, pa.string()))
