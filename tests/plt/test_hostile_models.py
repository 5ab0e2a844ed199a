"""Weights and configurations that mean harm: refused in one line, before memory is taken, and never unpickled."""

from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from plt_runs import make_run, tiny_config, write_tokenizer
from safetensors.torch import load_file, save

from pipeline.errors import CheckpointError, ConfigError, LoopmixError
from pipeline.plt import export, load, train
from pipeline.plt.checkpoint import _clean
from pipeline.plt.pieces import INDEX_NAME
from pipeline.results import HELD_OUT_NAME, read_held_out
from pipeline.results.codec import MAX_BYTES

CONFIG = tiny_config(model={"n_layers": 1}, n_steps=1)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, and an export of a model of it."""
    folder = tmp_path_factory.mktemp("hostile")
    train(CONFIG, data=make_run(folder / "run"), out=folder / "model")
    export(folder / "model", out=folder / "export", tokenizer=write_tokenizer(folder))
    return folder


@pytest.fixture
def model(sound: Path, tmp_path: Path) -> Path:
    shutil.copytree(sound / "export", tmp_path / "model")
    return tmp_path / "model"


class Trap:
    def __reduce__(self) -> Any:
        return os.mkdir, ("/unpickled",)


def _saved() -> bytes:
    file = io.BytesIO()
    torch.save({"model.norm.weight": torch.zeros(32)}, file)
    return file.getvalue()


def header(data: bytes, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """A safetensors file whose header was changed."""
    (n,) = struct.unpack("<Q", data[:8])
    said = json.dumps(change(json.loads(data[8 : 8 + n]))).encode()
    return struct.pack("<Q", len(said)) + said + data[8 + n :]


def first(**said: Any) -> Callable[[bytes], bytes]:
    """The first tensor says something else."""

    def change(found: dict[str, Any]) -> dict[str, Any]:
        name = next(name for name in found if name != "__metadata__")
        return found | {name: found[name] | said}

    return lambda data: header(data, change)


def tensors(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[bytes], bytes]:
    """Every tensor changed, in a sound file."""

    def made(data: bytes) -> bytes:
        from safetensors.torch import load as parse

        return save({name: change(tensor).contiguous() for name, tensor in parse(data).items()})

    return made


def overlapping(found: dict[str, Any]) -> dict[str, Any]:
    for name, said in found.items():
        if name != "__metadata__":
            begin, end = said["data_offsets"]
            found[name] = said | {"data_offsets": [0, end - begin]}
    return found


DAMAGED, OTHER = "the file is missing or damaged", "the file belongs to another model"
ONE = b'{"%s":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "nothing": (lambda _: b"", DAMAGED),
    "a header of 2**60": (lambda data: struct.pack("<Q", 2**60) + data[8:], DAMAGED),
    "a header of 90 MB that is not there": (lambda data: struct.pack("<Q", 90_000_000) + data[8:], DAMAGED),
    "cut": (lambda data: data[:-10], DAMAGED),
    "longer": (lambda data: data + b"x", DAMAGED),
    "nested": (lambda _: struct.pack("<Q", 200_000) + b"[" * 100_000 + b"]" * 100_000, DAMAGED),
    "overlaps": (lambda data: header(data, overlapping), DAMAGED),
    "places below zero": (first(data_offsets=[-1, 5]), DAMAGED),
    "places beyond the end": (first(data_offsets=[0, 2**62]), DAMAGED),
    "a shape beyond numbers": (first(shape=[2**40, 2**40]), DAMAGED),
    "bytes of another type": (first(dtype="F64"), DAMAGED),
    "no type": (first(dtype="Q7"), DAMAGED),
    "integers of the same size": (first(dtype="I32"), "torch.int32, expected floats"),
    "integers": (tensors(lambda t: t.to(torch.int64)), "torch.int64, expected floats"),
    "eighths": (tensors(lambda t: t.to(torch.float8_e4m3fn)), "torch.float8_e4m3fn, expected floats"),
    "NaN": (tensors(lambda t: t * torch.nan), "that are NaN or infinite"),
    "one infinity": (tensors(lambda t: t.index_fill(0, torch.tensor([0]), torch.inf)), "that are NaN or infinite"),
    "on their side": (tensors(lambda t: t.t() if t.dim() == 2 else t), OTHER),
    "none": (lambda data: header(data[:0] + struct.pack("<Q", 2) + b"{}", dict), "the weights are 0; "),
    "a long name": (lambda _: struct.pack("<Q", len(ONE) - 2 + 10**6) + ONE % (b"a" * 10**6) + b"1234", OTHER),
    "a pickle": (lambda _: pickle.dumps(Trap()), DAMAGED),
    "a file of torch.save": (lambda _: _saved(), DAMAGED),
}


def one_line(error: LoopmixError, where: Path) -> str:
    said = str(error)
    assert said.startswith(str(where))
    assert said.isprintable()
    assert len(said) < 700 + len(str(where))
    return said


@pytest.mark.parametrize("name", WEIGHTS)
def test_hostile_weights_are_refused_in_one_line(model: Path, name: str) -> None:
    change, why = WEIGHTS[name]
    path = model / "model.safetensors"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(CheckpointError) as found:
        load(model)
    assert why in one_line(found.value, model)
    assert not Path("/unpickled").exists()


SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "a billion layers": ({"num_hidden_layers": 10**9}, "parameters, the weights are"),
    "layers beyond numbers": ({"num_hidden_layers": 10**30}, "parameters, the weights are"),
    "a vocabulary of 10**12": ({"vocab_size": 10**12}, "parameters, the weights are"),
    "a width of 2**40": ({"hidden_size": 2**40, "head_dim": 2**38}, "parameters, the weights are"),
    "a window that is none": ({"plt_window_size": None}, "plt_window_size is None"),
    "a window of three": ({"plt_window_size": [1, 2, 3]}, "plt_window_size is [1, 2, 3]"),
    "a window that is a word": ({"plt_window_size": "ab"}, "plt_window_size is 'ab'"),
    "a layer and a half": ({"num_hidden_layers": 1.5}, "n_layers"),
    "no head": ({"num_attention_heads": 0}, "n_heads"),
    "another kind": ({"model_type": "bert"}, "model_type is 'bert'"),
}


@pytest.mark.parametrize("name", SHAPES)
def test_hostile_shapes_are_refused_before_anything_is_made_of_them(model: Path, name: str) -> None:
    change, why = SHAPES[name]
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(CheckpointError) as found:
        load(model)
    said = one_line(found.value, model)
    assert why in said


def test_json_that_is_too_large_nested_or_no_file_is_refused_unread(model: Path) -> None:
    path = model / "config.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(CheckpointError, match="expected at most 256,000,000"):
        load(model)
    path.write_text('{"a":' * 200_000)
    with pytest.raises(CheckpointError, match="is damaged"):
        load(model)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(CheckpointError, match="is no file"):
        load(model)


@pytest.mark.parametrize(
    ("piece", "size", "why"),
    [
        ({"sizes": [2**40]}, [2**40], "names tensors of 4,398,046,511,104 bytes"),
        ({"sizes": [-4]}, [-4], "negative sizes or places"),
        ({"offsets": [5]}, [32], "does not fit"),
        ({"key": "nobody"}, [32], "does not fit"),
        ({"file": "../model.safetensors"}, [32], "expected a file beside it"),
    ],
    ids=["a tensor of 4 TB", "below zero", "beyond its tensor", "no such key", "out of the folder"],
)
def test_hostile_pieces_are_refused(model: Path, piece: dict[str, Any], size: list[int], why: str) -> None:
    name = "model.norm.weight"
    found = load_file(model / "model.safetensors")
    (model / "model.safetensors").rename(model / "pieces-0.safetensors")
    said = {"file": "pieces-0.safetensors", "key": name, "offsets": [0], "sizes": list(found[name].shape)} | piece
    index = {"tensors": {name: {"dtype": "float32", "size": size, "pieces": [said]}}}
    (model / INDEX_NAME).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=why) as error:
        load(model)
    one_line(error.value, model)


@pytest.mark.parametrize(
    "shape", [{"n_layers": 10**9}, {"vocab_size": 10**12}, {"n_layers": 10**6}], ids=["layers", "vocabulary", "many"]
)
def test_a_model_whose_state_fits_no_memory_is_refused_before_it_is_made(
    sound: Path, tmp_path: Path, shape: dict[str, int]
) -> None:
    with pytest.raises(ConfigError, match=r"model: [\d,]+ parameters in [\d,]+ layers take .* lower model\.n_layers"):
        train(tiny_config(model=shape), data=sound / "run", out=tmp_path / "out")


def test_links_among_checkpoints_are_removed_and_what_they_lead_to_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".step-1.partial").symlink_to(tmp_path / "mine")
    (tmp_path / "checkpoints" / ".step-2.partial").touch()
    _clean(tmp_path / "checkpoints", keep=1)
    assert not list((tmp_path / "checkpoints").iterdir())
    assert (tmp_path / "mine" / "file").exists()


def test_metrics_that_are_a_pipe_are_refused_and_not_waited_for(sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound / "model", tmp_path / "model")
    metrics = tmp_path / "model/metrics.jsonl"
    metrics.unlink()
    os.mkfifo(metrics)
    reader = os.open(metrics, os.O_RDWR)  # so that opening it would not wait for ever
    try:
        with pytest.raises(CheckpointError, match=r"metrics\.jsonl: is no file; remove it"):
            train(CONFIG, data=sound / "run", out=tmp_path / "model")
    finally:
        os.close(reader)


@pytest.mark.parametrize("sequences", ["[0, 18446744073709551616]", "[-1, 2]", "[0, NaN]", '["a"]'])
def test_numbers_of_held_out_sequences_that_are_none_are_refused(tmp_path: Path, sequences: str) -> None:
    (tmp_path / HELD_OUT_NAME).write_text('{"sequences": [0, 3]}')
    assert read_held_out(tmp_path) == (0, 3)
    (tmp_path / HELD_OUT_NAME).write_text(f'{{"sequences": {sequences}}}')
    with pytest.raises(CheckpointError, match=HELD_OUT_NAME):
        read_held_out(tmp_path)
