"""The `quality` section of a mixture: what is measured about documents, and which rules judge it.

Measuring is dear and judging is not, so the two are apart: `Measuring` decides the bytes of table `quality`, all else
those of `judged`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipeline.features import EXTRA, FEATURES, MARK, MARKS, SetName
from pipeline.fields import Count, Frac, Frozen, Language, Option

# The sets that ship: one file each in `rules/sets`.
Reason = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", max_length=64)]


class Condition(Frozen):
    """A feature on one side of a number; a value that equals it, or was not measured, meets nothing."""

    feature: str = Field(description="a column of `quality`, mark.NAME, or extra.NAME of a plug-in or scorer")
    above: float | None = Field(None, description="met above it")
    below: float | None = Field(None, description="met below it")

    @model_validator(mode="after")
    def _is_one_side(self) -> Condition:
        known = {*FEATURES, *(MARK + name for name in MARKS)}
        if self.feature not in known and not self.feature.startswith(EXTRA):
            raise ValueError(f"{self.feature!r} is no feature; `loopmix rules --features` lists them")
        if (self.above is None) == (self.below is None):
            raise ValueError(f"give one of `above` and `below` for {self.feature}")
        return self

    @property
    def side(self) -> Literal["above", "below"]:
        return "above" if self.above is not None else "below"

    @property
    def limit(self) -> float:
        limit = self.above if self.above is not None else self.below
        assert limit is not None
        return limit

    def is_met(self, value: Any) -> Any:
        """Whether a number, or which of an array of numbers, meet it; NaN meets nothing."""
        return value > self.limit if self.side == "above" else value < self.limit


class Rule(Condition):
    """Drop a document, with this reason, where the condition is met, and all of `when` are too."""

    reason: Reason = Field(description="what the ledger says; rules of one reason may be several")
    pool: Literal["code", "text"] | None = Field(None, description="null: both")
    languages: tuple[Language, ...] = Field((), description="only documents in these; none: in all")
    exempt: tuple[Language, ...] = Field((), description="not documents in these")
    when: tuple[Condition, ...] = Field((), description="further conditions")
    keep_frac: Frac = Field(0.0, description="share of those it hits that stays, keyed by their bytes")
    source: str = Field("this mixture", description="whose rule it is")
    why: str = Field("", description="what it is good for, in a sentence")


class CodeRules(Frozen):
    """Thresholds of code rules; a document that crosses one is dropped. Sources stand in `rules/sets/loopmix.yaml`."""

    min_chars: int = Field(50, description="characters")
    max_lines: int = Field(100_000, description="lines")
    max_line_chars: int = Field(
        1_000,
        description="longest line, where most text stands in long lines; markup and data languages have their own",
    )
    max_mean_line_chars: float = Field(150, description="mean line; markup and data languages are exempt")
    max_markup_line_chars: int = Field(100_000, description="longest line in markup and data languages")
    min_alpha_frac: Frac = Field(0.25, description="letters among visible characters")
    max_encoded_frac: Frac = Field(0.5, description="characters in base64, hex or escape runs")
    max_encoded_run_chars: int = Field(1_024, description="longest such run")
    max_data_lines: int = Field(512, description="lines of JSON, YAML, plain data")
    max_duplicate_line_frac: Frac = Field(0.9, description="characters in lines seen before in the file")
    max_parse_error_frac: Frac = Field(
        1.0, description="visible bytes in syntax errors, where a grammar is at hand; 1: the rule is off"
    )


class TextRules(Frozen):
    """Thresholds of prose rules. Sources stand in `rules/sets/loopmix.yaml`."""

    min_words: int = Field(30, description="words; letters in scripts without spaces")
    max_words: int = Field(1_000_000, description="words")
    min_mean_word_chars: float = Field(2, description="mean word")
    max_mean_word_chars: float = Field(25, description="mean word, those that hold an address aside")
    max_symbol_word_frac: Frac = Field(0.1, description="hashtags or ellipses for each word")
    min_alpha_word_frac: Frac = Field(0.4, description="words with at least one letter")
    max_bullet_line_frac: Frac = Field(0.9, description="lines that begin with a bullet")
    max_ellipsis_line_frac: Frac = Field(0.5, description="lines that end in an ellipsis")
    max_duplicate_line_frac: Frac = Field(0.5, description="characters in lines of prose seen before in the document")
    max_line_chars: int = Field(100_000, description="longest line")


# Those that give the same verdict everywhere and ask nobody: others fetch lists and models, draw, or run code.
DatatroveFilter = Literal[
    "C4ParagraphFilter",
    "C4QualityFilter",
    "FineWebQualityFilter",
    "GopherQualityFilter",
    "GopherRepetitionFilter",
    "RegexFilter",
]


class Scorer(Frozen):
    """A model of your own that gives documents a number, which rules ask for as extra.NAME."""

    name: Reason = Field(description="the score is extra.NAME")
    kind: Literal["fasttext", "onnx", "datatrove"] = Field(
        description="fastText classifier; a model in ONNX that takes text; a filter of datatrove: 1 where it drops"
    )
    path: str = Field("", description="fasttext, onnx: local file, relative to the mixture file; on Ray on every node")
    filter: DatatroveFilter | None = Field(None, description="datatrove: the filter's class")
    options: dict[str, Option] = Field(default_factory=dict, description="datatrove: the filter's arguments")
    label: str | Annotated[int, Field(ge=0)] | None = Field(
        None, description="fasttext: the label whose probability it is; onnx: number of the output's column"
    )
    pool: Literal["code", "text"] | None = Field(None, description="only documents of this pool; null: of both")
    languages: tuple[Language, ...] = Field((), description="only documents in these; none: in all")
    max_chars: Count = Field(100_000, description="characters that it reads from the start")
    max_tokens: Count = Field(512, description="onnx with token ids: tokens that it reads from the start")
    batch: Count = Field(32, description="documents that go through the model at once")

    @model_validator(mode="after")
    def _label_fits(self) -> Scorer:
        if "://" in self.path:
            raise ValueError(f"{self.path} is no local file; copy the model to where every machine has it")
        if (self.kind == "datatrove") != (self.filter is not None) or (self.options and self.filter is None):
            raise ValueError("`filter` and `options` belong to scorers of kind datatrove, which need `filter`")
        if (self.kind == "datatrove") == bool(self.path):
            raise ValueError("a model needs `path`, and a filter of datatrove has none")
        if self.kind == "datatrove" and self.label is not None:
            raise ValueError("`label` belongs to models; a filter of datatrove has none")
        if self.kind == "fasttext" and not isinstance(self.label, str):
            raise ValueError(f"a fastText scorer needs the name of a label, not {self.label!r}")
        if self.kind == "onnx" and isinstance(self.label, str):
            raise ValueError(f"`label` of an ONNX scorer is the number of a column, from 0, not {self.label!r}")
        return self


def _as_word(value: object) -> object:
    """`parse` was a switch."""
    return {True: "all", False: "off"}.get(value, value) if isinstance(value, bool) else value


class Measuring(Frozen):
    """All that decides table `quality`."""

    plugins: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="entry points in loopmix.features of installed packages; their columns are extra.COLUMN"
    )
    scorers: tuple[Scorer, ...] = Field((), description="models of your own that score documents")

    parse: Annotated[Literal["sample", "all", "off"], BeforeValidator(_as_word)] = Field(
        "sample",
        description="code that tree-sitter parses, where a grammar is at hand: some documents for the report, all "
        "(most of the time), or none",
    )
    parse_sample_frac: Frac = Field(
        0.05, description="share of the documents that parse: sample parses, keyed by their bytes"
    )
    max_parse_bytes: Count = Field(65_536, description="larger files are not parsed")

    @model_validator(mode="after")
    def _scores_are_apart(self) -> Measuring:
        names = [scorer.name for scorer in self.scorers]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two scorers are called {twice[0]!r}, and extra.{twice[0]} is one number")
        return self


class Quality(Measuring):
    """Measure every document, then judge it: what a rule fires on is dropped."""

    sets: tuple[SetName, ...] = Field(("loopmix",), description="rule sets that judge; `loopmix rules` shows them")
    without: tuple[Reason, ...] = Field((), description="reasons of rules that do not judge")
    limits: dict[Reason, float] = Field(
        default_factory=dict, description="other limits for rules of the sets, by reason: {long_line: 2000}"
    )
    code: CodeRules = Field(default_factory=CodeRules, description="limits of set loopmix for the code pool")
    text: TextRules = Field(default_factory=TextRules, description="limits of set loopmix for the text pool")
    rules: tuple[Rule, ...] = Field((), description="rules of your own")

    def measuring(self) -> Measuring:
        """The part that decides table `quality`."""
        return Measuring(**{name: getattr(self, name) for name in Measuring.model_fields})
