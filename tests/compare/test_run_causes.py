"""The causes that a comparison of two whole runs names for the documents that changed."""

from __future__ import annotations

import re
from pathlib import Path

from compared import beside
from hand_run import hand_run, renamed

from pipeline.engine.run_folder import RunFiles


def test_every_document_that_changed_fate_has_the_cause_that_its_settings_give(a: RunFiles, b: RunFiles) -> None:
    documents = beside(a, b).documents
    assert documents is not None
    assert not [e for e in documents.examples if "no difference" in e.cause]
    causes = {(e.kind, e.path): e.cause for e in documents.examples}
    left = [cause for (kind, _), cause in causes.items() if kind == "left"]
    assert left
    for cause in left:
        assert re.match(r"too_many_lines: (\d+) is above quality.code.max_lines = 90 of B, which is 400 in A", cause)
    entered = " | ".join(cause for (kind, _), cause in causes.items() if kind == "entered")
    assert "lock_file: B has no such rule" in entered
    assert "which is 900 in B" in entered
    reasons = " | ".join(cause for (kind, _), cause in causes.items() if kind == "other_reasons")
    assert 'dropped_prose_language: fi is in select.drop_prose_languages = ["fi"] of A, which is [] in B' in reasons
    assert "from near_dups.min_similarity = 0.7 on a duplicate in A, from 0.9 on in B" in entered


def test_a_duplicate_is_explained_by_its_keeper_when_that_is_what_changed(tmp_path: Path) -> None:
    """b.py is an equal of a.py; in B a.py falls to a rule, so b.py stays."""
    gone = {"reasons": ("long_line",), "fired": (("long_line", 2000.0),), "n_copies": 0, "n_tokens": 0}
    stays = {"reasons": (), "keeper": None, "similarity": None, "n_tokens": 10}
    one, other = hand_run(tmp_path / "a"), hand_run(tmp_path / "b", shards=renamed(a=gone, b=stays))
    documents = beside(one, other).documents
    assert documents is not None
    (entered,) = [e for e in documents.examples if e.kind == "entered"]
    assert (entered.path, entered.cause) == (
        "src/b.py",
        "exact_duplicate: its keeper src/a.py is dropped in B (long_line)",
    )
    assert entered.a is not None
    assert entered.a.keeper_path == "src/a.py"


def test_a_document_of_another_language_says_what_decided_it(tmp_path: Path) -> None:
    moved = {"language": "Cython", "decided_by": "shebang"}
    one, other = hand_run(tmp_path / "a"), hand_run(tmp_path / "b", shards=renamed(g=moved))
    documents = beside(one, other).documents
    assert documents is not None
    assert [(m.language_a, m.language_b, m.n_docs) for m in documents.moves] == [("Python", "Cython", 1)]
    (example,) = [e for e in documents.examples if e.kind == "other_language"]
    assert example.cause == "decided by classifier in A and shebang in B"


def test_the_cause_names_paths_of_keepers_from_both_runs(tmp_path: Path) -> None:
    """d.js is near to c.js in A; in B it is near to a.py, as c.js falls to a rule."""
    gone = {"reasons": ("long_line",), "fired": (("long_line", 2000.0),), "n_copies": 0, "n_tokens": 0}
    other = renamed(c=gone, d={"keeper": (0, 0), "similarity": 0.75})
    found = beside(hand_run(tmp_path / "a"), hand_run(tmp_path / "b", shards=other))
    assert found.documents is not None
    (example,) = [e for e in found.documents.examples if e.kind == "other_keeper"]
    assert example.path == "src/d.js"
    assert example.cause == (
        "src/c.js, its keeper in A, is dropped in B (long_line); 0.812 similar to its keeper in A, 0.750 in B"
    )
