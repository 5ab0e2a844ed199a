"""How many bytes a token stands for, from the tokenizer's own file: what turns nats into bits per byte.

Losses per token cannot be compared between tokenizers, nor between languages that a tokenizer fits unequally well. A
byte-level BPE spells each byte of a token as one character, so the length of its spelling is its number of bytes.
Special tokens stand for no byte of any document.
"""

from __future__ import annotations

import json
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


def vocabulary_size(path: Path) -> int:
    """One more than the largest id of a tokenizer file."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        ids: list[int] = [*found["model"]["vocab"].values(), *(int(t["id"]) for t in found.get("added_tokens", ()))]
        return 1 + max(ids)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: is no tokenizer file ({error!r}); expected the tokenizers library's JSON"
        ) from error


def read_token_bytes(path: Path, *, vocab_size: int) -> npt.NDArray[np.int64]:
    """Bytes of each id below `vocab_size`; 0 for special and unused ones. Raises ConfigError for other tokenizers."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        vocabulary: dict[str, int] = found["model"]["vocab"]
        special = {int(token["id"]) for token in found.get("added_tokens", ())}
        decoder = str((found.get("decoder") or {}).get("type"))
        ids = np.fromiter(vocabulary.values(), np.int64, len(vocabulary))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: is no tokenizer file ({error!r}); expected the tokenizers library's JSON"
        ) from error
    if found["model"].get("type") != "BPE" or decoder != "ByteLevel":
        raise ConfigError(f"{path}: is not a byte-level BPE, so bytes per token are unknown; leave --tokenizer out")
    lengths = np.fromiter(map(len, vocabulary), np.int64, len(vocabulary))
    token_bytes = np.zeros(vocab_size, dtype=np.int64)
    known = (ids >= 0) & (ids < vocab_size) & ~np.isin(ids, list(special))
    token_bytes[ids[known]] = lengths[known]
    return token_bytes
