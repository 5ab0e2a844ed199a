"""Small files of a run that hold something else than they should: one line in words, which names the file, from whoever
reads it; never what Python calls the error, and nothing but a LoopmixError."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.forgotten import read_forgotten
from pipeline.engine.markers import Marker, believed, parse_marker, to_bytes
from pipeline.engine.poison import read_poisonous
from pipeline.engine.store import FileEntry, open_store
from pipeline.engine.store_errors import unwritable
from pipeline.errors import LoopmixError, StoreError, unfit
from pipeline.plt.distributed import ALONE
from pipeline.plt.ratio import promised_parts, refuse_ratios
from pipeline.plt.shards import open_shards
from pipeline.plt.vocabulary import run_tokenizer, vocabulary_size

DAMAGE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "it is no JSON"),
    "half": (b'{"format": 1, "do', "it is no JSON"),
    "other bytes": (b'{"format": "\xff"}', "codec can't decode byte 0xff"),
    "nested": (b'{"a":' * 200_000, "it is nested without end"),
    "a number": (b"7", "a part of it is of another kind than expected"),
    "null": (b"null", "a part of it is of another kind than expected"),
    "a lone surrogate": (b'{"\\ud800": "\\udfff"}', "it has no '"),
    "an empty object": (b"{}", "it has no '"),
}
READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "poisonous": ("state/poisonous.json", lambda run: read_poisonous(open_store(str(run)))),
    "forgotten": ("forgotten.json", lambda run: read_forgotten(open_store(str(run)))),
    "tokenizer": ("tokenizer.json", lambda run: vocabulary_size(run / "tokenizer.json")),
    "whose tokenizer": ("manifest.json", lambda run: run_tokenizer(run)),
    "ratio": ("manifest.json", promised_parts),
    "ratios": ("manifest.json", refuse_ratios),
    "shards": ("manifest.json", lambda run: open_shards(run, ranks=ALONE)),
}


def refused(reader: Callable[[Path], Any], run: Path, file: Path) -> str:
    with pytest.raises(LoopmixError) as error:
        reader(run)
    said = str(error.value)
    assert said.startswith(str(file))
    assert said.isprintable()
    assert len(said) < 500 + len(str(file))
    assert "Error(" not in said
    return said


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_is_refused_in_words(tmp_path: Path, reader: str, kind: str) -> None:
    name, read = READERS[reader]
    data, why = DAMAGE[kind]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(data)
    assert why in refused(read, tmp_path, tmp_path / name)


@pytest.mark.parametrize("stands", ["a folder", "a pipe"])
def test_what_stands_in_the_place_of_a_file_is_to_be_removed(tmp_path: Path, stands: str) -> None:
    path = tmp_path / "state/poisonous.json"
    path.parent.mkdir()
    (path.mkdir if stands == "a folder" else lambda: os.mkfifo(path))()
    said = refused(READERS["poisonous"][1], tmp_path, path)
    assert "remove what stands in its place, then curate the run again" in said


def test_a_folder_in_the_place_of_what_is_written_is_to_be_removed(tmp_path: Path) -> None:
    (tmp_path / "state/attempts.json").mkdir(parents=True)
    with pytest.raises(StoreError, match=r"attempts\.json: cannot be written: .*; remove what stands in its place"):
        open_store(str(tmp_path)).write_bytes("state/attempts.json", b"{}")


def test_a_full_disk_is_still_to_be_freed() -> None:
    error = unwritable("RUN/x", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert str(error).endswith("; free space or choose another --out")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("a\0b", "names no file"),
        ("tables/\udc80", "names no file"),
        ("../x", "leads out of the run"),
        ("/etc/passwd", "leads out of the run"),
    ],
    ids=["NUL", "a lone surrogate", "upwards", "absolute"],
)
@pytest.mark.parametrize("by_hash", [False, True])
def test_a_marker_of_a_file_that_cannot_be_is_refused(tmp_path: Path, path: str, why: str, by_hash: bool) -> None:
    marker = Marker((FileEntry(path, 1, "0" * 64),), {}, None, 0.0)
    with pytest.raises(StoreError, match=why) as error:
        believed(open_store(str(tmp_path)), {0: marker}, by_hash=by_hash, skip_bad=False)
    assert str(error.value).isprintable()
    assert str(error.value).startswith(str(tmp_path))


def test_a_marker_of_letters_beyond_ascii_is_believed(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    marker = Marker((store.write_bytes("tables/größe", b"x"),), {}, None, 0.0)
    assert parse_marker(to_bytes(marker)) == marker
    assert believed(store, {0: marker}, by_hash=True, skip_bad=False) == [0]


def test_what_is_said_of_an_error_has_its_own_words() -> None:
    assert unfit(KeyError("x\x1b[2J")) == "it has no 'x\\x1b[2J'"
    assert unfit(ValueError("format 7,\nexpected 1")) == "format 7, expected 1"
    with pytest.raises(json.JSONDecodeError) as found:
        json.loads("{")
    assert unfit(found.value).startswith("it is no JSON: Expecting property name")
