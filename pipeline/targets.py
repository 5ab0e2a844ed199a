"""What a mixture wants of its tokens: pools and shares, how often documents may appear, their form, and sequences."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.fields import Count, Frac, Frozen, Known, SeqLen

Weight = Annotated[float, Field(ge=0)]
CappedMark = Literal["changelog", "documentation", "test_data", "vendored"]  # marks that drop nothing by themselves


class UniMax(Frozen):
    """As equal shares as the tokens allow: the smallest group first, none read more than `max_epochs` times.

    Chung et al. 2023 (arXiv 2304.09151).
    """

    max_epochs: Count = Field(4, description="how often a document of this pool may appear, instead of max_copies")


class PoolBalance(Frozen):
    """What one pool contributes."""

    parts: Count = Field(1, description="this pool's part of the ratio code:text, in tokens")
    shares: dict[Annotated[str, Known("group", others=True)], Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="wanted share per group, relative weights; `others` stands for all groups not named; "
        "empty: natural shares",
    )
    temperature: Frac | None = Field(
        None,
        description="exponent a: groups without a share of their own share as n ** a of their tokens n; "
        "null or 1: in proportion to them, 0: equally",
    )
    unimax: UniMax | None = Field(
        None, description="groups without a share of their own share as equally as max_epochs readings of each allow"
    )
    max_frac: dict[Annotated[str, Known("group")], Frac] = Field(
        default_factory=dict, description="upper bound of a group within the pool"
    )
    max_repo_frac: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="most that one repository gives of the pool's packed tokens; null: no cap"
    )
    max_mark_frac: dict[CappedMark, Frac] = Field(
        default_factory=dict,
        description="most that all documents of a mark give of them: {vendored: 0.05, test_data: 0.02}",
    )

    @model_validator(mode="after")
    def _one_rule(self) -> PoolBalance:
        if self.unimax is not None and self.temperature is not None:
            raise ValueError("unimax and temperature both say how groups share; take one of them out")
        return self

    @property
    def exponent(self) -> float:
        """The exponent by which groups without a share of their own share; 1: natural shares."""
        if self.unimax is not None:
            return 0.0
        return 1.0 if self.temperature is None else self.temperature


class SamplePool(Frozen):
    """What one pool gives to the sample that a tokenizer learns from; the words are those of `balance`, in bytes."""

    parts: Count = Field(1, description="this pool's part of the ratio code:text, in bytes")
    shares: dict[Annotated[str, Known("group", others=True)], Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="wanted share per group, relative weights; `others`: all groups not named; empty: by size",
    )
    temperature: Frac | None = Field(
        None,
        description="exponent a: groups without a share of their own share as n ** a of their bytes n; "
        "null or 1: in proportion to them, 0: equally",
    )
    max_repo_frac: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="most that one repository gives of the pool's bytes; null: no cap"
    )
    max_document_bytes: Count = Field(
        50_000,
        description="of a longer document its beginning; what is beyond 50,000 bytes counts as a text of its own",
    )


class TokenizerSample(Frozen):
    """What `loopmix train-tokenizer` learns from."""

    code: SamplePool = Field(default_factory=SamplePool)
    text: SamplePool = Field(default_factory=SamplePool)


class Balance(Frozen):
    """Exact token budgets. Text and code meet `parts` to the token, over the run and in every prefix."""

    code: PoolBalance = Field(default_factory=PoolBalance, description="groups are languages")
    text: PoolBalance = Field(default_factory=PoolBalance, description="groups are sources")
    total_tokens: Count | None = Field(None, description="budget of the mixture; null: as much as the pools allow")
    exact_shares: bool = Field(
        False, description="refuse a mixture that cannot give each group its share; else others fill up what it lacks"
    )
    max_copies: Count = Field(1, description="how often a document may appear; above 4 repeats stop helping")
    max_group_epochs: Annotated[float, Field(gt=0)] = Field(
        16, description="a group that would be read more often than this stops the run"
    )

    @property
    def caps(self) -> list[str]:
        """The keys below `balance` that cap a repository or a mark."""
        both = (("code", self.code), ("text", self.text))
        return [
            f"{name}.{cap}" for name, pool in both for cap in ("max_repo_frac", "max_mark_frac") if getattr(pool, cap)
        ]

    def copies_of(self, pool: PoolBalance) -> int:
        """How often a document of a pool may appear."""
        return self.max_copies if pool.unimax is None else pool.unimax.max_epochs


class Splits(Frozen):
    """Where documents are taken apart, as relative weights. What cannot be done falls back to the kind before it."""

    random: Weight = Field(1.0, description="at two random characters")
    line: Weight = Field(1.0, description="at the bounds of random lines")
    syntax: Weight = Field(
        1.0, description="at the bounds of a random node of the syntax tree, where a grammar is at hand"
    )

    @model_validator(mode="after")
    def _some(self) -> Splits:
        if self.random + self.line + self.syntax == 0:
            raise ValueError("all weights are 0; give at least one kind of split a weight")
        return self


class Fim(Frozen):
    """Fill in the middle: documents of code as prefix, suffix, middle (PSM) or suffix, prefix, middle (SPM).

    Bavarian et al. 2022 (arXiv 2207.14255); SPM is its variant 2. A document longer than a sequence is taken apart
    piece by piece, so that no piece is ever cut.
    """

    rate: Frac = Field(0.5, description="share of each group's documents that take this form, exact to one document")
    spm_rate: Frac = Field(0.5, description="share of those that are SPM, as exact; the others are PSM")
    splits: Splits = Field(default_factory=Splits)


class Repositories(Frozen):
    """Repository documents: the files of a repository side by side in a sequence, where they attend to each other."""

    order: Literal["path", "imports"] = Field(
        "imports", description="imports: a file behind those that it imports, near them; path: by their paths"
    )


class Forms(Frozen):
    """How documents are written as tokens; counted by the balance as they are written."""

    fim: Fim | None = Field(None, description="null: each document from its start to its end")
    repositories: Repositories | None = Field(None, description="null: each file is a document of its own")

    @property
    def any(self) -> bool:
        """Whether some documents are not simply written from their start to their end."""
        return self.fim is not None or self.repositories is not None


class Pack(Frozen):
    """Fixed-length sequences by best fit, documents never mixed across pools."""

    seq_len: SeqLen = Field(4096, description="tokens of a sequence")
    cut_at: Literal["token", "line"] = Field(
        "token",
        description="where a document longer than a sequence is cut; line: behind the last line end in the last "
        "quarter of a sequence, where there is one",
    )
    n_shards: Count | None = Field(
        None, description="output shards, each a contiguous slice of the stream; null: one for 128 MB of input"
    )
    n_partitions: Count | None = Field(
        None,
        description="independent packing problems of a pool, at least; bounds the memory of one task; null: one for "
        "512 MB of input",
    )
    global_batch: Count | None = Field(
        None, description="sequences of a training step that must not hold a document twice; null: not promised"
    )
