"""How languages were decisions: counted by hand on the small run, and against plain Python on a large one."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import pytest
from hand_run import SHARDS, Doc, hand_run, renamed
from handmade import doc_id

from pipeline.engine.run_folder import RunFiles
from pipeline.language.names import disagrees
from pipeline.reading.work import working
from pipeline.report import write_report
from pipeline.report.compute import compute
from pipeline.report.count_decisions import N_BORDER, N_MISNAMED, N_PAIRS, count_decisions
from pipeline.report.count_formats import MAX_PATH_CHARS
from pipeline.report.downloads import png_script
from pipeline.report.formats import DECIDED_WORDS, NAMED_RULES
from pipeline.report.language_decisions import Disagreement, LanguageDecisions

RULES = tuple(DECIDED_WORDS)
NAMES = (
    ("Python", ".py"),
    ("C", ".h"),
    ("C++", ".h"),
    ("Rust", ".rs"),
    ("Markdown", ".md"),
    ("Text", ".txt"),
    ("Go", ""),
)
KINDS = ("code", "code", "code", "prose", "data", "binary", "empty")


def many(seed: int, *, n: int = 400) -> tuple[tuple[Doc, ...], ...]:
    """The small run's shards with `n` more documents each; confidences are 64ths, so that sums are exact."""
    draw = random.Random(seed)

    def doc(shard: int, i: int) -> Doc:
        language, extension = draw.choice(NAMES)
        behind = draw.randint(0, 63)
        ranked = draw.random() < 0.6
        return Doc(
            f"more/{shard}/{i}{extension}",
            language,
            draw.randint(1, 999),
            n_tokens=draw.randint(1, 99),
            reasons=("long_line",) if draw.random() < 0.3 else (),
            decided_by=draw.choice(RULES),
            confidence=draw.randint(behind, 64) / 64,
            runner_up=(draw.choice(NAMES)[0], behind / 64) if ranked else None,
            content_kind=draw.choice(KINDS),
        )

    return tuple((*docs, *(doc(shard, i) for i in range(n))) for shard, docs in enumerate(SHARDS))


def decisions(run: RunFiles) -> LanguageDecisions:
    with working() as work:
        return count_decisions(run, work)


@pytest.fixture(scope="module")
def decided(tmp_path_factory: pytest.TempPathFactory) -> LanguageDecisions:
    return decisions(hand_run(tmp_path_factory.mktemp("small")))


@pytest.fixture(scope="module")
def docs() -> list[Doc]:
    return [doc for shard in many(1) for doc in shard]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> LanguageDecisions:
    return decisions(hand_run(tmp_path_factory.mktemp("large"), shards=many(1)))


def test_decisions_when_counted_by_hand(decided: LanguageDecisions) -> None:
    found = [(d.decided_by, d.pool, d.n_docs, d.n_bytes, d.n_kept_tokens, d.mean_confidence) for d in decided.decisions]
    assert found == [
        ("extension", "code", 5, 320, 16, 1.0),
        ("classifier", "code", 1, 60, 7, 0.5),
        ("hint", "text", 1, 80, 12, 1.0),
        ("none", "code", 1, 10, 0, 0.25),
        ("prose", "text", 1, 20, 8, 0.75),
    ]


def test_confidences_when_counted_by_hand(decided: LanguageDecisions) -> None:
    bins = decided.confidences
    assert (len(bins), bins[0].low, bins[3].low, bins[-1].high) == (20, 0.0, 0.15, 1.0)
    assert {b.low: (b.n_docs, b.n_bytes) for b in bins if b.n_docs} == {0.25: (1, 10), 0.5: (1, 60), 0.75: (1, 20)}
    assert {b.low: (b.n_path_docs, b.n_path_bytes) for b in bins if b.n_path_docs} == {0.95: (6, 400)}


