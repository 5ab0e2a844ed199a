"""The packed shards as files: mapped, read through once for hash and largest id, and held against the run's manifest.

The manifest, written last by `loopmix curate`, names every shard with its size and SHA-256. A shard that is missing,
too many, cut, changed or of another run is an error before the first step: a model of a month must not rest on it.
Shards without a manifest (copied alone, or packed by another tool) are taken as they are, and the caller is told.

Several processes divide the shards among them: each is read by one of them, and hashes and ids are added up, so that
all find the same error or none.
"""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import torch

from pipeline.arrow_files import read_arrow
from pipeline.errors import SchemaError, StoreError, first_of, unfit, why
from pipeline.listed import each_file
from pipeline.plt.distributed import Ranks
from pipeline.plt.durable import read_small, sha256_of
from pipeline.schema import PACKED, PIECE_BOUNDS, check, packed_schema
from pipeline.sealed import COPY, refuse_edited

MANIFEST_NAME = "manifest.json"
# Right in the folder, or in the folder of a phase, whose number says where it stands in the stream.
_SHARD_NAME = re.compile(r"^(?:\d-[a-z0-9_.-]+/)?part-\d{5}-of-\d{5}\.arrow$")
_AGAIN = "run `loopmix curate` with the same mixture again, which makes it anew"
_N_HASH_BYTES = hashlib.sha256().digest_size


class _Listed(NamedTuple):
    """What the manifest says of a shard."""

    n_bytes: int
    sha256: str


@dataclass(frozen=True)
class OpenShards:
    """All shards of a packed folder, in stream order."""

    blocks: tuple[pa.RecordBatch, ...]  # none of them empty
    folders: tuple[str, ...]  # of each block, its phase's folder; "" where the run has no phases
    hashes: dict[str, str]  # shard name -> SHA-256, as found
    max_token_id: int
    in_manifest: bool  # False: no manifest stands beside them to hold them against


def open_shards(data: Path, *, ranks: Ranks) -> OpenShards:
    """Map the shards of `data`/packed and verify them. A collective call where several processes train.

    Raises StoreError for missing, damaged and foreign files, SchemaError for columns.
    """
    folder = data / PACKED
    listed = _read_manifest(data)
    paths = _paths(folder, listed=listed)
    hashes, max_token_id = _read_through(paths, folder=folder, listed=listed, ranks=ranks)
    if listed is not None:
        _hold_against(listed, hashes, folder=folder)
    found = [(_folder_of(path, folder), block) for path in paths for block in _map(path)]
    if not found:
        raise StoreError(f"{folder}: the packed run has no sequence, expected at least one; see its report for why")
    folders, blocks = zip(*found, strict=True)
    for name in dict.fromkeys(folders):
        seq_lens = sorted({seq_len_of(block) for of, block in found if of == name})
        if len(seq_lens) > 1:
            said = f"shards hold sequences of {seq_lens} tokens, expected one length"
            raise SchemaError(f"{folder / name}: {said}; {_AGAIN}")
    return OpenShards(blocks, folders, hashes, max_token_id, listed is not None)


def _folder_of(path: Path, folder: Path) -> str:
    return "" if path.parent == folder else path.parent.name


def seq_len_of(block: pa.RecordBatch) -> int:
    """Tokens of the sequences of a block."""
    length: int = block.schema.field("token_ids").type.list_size
    return length


def _read_manifest(data: Path) -> dict[str, _Listed] | None:
    """The shards that the manifest lists, by name; None where there is no manifest. StoreError for one that is damaged
    or was changed by hand."""
    path, copy = data / MANIFEST_NAME, data / COPY
    if not path.exists():
        return None
    if not path.is_file():  # a pipe is neither read, which waits for ever, nor taken for a run without a manifest
        raise StoreError(f"{path}: is no file; run `loopmix curate` again, which writes it anew")
    try:
        manifest = json.loads(read_small(path))
        stages = manifest["stages"]
        refuse_edited(manifest, lambda: read_small(copy) if copy.is_file() else None, where=str(path))
        files = each_file(stages[PACKED], _reader(data), where=str(path)) if PACKED in stages else ()
        listed = {_below(f["path"]): _Listed(int(f["n_bytes"]), str(f["sha256"])) for f in files}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StoreError(
            f"{path}: is damaged: {unfit(error)}; run `loopmix curate` again, which writes it anew"
        ) from error
    if not listed:
        raise StoreError(f"{path}: lists no packed shard; the run is not finished, run `loopmix curate` again")
    return listed


def _reader(data: Path) -> Callable[[str], bytes]:
    def read(path: str) -> bytes:
        if ".." in path.split("/"):
            raise ValueError(f"{path!r} leads out of the run")
        return read_small(data / path)

    return read


def _below(path: str) -> str:
    """A shard's name below the folder `packed`."""
    return path.removeprefix(f"{PACKED}/")


