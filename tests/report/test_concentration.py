"""What comes from one repository or folder, and what marked documents give, counted on runs made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hand_run import SHARDS, Doc, hand_run, renamed

from pipeline.engine.run_folder import RunFiles
from pipeline.reading.work import working
from pipeline.report import count_concentration as counting
from pipeline.report.compute import compute
from pipeline.report.concentration import Concentration, LargePlace
from pipeline.report.concentration_tables import concentrated, marks_table, places_table
from pipeline.report.notices import notices_of
from pipeline.report.repositories import RepositoryDocuments
from pipeline.report.stream_numbers import PhaseStream


def counted(run: RunFiles) -> Concentration:
    with working(rows_per_part=2) as work:
        return counting.count_concentration(run, work)


def code(path: str, n_tokens: int, **more: object) -> Doc:
    return Doc(path, "C", 10, n_tokens=n_tokens, n_copies=1, **more)  # type: ignore[arg-type]


def places(folder: Path, docs: Sequence[Doc]) -> list[tuple[str, str, int, int]]:
    shards = (docs[::2], docs[1::2])
    found = counted(hand_run(folder, shards=(*shards, *SHARDS)))
    return [
        (p.name, p.folder, p.n_docs, p.n_tokens) for p in found.places if p.pool == "code" and p.name != "some/repo"
    ]


def test_a_folder_of_generated_files_is_named_with_its_repository(tmp_path: Path) -> None:
    big = [code(f"test/asm/generated/{i}.s", 700, repo="llvm/fork") for i in range(10)]
    big += [code(f"lib/x/{i}.c", 150, repo="llvm/fork") for i in range(2)]
    rest = [code(f"src/{i}.c", 45, repo=f"small/{i}") for i in range(60)]
    assert places(tmp_path, big + rest) == [
        ("llvm/fork", "", 12, 7_300),
        ("llvm/fork", "test/asm/generated", 10, 7_000),
        ("llvm/fork", "lib/x", 2, 300),
    ]


def test_a_folder_that_is_divided_is_named_before_its_parts(tmp_path: Path) -> None:
    docs = [code(f"src/deep/{'a' if i < 85 else 'b'}/{i}.c", 100, repo="one/two") for i in range(100)]
    assert places(tmp_path, docs) == [
        ("one/two", "", 100, 10_000),
        ("one/two", "src/deep", 100, 10_000),
        ("one/two", "src/deep/a", 85, 8_500),
        ("one/two", "src/deep/b", 15, 1_500),
    ]


def test_without_repositories_first_folders_and_hosts_stand_for_them(tmp_path: Path) -> None:
    docs = [code(f"project/a/b/c/d/e/{i}.c", 100, repo=None) for i in range(5)]
    docs += [code(f"https://host.example/x/{i}", 100, repo=None) for i in range(4)]
    docs += [code("/usr/include/x.h", 300, repo=None), code("alone.c", 500, repo=None)]
    assert places(tmp_path, docs) == [
        ("web: project", "", 5, 500),
        ("web: project", "a/b/c/d", 5, 500),
        ("web: host.example", "", 4, 400),
        ("web: host.example", "x", 4, 400),
        ("web: usr", "", 1, 300),
        ("web: usr", "include", 1, 300),
    ]


def test_only_what_is_packed_counts_and_copies_do(tmp_path: Path) -> None:
    docs = [Doc("a/x.c", "C", 10, n_tokens=90, n_copies=3, repo="three/times")]
    docs += [Doc(f"a/{i}.c", "C", 10, n_tokens=90, repo="left/out", over_cap="max_repo_frac") for i in range(9)]
    docs += [Doc(f"a/{i}.c", "C", 10, reasons=("empty",), repo="dropped/all") for i in range(9)]
    run = hand_run(tmp_path, shards=(docs, *SHARDS))
    found = counted(run)
    assert [(p.name, p.n_docs, p.n_tokens) for p in found.places if not p.folder] == [
        ("three/times", 1, 270), ("some/repo", 2, 16), ("some/repo", 2, 16),
    ]  # fmt: skip
    assert found.n_over_docs == {"code": 9, "text": 0}
    assert "at its cap: 9 documents of code" in places_table(found).note
    assert len(places_table(found, folders=False).rows) == 3 < len(places_table(found).rows)


def test_marks_are_summed_with_their_caps(tmp_path: Path) -> None:
    over = "max_mark_frac.vendored"
    changes = {"a": {"marks": ("vendored", "test_data")}, "g": {"marks": ("vendored",), "over_cap": over},
               "d": {"marks": ("vendored", "of_dropped")}, "e": {"marks": ("documentation",)}}  # fmt: skip
    found = counted(hand_run(tmp_path, shards=renamed(**changes)))
    rows = [(m.mark, m.pool, m.n_docs, m.n_packed_tokens, m.n_over_docs) for m in found.marks]
    assert rows == [  # d is dropped, g stays out
        ("test_data", "code", 1, 10, 0),
        ("vendored", "code", 1, 10, 1),
        ("documentation", "text", 1, 12, 0),
    ]
    assert [m.frac for m in found.marks] == [10 / 16, 10 / 16, 12 / 16]
    assert len(marks_table(found).rows) == 3


@pytest.mark.parametrize("cap", [None, 0.9])
def test_a_twentieth_of_a_pool_is_said(tmp_path: Path, cap: float | None) -> None:
    found = counted(hand_run(tmp_path))
    places = (LargePlace("code", "a/b", True, "", 9, 712, 0.0712), LargePlace("code", "a/b", True, "x/y", 8, 700, 0.07),
              LargePlace("code", "c/d", True, "", 1, 49, 0.049))  # fmt: skip
    found = type(found)(0.01, places, (), {"code": cap, "text": None}, {"code": 0, "text": 0})
    said = "Much of the code comes from one place: a/b 7.1% (7.0% in x/y)"
    hint = "" if cap else "; balance.code.max_repo_frac caps it"
    assert list(concentrated(found, in_phases=False)) == [f"{said}{hint}."]
    if cap is None:  # a mixture with phases may not have one
        assert list(concentrated(found, in_phases=True)) == [f"{said}; no setting caps it in phases."]


def test_the_report_says_it_once(tmp_path: Path) -> None:
    notices = [n for n in compute(hand_run(tmp_path)).notices if "one place" in n.message]
    assert [(n.level, n.message[:60]) for n in notices] == [
        ("note", "Much of the code comes from one place: some/repo 100.0% (100"),
        ("note", "Much of the text comes from one place: some/repo 100.0%; bal"),
    ]


@pytest.mark.parametrize("cap", [None, "max_repo_frac", "max_mark_frac.vendored"])
def test_tokens_that_stay_out_for_a_cap_are_said_so(tmp_path: Path, cap: str | None) -> None:
    docs = [Doc(f"{i}.c", "C", 10, n_tokens=50, marks=("vendored",), over_cap=cap) for i in range(9)]
    (said,) = [
        n.message for n in compute(hand_run(tmp_path, shards=(*SHARDS, docs))).notices if "stay out" in n.message
    ]
    assert ("or they are over a cap" in said) == (cap is not None)


def test_what_phases_leave_and_forms_that_join_nothing_are_said_as_such(tmp_path: Path) -> None:
    docs = [Doc(f"{i}.c", "C", 10, n_tokens=50) for i in range(9)]
    numbers = compute(hand_run(tmp_path, shards=(*SHARDS, docs)))
    assert "forms.repositories" not in str(numbers.notices)
    stream = PhaseStream("one", numbers.balance, numbers.mix, numbers.packing)
    asked = notices_of(replace(numbers, phases=(stream,), repositories=RepositoryDocuments("path", 0, 0, 0, 0)))
    said = " ".join(n.message for n in asked.notices)
    assert "no phase takes them" in said and "no setting caps it in phases" in said and "max_repo_frac" not in said
    assert "forms.repositories joins no file" in said
    some = notices_of(replace(numbers, repositories=RepositoryDocuments("path", 1, 2, 0, 0)))
    assert "joins no file" not in str(some.notices)
