"""What `why` finds and prints about one document."""

from __future__ import annotations

from pathlib import Path

import pytest
from hand_run import hand_run, renamed

from pipeline.cli.why import why_lines
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.reading.lookup import why
from pipeline.recipe import curate
from pipeline.request.load import mixture_of


def test_why_writes_limits_that_are_no_numbers_and_rules_without_effect(tmp_path: Path) -> None:
    run = hand_run(tmp_path, shards=renamed(a={"fired": (("long_line", 2345.0),)}))
    (binary,) = why(run, "src/i")
    lines = [" ".join(line.split()) for line in why_lines(binary)]
    assert "because binary: not text in any encoding that could be detected" in lines
    assert "fixed: no setting changes it (source: ours: tokens are made of text)" in lines
    assert (
        "select.drop_unknown = true (source: ours: no rules and no budget fit it); "
        "to pass this limit, write in the mixture: select: {drop_unknown: false}"
    ) in lines
    (kept,) = why(run, "a.py")
    assert "  fired     long_line (2,345), without effect" in why_lines(kept)
    (dropped,) = why(run, "d.js")
    assert not any("without effect" in line for line in why_lines(dropped))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.py", ["fate in the mixture", "tokens 10 of group Python; 10 packed: 1 whole copy", "packed in sequence 0"]),
        ("b.py", ["fate dropped", "because exact_duplicate: a better document has the same bytes"]),
        ("b.py", ["equals others with the same bytes: 1"]),
        (
            "d.js",
            [
                "because long_line: 2,345 characters, above quality.code.max_line_chars = 1,000 "
                "(source: StarCoder2: above 1,000 characters; ours only where such lines are most of the file)",
                "to pass this limit, write in the mixture: quality: {code: {max_line_chars: 2345}}",
                "near_duplicate: 0.8125, at least near_dups.min_similarity = 0.7 "
                "(source: The Stack v2: Jaccard of 0.7)",
                "to pass this limit, write in the mixture: near_dups: {min_similarity: 0.813}",
            ],
        ),
        ("g.py", ["fate kept, but not needed for the balance", "tokens 7 of group Python; 0 packed"]),
        ("a.py", ["language Python (code pool), told by its extension, confidence 1.000"]),
        ("e.txt", ["language Text (text pool), told by its source, which holds prose only (hint), confidence 1.000"]),
        (
            "g.py",
            [
                "language Python (code pool), told by the content classifier, confidence 0.500",
                "next likeliest: Cython, confidence 0.375",
                "content looks like prose, though its name says code",
            ],
        ),
        ("h.txt", ["content looks like code, though its name says plain text"]),
        ("src/i", ["next likeliest: C, confidence 0.125"]),
        ("h.txt", ["tokens 8 of group prose; 4 packed: its first ones only"]),
    ],
)
def test_why_when_documents_differ(tmp_path: Path, name: str, expected: list[str]) -> None:
    (document,) = why(hand_run(tmp_path), name)
    lines = [" ".join(line.split()) for line in why_lines(document)]
    assert all(line in lines for line in expected), lines


@pytest.mark.parametrize("reason", ["too_large", "undecidable_encoding"])
def test_why_of_what_was_not_loaded_claims_no_size_and_says_what_to_write(tmp_path: Path, reason: str) -> None:
    shards = renamed(d={"n_bytes": 0, "reasons": (reason,), "fired": (), "keeper": None, "similarity": None})
    (document,) = why(hand_run(tmp_path, shards=shards), "d.js")
    said = "\n".join(why_lines(document))
    assert "its size is not known" in said and "0 bytes" not in said and "measured" not in said
    assert "which the run did not keep" in said and "..." not in said


