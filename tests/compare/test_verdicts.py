"""The verdicts of trainings and validations that are named beside the two runs, and those of other runs refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from compared import call
from hand_run import hand_run, model_folder, renamed

from pipeline.compare.compare import compare
from pipeline.compare.page import render
from pipeline.compare.terminal import lines
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import CheckpointError
from pipeline.reading.work import working
from pipeline.results import Check, Speed, Status, Validation, Variant, model_name, to_json

Runs = tuple[RunFiles, RunFiles]


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """Two runs of other packed shards."""
    other = hand_run(tmp_path / "b", shards=renamed(a={"language": "Go"}))
    one = hand_run(tmp_path / "a")
    assert [f.sha256 for f in one.files("packed")] != [f.sha256 for f in other.files("packed")]
    return one, other


def validation_folder(folder: Path, run: RunFiles, *, status: Status, message: str, against: RunFiles | None) -> Path:
    """What `loopmix validate` leaves, as far as a comparison reads it: the verdict, and a model of each training."""
    name, variants = Path(run.store.root).name, []
    for of in (run, against) if against else (run,):
        mixture = Path(of.store.root).name
        model_folder(folder / "models" / model_name(mixture, n_loops=2, seed=0), of)
        variants.append(Variant(f"{mixture} R=2 seed 0", mixture, 2, 0, 1234, 2560, {}, status))
    checks = (Check("finite_loss", "pass", "Finite.", {}),)
    nothing: dict[str, Any] = dict.fromkeys(("pools", "groups", "steps", "spikes", "comparisons"), ())
    found = Validation(
        name, "bits per byte", 2560, 512, 1234, 2, status, message, checks, diagnostics={}, variants=tuple(variants),
        speed=Speed("cpu", 1.0, 0.0, 1.0, 1.0), **nothing,
    )  # fmt: skip
    (folder / "validation.json").write_text(to_json(found))
    return folder


@pytest.fixture
def validations(tmp_path: Path, runs: Runs) -> tuple[Path, Path]:
    """Of both runs; that of A was compared with B, as `validate A --against B` does."""
    a, b = runs
    return (
        validation_folder(tmp_path / "va", a, status="pass", message="The mixture trains.", against=b),
        validation_folder(tmp_path / "vb", b, status="warn", message="It deserves a look.", against=None),
    )


def asked(runs: Runs, option: str, folders: tuple[Path, Path], *more: str) -> Any:
    return call("compare", *(run.store.root for run in runs), option, *folders, *more)


def test_verdicts_of_models_are_shown_beside_each_other(tmp_path: Path, runs: Runs) -> None:
    models = model_folder(tmp_path / "m", runs[0]), model_folder(tmp_path / "n", runs[1], finished=False)
    with working() as work:
        found = compare(*runs, work, models=models)
    assert found.a.training == "pass: The mixture trains."
    assert found.b.training == "unfinished: Training has not finished, so there is no verdict yet."
    shown = "\n".join(lines(found, width=80))
    assert "Verdicts" in shown
    assert "pass: The mixture trains." in shown


def test_verdicts_of_validations_stand_with_their_run(runs: Runs, validations: tuple[Path, Path]) -> None:
    result = asked(runs, "--validations", validations, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["a"]["validation"] == "pass: The mixture trains."
    assert said["b"]["validation"] == "warn: It deserves a look."
    assert said["a"]["training"] is said["b"]["training"] is None
    with working() as work:
        found = compare(*runs, work, validations=validations)
    page, terminal = render(found).decode(), "\n".join(lines(found, width=100))
    for verdict in ("pass: The mixture trains.", "warn: It deserves a look."):
        assert verdict in page
        assert verdict in terminal


def test_without_folders_no_verdict_is_spoken_of(runs: Runs) -> None:
    result = call("compare", *(run.store.root for run in runs))
    assert result.exit_code == 0, result.output
    assert "erdict" not in result.output


@pytest.mark.parametrize("option", ["--models", "--validations"])
def test_folders_in_the_wrong_order_are_of_other_runs(
    option: str, runs: Runs, validations: tuple[Path, Path], tmp_path: Path
) -> None:
    """Also where the validation of A has read B, to be compared with it."""
    models = model_folder(tmp_path / "m", runs[0]), model_folder(tmp_path / "n", runs[1])
    folders = models if option == "--models" else validations
    for given, wrong in ((folders[::-1], runs[0]), ((folders[0], folders[0]), runs[1])):
        result = asked(runs, option, given)
        assert result.exit_code == 1
        assert result.output.count("\n") == 1
        assert f"is of other packed shards than those of {wrong.store.root}" in result.output
        assert option in result.output


def test_a_validation_is_not_of_a_run_for_having_read_it_beside_its_own(
    runs: Runs, validations: tuple[Path, Path]
) -> None:
    shutil.rmtree(validations[0] / "models" / model_name("b", n_loops=2, seed=0))
    with working() as work:
        assert compare(*runs, work, validations=validations).a.validation == "pass: The mixture trains."
    shutil.rmtree(validations[0] / "models")
    with working() as work:
        found = compare(*runs, work, validations=validations)
    assert found.a.validation == "pass: The mixture trains. (its models are gone, so nothing says of which run it is)"


def test_names_in_a_validation_lead_nowhere_else(runs: Runs, validations: tuple[Path, Path], tmp_path: Path) -> None:
    """A model of another run beside the folder, and a mixture whose name leads to it."""
    model_folder(tmp_path / model_name("x", n_loops=2, seed=0), runs[1])
    said = json.loads((validations[0] / "validation.json").read_text())
    said["mixture"] = said["variants"][0]["mixture"] = "../../x"
    (validations[0] / "validation.json").write_text(json.dumps(said))
    with working() as work:
        found = compare(*runs, work, validations=validations)
    assert found.a.validation is not None
    assert found.a.validation.endswith("nothing says of which run it is)")


@pytest.mark.parametrize("damage", ["no folder", "no file", "half a file", "another file"])
def test_a_validation_that_is_missing_or_damaged_is_one_clear_line(
    damage: str, runs: Runs, validations: tuple[Path, Path]
) -> None:
    file = validations[1] / "validation.json"
    if damage == "no folder":
        shutil.rmtree(validations[1])
    elif damage == "no file":
        file.unlink()
    elif damage == "half a file":
        file.write_bytes(file.read_bytes()[:100])
    else:
        file.write_text("{}")
    result = asked(runs, "--validations", validations)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert f"{file}: " in result.output
    assert "run `loopmix validate` again" in result.output


def test_one_validation_is_too_few(runs: Runs, validations: tuple[Path, Path]) -> None:
    result = call("compare", *(run.store.root for run in runs), "--validations", validations[0])
    assert result.exit_code == 2
    assert "--validations" in result.output
    assert "requires 2 arguments" in result.output


def test_what_is_refused_is_refused_before_anything_is_counted(
    runs: Runs, validations: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def counted(*_: object, **__: object) -> None:
        pytest.fail("documents were compared first")

    monkeypatch.setattr("pipeline.compare.compare._documents", counted)
    with working() as work, pytest.raises(CheckpointError, match="other packed shards"):
        compare(*runs, work, validations=validations[::-1])
