"""A fastText classifier as a scorer: the probability of one label."""

from functools import lru_cache
from typing import Any

import numpy as np

from pipeline.errors import ConfigError, first_of

_PREFIX = "__label__"
_ALL = -1  # labels


@lru_cache(maxsize=4)  # models are gigabytes; a process loads each once
def load_fasttext(path: str, file_hash: str, label: str) -> tuple[Any, str]:
    """The model of a file whose SHA-256 is `file_hash`, and the label as it writes it, with or without its prefix.

    ConfigError if the library is missing, the file is no model, or it has no such label.
    """
    try:
        import fasttext
    except ModuleNotFoundError as error:
        raise ConfigError("fastText models need `fasttext-predict`: pip install 'loopmix[scorers]'") from error
    try:
        model = fasttext.load_model(path)
        labels, _ = model.predict("a", k=_ALL)
    except ValueError as error:
        raise ConfigError(f"{path}: is no fastText classifier: {error}") from error
    for name in (label, _PREFIX + label):
        if name in labels:
            return model, name
    raise ConfigError(f"{path}: has no label {label!r}; it has {first_of(sorted(labels), most=10)}")


def fasttext_scores(model: Any, texts: list[str], *, label: str) -> np.ndarray:
    """The probability of `label` for each text, float64 [n] in [0, 1]; a text is one line to fastText."""
    # One by one: fastText has no batches, and the list form of this library cannot unpack what it gets.
    predicted = (model.predict(text.replace("\n", " "), k=_ALL) for text in texts)
    found = [dict(zip(names, values, strict=True)).get(label, 0.0) for names, values in predicted]
    # fastText adds 1e-5 to a probability before it takes its logarithm, so certainty comes back above 1.
    return np.clip(np.array(found, np.float64), 0.0, 1.0)
