"""How many bytes a token stands for, from the tokenizer's own file: what turns nats into bits per byte.

Losses per token cannot be compared between tokenizers, nor between languages that a tokenizer fits unequally well. A
byte-level BPE spells each byte of a token as one character, so the length of its spelling is its number of bytes.
Special tokens stand for no byte of any document.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import ConfigError

_BUILTIN = Path(__file__).resolve().parents[2] / "tokenizer" / "tokenizer.json"


def find_tokenizer(data: Path) -> Path | None:
    """The tokenizer file that the run's manifest names, if it is still there."""
    manifest = data / "manifest.json"
    if not manifest.is_file():
        return None
    try:
        named = json.loads(manifest.read_text(encoding="utf-8"))["mixture"]["tokenizer"]["path"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{manifest}: names no tokenizer ({error!r}); run `loopmix curate` again") from error
    path = _BUILTIN if named == "builtin" else Path(named)
    return path if path.is_file() else None


@dataclass(frozen=True)
class _Vocabulary:
    """What a tokenizer file of the tokenizers library says."""

    ids: dict[str, int]  # spelling -> id
    special: frozenset[int]
    kind: tuple[str, str]  # of model and decoder


def _read(path: Path) -> _Vocabulary:
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        special = frozenset(int(token["id"]) for token in found.get("added_tokens", ()))
        kind = str(found["model"].get("type")), str((found.get("decoder") or {}).get("type"))
        if not found["model"]["vocab"]:
            raise ValueError("its vocabulary is empty")
        return _Vocabulary({str(spelling): int(n) for spelling, n in found["model"]["vocab"].items()}, special, kind)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: is no tokenizer file ({error!r}); expected the tokenizers library's JSON"
        ) from error


def vocabulary_size(path: Path) -> int:
    """One more than the largest id of a tokenizer file."""
    found = _read(path)
    return 1 + max(*found.ids.values(), *found.special, 0)


def read_token_bytes(path: Path, *, vocab_size: int) -> npt.NDArray[np.int64]:
    """Bytes of each id below `vocab_size`; 0 for special and unused ones. Raises ConfigError for other tokenizers."""
    found = _read(path)
    if found.kind != ("BPE", "ByteLevel"):
        raise ConfigError(f"{path}: is not a byte-level BPE, so bytes per token are unknown; leave --tokenizer out")
    token_bytes = np.zeros(vocab_size, dtype=np.int64)
    for spelling, number in found.ids.items():
        if 0 <= number < vocab_size and number not in found.special:
            token_bytes[number] = len(spelling)
    return token_bytes
