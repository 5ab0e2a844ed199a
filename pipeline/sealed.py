"""The seal of a run's manifest: by which an edit by hand, or damage, is told from what loopmix wrote.

`seal` is the SHA-256 of all else that the manifest says, however it is laid out in the file. A copy is written just
before, RUN/state/manifest.json, which says what stood there. Nothing here is a secret: who wants to forge a manifest
can. Manifests of older versions have no seal, and no copy beside them.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from pipeline.errors import StoreError, first_of

SEAL = "seal"  # its key
COPY = "state/manifest.json"
_MAX_NAMED = 3  # differences in an error: one line
_MAX_VALUE_CHARS = 80


def sealed(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the seal of what it says now."""
    said = {key: value for key, value in manifest.items() if key != SEAL}
    return said | {SEAL: _seal_of(said)}


def refuse_edited(manifest: dict[str, Any], copy: Callable[[], bytes | None], *, where: str) -> None:
    """StoreError, which names what differs, for a manifest that is not as it was written. `copy` gives what stands in
    `COPY`, None where nothing does; it is asked only where the seal is broken or missing."""
    said = {key: value for key, value in manifest.items() if key != SEAL}
    if manifest.get(SEAL) == _seal_of(said):
        return  # the copy may be the one before or after: a stop between two writes leaves both as they were written
    before = _read_copy(copy())
    if SEAL not in manifest and before is None:
        return  # of an older version
    if before is None:
        raise StoreError(
            f"{where}: was changed or damaged since it was written: its content has not the hash in its key {SEAL!r}; "
            "put it back from a copy of the run"
        )
    named = list(_differences(before, said)) or [f"{SEAL}: was {_seal_of(before)}, says {_short(manifest.get(SEAL))}"]
    raise StoreError(
        f"{where}: was changed since it was written: {first_of(named, most=_MAX_NAMED)}; to put it back, copy "
        f"{COPY} of the run over it"
    )


def _read_copy(copy: bytes | None) -> dict[str, Any] | None:
    """What the copy says, if it is whole."""
    try:
        found = json.loads(copy or b"")
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or found.pop(SEAL, None) != _seal_of(found):
        return None
    return found


def _seal_of(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _differences(before: dict[str, Any], now: dict[str, Any]) -> Iterator[str]:
    """`key: was X, says Y` for each dotted key that differs, in the order of keys."""
    old, new = dict(_flat(before)), dict(_flat(now))
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            yield f"{key}: was {_short(old[key])}, is gone"
        elif key not in old:
            yield f"{key}: was not there, says {_short(new[key])}"
        elif old[key] != new[key] or type(old[key]) is not type(new[key]):
            yield f"{key}: was {_short(old[key])}, says {_short(new[key])}"


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and what they say; files of a list by their paths, so that one that is left out is named."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif (
        isinstance(value, list) and value and all(isinstance(v, dict) and isinstance(v.get("path"), str) for v in value)
    ):
        for entry in value:
            yield from _flat({k: v for k, v in entry.items() if k != "path"}, f"{prefix}.{entry['path']}")
    else:
        yield prefix, value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= _MAX_VALUE_CHARS else f"{text[:_MAX_VALUE_CHARS]}..."
