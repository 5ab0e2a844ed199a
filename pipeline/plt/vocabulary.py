"""How many bytes a token stands for, from the tokenizer's own file: what turns nats into bits per byte.

Losses per token cannot be compared between tokenizers, nor between languages that a tokenizer fits unequally well. A
byte-level BPE spells each byte of a token as one character, so the length of its spelling is its number of bytes.
Special tokens stand for no byte of any document.
"""

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


def _read(path: Path) -> tuple[dict[str, int], set[int], tuple[str, str]]:
    """Ids by spelling, the special ones, and the kinds of model and decoder of a tokenizer file."""
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        special = {int(token["id"]) for token in found.get("added_tokens", ())}
        kinds = str(found["model"].get("type")), str((found.get("decoder") or {}).get("type"))
        return {spelling: int(n) for spelling, n in found["model"]["vocab"].items()}, special, kinds
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path}: is no tokenizer file ({error!r}); expected the tokenizers library's JSON"
        ) from error


def vocabulary_size(path: Path) -> int:
    """One more than the largest id of a tokenizer file."""
    ids, special, _ = _read(path)
    return 1 + max(*ids.values(), *special, 0)


def read_token_bytes(path: Path | None, *, vocab_size: int) -> npt.NDArray[np.int64] | None:
    """Bytes of each id below `vocab_size`; 0 for special and unused ones. Raises ConfigError for other tokenizers."""
    if path is None:
        return None
    ids, special, kinds = _read(path)
    if kinds != ("BPE", "ByteLevel"):
        raise ConfigError(f"{path}: is not a byte-level BPE, so bytes per token are unknown; leave --tokenizer out")
    token_bytes = np.zeros(vocab_size, dtype=np.int64)
    for spelling, number in ids.items():
        if 0 <= number < vocab_size and number not in special:
            token_bytes[number] = len(spelling)
    return token_bytes