def test_why_names_the_size_of_a_file_that_was_too_large(tmp_path: Path) -> None:
    for folder, content in (("code", "x = 1\n" * 9), ("code", "y = 2\n" * 900), ("prose", "The tide came in. " * 90)):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{len(content)}.py").write_text(content, encoding="utf-8")
    sources = [{"name": n, "kind": "directory", "path": n, "pool": p} for n, p in (("code", "code"), ("prose", "text"))]
    parts = {"ingest": {"max_document_bytes": 2_000}, "select": {"max_loss": 1.0}, "pack": {"seq_len": 16}}
    mixture = mixture_of({"name": "m", "sources": sources, **parts}, base=tmp_path, where="mixture")
    run = tmp_path / "run"
    curate(Run(open_store(str(run)), mixture, InlineExecutor(), silent()))
    (document,) = why(RunFiles(open_store(str(run))), "5400.py")
    said = "\n".join(why_lines(document))
    assert document["input_bytes"] == 5_400 and "a file of 5,400 bytes, not loaded" in said
    assert "too_large: 5,400, above ingest.max_document_bytes = 2,000" in said
    assert "to pass this limit, write in the mixture: ingest: {max_document_bytes: 5400}" in said
    assert next(why(RunFiles(open_store(str(run))), "54.py"))["input_bytes"] is None
    (run / "state" / "documents" / "plan.json").write_text('{"slices": [1]}', encoding="utf-8")
    (document,) = why(RunFiles(open_store(str(run))), "5400.py")
    assert "its size is not known" in "\n".join(why_lines(document))


@pytest.mark.parametrize(
    ("cap", "said"),
    [
        ("max_repo_frac", "its repository gives all that balance.code.max_repo_frac allows"),
        ("max_mark_frac.x", "documents marked x give all that balance.code.max_mark_frac.x allows"),
    ],
)
def test_why_names_the_cap_that_keeps_a_document_out(tmp_path: Path, cap: str, said: str) -> None:
    (document,) = why(hand_run(tmp_path, shards=renamed(g={"over_cap": cap})), "g.py")
    assert why_lines(document)[1] == f"  fate      kept, but {said}"


def test_why_says_that_a_text_was_taken_out_of_a_notebook_where_that_is_known(tmp_path: Path) -> None:
    run = hand_run(tmp_path, shards=renamed(g={"made_from": "ipynb"}))
    said = "  made      taken out of a Jupyter notebook: code, with other cells as comments (ingest.notebooks: script)"
    assert said in why_lines(next(why(run, "g.py")))
    assert not any("notebook" in line for line in why_lines(next(why(run, "d.js"))))
    for texts in (tmp_path / "tables" / "documents").iterdir():
        texts.unlink()
    (document,) = why(run, "g.py")
    assert document["made_from"] is None
    assert not any("notebook" in line for line in why_lines(document))


def test_why_when_there_is_a_keeper_names_it(tmp_path: Path) -> None:
    (document,) = why(hand_run(tmp_path), "src/d.js")
    line = next(line for line in why_lines(document) if line.strip().startswith("keeper"))
    assert f"src/c.js ({document['keeper_id']}), similarity 0.812" in line


def test_why_when_content_and_name_agree_says_nothing_of_it(tmp_path: Path) -> None:
    run = hand_run(tmp_path)
    for name in ("a.py", "e.txt", "src/i"):
        (document,) = why(run, name)
        assert document["name_says"] is None
        assert "looks like" not in "\n".join(why_lines(document))


def test_why_when_the_path_is_hostile_shows_escapes(tmp_path: Path) -> None:
    (document,) = why(
        hand_run(tmp_path, shards=renamed(a={"path": "src/\x1b]0;x\x07a\n.py"})), "src/\x1b]0;x\x07a\n.py"
    )
    lines = why_lines(document)
    assert lines[0] == "src/\\x1b]0;x\\x07a\\n.py"
    assert all(line.isprintable() for line in lines)


SHOWN = r"\x1b[2J\u202eevil \udc80\x41\n.py"  # as it is shown: the surrogate and the A were written so in the name


@pytest.mark.parametrize("name", ["\x1b[2J\u202eevil \\udc80\\x41\n.py", SHOWN, f"deep/{SHOWN}"])
def test_a_path_is_found_as_it_is_and_as_it_was_shown(tmp_path: Path, name: str) -> None:
    path = "deep/\x1b[2J\u202eevil \\udc80\\x41\n.py"
    run = hand_run(tmp_path, shards=renamed(a={"path": path}))
    (found,) = why(run, name)
    assert found["path"] == path and why_lines(found)[0] == f"deep/{SHOWN}"


def test_a_name_that_holds_an_escape_as_text_is_found_too(tmp_path: Path) -> None:
    run = hand_run(tmp_path, shards=renamed(a={"path": r"deep\new\x1b.py"}))
    assert [found["path"] for found in why(run, r"deep\new\x1b.py")] == [r"deep\new\x1b.py"]
