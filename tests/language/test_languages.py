import numpy as np
import pyarrow as pa
from handmade import documents

from pipeline.config import Classify, Override
from pipeline.language.decide import Declared, classify_one
from pipeline.language.languages import classify
from pipeline.schema import LANGUAGES

PROSE = (
    "The lamp had been lit for an hour when the fog came in from the sea, and nobody in the house spoke about it. " * 3
)
QUERY = "SELECT name, height FROM lighthouse WHERE height > 30 ORDER BY name;\n" * 3
CONTENTS = ["print(1)\n", PROSE, PROSE, "", QUERY, "x"]
PATHS = ["a.py", "notes.txt", "", "b.rb", "no-name", "c.unheardof"]
HINTS = ["auto", "auto", "code", "code", "auto", "text"]


def rows(table: pa.Table) -> list[tuple]:
    return [tuple(row.values()) for row in table.select(["pool", "language", "decided_by"]).to_pylist()]


def test_classify_writes_one_row_for_each_document_in_order() -> None:
    table = documents(0, CONTENTS, path=PATHS, pool_hint=HINTS)
    found = classify(table, config=Classify())
    assert found.schema == LANGUAGES.schema
    assert found["doc_id"].to_pylist() == table["doc_id"].to_pylist()
    assert rows(found) == [
        ("code", "Python", "extension"),
        ("text", "Text", "extension"),
        ("code", "Text", "prose"),
        ("code", "Ruby", "extension"),
        ("code", "SQL", "classifier"),
        ("text", "Text", "hint"),
    ]


def test_classify_gives_the_same_rows_however_the_table_is_chunked() -> None:
    table = documents(0, CONTENTS, path=PATHS, pool_hint=HINTS)
    expected = classify(table, config=Classify())
    chunked = pa.concat_tables([table.slice(i, 2) for i in range(0, table.num_rows, 2)])
    assert classify(chunked, config=Classify()).equals(expected)
    assert classify(table.slice(1, 3), config=Classify()).equals(expected.slice(1, 3))
    padded = pa.concat_tables([table, table]).combine_chunks().slice(table.num_rows)
    assert classify(padded, config=Classify()).equals(expected)


def test_classify_equals_one_document_at_a_time() -> None:
    table = documents(0, CONTENTS * 3, path=PATHS * 3, pool_hint=HINTS * 3)
    order = np.random.Generator(np.random.Philox(5)).permutation(table.num_rows)
    found = classify(table.take(order), config=Classify(min_confidence=0.2, max_scan_bytes=64))
    for place, row in zip(order.tolist(), found.to_pylist(), strict=True):
        alone = classify_one(
            (PATHS * 3)[place],
            (CONTENTS * 3)[place].encode(),
            declared=Declared((HINTS * 3)[place]),
            config=Classify(min_confidence=0.2, max_scan_bytes=64),
        )
        assert tuple(row[name] for name in alone._fields) == alone


def test_classify_keeps_the_schema_when_a_shard_is_empty() -> None:
    empty = documents(0, [])
    assert classify(empty, config=Classify()).equals(LANGUAGES.schema.empty_table())
    assert classify(empty.slice(0, 0), config=Classify()).num_rows == 0


def test_classify_obeys_min_confidence() -> None:
    table = documents(0, [CONTENTS[4]], path=[""], pool_hint=["auto"])
    assert rows(classify(table, config=Classify(min_confidence=1.0))) == [("code", "Unknown", "none")]


def test_classify_takes_overrides_labels_and_merges_from_the_mixture() -> None:
    table = documents(
        0, ["x = 1\n"] * 4, path=["lib/a.inc", "b.bat", "c.bat", "d"], language_label=[None, None, "rust", "vb.net"]
    )
    config = Classify(
        overrides=(Override(path="lib/*.inc", language="php"), Override(source="elsewhere", language="C")),
        merge={"Batchfile": "shell"},
    )
    assert rows(classify(table, config=config)) == [
        ("code", "PHP", "override"),
        ("code", "Shell", "extension"),
        ("code", "Rust", "label"),
        ("code", "Visual Basic .NET", "label"),
    ]
