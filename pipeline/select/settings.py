"""What decides `select`: part of its fingerprint, without what makes the table."""

from pydantic import Field

from pipeline.config import Select
from pipeline.fields import Count, Frozen


class BenchmarkLimits(Frozen):
    """The two limits of one benchmark; either suffices."""

    name: str
    min_telling_words: int
    min_contained_frac: float


class Selection(Select):
    """All that decides `select`."""

    n_partitions: Count
    n_pair_shards: int  # of `near_dups`
    min_similarity: float  # between members of crowds, whose pairs stand in no table
    benchmarks: tuple[BenchmarkLimits, ...] = ()
    rules: tuple[str, ...] = ()  # reasons of the rules that judge, in the order in which they are listed
    drops: dict[str, str] = Field(default_factory=dict)  # kinds of finds that drop their document, with the reason
