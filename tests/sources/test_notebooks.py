"""Notebooks are taken apart into scripts, written here by hand; what is none, or broken, stays as it is."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
from handmade import make_run, run_stage

from pipeline.config import Classify, Ingest, Mixture, Source
from pipeline.engine.manifest import read_manifest
from pipeline.engine.tables import Tables
from pipeline.language.languages import classify
from pipeline.language.table import languages
from pipeline.quality.quality import measure
from pipeline.quality.settings import measuring_with
from pipeline.schema import DOCUMENTS
from pipeline.sources import plan_slices, read_slice
from pipeline.sources.documents import ingest, inputs_of
from pipeline.sources.magics import without_magics
from pipeline.sources.notebooks import COMMENT_SIGNS, take_apart

BIG = 1 << 20


def cell(kind: str, source: Any, **more: Any) -> dict[str, Any]:
    return {"cell_type": kind, "metadata": {}, "source": source, **more}


def v4(*cells: Any, language: str | None = None, **metadata: Any) -> bytes:
    if language is not None:
        metadata["kernelspec"] = {"language": language, "name": "own", "display_name": "Own"}
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}).encode()


def script(content: bytes, *, max_bytes: int = BIG) -> tuple[str, str] | None:
    found = take_apart(content, max_bytes=max_bytes)
    return found and (found.content.decode(), found.language)


OUTPUT = {"outputs": [{"output_type": "stream", "name": "stdout", "text": ["printed\n"]}], "execution_count": 3}
PICTURE = {"attachments": {"a.png": {"image/png": "iVBORw0KGgo"}}}


def test_cells_in_order_code_as_it_is_text_as_comments_without_outputs_and_attachments() -> None:
    notebook = v4(
        cell("markdown", ["# Title\n", "\n", "See ![it](attachment:a.png).\n"], **PICTURE),
        cell("code", ["import os\n", "\n", "def f(x):\n", "    return x  \n"], **OUTPUT),
        cell("code", "", **OUTPUT),
        cell("raw", "as it\r\nstands\u2028here"),
        cell("code", "\n\n  \nif f(1):\r\n    f(2)\n\n", **OUTPUT),
        language="python",
    )
    text = (
        "# # Title\n#\n# See ![it](attachment:a.png).\n\nimport os\n\ndef f(x):\n    return x\n\n"
        "# as it\n# stands\n# here\n\nif f(1):\n    f(2)\n"
    )
    assert script(notebook) == (text, "Python")


def test_version_3_and_version_2_have_worksheets_headings_and_inputs() -> None:
    cells = [
        {"cell_type": "heading", "level": 2, "source": ["Sums"]},
        {"cell_type": "code", "language": "python", "input": ["a = 1\n", "b = 2"], "outputs": [], "collapsed": False},
        {"cell_type": "markdown", "source": "told"},
    ]
    v3 = {"metadata": {"name": ""}, "nbformat": 3, "nbformat_minor": 0, "worksheets": [{"cells": cells}]}
    assert script(json.dumps(v3).encode()) == ("# ## Sums\n\na = 1\nb = 2\n\n# told\n", "Python")
    v3["worksheets"] = [{"cells": cells[:1]}, {"cells": [cells[1] | {"language": "julia"}]}]
    assert script(json.dumps(v3).encode()) == ("# ## Sums\n\na = 1\nb = 2\n", "Julia")
    v2 = {"nbformat": 2, "worksheets": [{"cells": [{"cell_type": "code", "input": ["a = 1", "", "b = 2"]}]}]}
    assert script(json.dumps(v2).encode()) == ("a = 1\n\nb = 2\n", "Python")


@pytest.mark.parametrize(
    ("language", "name", "sign"),
    [
        ("R", "R", "#"),
        ("julia", "Julia", "#"),
        ("C++17", "C++", "//"),
        ("javascript", "JavaScript", "//"),
        ("haskell", "Haskell", "--"),
        ("octave", "MATLAB", "%"),
        ("clojure", "Clojure", ";"),
        ("python3", "Python", "#"),
        ("bash", "Shell", "#"),
    ],
)
def test_comments_have_the_sign_of_the_kernels_language(language: str, name: str, sign: str) -> None:
    notebook = v4(cell("markdown", "told\n\nmore"), cell("code", "f(x)"), language=language)
    assert script(notebook) == (f"{sign} told\n{sign}\n{sign} more\n\nf(x)\n", name)


def test_every_language_is_one_of_linguists() -> None:
    assert set(COMMENT_SIGNS) <= set(languages())


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({}, "Python"),
        ({"kernelspec": {"name": "my-env"}}, "Python"),
        ({"kernelspec": {"name": "ir"}}, "R"),
        ({"kernelspec": {"name": "julia-1.9"}}, "Julia"),
        ({"language_info": {"name": "scala"}}, "Scala"),
        ({"kernelspec": {"language": ""}, "language_info": {"name": "R"}}, "R"),
        ({"kernelspec": {"language": "mine"}, "language_info": {"name": "ruby"}}, "Ruby"),
        ({"kernelspec": {"name": "x", "language": "julia"}, "language_info": {"name": "python"}}, "Julia"),
        ({"jupytext": {"main_language": "R"}}, "R"),
        ({"kernelspec": [1], "language_info": None}, "Python"),
        ({"kernelspec": {"language": "idl", "name": "python3"}}, None),
        ({"language_info": {"name": "plaintext"}}, None),
        pytest.param({"language_info": {"name": "-" * 3_000_000}}, None, id="long"),  # would take hours
    ],
)
def test_what_the_kernel_speaks_is_taken_where_it_is_known(metadata: dict[str, Any], name: str | None) -> None:
    found = script(v4(cell("code", "x"), **metadata))
    assert found == (name and ("x\n", name))


def test_without_code_it_is_its_text_in_markdown() -> None:
    assert script(v4(cell("markdown", "# A\n\ntext"), cell("raw", "b"))) == ("# A\n\ntext\n\nb\n", "Markdown")


def test_a_picture_written_into_prose_is_left_out() -> None:
    link = "![p](data:image/png;base64,{})"
    long, short = (cell("markdown", link.format("iVBO" * n)) for n in (100, 2))
    notebook = v4(long, short, cell("code", f's = "{link.format("iVBO" * 100)}"'))
    found = script(notebook)
    assert found is not None
    assert found[0].startswith(f"# {link.format('')}\n\n# {link.format('iVBO' * 2)}\n\ns = ")
    assert "iVBO" * 100 in found[0]


MAGICS = [
    ("%matplotlib inline\nimport a", "# %matplotlib inline\nimport a"),
    ("!pip install a \\\n  b\nimport a", "# !pip install a \\\n#   b\nimport a"),
    ("pip install a", "# pip install a"),
    ("if a:\n    !ls (\nb", "if a:\n    pass  # !ls (\nb"),
    ("files = !ls\nt = %timeit -o f()\nx = a % b", "# files = !ls\n# t = %timeit -o f()\nx = a % b"),
    ("?f\nf??\na.b?  # of it", "# ?f\n# f??\n# a.b?  # of it"),
    ("f('%s'\n  %x)", "f('%s'\n  %x)"),
    ("f('('\n)\n!ls", "f('('\n)\n# !ls"),
    ("a = b \\\n  %c\n%d", "a = b \\\n  %c\n# %d"),
    ('s = """\n%x\n\\"""\n!y"""\n%z', 's = """\n%x\n\\"""\n!y"""\n# %z'),
    ("s = ''' ( '''; t = '''\n!y'''\n!z", "s = ''' ( '''; t = '''\n!y'''\n# !z"),
    ("a  # don't (\n!ls", "a  # don't (\n# !ls"),
    ("a  # (\n!ls", "a  # (\n# !ls"),
    (")\n!ls", ")\n# !ls"),
    ("%%time\nf()", "# %%time\nf()"),
]


@pytest.mark.parametrize(("code", "expected"), MAGICS)
def test_magics_become_comments_where_a_statement_may_begin(code: str, expected: str) -> None:
    assert without_magics(code) == expected
    assert script(v4(cell("code", code))) == (expected + "\n", "Python")
    assert script(v4(cell("code", code), language="R")) in ((code + "\n", "R"), ("# %%time\nf()\n", "R"))


def test_a_script_with_magics_can_be_parsed() -> None:
    cells = [cell("code", code) for code, _ in MAGICS if "a.b" not in code and not code.startswith(")")]
    found = script(v4(cell("markdown", '"""'), *cells))
    assert found is not None
    ast.parse(found[0])


