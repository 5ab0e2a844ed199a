"""The documents on which `loopmix tokenizer-report` tries a tokenizer: a mixture's, or those of files and folders."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import ConfigError, StoreError
from tokenizer.compare import LabelledText

if TYPE_CHECKING:
    from pipeline.config import Mixture

MAX_FILE_BYTES = 1_000_000  # larger ones are data or generated, and one would count for a whole language
_STAGE = "tokenizer-report"  # of the keyed choice


def documents_on(paths: tuple[Path, ...], *, sample_bytes: int) -> Iterator[LabelledText]:
    """About `sample_bytes` of texts, chosen by a keyed hash of their names, by language and by where they are from.

    One YAML file is a mixture, whose documents are taken as they are read, before any rule; else files, and the files
    below folders. There a repository is what lies directly below a given folder. ConfigError if nothing is there.
    """
    if len(paths) == 1 and paths[0].is_file() and paths[0].suffix in (".yaml", ".yml"):
        from pipeline.request.load import load_mixture

        return _of_mixture(load_mixture(paths[0]), sample_bytes=sample_bytes)
    return _of_files(paths, sample_bytes=sample_bytes)


def _of_mixture(mixture: Mixture, *, sample_bytes: int) -> Iterator[LabelledText]:
    from pipeline.arrays.columns import doc_words
    from pipeline.arrays.keys import keyed_hash, stage_key
    from pipeline.language.languages import classify
    from pipeline.sources import plan_slices, read_parts
    from pipeline.sources.caps import caps_of

    limits = mixture.ingest
    read = partial(
        read_parts,
        shard_bytes=limits.shard_bytes,
        max_document_bytes=min(limits.max_document_bytes, MAX_FILE_BYTES),
        notebooks=limits.notebooks,
        caps=caps_of(limits),
    )
    slices = [(s, p) for s in mixture.sources for p in plan_slices(s, shard_bytes=limits.shard_bytes)]
    bound = _bound(sample_bytes, of=sum(piece.n_bytes for _, piece in slices))
    for source, piece in slices:
        for _, documents in read(source, piece):
            chosen = keyed_hash(stage_key(mixture.seed, _STAGE), *doc_words(documents)) <= bound
            kept = documents.filter(chosen & documents["problem"].is_null().to_numpy())
            languages = classify(kept, config=mixture.classify)["language"].to_pylist()
            rows = zip(languages, kept["repo"].to_pylist(), kept["path"].to_pylist(), kept["content"], strict=True)
            for language, repository, path, content in rows:
                yield LabelledText(language, repository or path, content.as_py())


def _of_files(paths: tuple[Path, ...], *, sample_bytes: int) -> Iterator[LabelledText]:
    import xxhash

    from pipeline.language.decide import classify_one
    from pipeline.sources.decode import BINARY, decode

    found = [(file, origin) for path in paths for file, origin in _files(path)]
    try:
        sizes = [file.stat().st_size for file, _ in found]
        kept = [(one, size) for one, size in zip(found, sizes, strict=True) if 0 < size <= MAX_FILE_BYTES]
        bound = _bound(sample_bytes, of=sum(size for _, size in kept))
        for (file, origin), _ in kept:
            if xxhash.xxh3_64_intdigest(file.as_posix().encode(errors="surrogateescape")) > bound:
                continue
            text = decode(file.read_bytes())
            if text.encoding != BINARY:
                language = classify_one(file.as_posix(), text.content).language
                yield LabelledText(language, origin, bytes(text.content))
    except OSError as error:
        raise StoreError(
            f"{error.filename}: cannot be read ({error.strerror}); give existing files or folders"
        ) from error


def _files(path: Path) -> Iterator[tuple[Path, str]]:
    """Files in order, each with what it is from; what starts with a dot (a checkout's .git) is passed over."""
    if not path.exists():
        raise ConfigError(f"{path}: there is no such file or folder; give a mixture, files or folders")
    if path.is_file():
        yield path, path.as_posix()
        return
    for file in sorted(path.rglob("*")):
        below = file.relative_to(path).parts
        if not any(part.startswith(".") for part in below) and file.is_file() and not file.is_symlink():
            yield file, (path / below[0]).as_posix()


def _bound(wanted: int, *, of: int) -> np.uint64:
    """The largest hash of a document that is taken, so that about `wanted` bytes are."""
    return np.uint64(2**64 - 1 if of <= wanted else 2**64 * wanted // of)
