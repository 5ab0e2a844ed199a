"""A report that stands in a run is read and not counted again; one that does not stand is never believed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from compared import beside
from hand_run import hand_run, model_folder, renamed

from pipeline.compare.found import to_json
from pipeline.engine.manifest import MANIFEST
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import StoreError
from pipeline.report import NUMBERS, PAGE, compute, standing, write_report
from pipeline.report.standing import MADE_OF
from pipeline.sealed import sealed

Runs = tuple[RunFiles, RunFiles]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Two runs whose tables, notices and balance differ, with the reports that `curate` writes."""
    cut = {"reasons": ("long_line",), "fired": (("long_line", 2000.0),), "n_copies": 0, "n_tokens": 0}
    found = hand_run(tmp_path / "a"), hand_run(tmp_path / "b", shards=renamed(c=cut))
    for run in found:
        write_report(run)
    return found


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the runs that were counted, in their order."""
    names: list[str] = []
    count = compute.compute

    def noted(run: RunFiles, **options: object) -> object:
        names.append(Path(run.store.root).name)
        return count(run, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(compute, "compute", noted)
    return names


def root(run: RunFiles) -> Path:
    return Path(run.store.root)


def test_reports_that_stand_are_read_and_say_what_counting_says(runs: Runs, counted: list[str]) -> None:
    read = beside(*runs)
    assert counted == []
    assert read.a.n_docs == 9
    assert read.a.notices != read.b.notices
    for run in runs:
        (root(run) / MADE_OF).unlink()
    assert to_json(beside(*runs)) == to_json(read)
    assert counted == ["a", "b"]


def test_numbers_stand_without_the_page_beside_them(runs: Runs, counted: list[str]) -> None:
    (root(runs[0]) / PAGE).unlink()
    beside(*runs)
    assert counted == []


def other_numbers(run: Path) -> None:
    """Of the same size, so that only a hash tells."""
    data = (run / NUMBERS).read_bytes()
    assert data.count(b'"n_docs": 9,') > 0
    (run / NUMBERS).write_bytes(data.replace(b'"n_docs": 9,', b'"n_docs": 8,'))


def no_numbers(run: Path) -> None:
    (run / NUMBERS).unlink()


def no_note(run: Path) -> None:
    (run / MADE_OF).unlink()


def half_a_note(run: Path) -> None:
    (run / MADE_OF).write_bytes((run / MADE_OF).read_bytes()[:-40])


def note_without_numbers(run: Path) -> None:
    said = json.loads((run / MADE_OF).read_bytes())
    said["files"] = [file for file in said["files"] if file["path"] != NUMBERS]
    (run / MADE_OF).write_text(json.dumps(said))


def note_of_another_run(run: Path) -> None:
    """Copied from there with its numbers, as who copies report folders does."""
    other = run.parent / ("b" if run.name == "a" else "a")
    for name in (MADE_OF, NUMBERS):
        (run / name).write_bytes((other / name).read_bytes())


def other_manifest(run: Path) -> None:
    """As when the run was curated again and ended before its report."""
    manifest = json.loads((run / MANIFEST).read_bytes())
    manifest["stages"]["quality"]["seconds"] += 1
    (run / MANIFEST).write_text(json.dumps(sealed(manifest)))


def report_with_a_model(run: Path) -> None:
    from pipeline.engine.store import open_store

    found = RunFiles(open_store(str(run)))
    write_report(found, model=model_folder(run.parent / "model", found))


def _renamed_in_note(run: Path, change: Callable[[bytes], bytes]) -> None:
    """Numbers that the note vouches for, though no report of this code would hold them."""
    data = change((run / NUMBERS).read_bytes())
    (run / NUMBERS).write_bytes(data)
    said = json.loads((run / MADE_OF).read_bytes())
    for file in said["files"]:
        if file["path"] == NUMBERS:
            file |= {"n_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (run / MADE_OF).write_text(json.dumps(said))


def numbers_that_are_none(run: Path) -> None:
    _renamed_in_note(run, lambda data: data.replace(b'"n_docs": 9,', b'"n_docs": null,'))


def numbers_of_another_form(run: Path) -> None:
    _renamed_in_note(run, lambda data: data.replace(b'"n_docs": 9,', b'"n_docs": "9",'))


DAMAGES = (other_numbers, no_numbers, no_note, half_a_note, note_without_numbers, note_of_another_run, other_manifest)
DAMAGES += (report_with_a_model, numbers_that_are_none, numbers_of_another_form)


@pytest.mark.parametrize(("damage", "side"), [(damage, number % 2) for number, damage in enumerate(DAMAGES)])
def test_a_report_that_does_not_stand_is_counted_anew_and_the_other_read(
    damage: Callable[[Path], None], side: int, runs: Runs, counted: list[str]
) -> None:
    expected = beside(*runs)
    damage(root(runs[side]))
    fresh = [RunFiles(run.store) for run in runs]  # which read the manifest that now stands
    counted.clear()
    assert to_json(beside(*fresh)) == to_json(expected)
    assert counted == ["ab"[side]]


def test_a_report_of_other_code_is_counted_anew(
    runs: Runs, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "code_hash", lambda: "other code")
    beside(*runs)
    assert counted == ["a", "b"]


def test_a_report_hides_no_table_that_is_cut_short(runs: Runs, counted: list[str]) -> None:
    """Of a stage that nothing but counting reads here."""
    packed = sorted((root(runs[1]) / "packed").iterdir())[-1]
    packed.write_bytes(packed.read_bytes()[:-100])
    with pytest.raises(StoreError, match=r"packed.*damaged"):
        beside(*runs)
    assert counted == ["b"]
