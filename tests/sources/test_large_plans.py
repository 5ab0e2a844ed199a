"""A plan of millions of files is said, hashed and written slice by slice, and says what it did as a whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pipeline.config import Mixture, Source
from pipeline.engine.shards import PLAN, json_parts
from pipeline.engine.stage import ExchangeStage, config_parts, fingerprint
from pipeline.engine.store import open_store
from pipeline.sources.documents import Cut, changed_files, ingest, inputs_of, plan_from, read_plan
from pipeline.sources.slices import InputFile, Slice

SLICES = tuple(
    Slice("hand", tuple(InputFile(f"{i}/\u00fc {j}.py", j, f"{i}") for j in range(9)), n_bytes=36, is_group=True)
    for i in range(200)
)
MIXTURE = Mixture(name="hand", sources=(Source(name="hand", kind="directory", path="/nowhere"),))
ONE = 2 * len(json.dumps(SLICES[-1].all_of_it()))


def test_a_configuration_is_said_slice_by_slice_with_the_fingerprint_of_the_whole() -> None:
    inputs = inputs_of(MIXTURE, SLICES)
    whole = inputs.model_dump(mode="json", exclude={"slices"}) | {"slices": [piece.to_dict() for piece in SLICES]}
    parts = [*config_parts(inputs)]
    assert "".join(parts) == json.dumps(whole, sort_keys=True)
    assert max(map(len, parts)) < ONE
    said = json.dumps(["documents", 3, whole, None, {}], sort_keys=True)
    mark = fingerprint(ExchangeStage("documents", 3, ingest, inputs), marks={})
    assert mark == hashlib.sha256(said.encode()).hexdigest()[: len(mark)]


def test_a_plan_is_written_slice_by_slice_and_read_back(tmp_path: Path) -> None:
    planned = plan_from(SLICES, earlier=None, shard_bytes=1_000, cuts={"k": Cut((0, 5), {"n_docs": 1})})
    assert max(map(len, planned.to_json())) < ONE
    store = open_store(str(tmp_path))
    store.write_bytes(PLAN, b"".join(planned.to_json()))
    assert read_plan(store) == planned


def test_an_iterator_is_a_list_whatever_stands_beside_it() -> None:
    said = {"b": [1, {"d": 2, "c": "\u00e4"}], "a": None}
    for more in ([], [1], [{"z": 1, "y": 2}, "x"]):
        for sort_keys in (True, False):
            parts = json_parts(said | {"many": iter(more)}, sort_keys=sort_keys)
            assert "".join(parts) == json.dumps(said | {"many": more}, sort_keys=sort_keys)
    assert "".join(json_parts({})) == "{}"


def test_changed_files_are_counted_once_however_they_are_cut() -> None:
    def cut(*files: InputFile, starts: tuple[int, ...] = (0,)) -> list[Slice]:
        return [piece for file in files for piece in Slice("hand", (file,)).parts(starts)]

    before = plan_from(cut(InputFile("a", 1, ""), InputFile("b", 1, ""), starts=(0, 5)), earlier=None, shard_bytes=9)
    after = plan_from(cut(InputFile("a", 2, ""), InputFile("c", 1, ""), starts=(0, 3, 7)), earlier=None, shard_bytes=9)
    assert changed_files(before, after) == "1 new, 1 changed, 1 gone"
    assert changed_files(before, before) == ""
