"""The documents of a folder vote together on their encoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Source
from pipeline.sources.encodings import Evidence, weigh
from pipeline.sources.votes import priors_of

CODE = b"int main(void) { return 0; }\n"
CLEAR = "/* Функция возвращает длину строки, если она не пуста */\n"
# One letter that is no word of any language: by itself it may be anything.
VAGUE = "/* x */ const char *mark = \"ю\";\n"  # fmt: skip


def _fill(folder: Path, files: dict[str, str], *, encoding: str) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(CODE + text.encode(encoding))


def _read(folder: Path, rows_of: Any) -> dict[str, dict[str, Any]]:
    return {row["path"]: row for row in rows_of(Source(name="s", kind="directory", path=str(folder)))}


def test_a_vague_document_is_dropped_when_it_stands_alone(tmp_path: Path, rows_of: Any) -> None:
    _fill(tmp_path, {"a/vague.c": VAGUE}, encoding="koi8_r")
    (row,) = _read(tmp_path, rows_of).values()
    assert (row["problem"], row["content"]) == ("undecidable_encoding", b"")
    assert row["encoding_confidence"] < 0.7


def test_a_vague_document_is_read_as_its_neighbours_are(tmp_path: Path, rows_of: Any) -> None:
    clear = {f"a/{i}.c": f"/* {i} */" + CLEAR for i in range(40)}
    _fill(tmp_path, clear | {"a/vague.c": VAGUE}, encoding="koi8_r")
    _fill(tmp_path, {"b/vague.c": VAGUE}, encoding="koi8_r")
    rows = _read(tmp_path, rows_of)
    assert rows["a/vague.c"]["content"] == CODE + VAGUE.encode()
    assert rows["b/vague.c"]["problem"] == "undecidable_encoding"  # another folder, and no repository joins them


def test_the_folders_of_a_repository_vote_too(tmp_path: Path, rows_of: Any) -> None:
    _fill(tmp_path, {f"a/{i}.c": f"/* {i} */" + CLEAR for i in range(40)} | {"b/vague.c": VAGUE}, encoding="koi8_r")
    source = Source(name="s", kind="directory", path=str(tmp_path), repo="one/repo")
    rows = {row["path"]: row for row in rows_of(source)}
    assert rows["b/vague.c"]["content"] == CODE + VAGUE.encode()


def test_clear_bytes_outvote_all_neighbours(tmp_path: Path, rows_of: Any) -> None:
    _fill(tmp_path, {f"a/{i}.c": f"/* {i} */" + CLEAR for i in range(40)}, encoding="koi8_r")
    japanese = "/* 設定ファイルを読み込みます */\n"
    _fill(tmp_path, {"a/ja.c": japanese}, encoding="cp932")
    row = _read(tmp_path, rows_of)["a/ja.c"]
    assert (row["content"], row["encoding"]) == (CODE + japanese.encode(), "cp932")


def _evidence(text: str, encoding: str) -> Evidence:
    found = weigh(CODE + text.encode(encoding))
    assert found is not None
    return found


def test_nobody_convinces_himself() -> None:
    vague = _evidence(VAGUE, "koi8_r")
    alone = priors_of([vague, vague], repositories=[0, 1], folders=[0, 1])
    assert alone[0] == pytest.approx(alone[1])
    clear = _evidence(CLEAR, "koi8_r")
    assert priors_of([vague, clear], repositories=[0, 1], folders=[0, 1])[1] == pytest.approx(alone[0])
    assert priors_of([clear], repositories=[0], folders=[0])[0] == pytest.approx(alone[0])


def test_the_order_of_documents_does_not_count() -> None:
    evidence = [_evidence(CLEAR, "koi8_r"), _evidence(CLEAR, "cp1251"), _evidence(VAGUE, "koi8_r")]
    there = priors_of(evidence, repositories=[0] * 3, folders=[0] * 3)
    back = priors_of(evidence[::-1], repositories=[0] * 3, folders=[0] * 3)
    assert there[2] == pytest.approx(back[0])