def _paths(folder: Path, *, listed: dict[str, _Listed] | None) -> list[Path]:
    """The shards in stream order: those of the manifest, or else one complete set."""
    if not folder.is_dir():
        raise StoreError(f"{folder}: there is no such folder; expected the output of `loopmix curate`, run that first")
    every = (path.relative_to(folder).as_posix() for depth in ("*", "*/*") for path in folder.glob(depth))
    found = sorted(name for name in every if _SHARD_NAME.match(name))
    for name in found:
        if not (folder / name).is_file():  # of a pipe not even the hash is taken, which waits for ever
            raise StoreError(f"{folder / name}: is no file; remove what stands in its place, then {_AGAIN}")
    if listed is not None:
        _check_files(found, listed=listed, folder=folder)
        return [folder / name for name in found]
    if not found:
        raise StoreError(f"{folder}: holds no part-*.arrow; finish `loopmix curate` first")
    inner = [name.rpartition("/")[0] for name in found]
    counts = {name: inner.count(name) for name in inner}
    expected = [
        f"{name}/part-{i:05d}-of-{n:05d}.arrow".removeprefix("/") for name, n in counts.items() for i in range(n)
    ]
    if found != expected:
        raise StoreError(f"{folder}: shards {found} are not one complete set {expected}; run `loopmix curate` again")
    return [folder / name for name in found]


def _check_files(found: list[str], *, listed: dict[str, _Listed], folder: Path) -> None:
    """Names and sizes against the manifest: what can be seen without reading a shard."""
    missing, extra = sorted(listed.keys() - set(found)), sorted(set(found) - listed.keys())
    if missing:
        first = missing[0]
        raise StoreError(
            f"{folder / first}: is missing ({len(missing)} of the {len(listed)} shards in {MANIFEST_NAME} are); "
            f"expected SHA-256 {listed[first].sha256}; copy it from where the run was made, or {_AGAIN}"
        )
    if extra:
        raise StoreError(
            f"{folder / extra[0]}: is not in {MANIFEST_NAME} (shards too many: {first_of(extra, most=3)}; SHA-256 "
            f"{sha256_of(folder / extra[0])}), so another run made it; move it out of {folder}"
        )
    for name, entry in listed.items():
        if (n_bytes := (folder / name).stat().st_size) != entry.n_bytes:
            raise _differs(folder / name, f"{n_bytes} bytes, SHA-256 {sha256_of(folder / name)}", entry=entry)


def _differs(path: Path, found: str, *, entry: _Listed) -> StoreError:
    return StoreError(
        f"{path}: is damaged or of another run: found {found}; {MANIFEST_NAME} says {entry.n_bytes} bytes, "
        f"SHA-256 {entry.sha256}; {_AGAIN}"
    )


def _map(path: Path) -> list[pa.RecordBatch]:
    """The blocks of one shard that hold rows, memory-mapped; of its content all but the tokens is looked into."""
    try:
        with pa.memory_map(str(path)) as file:
            table = read_arrow(file)
    except (pa.ArrowException, OSError) as error:
        said = f"{path}: is no readable Arrow file ({why(error)[:200]}), SHA-256 {sha256_of(path)}"
        raise StoreError(f"{said}; {_AGAIN}") from error
    names = table.column_names
    kind = table.schema.field("token_ids").type if "token_ids" in names else None
    if not isinstance(kind, pa.FixedSizeListType):
        raise SchemaError(f"{path}: column token_ids has type {kind}, expected a fixed-size list of uint32")
    table = check(table, packed_schema(kind.list_size, joined=PIECE_BOUNDS in names), name=str(path))
    return [block for block in table.to_batches() if block.num_rows]


def _read_through(
    paths: list[Path], *, folder: Path, listed: dict[str, _Listed] | None, ranks: Ranks
) -> tuple[dict[str, str], int]:
    """SHA-256 of every shard and the largest id of all, each shard read by one process."""
    facts = torch.zeros((len(paths), _N_HASH_BYTES + 1), dtype=torch.int64)
    for number in range(ranks.rank, len(paths), ranks.size):
        path, digest = paths[number], sha256_of(paths[number])
        is_sound = listed is None or listed[path.relative_to(folder).as_posix()].sha256 == digest
        facts[number] = torch.tensor([*bytes.fromhex(digest), _largest_id(path) if is_sound else 0])
    found: npt.NDArray[np.int64] = ranks.add_up(facts.to(ranks.device)).cpu().numpy()
    names = (path.relative_to(folder).as_posix() for path in paths)
    hashes = {name: bytes(row[:-1].tolist()).hex() for name, row in zip(names, found, strict=True)}
    return hashes, int(found[:, -1].max())


def _largest_id(path: Path) -> int:
    """Asked right after the hash, so the disk is read once where a shard fits into memory."""
    try:
        blocks = _map(path)
    except (StoreError, SchemaError):
        # All processes map all shards next and meet this error together; raised here, the others would wait.
        return 0
    return max((int(pc.max(b.column("token_ids").flatten()).as_py()) for b in blocks), default=0)


def _hold_against(listed: dict[str, _Listed], hashes: dict[str, str], *, folder: Path) -> None:
    wrong = [name for name, sha256 in hashes.items() if sha256 != listed[name].sha256]
    if wrong:
        name = wrong[0]
        others = f" (and {len(wrong) - 1} more shards differ)" if wrong[1:] else ""
        raise _differs(folder / name, f"SHA-256 {hashes[name]}{others}", entry=listed[name])