def test_a_cell_for_another_interpreter_is_a_comment_in_whole() -> None:
    notebook = v4(cell("code", "%%bash\nls 'x\n\necho"), cell("code", "f()"))
    assert script(notebook) == ("# %%bash\n# ls 'x\n#\n# echo\n\nf()\n", "Python")
    titled = v4(cell("code", "%% title\nf()"), cell("code", "%%title\nf()"), language="matlab")
    assert script(titled) == ("%% title\nf()\n\n%%title\nf()\n", "MATLAB")
    assert script(v4(cell("code", "%use a\n%%\nf(a\n  %b)"), language="kotlin")) == (
        "// %use a\n// %%\nf(a\n  %b)\n",
        "Kotlin",
    )


def deep(n: int) -> bytes:
    return v4(cell("code", "x"))[:-1] + b', "more": ' + b"[" * n + b"]" * n + b"}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"cells"',
        b"{}",
        b'{"cells": {}}',
        b'{"cells": null}',
        b'{"cells": []}',
        b'{"worksheets": [1]}',
        b'{"worksheets": [{}]}',
        b'{"cells": ["x"]}',
        v4({"source": "x"}),
        v4({"cell_type": ["code"], "source": "x"}),
        v4(cell("code", 5)),
        v4(cell("code", ["x", None])),
        v4(cell("code", "x"), cell("code", None)),
        v4(cell("code", "  \n"), cell("code", [], **OUTPUT)),
        v4(cell("code", "x = '\ud800'")),
        v4(cell("code", "x"))[:-1],
        v4(cell("code", "x")).replace(b"x", b"\xff"),
        deep(200_000),
    ],
)
def test_what_is_no_sound_notebook_is_none(content: bytes) -> None:
    assert script(content) is None


