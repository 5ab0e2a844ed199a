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

from pipeline.errors import ConfigError, unfit, why
from pipeline.plt.data import PackedRun
from pipeline.plt.durable import read_small, sha256_of
from pipeline.plt.shards import MANIFEST_NAME
from pipeline.schema import TOKENIZER_FILE


def run_tokenizer(data: Path, *, given: Path | None = None) -> Path | None:
    """The tokenizer file that made the token ids of the run at `data`: its own, or `given` if that is the same file.

    Packed shards that no manifest describes have the one that lies beside them, else `given`, else None. Raises
    ConfigError for another tokenizer: ids would be read by a vocabulary that never made them.
    """
    manifest = data / MANIFEST_NAME
    own = data / TOKENIZER_FILE
    if not manifest.is_file():
        if given is not None and own.is_file() and file_hash(given) != file_hash(own):
            raise ConfigError(
                f"{given}: is another tokenizer than {own} (SHA-256 {file_hash(given)}, expected {file_hash(own)}); "
                "leave --tokenizer out"
            )
        return own if given is None and own.is_file() else given
    try:
        expected = str(json.loads(read_small(manifest))["tokenizer"]["sha256"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(
            f"{manifest}: names no {TOKENIZER_FILE} ({unfit(error)}); run `loopmix curate` with the same mixture "
            "again, which adds it"
        ) from error
    path = given or own
    if not path.is_file():
        raise ConfigError(f"{path}: does not exist; copy {TOKENIZER_FILE} of the run too, or give it as --tokenizer")
    if (found := file_hash(path)) != expected:
        raise ConfigError(
            f"{path}: is another tokenizer than the one that made {data} (SHA-256 {found}, expected {expected}); "
            + ("leave --tokenizer out" if given else "run `loopmix curate` again, which puts it back")
        )
    return path


def check_covers(tokenizer: Path | None, *, run: PackedRun) -> None:
    """ConfigError if the shards hold an id that `tokenizer` has no spelling for: it cannot have made them."""
    if tokenizer is not None and run.max_token_id >= (size := vocabulary_size(tokenizer)):
        raise ConfigError(
            f"{tokenizer}: has {size} entries but {run.folder} holds token id {run.max_token_id}: another tokenizer "
            "made the shards; give that one"
        )


def check_same_tokenizer(model: Path, *, data: Path, tokenizer: Path | None) -> None:
    """ConfigError if the model folder holds another tokenizer than `tokenizer`, that of the run at `data`."""
    own = model / TOKENIZER_FILE
    if tokenizer is not None and own.is_file() and file_hash(own) != file_hash(tokenizer):
        raise ConfigError(
            f"{model}: was trained on token ids of another tokenizer ({own}) than {data} holds; "
            "diagnose it on a run that was curated with its own"
        )


def file_hash(path: Path) -> str:
    """SHA-256, hex. Raises ConfigError where the file cannot be read."""
    try:
        return sha256_of(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({why(error)}); give an existing {TOKENIZER_FILE}") from error


def _read(path: Path) -> tuple[dict[str, int], set[int], tuple[str, str]]:
    """Ids by spelling, the special ones, and the kinds of model and decoder of a tokenizer file."""
    try:
        found: Any = json.loads(read_small(path))
        special = {int(token["id"]) for token in found.get("added_tokens", ())}
        kinds = str(found["model"].get("type")), str((found.get("decoder") or {}).get("type"))
        return {spelling: int(n) for spelling, n in found["model"]["vocab"].items()}, special, kinds
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{path}: is no tokenizer file ({unfit(error)}); expected the tokenizers library's JSON"
        ) from error


# Names of the token that ends every document, the first that a file has: those of `tokenizer/encode.py`, which this
# room may not import. A test holds them equal.
END_NAMES = ("<|endoftext|>", "<|end_of_text|>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "</s>", "<eos>")


def end_of_document(path: Path) -> int:
    """Id of the token that ends every document. Raises ConfigError where a tokenizer file has none."""
    names = added_tokens(path)
    found = next((names[name] for name in END_NAMES if name in names), None)
    if found is None:
        raise ConfigError(
            f"{path}: no added token can end a document (none of {', '.join(END_NAMES)}); "
            "give the tokenizer that made the run"
        )
    return found


def added_tokens(path: Path) -> dict[str, int]:
    """Ids of a tokenizer file's added tokens by name."""
    _read(path)  # refuses what is no tokenizer file
    found = json.loads(read_small(path)).get("added_tokens", ())
    return {str(token.get("content")): int(token["id"]) for token in found}


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
