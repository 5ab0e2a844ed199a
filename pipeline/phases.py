"""The `phases` section of a mixture: parts of one training, each with tokens, ratio, shares and documents of its own.

Everything is said by pool, as `code` and `text`: a ratio written as 1:1 would be a number of base sixty to YAML.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from pipeline.features import EXTRA, FEATURES
from pipeline.fields import Count, Frozen, Known, Name, SeqLen

Shares = dict[Annotated[str, Known("group", others=True)], Annotated[float, Field(gt=0)]]
MAX_PHASES = 9  # their folders are numbered by one digit, so that they sort as they follow each other


class Ratio(Frozen):
    """Tokens of code : tokens of text."""

    code: Count = Field(1, description="parts of code")
    text: Count = Field(1, description="parts of text")


class PhaseShares(Frozen):
    """Wanted shares of each pool."""

    code: Shares | None = Field(None, description="relative weights of languages; null: those of balance.code")
    text: Shares | None = Field(None, description="relative weights of sources; null: those of balance.text")


class MinQuality(Frozen):
    """What a document must reach to enter."""

    code: dict[str, float] = Field(
        default_factory=dict, description="least value by feature, {extra.score: 0.5}; not measured is below every one"
    )
    text: dict[str, float] = Field(default_factory=dict, description="the same of text")

    @field_validator("code", "text")
    @classmethod
    def _are_features(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if name not in FEATURES and not name.startswith(EXTRA):
                raise ValueError(f"{name!r} is no feature; `loopmix rules --features` lists them")
        return value

    def of(self, pool: str) -> dict[str, float]:
        """The least values of one pool."""
        return self.code if pool == "code" else self.text


class Phase(Frozen):
    """One phase: sequences of its own, balanced in every prefix."""

    name: Name = Field(description="its folder below `packed`, and what reports call it")
    tokens: Count | None = Field(None, description="its tokens, code and text together; null: as many as are left")
    ratio: Ratio | None = Field(None, description="code:text; null: that of balance")
    shares: PhaseShares = Field(default_factory=PhaseShares)
    min_quality: MinQuality = Field(default_factory=MinQuality)
    min_tokens: Count | None = Field(None, description="shorter documents do not enter; null: no bound")
    seq_len: SeqLen | None = Field(None, description="tokens of a sequence; null: pack.seq_len")