def test_outputs_may_hold_any_number_and_half_characters() -> None:
    assert script(deep(20)) == ("x\n", "Python")
    assert script(v4(cell("code", "x", outputs=["\ud800"]), n=0).replace(b'"n": 0', b'"n": ' + b"9" * 5_000))
    assert script(b"\xef\xbb\xbf" + v4(cell("code", "x"))) == ("x\n", "Python")


def test_a_script_that_is_too_long_is_none() -> None:
    notebook = v4(cell("markdown", "\n".join("ab")), cell("code", "x"))
    assert script(notebook, max_bytes=11) == ("# a\n# b\n\nx\n", "Python")
    assert script(notebook, max_bytes=10) is None


# In a table: whatever the kind of source.
NOTEBOOK = v4(cell("markdown", "Sums of two."), cell("code", "a = 1\nb = a + 1\nprint(a, b)"), language="python")
SCRIPT = b"# Sums of two.\n\na = 1\nb = a + 1\nprint(a, b)\n"


def _directory(folder: Path, **files: bytes) -> Source:
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_bytes(content)
    return Source(name="here", kind="directory", path=str(folder))


def test_a_row_is_of_its_script_and_says_what_it_was_made_from(tmp_path: Path, rows_of: Any) -> None:
    files = {"a_ipynb": NOTEBOOK, "b_IPYNB": NOTEBOOK, "c_json": NOTEBOOK, "d_ipynb": b"{", "e_py": b"x\n"}
    a, b, c, d, e = rows_of(_directory(tmp_path, **files))
    for row, path in ((a, "a.ipynb"), (b, "b.IPYNB")):
        assert (row["path"], row["content"], row["n_bytes"], row["made_from"]) == (path, SCRIPT, len(SCRIPT), "ipynb")
        assert row["content_hash"] == xxhash.xxh3_128_digest(SCRIPT)
        assert (row["language_label"], row["problem"]) == ("Python", None)
    assert [(r["content"], r["made_from"], r["language_label"]) for r in (c, d, e)] == [
        (NOTEBOOK, None, None),
        (b"{", None, None),
        (b"x\n", None, None),
    ]


def test_notebooks_are_kept_where_the_mixture_says_so(tmp_path: Path) -> None:
    source = _directory(tmp_path, a_ipynb=NOTEBOOK)
    (piece,) = plan_slices(source, shard_bytes=BIG)
    (row,) = read_slice(source, piece, max_document_bytes=BIG, notebooks="keep").to_pylist()
    assert (row["content"], row["made_from"], row["language_label"]) == (NOTEBOOK, None, None)


