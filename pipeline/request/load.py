"""A mixture file, as everything else takes it: checked, names resolved, paths absolute."""

import posixpath
from pathlib import Path
from typing import Any

from pipeline.config import Mixture
from pipeline.errors import ConfigError
from pipeline.globs import is_text
from pipeline.request.contradictions import contradictions
from pipeline.request.names import names_of
from pipeline.yaml_file import YamlFile, build, read_yaml, refuse_other_kind


def load_mixture(path: Path) -> Mixture:
    """Read a mixture file; languages get linguist's names, paths become absolute, relative to the file.

    Raises ConfigError with every error and its line: wrong types and keys, names that nothing bears, and, once there
    are none of these, what no input could meet. Looks at no input.
    """
    file = read_yaml(path)
    refuse_other_kind(file, wanted="a mixture")
    return _checked(file, base=path.resolve().parent)


def mixture_of(data: Any, *, base: Path, where: str) -> Mixture:
    """The same of `data` that come from no file, which errors call `where`; relative paths start at `base`."""
    return _checked(YamlFile(where, data), base=base)


def _checked(file: YamlFile, *, base: Path) -> Mixture:
    names = names_of(file.data)
    resolved = YamlFile(file.path, names.resolve(Mixture, file.data), file.root)
    mixture = build(Mixture, resolved, more=names.problems)
    file.refuse(contradictions(mixture))
    return with_paths(mixture, base=str(base))


def with_sample(mixture: Mixture, rate: float | None) -> Mixture:
    """The same mixture over a sample of its input; as it is where no rate is given. ConfigError for no share of it."""
    if rate is None:
        return mixture
    if not 0 < rate < 1:  # not a number is neither below nor above, and passes the check of an option
        raise ConfigError(f"--sample: {rate} is no share of the input; write a number above 0 and below 1")
    return mixture.model_copy(update={"ingest": mixture.ingest.model_copy(update={"sample": rate})})


def with_paths(mixture: Mixture, *, base: str) -> Mixture:
    """The same mixture with its relative paths taken from the folder `base`. ConfigError where its name is no UTF-8."""
    if not is_text(base):  # what a run is made of is JSON, which holds no such name
        raise ConfigError(f"{base}: a byte of this folder's name is no UTF-8; rename it")
    sources = tuple(s.model_copy(update={"path": absolute(s.path, base=base)}) for s in mixture.sources)
    against = tuple(a.model_copy(update={"path": absolute(a.path, base=base)}) for a in mixture.against)
    tokenizer = mixture.tokenizer
    if tokenizer.path != "builtin":
        tokenizer = tokenizer.model_copy(update={"path": absolute(tokenizer.path, base=base)})
    scorers = tuple(s.model_copy(update={"path": absolute(s.path, base=base)}) for s in mixture.quality.scorers)
    quality = mixture.quality.model_copy(update={"scorers": scorers})
    new = {"sources": sources, "against": against, "tokenizer": tokenizer, "quality": quality}
    return mixture.model_copy(update=new)


def absolute(path: str, *, base: str) -> str:
    """`path` from `base`; URLs with a scheme and absolute paths stay as they are."""
    if not path or "://" in path or posixpath.isabs(path):
        return path
    return posixpath.normpath(posixpath.join(base, path))
