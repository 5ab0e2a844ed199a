"""Dedup as its users see it, on the small corpus: why, verify, another threshold, presets."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pytest
from handmade import digests
from rich.console import Console

from pipeline.cli.why import why_lines
from pipeline.config import Mixture, NearDups
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import Progress
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError
from pipeline.reading.lookup import why
from pipeline.reading.verify import verify
from pipeline.recipe import curate
from pipeline.request.load import load_mixture
from pipeline.schema import SELECT
from pipeline.yaml_file import validate

MIXTURE = Path(__file__).parents[1] / "data" / "mixture.yaml"
COPY = "store/near_duplicate__units_with_onions.py"


class Watching(InlineExecutor):
    """Works in process and prints each step's name to a list."""

    names: list[str] = []  # noqa: RUF012

    def map(self, task, items, *, name):  # type: ignore[no-untyped-def]
        self.names.extend(name for _ in items)
        return super().map(task, items, name=name)


def make(folder: Path, mixture: Mixture | None = None) -> RunFiles:
    Watching.names.clear()
    store = open_store(str(folder))
    curate(Run(store, mixture or load_mixture(MIXTURE), Watching(), Progress(Console(), quiet=True)))
    return RunFiles(store)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    make(folder)
    return folder


def at(threshold: float) -> Mixture:
    mixture = load_mixture(MIXTURE)
    return mixture.model_copy(update={"near_dups": mixture.near_dups.model_copy(update={"min_similarity": threshold})})


def test_why_shows_the_keeper_and_what_differs(reference: Path) -> None:
    (fact,) = why(RunFiles(open_store(str(reference))), COPY)
    assert fact["keeper_path"] == "store/keep__units.py"
    assert fact["diff"][:2] == ["--- keeper", "+++ document"]
    added = [line for line in fact["diff"] if line.startswith("+") and "onion" in line.lower()]
    assert added
    shown = "\n".join(why_lines(fact))
    assert added[0] in shown
    assert f"similarity {fact['similarity']:.3f}" in shown


def test_why_shows_no_diff_where_bytes_are_equal(reference: Path) -> None:
    (fact,) = why(RunFiles(open_store(str(reference))), "exact_duplicate__ledger.py")
    assert fact["diff"] == []


def test_another_threshold_copies_pairs_and_chooses_again_only(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    make(tmp_path / "run", at(0.95))
    stages = {name.split(".")[0] for name in Watching.names}
    assert stages.isdisjoint({"documents", "exact_dups", "similar"})
    assert not any("signatures" in name for name in Watching.names)
    assert {"near_dups", "select"} <= stages
    make(tmp_path / "fresh", at(0.95))
    assert digests(tmp_path / "run/tables") == digests(tmp_path / "fresh/tables")


def test_verify_finds_a_similarity_that_is_not_true(reference: Path, tmp_path: Path) -> None:
    shutil.copytree(reference, tmp_path / "run")
    run = RunFiles(open_store(str(tmp_path / "run")))
    for shard in range(run.n_shards):
        rows = run.tables.read(SELECT, shard).to_pylist()
        for row in rows:
            if row["similarity"] is not None and row["similarity"] < 1:
                row["similarity"] -= 0.01
        run.tables.write(SELECT, shard, data=pa.Table.from_pylist(rows, schema=SELECT.schema))
    broken = {f.promise for f in verify(run) if not f.kept}
    assert "similarity" in broken


def test_presets_fill_what_is_not_given() -> None:
    assert NearDups().text_words.kind == "unicode"
    stack = validate(NearDups, {"preset": "the-stack-v2", "n_bands": 20}, where="here")
    assert (stack.n_hashes, stack.n_bands, stack.rows_per_band, stack.code_words.kind) == (256, 20, 10, "identifiers")
    fineweb = validate(NearDups, {"preset": "fineweb"}, where="here")
    assert (fineweb.n_hashes, fineweb.n_bands, fineweb.code_words.fold_case) == (112, 14, True)
    assert validate(NearDups, fineweb.model_dump(mode="json"), where="again") == fineweb


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"preset": "codes"}, "preset"),
        ({"preset": 3}, "preset"),
        ({"n_bands": 40}, "n_bands x rows_per_band is 200, above n_hashes 128"),
        ({"min_similarity": 0.4}, "min_stored_similarity is above min_similarity"),
        ({"max_bucket_docs": 1}, "max_bucket_docs"),
    ],
)
def test_settings_that_cannot_work_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(NearDups, given, where="here")
