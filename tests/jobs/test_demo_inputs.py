"""The demo's input: a made-up machine for what must come out, this machine for whether it works at all."""

from __future__ import annotations

import gzip
import importlib
import importlib.metadata
import json
import shutil
import sys
from email import message_from_string
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipeline.request.load import load_mixture
from pipeline.sources import plan_slices, read_slice

CHECKOUT = Path(__file__).resolve().parents[2]
KEYS = {"content", "path", "repo", "revision", "license"}
SOURCES = {"stdlib", "system", "packages", "package_descriptions", "manuals", "documentation", "docstrings"}


def _module() -> ModuleType:
    """jobs/ is no package; its folder goes on the path so that worker processes find the module too."""
    sys.path.insert(0, str(CHECKOUT / "jobs"))
    return importlib.import_module("demo_inputs")


demo_inputs = _module()


def rows_of(out: Path, source: str) -> list[dict[str, Any]]:
    parts = sorted(out.glob(f"{source}-*.jsonl.zst"))
    assert parts, f"{source} has no file"
    return [
        json.loads(line)
        for part in parts
        for line in zstandard.ZstdDecompressor().decompressobj().decompress(part.read_bytes()).splitlines()
    ]


def install(site: Path, name: str, *, files: dict[str, str], metadata: str) -> None:
    """A distribution as an installer leaves it."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{metadata}", encoding="utf-8")
    for path, content in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(content, encoding="utf-8")
    listed = [*files, f"{info.name}/METADATA", f"{info.name}/RECORD", "../../bin/tool"]
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in listed), encoding="utf-8")


DOC = '"""' + "Opens the gate for whoever rings, and closes it after them. " * 12 + '"""\n'


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with two packages, this project, some documentation and a standard library of two files."""
    site = tmp_path / "site-packages"
    gate = {"gate/__init__.py": DOC, "gate/style.css": "p { color: red }\n", "gate/notes.rst": "Notes\n=====\n"}
    install(site, "gate", files=gate, metadata="License-Expression: MIT\n\nA gate, described.\n")
    copy = {"fence/_vendor/gate.py": DOC, "fence/logo.png": "not really"}
    install(site, "fence", files=copy, metadata="License: Apache 2.0\n\nA fence.\n")
    install(site, "loopmix", files={"pipeline/private.py": "SECRET = 1\n"}, metadata="\nourselves\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "abc.py").write_text("import os\n", encoding="utf-8")
    (tmp_path / "lib" / "blob.bin").write_bytes(b"\0\1\2")
    doc = tmp_path / "doc" / "tools"
    doc.mkdir(parents=True)
    (doc / "guide.md").write_text("# Guide\n", encoding="utf-8")
    (doc / "README.gz").write_bytes(gzip.compress("Read me: naïve.\n".encode()))
    (doc / "changelog.gz").write_bytes(gzip.compress(b"* changed\n"))
    (doc / "link.md").symlink_to(doc / "guide.md")
    monkeypatch.setattr(demo_inputs, "distributions", lambda: importlib.metadata.distributions(path=[str(site)]))
    monkeypatch.setattr(demo_inputs.sysconfig, "get_path", lambda _: str(tmp_path / "lib"))
    monkeypatch.setattr(demo_inputs, "SYSTEM_DOC", tmp_path / "doc")
    monkeypatch.setattr(demo_inputs, "SYSTEM_MAN", tmp_path / "man")
    monkeypatch.setattr(demo_inputs, "DPKG_STATUS", tmp_path / "status")
    (tmp_path / "status").write_text("Package: tools\nStatus: installed\nVersion: 2.5-1\n\n", encoding="utf-8")
    return tmp_path


def test_made_up_machine_gives_each_file_to_its_source_when_collected(machine: Path):
    said: list[str] = []
    n_docs = demo_inputs.collect(machine / "out", max_bytes=1_000_000, say=said.append)
    found = {source: rows_of(machine / "out", source) for source in n_docs}
    assert {source: [row["path"] for row in rows] for source, rows in found.items()} == {
        "stdlib": ["Include/abc.py", "Lib/abc.py"],
        "system": ["tools/guide.md"],
        "packages": ["fence/_vendor/gate.py", "gate/__init__.py", "gate/style.css"],
        "package_descriptions": ["fence/description", "gate/description"],
        "manuals": [],
        "documentation": ["gate/notes.rst", "tools/README"],
        "docstrings": ["fence/_vendor/gate.txt", "gate/__init__.txt"],
    }
    assert {source: len(rows) for source, rows in found.items()} == n_docs
    assert all(set(row) == KEYS for rows in found.values() for row in rows)
    assert any("no manuals" in line for line in said)


def test_rows_say_where_they_come_from_when_collected(machine: Path):
    demo_inputs.collect(machine / "out", max_bytes=1_000_000, say=lambda _: None)
    rows = {row["path"]: row for source in SOURCES for row in rows_of(machine / "out", source)}
    vendored = rows["fence/_vendor/gate.py"]
    assert (vendored["repo"], vendored["revision"], vendored["license"]) == ("fence", "1.0", "Apache-2.0")
    assert rows["gate/__init__.py"]["license"] == "MIT"
    assert rows["gate/__init__.py"]["content"] == vendored["content"], "copies must be left for deduplication to find"
    assert rows["Lib/abc.py"]["license"] == "PSF-2.0"
    guide = rows["tools/guide.md"]
    assert (guide["repo"], guide["revision"], guide["license"]) == ("system/tools", "2.5-1", None)
    assert rows["tools/README"]["content"] == "Read me: naïve.\n"
    assert not any("SECRET" in row["content"] or "ourselves" in row["content"] for row in rows.values())


def test_demo_mixture_reads_every_row_when_a_source_is_empty(machine: Path):
    n_docs = demo_inputs.collect(machine / "out", max_bytes=1_000_000, say=lambda _: None)
    for source in load_mixture(CHECKOUT / "mixture_configs" / "demo.yaml").sources:
        here = source.model_copy(update={"path": str(machine / "out" / Path(source.path).name)})
        tables = [
            read_slice(here, piece, max_document_bytes=10**6) for piece in plan_slices(here, shard_bytes=64_000_000)
        ]
        assert sum(table.num_rows for table in tables) == n_docs[source.name]
        assert sum(table["problem"].drop_null().length() for table in tables) == 0


def test_parts_of_an_older_run_go_when_a_source_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    origin = demo_inputs.Origin(None, None, None)
    documents = [demo_inputs.Document("x" * 100, f"{i}.py", origin) for i in range(5)]
    monkeypatch.setattr(demo_inputs, "PART_BYTES", 400)
    demo_inputs.write(tmp_path, "packages", documents)
    assert len(list(tmp_path.iterdir())) == 3
    assert [row["path"] for row in rows_of(tmp_path, "packages")] == [f"{i}.py" for i in range(5)]
    demo_inputs.write(tmp_path, "packages", documents[:1])
    assert [file.name for file in tmp_path.iterdir()] == ["packages-00.jsonl.zst"]


def test_budget_is_kept_when_the_next_document_would_break_it():
    origin = demo_inputs.Origin(None, None, None)
    documents = [demo_inputs.Document("é" * 10, str(i), origin) for i in range(10)]  # 20 bytes each
    chosen, n_bytes = demo_inputs._take(documents, n_bytes=79)
    assert (len(chosen), n_bytes) == (3, 60)


def candidates(kinds: dict[str, int]) -> list[Any]:
    origin = demo_inputs.Origin(None, None, None)
    return [
        demo_inputs.Candidate(f"{i}{kind}", Path(), f"{i}{kind}", kind, origin)
        for kind, n in kinds.items()
        for i in range(n)
    ]


def test_rare_kinds_come_first_when_files_are_ordered():
    order = demo_inputs.keyed_order("packages", candidates({".h": 900, ".css": 9}))
    first = order[:39]  # the nine stylesheets need rank 9 / 3; so many headers share it: 3 * 30 = 90
    assert sum(c.kind == ".css" for c in order[:99]) == 9
    assert sum(c.kind == ".h" for c in first) > sum(c.kind == ".css" for c in first) > 0


@given(st.permutations(range(12)))
def test_order_depends_on_names_only_when_files_are_listed_otherwise(places: list[int]):
    files = candidates({".h": 8, ".js": 4})
    assert demo_inputs.keyed_order("a", [files[i] for i in places]) == demo_inputs.keyed_order("a", files)
    assert demo_inputs.keyed_order("a", files) != demo_inputs.keyed_order("b", files)


@pytest.mark.parametrize(
    ("name", "raw", "text"),
    [
        ("a.txt", "Grüße\n".encode(), "Grüße\n"),
        ("b.txt", "Grüße\n".encode("latin-1"), "Grüße\n"),
        ("c.txt.gz", gzip.compress(b"packed\n", mtime=0), "packed\n"),
        ("d.gz", b"no gzip at all", None),
        ("i.gz", gzip.compress(b"packed\n", mtime=0)[:10] + b"\xff" * 20, None),
        ("e.txt", b"nul\0here", None),
        ("f.txt", b"\x80\x81\x01\x02", None),
        ("g.txt", b" \n\t\n", None),
        ("h.txt", b"x" * 400_001, None),
    ],
)
def test_text_is_read_and_the_rest_refused_when_a_file_is_opened(
    tmp_path: Path, name: str, raw: bytes, text: str | None
):
    (tmp_path / name).write_bytes(raw)
    assert demo_inputs.read_text(tmp_path / name) == text


def test_missing_file_is_no_document_when_a_package_lists_it(tmp_path: Path):
    assert demo_inputs.read_text(tmp_path / "gone.py") is None


def test_docstrings_come_in_order_under_their_names_when_public(tmp_path: Path):
    source = f'''{DOC}
import sys

class Gate:
    """Of iron.

    Painted:
        green.
    """

    def open(self):
        """Turns the key."""

    def _oil(self):
        """Nobody's business."""

async def ring():
    """Once is enough."""
    return "\\ud800"
'''
    (tmp_path / "gate.py").write_text(source, encoding="utf-8")
    text = demo_inputs.module_docs(tmp_path / "gate.py")
    after = text.partition("them.\n\n")[2] or text.partition("them. \n\n")[2]
    assert (
        after == "Gate\n\nOf iron.\n\nPainted:\n    green.\n\nGate.open\n\nTurns the key.\n\nring\n\nOnce is enough.\n"
    )


@pytest.mark.parametrize("source", ['def broken(:\n    """text"""\n', '"""short"""\n', "x = 1\n", '"""\\N{no}"""\n'])
def test_no_document_comes_of_a_module_when_it_says_little_or_is_broken(tmp_path: Path, source: str):
    (tmp_path / "module.py").write_text(source, encoding="utf-8")
    assert demo_inputs.module_docs(tmp_path / "module.py") is None


@pytest.mark.parametrize(
    ("metadata", "spdx"),
    [
        ("License-Expression: MIT OR Apache-2.0\nLicense: other\n", "MIT OR Apache-2.0"),
        ("License: BSD-2-Clause\n", "BSD-2-Clause"),
        ("License: MPL-2.0 AND MIT\n", "MPL-2.0 AND MIT"),
        ("License: Apache License, Version 2.0\n", "Apache-2.0"),
        ("Classifier: License :: OSI Approved :: MIT License\n", "MIT"),
        ("License: BSD\nClassifier: License :: OSI Approved :: BSD License\n", None),
        ("License: see the file\n", None),
        (
            "Classifier: License :: OSI Approved :: MIT License\n"
            "Classifier: License :: OSI Approved :: Apache Software License\n",
            None,
        ),
        ("", None),
    ],
)
def test_licence_is_given_only_when_the_metadata_are_clear(metadata: str, spdx: str | None):
    assert demo_inputs.spdx(message_from_string(metadata)) == spdx


@pytest.mark.parametrize("library", ["importlib.metadata", "importlib_metadata"])
def test_packages_are_found_when_another_library_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str
):
    """The backport answers for the standard library once anything has imported it, and raises for missing keys."""
    other = pytest.importorskip(library)
    install(tmp_path, "tool", files={"tool.py": "x = 1\n"}, metadata="Keywords: one\n\nA tool.\n")
    (tmp_path / "broken-1.0.dist-info").mkdir()
    monkeypatch.setattr(demo_inputs, "distributions", lambda: other.distributions(path=[str(tmp_path)]))
    (package,) = demo_inputs.installed()
    assert package.origin == ("tool", "1.0", None)
    assert package.files[0] == "tool.py"
    assert package.description == "A tool.\n"


