"""Event files: what they hold, read back by a parser of our own, and training where nothing can write them."""

from __future__ import annotations

import struct

import pytest
from plt_runs import make_run, tiny_config

from pipeline.errors import ConfigError
from pipeline.plt import tensorboard, train
from pipeline.plt.tensorboard import check_tensorboard, open_event_file


def _records(data: bytes) -> list[bytes]:
    """Payloads. A record is its length, a checksum of that, the payload and a checksum of that."""
    found = []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append(data[12 : 12 + length])
        data = data[16 + length :]
    return found


def _fields(data: bytes) -> list[tuple[int, object]]:
    """(number, value) of a protobuf message: varints as int, fixed as float, the rest as bytes."""
    found, i = [], 0

    def varint() -> int:
        nonlocal i
        value = shift = 0
        while True:
            byte = data[i]
            i += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while i < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            found.append((key >> 3, varint()))
        elif kind == 2:
            length = varint()
            found.append((key >> 3, data[i : i + length]))
            i += length
        else:
            size, form = (8, "<d") if kind == 1 else (4, "<f")
            found.append((key >> 3, struct.unpack(form, data[i : i + size])[0]))
            i += size
    return found


def test_event_file_when_read_back_holds_its_scalars(tmp_path):
    with open_event_file(tmp_path) as add:
        add(300, {"train/loss": 1.5, "held_out/code/C++": 0.25})
    (path,) = tmp_path.iterdir()
    head, entry = (dict(_fields(r)) for r in _records(path.read_bytes()))
    assert head[3] == b"brain.Event:2"
    assert entry[2] == 300
    values = [dict(_fields(v)) for _, v in _fields(entry[5])]
    assert [(v[1], v[2]) for v in values] == [(b"train/loss", 1.5), (b"held_out/code/C++", 0.25)]


def test_training_when_resumed_begins_a_second_event_file(tmp_path):
    run = make_run(tmp_path / "run")

    class KilledError(Exception):
        pass

    def kill(event):
        if getattr(event, "step", None) == 3 and type(event).__name__ == "Saved":
            raise KilledError

    with pytest.raises(KilledError):
        train(tiny_config(n_steps=6), data=run, out=tmp_path / "model", on_event=kill)
    train(tiny_config(n_steps=6), data=run, out=tmp_path / "model")
    files = sorted((tmp_path / "model" / "tensorboard").iterdir())
    steps = [[dict(_fields(r)).get(2) for r in _records(f.read_bytes())[1:]] for f in files]
    assert len(files) == 2
    assert sorted({s for s in steps[0] if s}) == [1, 2, 3]
    assert sorted({s for s in steps[1] if s}) == [4, 5, 6]


def test_training_when_the_library_is_missing_writes_none_unless_it_must(tmp_path, monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    run = make_run(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"run\.tensorboard is true .* pip install 'loopmix\[train\]'"):
        train(tiny_config(n_steps=2, run={"tensorboard": True}), data=run, out=tmp_path / "model")
    assert not (tmp_path / "model").exists()
    train(tiny_config(n_steps=2), data=run, out=tmp_path / "model")
    assert not (tmp_path / "model" / "tensorboard").exists()
    monkeypatch.undo()
    assert (check_tensorboard(None), check_tensorboard(False), check_tensorboard(True)) == (True, False, True)
    # The key decides no byte of the model, so a run may be taken up with another value.
    train(tiny_config(n_steps=2, run={"tensorboard": False}), data=run, out=tmp_path / "model")


def test_event_files_when_begun_in_one_second_are_two(tmp_path, monkeypatch):
    monkeypatch.setattr("tensorboardX.event_file_writer.time.time", lambda: 1_700_000_000.5)
    for step in (1, 2):
        with open_event_file(tmp_path) as add:
            add(step, {"train/loss": 1.0})
    monkeypatch.undo()
    files = sorted(tmp_path.iterdir())
    assert [dict(_fields(_records(f.read_bytes())[1]))[2] for f in files] == [1, 2]