def test_confidences_when_they_lie_on_edges_count_upwards(tmp_path: Path) -> None:
    shards = tuple(
        tuple(Doc(f"{shard}/{i}", "C", 1, decided_by="classifier", confidence=i / 20) for i in range(21))
        for shard in (0, 1)
    )
    shards = tuple((*small, *more) for small, more in zip(SHARDS, shards, strict=True))
    bins = decisions(hand_run(tmp_path, shards=shards)).confidences
    own = {0.25: 1, 0.5: 1, 0.75: 1}
    assert [b.n_docs - own.get(b.low, 0) for b in bins] == [2] * 19 + [4]


def test_confusions_when_counted_by_hand(decided: LanguageDecisions) -> None:
    found = [
        (c.language, c.runner_up, c.n_docs, c.n_close_docs, c.n_close_bytes, c.mean_margin) for c in decided.confusions
    ]
    assert found == [("Python", "Cython", 1, 1, 60, 0.125), ("Unknown", "C", 1, 1, 10, 0.125)]
    assert (decided.n_ranked_docs, decided.n_close_docs, decided.n_close_pairs) == (2, 2, 2)


def test_confusions_when_the_margin_is_exactly_the_limit_are_close(tmp_path: Path) -> None:
    close, far = {"confidence": 0.8, "runner_up": ("C", 0.5)}, {"confidence": 0.8, "runner_up": ("C", 0.49)}
    found = decisions(hand_run(tmp_path, shards=renamed(a=close, c=far)))
    assert 0.8 - 0.5 > 0.3  # as floats count it
    pairs = {(c.language, c.runner_up): c.n_close_docs for c in found.confusions}
    assert pairs == {("Python", "C"): 1, ("Python", "Cython"): 1, ("Unknown", "C"): 1}  # no JavaScript
    assert (found.n_ranked_docs, found.n_close_docs) == (4, 3)


def test_border_when_counted_by_hand_holds_kept_documents_that_content_decided(decided: LanguageDecisions) -> None:
    found = [
        (u.path, u.language, u.confidence, u.decided_by, u.runner_up, u.runner_up_confidence) for u in decided.border
    ]
    assert found == [
        ("src/g.py", "Python", 0.5, "classifier", "Cython", 0.375),
        ("h.txt", "Text", 0.75, "prose", None, None),
    ]


def test_disagreements_when_counted_by_hand(decided: LanguageDecisions) -> None:
    found = [
        (
            d.name_says,
            d.content_kind,
            d.n_docs,
            d.n_bytes,
            d.n_kept_docs,
            d.n_kept_tokens,
            [m.path for m in d.documents],
        )
        for d in decided.disagreements
    ]
    assert found == [("code", "prose", 1, 60, 1, 7, ["src/g.py"]), ("text", "code", 1, 20, 1, 8, ["h.txt"])]


def test_sums_when_documents_are_many_equal_plain_counting(large: LanguageDecisions, docs: list[Doc]) -> None:
    by_rule = Counter((d.decided_by, d.pool) for d in docs)
    tokens: Counter[tuple[str, str]] = Counter()
    for d in docs:
        tokens[d.decided_by, d.pool] += 0 if d.reasons else d.n_tokens
    assert {(d.decided_by, d.pool): d.n_docs for d in large.decisions} == by_rule
    assert {(d.decided_by, d.pool): d.n_kept_tokens for d in large.decisions} == tokens
    assert [d.n_docs for d in large.decisions] == sorted(by_rule.values(), reverse=True)
    from_content = [d for d in docs if d.decided_by not in NAMED_RULES]
    assert large.n_content_docs == len(from_content)
    assert sum(b.n_bytes for b in large.confidences) == sum(d.n_bytes for d in from_content)
    assert sum(b.n_path_docs for b in large.confidences) == len(docs) - len(from_content)


