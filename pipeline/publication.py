"""The `publish` section of a mixture: what only its maker can say of it. It changes no table of a run."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipeline.fields import Frozen, License, SourceName

Line = Annotated[str, Field(min_length=1, max_length=500)]
# The kinds of sources that the EU's template of a summary of training content tells apart.
OriginKind = Literal["public", "licensed", "third_party", "crawled", "user_data", "synthetic", "other"]


def _check_url(value: str) -> str:
    if not value.startswith(("https://", "http://")) or any(c.isspace() or not c.isprintable() for c in value):
        raise ValueError(f"{value!r:.80} is no address of a page; it begins with https:// and holds no spaces")
    return value


def _check_date(value: str) -> str:
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{value!r:.80} is no date; write it as 2026-01-31") from None
    return value


Url = Annotated[Line, AfterValidator(_check_url)]
Day = Annotated[Line, AfterValidator(_check_date)]


class SourceOrigin(Frozen):
    """Where the documents of a source come from, as its maker says."""

    kind: OriginKind = Field(
        description="public: a data set anyone can get; licensed: by contract with rightsholders; third_party: from "
        "others, not public; crawled; user_data; synthetic; other"
    )
    url: Url | None = Field(None, description="where it can be found")
    description: Line | None = Field(None, description="what it is, in a sentence or two")


class Publication(Frozen):
    """What the papers in RUN/report say beside the numbers; what is not given stands in them as to be stated."""

    name: Line | None = Field(None, description="of the data set, as people read it; null: the mixture's name")
    creator: Line | None = Field(None, description="person or organisation that made it")
    contact: Line | None = Field(None, description="where its maker can be reached: post, e-mail or page")
    address: Url | None = Field(None, description="page where it is published")
    published: Day | None = Field(None, description="the day of that, as 2026-01-31")
    version: Line = Field("1.0.0", description="of the data set")
    license: License | None = Field(
        None, description="SPDX id of the collection as such; every document keeps its own licence"
    )
    origins: dict[SourceName, SourceOrigin] = Field(
        default_factory=dict, description="by source: what kind it is, and where"
    )
