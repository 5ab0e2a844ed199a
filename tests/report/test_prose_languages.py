"""The report's table of natural languages, from a run written by hand."""

from pathlib import Path

from hand_run import SHARDS, Doc, hand_run

from pipeline.reading.work import working
from pipeline.report import write_report
from pipeline.report.count_prose import count_prose
from pipeline.report.numbers import ProseLanguage

TEXTS = (
    Doc("a.md", "Text", 100_000, n_tokens=30, n_copies=2, source="prose", prose_language="en"),
    Doc("b.md", "Text", 50_000, source="prose", reasons=("few_words",), prose_language="en"),
    Doc("c.md", "Text", 60_000, n_tokens=20, source="prose", prose_language="zh-Hant"),
    Doc("d.md", "Text", 10, n_tokens=5, cut=3, source="prose"),
)


def test_languages_are_those_of_the_text_pool_most_bytes_first(tmp_path: Path) -> None:
    run = hand_run(tmp_path, shards=((*SHARDS[0], *TEXTS[:2]), (*SHARDS[1], *TEXTS[2:])))
    with working() as work:
        found = count_prose(run, work)
    assert found[:2] == (
        ProseLanguage("en", n_docs=2, n_bytes=150_000, n_kept_docs=1, n_kept_tokens=30, n_packed_tokens=60),
        ProseLanguage("zh-Hant", n_docs=1, n_bytes=60_000, n_kept_docs=1, n_kept_tokens=20, n_packed_tokens=0),
    )
    # All other texts of the run have none.
    others = [doc for shard in SHARDS for doc in shard if doc.language == "Text"]
    unsure = found[-1]
    assert (unsure.code, unsure.n_docs, unsure.n_bytes) == ("", len(others) + 1, sum(d.n_bytes for d in others) + 10)


def test_the_page_shows_them(tmp_path: Path) -> None:
    page = Path(write_report(hand_run(tmp_path))[1]).read_text(encoding="utf-8")
    assert "Natural languages of the text pool" in page and "(unsure)" in page
