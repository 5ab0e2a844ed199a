"""croissant.json: files with their hashes, the columns of the tables, and what Croissant's own validator says."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hand_run import hand_run

from pipeline.engine.run_folder import RunFiles
from pipeline.publication import Publication
from pipeline.publish import croissant as module
from pipeline.publish import facts_of, papers
from pipeline.publish.croissant import data_type
from pipeline.schema import LEDGER

SAID = Publication(creator="Who", address="https://hub.example/d", published="2026-01-31")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return hand_run(tmp_path_factory.mktemp("croissant") / "run")


def described(run: RunFiles, said: Publication | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(papers(facts_of(run, said=said))["croissant.json"])
    return found


def ids_in(value: Any, *, refers: bool) -> list[str]:
    """Every @id that defines something, or that refers to something."""
    if isinstance(value, list):
        return [i for one in value for i in ids_in(one, refers=refers)]
    if not isinstance(value, dict):
        return []
    inner = [i for one in value.values() for i in ids_in(one, refers=refers)]
    return [value["@id"], *inner] if "@id" in value and (len(value) == 1) == refers else inner


def test_every_file_stands_with_its_size_and_hash(run: RunFiles) -> None:
    root = Path(run.store.root)
    files = [one for one in described(run)["distribution"] if one["@type"] == "cr:FileObject"]
    on_disk = {
        p.relative_to(root).as_posix() for folder in ("packed", "tables/ledger") for p in (root / folder).iterdir()
    }
    assert {one["@id"] for one in files} == {*on_disk, "tokenizer.json"}
    for one in files:
        data = (root / one["contentUrl"]).read_bytes()
        assert one["contentSize"] == f"{len(data)} B"
        assert one["sha256"] == hashlib.sha256(data).hexdigest()


def test_sets_of_files_hold_the_same_and_come_out_of_the_repository(run: RunFiles) -> None:
    root = Path(run.store.root)
    for said in (None, SAID):
        found = described(run, said)["distribution"]
        sets = {one["@id"]: one for one in found if one["@type"] == "cr:FileSet"}
        for name, folder in (("files-of-packed", "packed"), ("files-of-ledger", "tables/ledger")):
            assert set(root.glob(sets[name]["includes"])) == set((root / folder).iterdir())
            assert ("containedIn" in sets[name]) == (said is not None)
    (whole,) = (one for one in found if one["@id"] == "repository")
    assert whole["contentUrl"] == SAID.address


def test_fields_are_the_columns_of_the_files(run: RunFiles) -> None:
    sets = {one["name"]: one for one in described(run)["recordSet"]}
    ledger = pq.read_schema(next(Path(run.store.root, "tables/ledger").iterdir()))
    assert [f["name"] for f in sets["ledger"]["field"]] == ledger.names == LEDGER.schema.names
    packed = {f["name"]: f for f in sets["packed"]["field"]}
    assert packed["token_ids"]["arrayShape"] == "10" and packed["token_ids"]["dataType"] == "sc:Integer"
    assert packed["doc_ids"]["isArray"] and packed["doc_ids"]["arrayShape"] == "-1"
    assert packed["pool"]["dataType"] == "sc:Text" and "isArray" not in packed["pool"]
    fired = next(f for f in sets["ledger"]["field"] if f["name"] == "fired")
    inner = [(one["@id"], one["name"], one["dataType"]) for one in fired["subField"]]
    assert inner == [("ledger/fired/rule", "rule", "sc:Text"), ("ledger/fired/value", "value", "sc:Float")]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (pa.bool_(), "sc:Boolean"),
        (pa.uint32(), "sc:Integer"),
        (pa.float32(), "sc:Float"),
        (pa.timestamp("us", tz="UTC"), "sc:DateTime"),
        (pa.string(), "sc:Text"),
    ],
)
def test_types_have_croissants_names(kind: pa.DataType, name: str) -> None:
    assert data_type(kind) == name


def test_identifiers_are_defined_once_and_every_reference_meets_one(run: RunFiles) -> None:
    found = described(run, SAID)
    found.pop("@context")
    defined = ids_in(found, refers=False)
    assert len(set(defined)) == len(defined)
    assert set(ids_in(found, refers=True)) <= set(defined)
    assert len(ids_in(found, refers=True)) > 20


def test_it_says_what_it_comes_from_and_how_to_use_it(run: RunFiles) -> None:
    found = described(run)
    assert found["conformsTo"] == ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
    assert [one["prov:label"] for one in found["prov:wasDerivedFrom"]] == ["web", "prose"]
    steps = [one["prov:label"].partition(":")[0] for one in found["prov:wasGeneratedBy"]]
    assert steps == list(run.stages)
    for key in ("dataCollection", "dataLimitations", "dataBiases", "personalSensitiveInformation", "dataUseCases"):
        assert found[f"rai:{key}"], key
    ledger = [row for shard in run.shards(LEDGER) for row in shard.to_pylist()]
    web = [row for row in ledger if row["source"] == "web"]
    packed = [row for row in web if row["n_packed_tokens"]]
    said = found["prov:wasDerivedFrom"][0]["sc:description"]
    assert (
        said == f"{len(packed)} of {len(web)} documents enter, with {sum(r['n_packed_tokens'] for r in packed)} tokens"
    )
    n_dropped = sum(not row["keep"] for row in ledger)
    assert f"{n_dropped} of {len(ledger)} documents were dropped" in found["rai:dataCollectionMissingData"]


def test_of_very_many_files_the_pattern_stands_alone(run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_FILES", 1)
    found = described(run)["distribution"]
    assert [one["@id"] for one in found if one["@type"] == "cr:FileObject" and one["@id"].startswith("tables/")] == []
    assert "files-of-ledger" in {one["@id"] for one in found}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the libraries that the validator uses
@pytest.mark.parametrize("said", [None, SAID], ids=["as curated", "stated"])
def test_croissants_own_validator_finds_no_error(
    run: RunFiles, tmp_path: Path, said: Publication | None, caplog: pytest.LogCaptureFixture
) -> None:
    mlcroissant = pytest.importorskip("mlcroissant", reason="pip install mlcroissant: its validator was not asked")
    path = tmp_path / "croissant.json"
    path.write_bytes(papers(facts_of(run, said=said))["croissant.json"])
    found = mlcroissant.Dataset(path)  # raises for errors
    assert not found.metadata.ctx.issues.errors
    assert found.metadata.ctx.is_v1_1()
    assert {one.id for one in found.metadata.record_sets} == {"packed", "ledger"}
    assert found.metadata.data_limitations and found.metadata.data_biases