def test_pairs_when_documents_are_many_equal_plain_counting(large: LanguageDecisions, docs: list[Doc]) -> None:
    margins: dict[tuple[str, str], list[float]] = defaultdict(list)
    for d in docs:
        if d.runner_up:
            margins[d.language, d.runner_up[0]].append(d.confidence - d.runner_up[1])
    n_close = {pair: sum(m <= 0.3 for m in found) for pair, found in margins.items()}
    assert (large.n_close_docs, large.n_close_pairs) == (sum(n_close.values()), sum(n > 0 for n in n_close.values()))
    assert len(large.confusions) == N_PAIRS < large.n_close_pairs
    assert [c.n_close_docs for c in large.confusions] == sorted(n_close.values(), reverse=True)[:N_PAIRS]
    for c in large.confusions:
        mine = margins[c.language, c.runner_up]
        assert (c.n_docs, c.n_close_docs) == (len(mine), n_close[c.language, c.runner_up])
        assert c.mean_margin == pytest.approx(sum(mine) / len(mine))


def test_border_when_documents_are_many_is_the_least_sure_of_all(large: LanguageDecisions, docs: list[Doc]) -> None:
    sure = sorted(d.confidence for d in docs if not d.reasons and d.decided_by not in NAMED_RULES)
    assert [u.confidence for u in large.border] == sure[:N_BORDER]
    assert {u.path.split("/")[1] for u in large.border if u.path.startswith("more/")} == {"0", "1"}


def test_disagreements_when_documents_are_many_equal_plain_counting(
    large: LanguageDecisions, docs: Sequence[Doc]
) -> None:
    expected: dict[tuple[str, str], list[Doc]] = defaultdict(list)
    for d in docs:
        if says := disagrees(d.path, d.content_kind):
            expected[says, d.content_kind].append(d)
    assert len(expected) == 6  # every way there is
    found: dict[tuple[str, str], Disagreement] = {(d.name_says, d.content_kind): d for d in large.disagreements}
    assert {way: d.n_docs for way, d in found.items()} == {way: len(mine) for way, mine in expected.items()}
    for way, mine in expected.items():
        kept = [d for d in mine if not d.reasons]
        assert (found[way].n_kept_docs, found[way].n_kept_tokens) == (len(kept), sum(d.n_tokens for d in kept))
        shown = found[way].documents
        assert len(shown) == min(N_MISNAMED, len(mine))
        assert {m.path for m in shown} <= {d.path for d in mine}
        assert [m.keep for m in shown] == sorted((m.keep for m in shown), reverse=True)
        assert sum(m.keep for m in shown) == min(N_MISNAMED, len(kept))


def test_border_when_documents_are_equally_unsure_is_a_keyed_choice(tmp_path: Path) -> None:
    """The order of reading does not choose: both shards and late rows have their part."""
    same = [Doc(f"same/{i}.py", "Python", 1, n_tokens=1, decided_by="popularity", confidence=0.0) for i in range(300)]
    shards = tuple((*small, *same) for small in SHARDS)
    border = decisions(hand_run(tmp_path, shards=shards)).border
    assert len(border) == N_BORDER
    assert len({u.doc_id for u in border}) == N_BORDER
    rows = [int(u.path.removeprefix("same/").removesuffix(".py")) for u in border]
    assert max(rows) > 200
    assert len(set(rows)) > N_BORDER / 2
    both = [{doc_id(shard, row) for row in range(400)} & {u.doc_id for u in border} for shard in (0, 1)]
    assert all(both)


def test_decisions_when_nothing_was_decided_from_content(tmp_path: Path) -> None:
    plain = {"decided_by": "extension", "confidence": 1.0, "runner_up": None, "content_kind": "code"}
    shards = renamed(
        **dict.fromkeys("abcdfgi", plain), e=plain | {"content_kind": "prose"}, h=plain | {"content_kind": "data"}
    )
    numbers, page = write_report(hand_run(tmp_path, shards=shards))
    found = numbers.language_decisions
    assert (found.n_content_docs, found.confusions, found.border, found.disagreements) == (0, (), (), ())
    section = Path(page).read_text(encoding="utf-8").split('<section id="decisions">')[1].split("</section>")[0]
    assert "<svg" not in section
    assert "At the border" not in section


