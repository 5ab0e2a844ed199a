"""docs/data.md: its tables are what the code says, and each of its programs runs."""

from __future__ import annotations

import json
import os
import re
import sys
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ask_readers import ask_readers
from export_runs import NARROW, SEQ_LEN, Truth, export_run
from page_tables import SECTIONS

from pipeline.engine.readme import put_readme
from pipeline.export import export_data
from pipeline.publish.words import PACKED_COLUMNS
from pipeline.schema import packed_schema
from pipeline.sequences import NO_LABEL, flatten

FILE = Path(__file__).parents[2] / "docs/data.md"
PAGE = FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SECTIONS)
def test_tables_of_the_page_are_what_the_code_says(name: str) -> None:
    """LOOPMIX_WRITE_DATA_PAGE=1 writes them anew."""
    pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    text = FILE.read_text(encoding="utf-8")
    assert len(pattern.findall(text)) == 1
    written = pattern.sub(lambda found: found[1] + SECTIONS[name]() + found[2], text)
    if os.environ.get("LOOPMIX_WRITE_DATA_PAGE"):
        FILE.write_text(written, encoding="utf-8")
    assert written == FILE.read_text(encoding="utf-8"), "write it with LOOPMIX_WRITE_DATA_PAGE=1"


def test_every_column_of_packed_shards_is_explained() -> None:
    assert list(PACKED_COLUMNS) == packed_schema(1, joined=True).names


def program(title: str) -> str:
    """The program under a heading of the page."""
    _, _, rest = PAGE.partition(f"\n### {title}\n")
    (code, *_) = re.findall(r"```python\n(.*?)```", rest, re.DOTALL)
    return str(code)


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """A run in the folder RUN of the folder that programs run in."""
    made = export_run(tmp_path_factory.mktemp("data") / "RUN")
    put_readme(made.run.store)
    return made


@pytest.fixture
def place(truth: Truth, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = Path(truth.run.store.root).parent
    monkeypatch.chdir(folder)
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    return folder


def run_program(title: str, **names: Any) -> dict[str, Any]:
    pytest.importorskip("datasets")
    exec(program(title), names)
    return names


def pieces_of(rows: list[dict[str, Any]]) -> list[list[int]]:
    """Ids of pieces of the sequences, and of their padding."""
    found = []
    for row in rows:
        bounds = row["cu_seqlens"] + ([SEQ_LEN] if row["n_real"] < SEQ_LEN else [])
        found += [row["token_ids"][a:b] for a, b in pairwise(bounds)]
    return found


def test_a_loader_gives_sequences_in_order(truth: Truth, place: Path) -> None:
    batches = list(run_program("A torch DataLoader")["loader"])
    assert [ids for batch in batches for ids in batch["token_ids"].tolist()] == [row["token_ids"] for row in truth.rows]
    assert [n for batch in batches for n in batch["n_real"].tolist()] == [row["n_real"] for row in truth.rows]


def test_flattened_sequences_keep_pieces_apart(truth: Truth, place: Path) -> None:
    batches = list(run_program("Without padding between documents")["loader"])
    assert len(batches) == 4
    for number, batch in enumerate(batches):
        rows = truth.rows[4 * number :][:4]
        pieces = pieces_of(rows)
        assert batch["input_ids"].tolist() == [[i for piece in pieces for i in piece]]
        assert batch["position_ids"].tolist() == [[i for piece in pieces for i in range(len(piece))]]
        assert batch["cu_seqlens"].tolist() == [0, *accumulate(map(len, pieces))]
        assert batch["cu_seqlens"].dtype.itemsize == 4
        assert batch["max_seqlen"] == max(map(len, pieces))
        assert batch["labels"].tolist() == [[i for row in rows for i in labels_of(row, shifted=False)]]


def labels_of(row: dict[str, Any], *, shifted: bool) -> list[int]:
    found = []
    for start, end in pairwise(row["cu_seqlens"]):
        piece = row["token_ids"][start:end]
        found += [*piece[1:], NO_LABEL] if shifted else [NO_LABEL, *piece[1:]]
    return found + [NO_LABEL] * (SEQ_LEN - row["n_real"])


def test_shifted_labels_are_the_next_ids(truth: Truth) -> None:
    found = flatten(truth.rows, shifted=True)["labels"].tolist()
    assert found == [[i for row in truth.rows for i in labels_of(row, shifted=True)]]


def test_rows_of_every_export_can_be_flattened(truth: Truth) -> None:
    renamed = [{"tokens" if name == "token_ids" else name: v for name, v in row.items()} for row in truth.rows]
    found, expected = flatten(renamed), flatten(truth.rows)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.filterwarnings("ignore:'pin_memory' argument")  # without a GPU
def test_the_trainer_scores_each_piece_alone(truth: Truth, place: Path, tmp_path: Path) -> None:
    """Its first loss is the mean over targets of pieces that are given to the model one by one."""
    transformers, torch = pytest.importorskip("transformers"), pytest.importorskip("torch")
    pytest.importorskip("accelerate")
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=NARROW, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2
    )
    model = transformers.LlamaForCausalLM(config)
    expected, n_targets = 0.0, 0
    with torch.no_grad():
        for row in truth.rows[:2]:
            for start, end in pairwise(row["cu_seqlens"]):
                ids = torch.tensor([row["token_ids"][start:end]])
                logits = model(input_ids=ids).logits[0, :-1]
                expected += float(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum"))
                n_targets += end - start - 1
    trainer = run_program("transformers' Trainer", model=model)["trainer"]
    batch = next(iter(trainer.get_train_dataloader()))
    with torch.no_grad():
        found = model(**{name: value.cpu() for name, value in batch.items()}).loss
    assert float(found) == pytest.approx(expected / n_targets, rel=1e-5)
    trainer.train()
    assert trainer.state.global_step == 2


def test_torchtitan_reads_the_rows_of_its_rank(truth: Truth, place: Path) -> None:
    show = "[[inputs['input'].tolist(), inputs['positions'].tolist(), labels.tolist()] for inputs, labels in loader]"
    names = {"dp_rank": 1, "dp_world_size": 2}
    ((inputs, positions, labels), *_) = in_readers(place, program("torchtitan"), show=show, names=names)
    rows = truth.rows[1::2][:4]
    assert inputs == [row["token_ids"] for row in rows]
    assert positions == [[i for piece in pieces_of([row]) for i in range(len(piece))] for row in rows]
    assert labels == [labels_of(row, shifted=True) for row in rows]


@pytest.mark.skipif(sys.platform != "linux", reason="Megatron-LM has wheels for Linux alone")
def test_megatron_reads_the_export_beside_the_run(truth: Truth, place: Path) -> None:
    export_data(truth.run, to="megatron")
    first, bounds = in_readers(place, program("Megatron-LM"), show="[first.tolist(), bounds.tolist()]", names={})
    assert first == truth.pieces[0]
    assert bounds[:2] == [0, len(truth.rows[0]["doc_ids"])]


def in_readers(place: Path, code: str, *, show: str, names: dict[str, Any]) -> Any:
    """The value of `show` when a program has run where other trainers can be imported."""
    asked = json.dumps({"folder": str(place), "code": code, "show": show, "names": names})
    (found,) = ask_readers("program", asked, folder=place)
    return found
