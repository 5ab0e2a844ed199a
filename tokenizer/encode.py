"""Documents in, token ids out: the same ids as Hugging Face `tokenizers`, about fifty times faster.

    encoder = load("builtin")
    offsets, ids = encoder.encode_batch([b"print('hi')", b""])
    ids[offsets[0]:offsets[1]]       # the first document; its last id is encoder.eos_id
    encoder.engine, encoder.reason   # "gigatoken", "equal to Hugging Face on the self-test"

Everything runs on the calling thread: a worker owns one core and starts no others. Ids are a function of the document
and the tokenizer file alone, so they do not depend on the engine, the batch, or what was encoded before.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np

from tokenizer import remembered
from tokenizer.engines import EQUAL, EngineName, GigatokenEngine, HuggingFaceEngine, fastest
from tokenizer.errors import TokenizerError
from tokenizer.soundness import MAX_FILE_BYTES, parse, refuse_loss, refuse_unsound
from tokenizer.tokens import END_OF_TEXT, byte_chars, token_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

Engine = GigatokenEngine | HuggingFaceEngine
BUILTIN: Final = "builtin"

# Names of the end-of-document token, ours first, then those of vocabularies that people bring along.
END_NAMES: Final = (END_OF_TEXT, "<|end_of_text|>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "</s>", "<eos>")

_MAX_VOCAB_SIZE: Final = 2**24  # a larger id is damage, and would ask for absurd memory


@final
@dataclass(frozen=True, slots=True, eq=False)
class Encoder:
    """A loaded tokenizer. Make one with `load`."""

    vocab_size: int  # one more than the largest id
    eos_id: int  # ends every document
    special: Mapping[str, int] = field(repr=False)  # ids by name; never given to text
    engine: EngineName
    reason: str  # why this engine
    file_hash: str  # SHA-256 of the tokenizer file, hex
    data: bytes = field(repr=False)  # the tokenizer file as it was read
    _engine: Callable[[], Engine] = field(repr=False)  # made with the first text
    _vocabulary: Callable[[], tuple[bytes, ...]] = field(repr=False)  # made with the first ids to decode

    @property
    def special_ids(self) -> frozenset[int]:
        """The ids of all special tokens."""
        return frozenset(self.special.values())

    @property
    def vocabulary(self) -> tuple[bytes, ...]:
        """The bytes of each id; those of special tokens are their names."""
        return self._vocabulary()

    def encode_batch(self, texts: Iterable[bytes]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
        """Offsets and ids: document i is `ids[offsets[i]:offsets[i + 1]]`, its last id is `eos_id`.

        The text of a special token inside a document is encoded as plain text. Needs about 5 bytes of memory per
        token while it runs. A document that is not valid UTF-8 raises TokenizerError.
        """
        end = np.array([self.eos_id], dtype=np.uint32).tobytes()
        flat = bytearray()  # grows in place where a list of arrays would be held beside its sum
        stops, encode = [0], self._engine().encode
        for index, text in enumerate(texts):
            _check_utf8(text, index=index)
            flat += encode(text).data
            flat += end
            stops.append(len(flat) // len(end))
        return np.array(stops, dtype=np.int64), np.frombuffer(flat, dtype=np.uint32)

    def decode(self, ids: Sequence[int] | NDArray[np.integer[Any]]) -> bytes:
        """The bytes that `ids` stand for; special tokens appear under their names.

        Bytes, not text: any slice can be decoded, also one that starts or ends inside a character.
        """
        wanted = np.asarray(ids, dtype=np.int64)
        if wanted.size and not 0 <= int(wanted.min()) <= int(wanted.max()) < self.vocab_size:
            raise TokenizerError(
                f"cannot decode ids from {wanted.min()} to {wanted.max()}: this vocabulary ends at "
                f"{self.vocab_size - 1}; they come from another tokenizer"
            )
        vocabulary = self._vocabulary()
        return b"".join([vocabulary[index] for index in wanted.tolist()])


def load(path: str | Path, *, fast: bool = True) -> Encoder:
    """Load a `tokenizer.json` of a byte-level BPE; "builtin" is the one beside this file.

    `fast=False` keeps to Hugging Face. The first load of a file costs about 1.5 CPU-seconds and 110 MB, most of it for
    comparing the engines. That they are equal is remembered (`remembered.py`): later loads parse the file and
    build an engine only with the first text. The last few files stay in this process. An encoder cannot be sent to
    another process: load it there.
    """
    file = Path(__file__).with_name("tokenizer.json") if path == BUILTIN else Path(path)
    try:
        if file.is_file() and file.stat().st_size > MAX_FILE_BYTES:
            raise TokenizerError(
                f"{file}: has {file.stat().st_size:,} bytes; give the tokenizer.json of a byte-level BPE"
            )
        if file.exists() and not file.is_file():  # who opens a pipe waits for ever
            raise TokenizerError(f"{file}: is no file; give a tokenizer.json or {BUILTIN!r}")
        data = file.read_bytes()
    except OSError as error:
        raise TokenizerError(
            f"{file}: cannot read the tokenizer ({error.strerror}); give a tokenizer.json or {BUILTIN!r}"
        ) from error
    return load_bytes(data, where=str(file), fast=fast)


def load_bytes(data: bytes, *, where: str, fast: bool = True) -> Encoder:
    """Load the bytes of a `tokenizer.json` that came from `where`, which errors name."""
    return _build(data, where=where, fast=fast)


@lru_cache(maxsize=4)
def _build(data: bytes, *, where: str, fast: bool) -> Encoder:
    file_hash = hashlib.sha256(data).hexdigest()
    key = remembered.key_of(file_hash) if fast else None
    ids = remembered.known_good(key)
    parsed = cache(partial(_parsed, data))
    name: EngineName
    engine: Callable[[], Engine]
    try:
        if ids is not None:
            name, reason, engine = GigatokenEngine.name, EQUAL, cache(lambda: _known_engine(parsed()))
        else:
            special = _special_ids(parsed())
            ids = remembered.KnownIds(_vocab_size(parsed(), special=special), special)
            name, reason, engine = _tested(parsed(), ids, key=key, fast=fast)
    except TokenizerError as error:
        raise TokenizerError(f"{where}: {error}; give the tokenizer.json of a byte-level BPE") from error
    known = ids
    return Encoder(
        vocab_size=known.vocab_size,
        eos_id=next(known.special[name] for name in END_NAMES if name in known.special),
        special=known.special,
        engine=name,
        reason=reason,
        file_hash=file_hash,
        data=data,
        _engine=engine,
        _vocabulary=cache(lambda: _vocabulary(parsed(), known)),
    )


def _tested(
    config: dict[str, Any], ids: remembered.KnownIds, *, key: str | None, fast: bool
) -> tuple[EngineName, str, Callable[[], Engine]]:
    """The engine of a file of which nothing is known yet, and why it is this one."""
    reference = HuggingFaceEngine(_text_only(config))  # checks the rest of the file
    refuse_loss(reference.encode, _vocabulary(config, ids))
    if not fast:
        return reference.name, "asked for", lambda: reference
    made: Engine
    made, reason = fastest(_text_only(config), reference=reference, vocabulary=_vocabulary(config, ids))
    if reason == EQUAL:
        remembered.remember_good(key, ids)
    return made.name, reason, lambda: made


def _known_engine(config: dict[str, Any]) -> Engine:
    """The fast engine of a file that passed the self-test; the reference waits for a text with a disputed letter."""
    text_only = _text_only(config)
    return GigatokenEngine(text_only, reference=HuggingFaceEngine(text_only, is_sound=True))


def _parsed(data: bytes) -> dict[str, Any]:
    """The tokenizer file as data, if it looks like a byte-level BPE."""
    config = parse(data)
    model = config.get("model") if isinstance(config, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        raise TokenizerError("not a tokenizer file (no model.vocab)")
    if model.get("type", "BPE") != "BPE" or not set(byte_chars()) <= model["vocab"].keys():
        raise TokenizerError(f"not a byte-level BPE (model type {model.get('type')!r}, or a byte has no token)")
    refuse_unsound(config)
    return dict(config)


def _special_ids(config: dict[str, Any]) -> dict[str, int]:
    """Added tokens by name; at least one must be able to end a document."""
    try:
        special = {str(token["content"]): int(token["id"]) for token in config.get("added_tokens") or []}
    except (KeyError, TypeError, ValueError) as error:
        raise TokenizerError("damaged added_tokens (each needs content and an id)") from error
    if special.keys().isdisjoint(END_NAMES):
        raise TokenizerError(f"no token to end a document (none of {', '.join(END_NAMES)} is an added token)")
    return special


def _vocab_size(config: dict[str, Any], *, special: dict[str, int]) -> int:
    """One more than the largest id."""
    spellings: dict[str, int] = config["model"]["vocab"]
    largest = max(*spellings.values(), *special.values())
    if not 0 <= largest < _MAX_VOCAB_SIZE or min(special.values()) < 0:
        raise TokenizerError(f"ids must lie between 0 and {_MAX_VOCAB_SIZE - 1}, the largest is {largest}")
    return 1 + largest


def _vocabulary(config: dict[str, Any], ids: remembered.KnownIds) -> tuple[bytes, ...]:
    """Bytes by id; empty where a file leaves a hole."""
    vocabulary = [b""] * ids.vocab_size
    for spelling, index in config["model"]["vocab"].items():
        vocabulary[index] = token_bytes(spelling)
    for content, index in ids.special.items():
        vocabulary[index] = content.encode()
    return tuple(vocabulary)


def _text_only(config: dict[str, Any]) -> str:
    """The file without what would let a document's text turn into special tokens, or be cut or padded."""
    return json.dumps({**config, "added_tokens": [], "post_processor": None, "truncation": None, "padding": None})


def _check_utf8(text: bytes, *, index: int) -> None:
    """The fast engine would encode any bytes; the reference could not, and a later reader could not decode them."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise TokenizerError(
            f"document {index} of the batch is not UTF-8 at byte {error.start} ({error.reason}); "
            f"decode it to text and encode that as UTF-8 first"
        ) from error