def test_notices_when_many_names_mislead_say_so(tmp_path: Path) -> None:
    messages = [n.message for n in compute(hand_run(tmp_path)).notices]
    assert "40.0% of the kept documents look like something else than their names say." in messages


def test_page_when_paths_are_hostile_shows_them_escaped_and_cut(tmp_path: Path) -> None:
    path = "<img src=x onerror=alert(1)>\x1b]0;x\x07\u202e/" + "x" * 100_000 + "</table><script>.py"
    run = hand_run(
        tmp_path, shards=renamed(g={"path": path, "runner_up": ("<b>C</b>", 0.3), "decided_by": "<i>me</i>"})
    )
    numbers, page = write_report(run)
    shown = numbers.language_decisions.border[0].path
    assert shown == numbers.language_decisions.disagreements[0].documents[0].path
    assert (len(shown), shown[0], shown.endswith("x</table><script>.py")) == (MAX_PATH_CHARS + 1, "…", True)
    html = Path(page).read_text(encoding="utf-8").replace(f"<script>{png_script()[0]}</script>", "", 1)
    assert len(html) < 1_000_000
    assert not any(hostile in html for hostile in ("<script", "<img", "<b>C", "<i>me", "\x1b", "\x07", "\u202e"))
    assert "x&lt;/table&gt;&lt;script&gt;.py" in html
    assert "&lt;b&gt;C&lt;/b&gt;" in html


def test_prose_in_markup_and_unknown_extensions_equal_plain_counting(tmp_path: Path) -> None:
    more = [
        *(Doc(f"novels/{i}.xml", "XML", 100, n_tokens=10, content_kind="prose") for i in range(9)),
        Doc("pom.xml", "Maven POM", 7, n_tokens=1, content_kind="prose", reasons=("generated_content",)),
        Doc("lamps.xml", "XML", 50, n_tokens=5),
        Doc("page.html", "HTML", 20, n_tokens=2, content_kind="prose"),
        Doc("essay.py", "Python", 20, n_tokens=2, content_kind="prose"),
        Doc("a/Lamp.MLW", "Other code", 5, n_tokens=1), Doc("b.mlw", "Other code", 6, n_tokens=1),
        Doc("a.b/Lampfile", "Other code", 7, n_tokens=1), Doc(".lamprc", "Other code", 8, n_tokens=1),
        Doc("rows.jsonl#1200", "Other code", 9, n_tokens=1), Doc("rows.jsonl#77", "Other code", 1, n_tokens=1),
        Doc("c.mlw", "Other code", 0, reasons=("unreadable_row",), decided_by="none", confidence=0.0),
    ]  # fmt: skip
    run = hand_run(tmp_path, shards=((*SHARDS[0], *more[::2]), (*SHARDS[1], *more[1::2])))
    found = decisions(run)
    assert [(f.format, f.n_docs, f.n_bytes, f.n_kept_docs, f.n_kept_tokens) for f in found.prose_in_formats] == [
        ("XML", 10, 907, 9, 90), ("HTML", 1, 20, 1, 2)
    ]  # fmt: skip
    shown = found.prose_in_formats[0].documents
    assert len(shown) == 6 and all(one.keep and one.path.startswith("novels/") for one in shown)
    other = [(u.extension, u.n_docs, u.n_bytes, u.n_kept_tokens) for u in found.untold if u.language == "Other code"]
    assert other == [("", 4, 25, 4), (".mlw", 2, 11, 2)]
    numbers, file = write_report(run)
    page = Path(file).read_text(encoding="utf-8")
    (group,) = (g for g in numbers.groups if g.name == "Other code")
    assert group.n_docs == sum(n for _, n, *_ in other) + 1, "the groups count what could not be read as well"
    assert (
        "Documents dropped as unreadable, empty, binary and the like are not here, though the groups count them" in page
    )
    assert "Prose in markup and data" in page and "In no known language" in page and ".mlw" in page
