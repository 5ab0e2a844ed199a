"""What decides the forms of documents, and the tokens of fill-in-the-middle."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.config import Partitioned
from pipeline.fields import Frac, Frozen
from pipeline.targets import Splits


class Forming(Partitioned):
    """All that decides table `forms`."""

    fim_rate: Frac = 0.0
    spm_rate: Frac = 0.0
    order: Literal["path", "imports"] | None = None  # of the files of a repository; None: they are no documents


class FillIn(Frozen):
    """All that decides the tokens of documents that are filled in, beside their tokenizer and their form."""

    splits: Splits
    max_tokens: Annotated[int, Field(ge=8)]  # of a piece: the length of a sequence
    at_lines: bool
    key: int  # of its random choices
