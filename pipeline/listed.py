"""The files of a stage in a manifest: listed there, or, where they are very many, in parts that it names.

    "files": [{"path": "tables/tokens/part-00000-of-00002.arrow", "n_bytes": 1, "sha256": "..."}, ...]
    "files_in": {"n_files": 100000, "n_bytes": 1, "parts": [{"path": "manifest/<hash>.jsonl", "n_files": 4096,
                 "n_bytes": 1, "sha256": "..."}, ...]}

A part has a line of JSON for each file, in the order of shards, and is called by its hash; so the manifest stays small,
what it says of a part is checked when it is read, and who asks for one shard reads one part.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pipeline.errors import StoreError

PARTS = "manifest"  # the folder of parts
N_FILES = 4096  # of a part, and the most that a manifest lists itself
Read = Callable[[str], bytes]


def n_files_of(entry: Mapping[str, Any]) -> int:
    """How many files a stage has."""
    return int(entry["files_in"]["n_files"]) if "files_in" in entry else len(entry["files"])


def n_bytes_of(entry: Mapping[str, Any]) -> int:
    """Bytes of all files of a stage."""
    if "files_in" in entry:
        return int(entry["files_in"]["n_bytes"])
    return sum(int(file["n_bytes"]) for file in entry["files"])


def each_file(entry: Mapping[str, Any], read: Read, *, where: str) -> Iterator[dict[str, Any]]:
    """What is said of each file of a stage, in the order of shards; one part is held at a time.

    `read` gives the bytes of a file of the run. StoreError for a part that is not the one that is named.
    """
    if "files_in" not in entry:
        yield from entry["files"]
        return
    for part in entry["files_in"]["parts"]:
        yield from _parsed(part, read(part["path"]), where=where)


def file_at(entry: Mapping[str, Any], number: int, read: Read, *, where: str) -> dict[str, Any]:
    """What is said of one file of a stage, by its number from 0 on."""
    if "files_in" not in entry:
        return dict(entry["files"][number])
    for part in entry["files_in"]["parts"]:
        if number < part["n_files"]:
            return _parsed(part, read(part["path"]), where=where)[number]
        number -= part["n_files"]
    raise IndexError(number)


def as_part(files: list[dict[str, Any]]) -> tuple[dict[str, Any], bytes]:
    """What a manifest says of a part with these files, and its bytes."""
    data = "".join(json.dumps(file, sort_keys=True) + "\n" for file in files).encode()
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"{PARTS}/{sha256[:32]}.jsonl"
    return {"path": path, "n_files": len(files), "n_bytes": len(data), "sha256": sha256}, data


def _parsed(part: Mapping[str, Any], data: bytes, *, where: str) -> list[dict[str, Any]]:
    if hashlib.sha256(data).hexdigest() != part["sha256"]:
        raise StoreError(
            f"{where}: its part {part['path']} is damaged: it has not the SHA-256 {part['sha256']}; put it back from a "
            "copy of the run, or remove both and curate again"
        )
    return [json.loads(line) for line in data.splitlines()]
