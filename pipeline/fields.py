"""What fields of a mixture are made of: the strict base of all its models, and the types that several of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipeline.globs import check_pattern, check_patterns

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)]
Glob = Annotated[str, AfterValidator(check_pattern)]
Globs = Annotated[tuple[str, ...], AfterValidator(check_patterns)]


@dataclass(frozen=True)
class Known:
    """Marks text that must be one of a known set of names. `request/names.py` checks it, and resolves aliases."""

    of: Literal["language", "source", "group", "license", "secret"]  # group: of `code` a language, of `text` a source
    others: bool = False  # `others` is allowed too


Language = Annotated[str, Known("language")]
# Formats that may hold prose between their tags, keys and times; each stands for its family in linguist's list.
ProseFormat = Literal["CSV", "HTML", "JSON", "SubRip Text", "TSV", "WebVTT", "XML", "YAML"]
PROSE_FORMATS: tuple[ProseFormat, ...] = get_args(ProseFormat)


def _check_prose_language(code: str) -> str:
    import pycld2  # a library of two megabytes that most commands never need

    if code not in {known for _, known in pycld2.LANGUAGES}:
        raise ValueError(f"{code!r} is no natural language that can be told; codes are ISO 639's, as en, pt or zh-Hant")
    return code


ProseLanguage = Annotated[str, AfterValidator(_check_prose_language)]
SourceName = Annotated[str, Known("source")]
License = Annotated[str, Known("license")]
Option = str | int | float | bool | None
Frac = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
SeqLen = Annotated[int, Field(ge=8, le=2**31 - 1)]  # places in a sequence are 32-bit numbers


class Frozen(BaseModel):
    """Base of all configuration models: immutable, strict, closed."""

    # Built when it is first used: most are only part of another, and no command uses them all.
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False, defer_build=True)
