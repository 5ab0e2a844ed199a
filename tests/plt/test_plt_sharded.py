"""Checkpoints in pieces, as several processes write them: here one process with a group of its own, and by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch
import torch.distributed as dist
from plt_ranks import TRAIN_MODULE
from plt_runs import make_run, tiny_config
from safetensors.torch import save_file

from pipeline.errors import CheckpointError
from pipeline.plt import Noted, Saved, Started, Stepped, export, load, train
from pipeline.plt.checkpoint import Draft, read_counters
from pipeline.plt.distributed import Ranks
from pipeline.plt.pieces import Piece, PiecedTensor, PieceIndex, read_index, read_pieces
from pipeline.results import to_json

CONFIG = tiny_config(model={"n_layers": 1})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("pieces") / "run")


@pytest.fixture(scope="module")
def group() -> Iterator[Any]:
    """A process group of this process alone: everything that several would do, but for the waiting."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield dist.group.WORLD
    dist.destroy_process_group()


@pytest.fixture
def in_pieces(group: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def join(device: torch.device) -> Iterator[Ranks]:
        yield Ranks(0, 1, device, group)

    monkeypatch.setattr(TRAIN_MODULE, "join_ranks", join)


@pytest.fixture(scope="module")
def whole(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose checkpoints one process wrote."""
    out = tmp_path_factory.mktemp("whole") / "model"
    train(CONFIG, data=run, out=out)
    return out


def _files(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: content for name, content in found.items() if "tfevents" not in name}


def _same_weights(first: Path, second: Path) -> None:
    one, other = load(first).state_dict(), load(second).state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_training_in_pieces_has_the_weights_of_whole_files_and_holds_no_pickle(run, whole, tmp_path, in_pieces):
    out, events = tmp_path / "model", []
    train(CONFIG, data=run, out=out, on_event=events.append)
    _same_weights(out, whole)
    assert (out / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    newest = out / "checkpoints" / "step-00000008"
    suffixes = {p.suffix for p in newest.iterdir()}
    assert suffixes == {".json", ".py", ".safetensors"}
    assert set(read_counters(newest).files) == {p.name for p in newest.iterdir()} - {"state.json"}
    assert [e.step for e in events if isinstance(e, Saved)] == [3, 6, 8]
    assert sorted(p.name for p in newest.parent.iterdir()) == ["step-00000006", "step-00000008"]
    _same_weights(export(out, out=tmp_path / "export"), whole)


def test_saving_in_pieces_goes_on_beside_the_steps(run, tmp_path, in_pieces):
    """The checkpoint of step 3 is said to stand only after a later step: the copy, not the disk, is waited for."""
    events: list = []
    train(CONFIG, data=run, out=tmp_path / "model", on_event=events.append)
    kinds = [(type(e), e.step if isinstance(e, Saved) else e.step.step) for e in events if type(e) in (Saved, Stepped)]
    assert kinds.index((Saved, 3)) > kinds.index((Stepped, 4))
    assert kinds[-1] == (Saved, 8)


class KilledError(Exception):
    """Stands for a process that ends between two events."""


def test_training_in_pieces_when_killed_after_any_event_resumes_to_the_same_bytes(run, tmp_path, in_pieces):
    train(CONFIG, data=run, out=tmp_path / "undisturbed")
    out, lives = tmp_path / "killed", 0
    while True:
        lives += 1
        seen = 0

        def die_later_each_time(event, lives=lives):
            nonlocal seen
            seen += not isinstance(event, Noted)
            if seen > 3 * lives:
                raise KilledError

        try:
            train(CONFIG, data=run, out=out, on_event=die_later_each_time)
        except KilledError:
            continue
        break
    assert lives >= 3
    assert _files(out) == _files(tmp_path / "undisturbed")


def test_nothing_is_written_into_a_folder_that_was_given_back(run, tmp_path, in_pieces, monkeypatch):
    commit = Draft.commit

    def late(draft, hashes):
        time.sleep(0.3)
        commit(draft, hashes)

    def die_beside_it(event):
        if isinstance(event, Stepped) and event.step.step == 4:
            raise KilledError

    monkeypatch.setattr(Draft, "commit", late)
    with pytest.raises(KilledError):
        train(CONFIG, data=run, out=tmp_path / "model", on_event=die_beside_it)
    assert [p.name for p in (tmp_path / "model/checkpoints").iterdir()] == ["step-00000003"]


@pytest.mark.parametrize("name", ["pieces.json", "pieces-00000-of-00001.safetensors", "state.json", "config.json"])
def test_training_in_pieces_when_the_newest_is_damaged_goes_on_from_the_one_before(run, tmp_path, in_pieces, name):
    out, events = tmp_path / "model", []
    train(CONFIG, data=run, out=out)
    expected = _files(out)
    path = out / "checkpoints" / "step-00000008" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    train(CONFIG, data=run, out=out, on_event=events.append)
    assert next(e for e in events if isinstance(e, Started)).first_step == 6
    assert any("going on from an earlier checkpoint" in e.message for e in events if isinstance(e, Noted))
    assert {key: value for key, value in _files(out).items() if "damaged" not in key} == expected


def test_training_goes_on_from_pieces_whole_and_from_whole_files_in_pieces(run, whole, tmp_path, monkeypatch, request):
    longer = tiny_config(model={"n_layers": 1}, n_steps=10)
    alone, mixed = (Path(copytree(whole, tmp_path / name)) for name in ("alone", "mixed"))
    train(longer, data=run, out=alone)
    with monkeypatch.context() as patch:
        group = request.getfixturevalue("group")
        patch.setattr(TRAIN_MODULE, "join_ranks", contextmanager(lambda device: iter([Ranks(0, 1, device, group)])))
        train(longer, data=run, out=mixed)
    assert (mixed / "checkpoints" / "step-00000010" / "pieces.json").is_file()
    _same_weights(mixed, alone)
    longest = tiny_config(model={"n_layers": 1}, n_steps=12)
    for out in (alone, mixed):
        train(longest, data=run, out=out)
        assert (out / "checkpoints" / "step-00000012" / "model.safetensors").is_file()
    _same_weights(mixed, alone)


def test_checkpoint_in_pieces_when_the_disk_is_full_says_so(run, tmp_path, in_pieces, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.plt.sharded.save_file", full)
    with pytest.raises(CheckpointError, match=r"step-00000003: cannot be written .*No space left"):
        train(CONFIG, data=run, out=tmp_path / "model")
    assert not list((tmp_path / "model").glob("checkpoints/step-*"))


def _by_hand(folder: Path) -> PieceIndex:
    """A tensor of 5 x 4 in three pieces of two files."""
    value = torch.arange(20.0).reshape(5, 4)
    save_file({"0": value[:2].contiguous(), "1": value[2:, :3].contiguous()}, str(folder / "a.safetensors"))
    save_file({"0": value[2:, 3:].contiguous()}, str(folder / "b.safetensors"))
    pieces = (
        Piece("a.safetensors", "0", (0, 0), (2, 4)),
        Piece("a.safetensors", "1", (2, 0), (3, 3)),
        Piece("b.safetensors", "0", (2, 3), (3, 1)),
    )
    return PieceIndex({"x": PiecedTensor("float32", (5, 4), pieces)})


def test_pieces_when_read_are_put_where_they_belong(tmp_path):
    index = _by_hand(tmp_path)
    (tmp_path / "pieces.json").write_text(to_json(index))
    assert read_index(tmp_path) == index
    assert torch.equal(read_pieces(tmp_path, index)["x"], torch.arange(20.0).reshape(5, 4))
    (tmp_path / "b.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"b\.safetensors: cannot be read"):
        read_pieces(tmp_path, index)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda of: of["pieces"].pop(), "has pieces of 17 numbers, expected 20"),
        (lambda of: of["pieces"][0].update(file="../a.safetensors"), "expected a file beside it"),
        (lambda of: of.update(dtype="object"), "of object and size"),
        (lambda of: of["pieces"][0].update(sizes="x"), "is damaged"),
    ],
)
def test_index_when_it_lies_is_refused(tmp_path, change, message):
    index = json.loads(to_json(_by_hand(tmp_path)))
    change(index["tensors"]["x"])
    (tmp_path / "pieces.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=rf"pieces\.json: .*{message}"):
        read_index(tmp_path)