@pytest.mark.parametrize(("wish", "expected"), [("script", SCRIPT), ("keep", NOTEBOOK)])
def test_the_stage_reads_as_the_mixture_says(tmp_path: Path, wish: Any, expected: bytes) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"content": NOTEBOOK.decode(), "path": "a.ipynb"}) + "\n")
    source = Source(name="here", kind="jsonl", path=str(tmp_path / "in.jsonl"))
    mixture = Mixture(name="m", sources=(source,), ingest=Ingest(notebooks=wish))
    config = inputs_of(mixture, plan_slices(source, shard_bytes=BIG))
    run = make_run(tmp_path / "run", sources=(source,))
    run_stage(run, DOCUMENTS.name, ingest, config=config, n_shards=1)
    assert Tables(run.store, 1).read(DOCUMENTS, 0)["content"].to_pylist() == [expected]
    counts = read_manifest(run.store)["stages"]["documents"]["counts"]
    assert "n_default_path here" in counts
    assert "n_default_language here" not in counts  # no column named the language


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_a_label_that_means_the_notebook_gives_way_and_others_stay(tmp_path: Path, rows_of: Any, kind: str) -> None:
    labels = ["Jupyter Notebook", "jupyter-notebook", "JSON", None, "Sage"]
    rows = [{"content": NOTEBOOK.decode(), "path": f"{i}.ipynb", "language": one} for i, one in enumerate(labels)]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    else:
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = Source(name="here", kind=kind, path=str(tmp_path))  # type: ignore[arg-type]
    found = rows_of(source)
    assert [row["content"] for row in found] == [SCRIPT] * 5
    assert [row["language_label"] for row in found] == ["Python"] * 4 + ["Sage"]
    prose = rows_of(source.model_copy(update={"pool": "text"}))
    assert [(row["content"], row["language_label"]) for row in prose] == [(SCRIPT, None)] * 5


def test_a_path_in_front_of_the_content_counts(tmp_path: Path, rows_of: Any) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"content": "<filename>a.ipynb\n" + NOTEBOOK.decode()}) + "\n")
    source = Source(name="here", kind="jsonl", path=str(tmp_path), strip_prefix="starcoderdata")
    (row,) = rows_of(source)
    assert (row["path"], row["content"], row["made_from"]) == ("a.ipynb", SCRIPT, "ipynb")


def test_no_script_is_longer_than_the_mixture_allows_a_document(tmp_path: Path, rows_of: Any) -> None:
    notebook = v4(cell("markdown", "a\n" * 400), cell("code", "x"))  # a line end is two bytes, with a sign three
    source = _directory(tmp_path, a_ipynb=notebook)
    for limit, made_from in ((len(notebook), None), (2_000, "ipynb")):
        (row,) = rows_of(source, max_document_bytes=limit)
        assert (row["made_from"], row["problem"]) == (made_from, None)


def test_a_problem_of_an_output_goes_with_it(tmp_path: Path, rows_of: Any) -> None:
    turned = json.loads(v4(cell("code", "print(a)", outputs=["a \u202e b"])))
    raw = json.dumps(turned, ensure_ascii=False, indent=1).encode()
    damaged = raw.replace("\u202e".encode(), b"\xff \xc3\xa9")
    bare = raw.replace(b"print(a)", b"")
    rows = rows_of(_directory(tmp_path, a_ipynb=raw, b_ipynb=bare, c_ipynb=damaged))
    assert [(row["made_from"], row["problem"]) for row in rows] == [
        ("ipynb", None),
        (None, "bidi_controls"),
        ("ipynb", None),
    ]
    assert [(row["encoding"], row["n_replaced"]) for row in rows] == [("utf-8", 0), ("utf-8", 0), ("utf-8-damaged", 0)]


def test_what_an_escape_hid_is_looked_at_again(tmp_path: Path, rows_of: Any) -> None:
    turned = v4(cell("code", "a = 1 # \u202e b\nprint(a)"))
    (row,) = rows_of(_directory(tmp_path, a_ipynb=turned))
    assert (row["made_from"], row["problem"]) == ("ipynb", "bidi_controls")


def test_a_script_is_no_junk_and_has_its_kernels_language(tmp_path: Path) -> None:
    source = _directory(tmp_path, a_ipynb=NOTEBOOK)
    (piece,) = plan_slices(source, shard_bytes=BIG)
    documents = read_slice(source, piece, max_document_bytes=BIG)
    told = classify(documents, config=Classify())
    row = told.to_pylist()[0]
    assert (row["language"], row["pool"], row["decided_by"], row["content_kind"]) == ("Python", "code", "label", "code")
    measuring = measuring_with(Mixture(name="m", sources=(source,)).quality.measuring())
    assert measure(documents, told, config=measuring)["marks"].to_pylist() == [[]]
