"""A change is told with its key, both values and what is redone for it."""

from __future__ import annotations

from typing import Any

from pipeline.config import Columns, Mixture, NearDups, Source
from pipeline.engine.changes import MAX_CAUSES, what_changed
from pipeline.engine.stage import ExchangeStage, MapStage, Stage
from pipeline.fields import Frozen
from pipeline.filters import CodeRules, Quality
from pipeline.schema import DOCUMENTS, QUALITY, SELECT, TOKENS
from pipeline.targets import Balance, PoolBalance

CODE = Source(name="code", kind="directory", path="/data/code", pool="code")
TEXT = Source(name="text", kind="jsonl", path="/data/text.jsonl", pool="text")
BEFORE = Mixture(name="mine", sources=(CODE, TEXT))


def nothing(*_: Any, **__: Any) -> Any:
    raise AssertionError("no stage is run")


STAGES: list[Stage] = [
    ExchangeStage("documents", 2, nothing, Frozen()),
    MapStage(QUALITY, 1, nothing, Frozen(), ()),
    ExchangeStage("select", 3, nothing, Frozen(), (DOCUMENTS, QUALITY)),
    MapStage(TOKENS, 1, nothing, Frozen(), (), ((SELECT, ()),)),
]


def told(after: Mixture, *redone: str, versions: dict[str, int] | None = None, before: Any = BEFORE) -> str | None:
    """The line for a run of all `STAGES` in which those of `redone` have another fingerprint now."""
    entries = {s.name: {"fingerprint": "old", "version": (versions or {}).get(s.name, s.version)} for s in STAGES}
    manifest = {"stages": entries, "mixture": before.model_dump(mode="json") if isinstance(before, Mixture) else before}
    marks = {s.name: "new" if s.name in redone else "old" for s in STAGES}
    return what_changed(manifest, after, STAGES, marks=marks)


def with_(**parts: Any) -> Mixture:
    return BEFORE.model_copy(update=parts)


def test_nothing_is_told_where_nothing_changed() -> None:
    assert told(BEFORE) is None
    assert what_changed({"stages": {}}, BEFORE, STAGES, marks={s.name: "new" for s in STAGES}) is None


def test_a_setting_is_told_with_both_values_and_what_it_redoes() -> None:
    after = with_(quality=Quality(code=CodeRules(max_lines=400)))
    assert told(after, "quality", "select", "tokens") == (
        "redoing quality, select and tokens, because quality.code.max_lines changed from 100000 to 400"
    )


def test_every_setting_is_told() -> None:
    after = with_(
        seed=3,
        balance=Balance(code=PoolBalance(shares={"C": 1.0})),
        sources=(CODE.model_copy(update={"exclude": ("*.c",)}), TEXT.model_copy(update={"columns": Columns(path="p")})),
    )
    line = told(after, "documents")
    assert line is not None
    for said in (
        "redoing documents, because",
        "seed changed from 0 to 3",
        "balance.code.shares.C is set to 1.0",
        'sources.code.exclude is set to ["*.c"]',
        'sources.text.columns.path changed from null to "p"',
    ):
        assert said in line
    back = told(BEFORE, "documents", before=after)
    assert back is not None
    assert "balance.code.shares.C is no longer set (was 1.0)" in back


def test_sources_that_come_and_go_are_told_by_name() -> None:
    more = CODE.model_copy(update={"name": "more", "path": "/data/more"})
    line = told(with_(sources=(CODE, more)), "documents")
    assert line == "redoing documents, because sources.text is gone; sources.more is new"


def test_another_version_of_the_code_is_told() -> None:
    assert told(BEFORE, "select", "tokens", versions={"select": 2}) == (
        "redoing select and tokens, because loopmix makes select in version 3 now (was 2)"
    )


def test_what_stands_behind_a_name_is_told_where_the_name_stayed() -> None:
    assert told(BEFORE, "documents", "quality", "select", "tokens") == (
        "redoing documents, quality, select and tokens, because the input files changed"
    )
    assert told(BEFORE, "tokens") == "redoing tokens, because the tokenizer's file changed"


def test_a_change_that_redoes_nothing_is_told_too() -> None:
    after = with_(near_dups=NearDups(max_bucket_docs=65))
    assert told(after) == "changed since the last start: near_dups.max_bucket_docs changed from 64 to 65"


def test_a_setting_that_is_new_in_this_version_is_no_change() -> None:
    before = BEFORE.model_dump(mode="json")
    del before["near_dups"]["max_bucket_docs"]
    assert told(BEFORE, before=before) is None
    before["near_dups"]["gone_in_this_version"] = 1  # cannot be read as a mixture of today
    line = told(BEFORE, "select", before=before)
    assert line is not None
    assert "near_dups.gone_in_this_version is no longer set (was 1)" in line


def test_many_changes_end_in_their_number_and_long_values_are_cut() -> None:
    rules = CodeRules(min_chars=1)
    many = {f"L{i}": 1.0 for i in range(MAX_CAUSES + 3)}
    after = with_(quality=Quality(code=rules), balance=Balance(code=PoolBalance(shares=many)))
    line = told(after, "quality")
    assert line is not None
    assert line.endswith("; and 4 more")
    longer = told(with_(sources=(CODE.model_copy(update={"exclude": ("x" * 100,)}), TEXT)), "documents")
    assert longer is not None
    assert longer.endswith("x...")