PAGE = (
    '.TH GATE 1 2020-01-01 tools "User Commands"\n.SH NAME\ngate \\- opens \\fBand\\fR closes\n.SH BUGS\nIt squeaks.\n'
)


@pytest.mark.skipif(shutil.which("groff") is None, reason="needs groff")
def test_manual_page_is_plain_text_when_rendered(tmp_path: Path):
    (tmp_path / "gate.1").write_text(PAGE, encoding="utf-8")
    text = demo_inputs.render(tmp_path / "gate.1", command=demo_inputs.GROFF)
    assert "gate - opens and closes" in text
    assert text.splitlines()[0].startswith("GATE(1)")
    assert "\b" not in text
    assert "\x1b" not in text


def test_reference_to_another_page_is_no_document_when_rendered(tmp_path: Path):
    (tmp_path / "alias.1").write_text(".so man1/gate.1\n", encoding="utf-8")
    assert demo_inputs.render(tmp_path / "alias.1", command=("false",)) is None
    (tmp_path / "gate.1").write_text(PAGE, encoding="utf-8")
    assert demo_inputs.render(tmp_path / "gate.1", command=("no-such-program-here",)) is None


def test_this_machine_gives_the_same_bytes_twice_when_collected(tmp_path: Path):
    for name in ("first", "second"):
        demo_inputs.collect(tmp_path / name, max_bytes=120_000, say=lambda _: None)
    first, second = ({f.name: f.read_bytes() for f in (tmp_path / n).iterdir()} for n in ("first", "second"))
    assert first == second
    assert {name.rpartition("-")[0] for name in first} == SOURCES
    code = [row for source in ("stdlib", "system", "packages") for row in rows_of(tmp_path / "first", source)]
    assert 50_000 < sum(len(row["content"].encode()) for row in code) <= 120_000
    assert not any((row["repo"] or "").lower() == "loopmix" for row in code)
