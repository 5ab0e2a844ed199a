"""Scorers: models of one's own that give each document a number, loaded once a process and run in batches."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import ConfigError, LoopmixError, StageError, no_file
from pipeline.filters import Scorer
from pipeline.quality.datatrove_filter import load_filter, verdicts, versions_here
from pipeline.quality.fasttext_model import fasttext_scores, load_fasttext
from pipeline.quality.onnx_model import TOKENIZER, load_onnx, onnx_scores


def hash_of(scorer: Scorer) -> str:
    """SHA-256 of the model's file, and of the tokenizer beside an ONNX one; of a filter the versions of its packages.
    ConfigError for what is not there."""
    if scorer.kind == "datatrove":
        return _versions(scorer)
    digest = hashlib.sha256()
    files = [Path(scorer.path)]
    beside = Path(scorer.path).with_name(TOKENIZER)
    if scorer.kind == "onnx" and beside.is_file():
        files.append(beside)
    for file in files:
        if said := no_file(file):
            raise ConfigError(f"{_where(scorer)}: {file} {said}")
        try:
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
        except OSError as error:
            raise ConfigError(f"{_where(scorer)}: {file} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


# Filters go through it to their end, so that what they need is missed now: lines that differ and end as sentences do.
_PROBE = "\n".join(f"Line number {i} says something else about {i * 7} of the things." for i in range(20))


def check(scorer: Scorer, *, file_hash: str) -> None:
    """Load the model and put one text to it. ConfigError for what cannot be scored with."""
    try:
        _score(scorer, [_PROBE], file_hash=file_hash)
    except LoopmixError as error:
        raise ConfigError(f"{_where(scorer)}: {error}") from error


def scores_of(scorer: Scorer, texts: Sequence[bytes], *, file_hash: str) -> np.ndarray:
    """The score of each text, float64 [n]. ConfigError if the file is another than at the start; StageError for NaN.

    Texts go through the model ordered by length, so that those of a batch need little padding; what a batch holds
    follows from the shard alone, so the numbers do not depend on who works on it.
    """
    if scorer.kind == "datatrove":
        if (here := _versions(scorer)) != file_hash:
            raise ConfigError(
                f"{_where(scorer)}: {here} are installed here and {file_hash} were at the start; install the same on "
                "every machine"
            )
    elif _hash_here(scorer) != file_hash:
        raise ConfigError(
            f"{_where(scorer)}: {scorer.path} is another file than at the start: it changed while the run was made, or "
            "differs between machines; run the same command again"
        )
    cut = [_characters(text, most=scorer.max_chars) for text in texts]
    order = sorted(range(len(cut)), key=lambda i: (len(cut[i]), i))
    found = np.zeros(len(cut), np.float64)
    for start in range(0, len(order), scorer.batch):
        rows = order[start : start + scorer.batch]
        try:
            found[rows] = _score(scorer, [cut[i] for i in rows], file_hash=file_hash)
        except StageError as error:
            raise StageError(f"{_where(scorer)}: {error}") from error
    if wrong := int((~np.isfinite(found)).sum()):
        raise StageError(f"{_where(scorer)}: gives NaN or infinity for {wrong} of {len(cut)} documents")
    return found


def _characters(text: bytes, *, most: int) -> str:
    """The first characters; a character has at most four bytes, so the rest is not decoded."""
    return text[: 4 * most].decode("utf-8", errors="replace")[:most]


def _score(scorer: Scorer, texts: list[str], *, file_hash: str) -> np.ndarray:
    if scorer.kind == "fasttext":
        model, label = load_fasttext(scorer.path, file_hash, str(scorer.label))
        return fasttext_scores(model, texts, label=label)
    if scorer.kind == "datatrove":
        return verdicts(load_filter(scorer), texts)
    column = scorer.label
    assert column is None or isinstance(column, int)
    return onnx_scores(load_onnx(scorer.path, file_hash, scorer.max_tokens), texts, column=column)


def _versions(scorer: Scorer) -> str:
    try:
        return versions_here()
    except ConfigError as error:
        raise ConfigError(f"{_where(scorer)}: {error}") from error


_SEEN: dict[tuple[str, int, int], str] = {}


def _hash_here(scorer: Scorer) -> str:
    """The hash of the file as it is on this machine, read again only when its size or time changed."""
    try:
        stat = Path(scorer.path).stat()
    except OSError as error:
        raise ConfigError(f"{_where(scorer)}: {scorer.path} cannot be read: {error.strerror}") from error
    key = (scorer.path, stat.st_size, stat.st_mtime_ns)
    if key not in _SEEN:
        _SEEN[key] = hash_of(scorer)
    return _SEEN[key]


def _where(scorer: Scorer) -> str:
    return f"quality.scorers.{scorer.name}"
