"""`loopmix browse`: it answers its own machine and who knows the token, finds what there is, and shows no value."""

from __future__ import annotations

import hashlib
import html
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from browse.browse_runs import TOKEN, Site, site_of
from click.testing import CliRunner
from report.read_runs import HOSTILE, VALUES, files, read_run

from pipeline.browse import opened, search, serve
from pipeline.cli.main import main
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.tables import Tables
from pipeline.errors import ConfigError
from pipeline.reading.lookup import why
from pipeline.reading.masked import Find, MaskedText
from pipeline.reading.work import working
from pipeline.report.formats import between


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return read_run(tmp_path_factory.mktemp("browse"))


@pytest.fixture(scope="module")
def site(run: RunFiles) -> Iterator[Site]:
    with site_of(run) as found:
        yield found


def ids_in(page: str) -> list[str]:
    return re.findall(r'href="doc/([0-9a-f]{32})"', page)


def text_of(page: str, section: str) -> str:
    """What a section says, without markup."""
    (part,) = re.findall(f'<section id="{section}">.*?</section>', page, flags=re.DOTALL)
    return html.unescape(re.sub("<[^>]*>", "", part))


def id_of(run: RunFiles, path: str) -> str:
    (document,) = why(run, path)
    return str(document["doc_id"])


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0", "", "[::1]", "10.0.0.1"]
)
def test_a_name_that_is_not_this_machine_s_is_not_answered(site: Site, host: str) -> None:
    status, _, body = site.ask(f"/{TOKEN}/", host=host)
    assert status == 421 and "doc/" not in body


@pytest.mark.parametrize("host", [None, "localhost", "localhost:9000", "LOCALHOST:1", "127.0.0.1"])
def test_names_of_this_machine_are_answered_at_any_port(site: Site, host: str | None) -> None:
    assert site.ask(f"/{TOKEN}/", host=host)[0] == 200  # a tunnel has a port of its own


@pytest.mark.parametrize("path", ["/", "/x/", f"/{TOKEN[:-1]}/", f"/{TOKEN}x/", "//", f"/x/../{TOKEN}/", "/%C3%A9/"])
def test_without_the_token_there_is_nothing(site: Site, path: str) -> None:
    status, _, body = site.ask(path)
    assert status == 404 and body == "not found: open the whole address that `loopmix browse` printed\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_can_only_be_read(site: Site, method: str) -> None:
    assert site.ask(f"/{TOKEN}/", method=method)[0] == 405


def test_answers_keep_to_themselves(site: Site) -> None:
    for path in (f"/{TOKEN}/", f"/{TOKEN}/nothing", "/"):
        _, headers, _ = site.ask(path)
        assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff"
    page = site.page("")
    assert "default-src 'none'" in page and "<script" not in page and "form-action 'self'" in page


def test_it_listens_on_the_loopback_alone_and_says_when_a_port_is_taken() -> None:
    with serve.listening(0) as own:
        assert own.getsockname()[0] == "127.0.0.1"
        with pytest.raises(ConfigError, match="name another"):
            serve.listening(own.getsockname()[1])


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({}, "true"),
        ({"path": "P1"}, "path ilike '%p1%'"),
        ({"path": "%"}, "false"),
        ({"language": "python"}, "language = 'Python'"),
        ({"source": "text"}, "source = 'text'"),
        ({"repo": "me/"}, "repo like '%me/%'"),
        ({"reason": "near_duplicate"}, "list_contains(reasons, 'near_duplicate')"),
        ({"fate": "surplus"}, "fate = 'surplus'"),
        ({"fate": "dropped", "language": "Python"}, "fate = 'dropped' and language = 'Python'"),
        ({"reason": "no_such"}, "false"),
    ],
)
def test_a_search_finds_what_the_ledger_has(
    run: RunFiles, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], where: str
) -> None:
    ledger = f"read_parquet('{run.store.root}/tables/ledger/*.parquet')"
    wanted = {row[0] for row in duckdb.sql(f"select doc_id from {ledger} where {where}").fetchall()}
    monkeypatch.setattr(search, "N_ROWS", 7)
    monkeypatch.setattr(search, "MAX_SHARDS", 3)
    found: list[str] = []
    query: search.Query | None = search.query_of(asked)
    while query is not None:
        page = search.find(run, query)
        assert len(page.rows) <= 7 and page.n_shards <= 3
        found += [row["doc_id"] for row in page.rows]
        query = page.more
    assert len(found) == len(set(found))
    assert set(found) == wanted


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({}, "true"),
        ({"language": "Python", "path": "p"}, "language = 'Python' and path ilike '%p%'"),
        ({"reason": "near_duplicate"}, "list_contains(reasons, 'near_duplicate')"),
        ({"path": "no such"}, "false"),
    ],
)
def test_each_page_says_which_of_how_many_documents_it_shows(
    site: Site, run: RunFiles, monkeypatch: pytest.MonkeyPatch, asked: dict[str, str], where: str
) -> None:
    monkeypatch.setattr(search, "N_ROWS", 7)
    ledger = f"read_parquet('{run.store.root}/tables/ledger/*.parquet')"
    ((n, *_),) = duckdb.sql(f"select count(*) from {ledger} where {where}").fetchall()
    seen = 0
    query: search.Query | None = search.query_of(asked)
    while query is not None:
        rows = search.find(run, query).rows
        said = site.page(f"?{urlencode(query.asked | {'shard': query.shard, 'row': query.row})}")
        first, last = seen + 1, seen + len(rows)
        assert (f">documents {between(first, last)} of {n}, from shards" if rows else ">0 documents,") in said
        seen, query = last, search.find(run, query).more
    assert seen == n


def test_a_search_reads_each_shard_once(run: RunFiles, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "N_ROWS", 7)
    read: list[int] = []
    plain = Tables.read

    def counting(self: Tables, table: Any, shard: int, **given: Any) -> pa.Table:
        read.append(shard)
        return plain(self, table, shard, **given)

    monkeypatch.setattr(Tables, "read", counting)
    for place in ({}, {"shard": 1, "row": 2}):
        read.clear()
        site.page(f"?{urlencode({'language': 'Python', **place})}")
        assert read == list(range(run.n_shards))


def test_a_run_of_many_shards_is_not_searched_to_its_end_for_a_number(
    site: Site, run: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "MAX_SHARDS", run.n_shards - 1)
    page = site.page("?language=Python")
    assert f">{len(ids_in(page))} documents, from shards 0 to" in page


def test_pages_of_results_lead_on(site: Site, run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "N_ROWS", 10)
    found, path = list[str](), "?language=Python"
    for _ in range(20):
        page = site.page(path)
        found += ids_in(page)
        more = re.search(r'<a href="\./([^"]*)" rel="next" id="more">', page)
        if more is None:
            break
        path = html.unescape(more[1])
        assert "language=Python" in path
    assert len(found) == len(set(found)) > 20


def test_an_alias_finds_its_language(run: RunFiles) -> None:
    asked = {name: search.query_of({"language": name}) for name in ("Python", "py", "python3")}
    found = {name: [row["doc_id"] for row in search.find(run, query).rows] for name, query in asked.items()}
    assert len(found["Python"]) > 20
    assert found["py"] == found["python3"] == found["Python"]


@pytest.mark.parametrize(
    "path",
    [
        "?shard=x",
        f"?shard={10**30}",
        "?shard=99",
        f"?row={10**30}",
        "?row=-1",
        "?nonsense=1",
        "?fate=maybe",
        "doc/0",
        f"doc/{'0' * 32}",
        "doc/..%2f..%2fetc",
    ],
)
def test_what_is_not_there_is_said(site: Site, path: str) -> None:
    status, _, body = site.ask(f"/{TOKEN}/{path}")
    assert status == 404 and "Traceback" not in body


@pytest.mark.parametrize("first", ["x", "-1", "9" * 16, "9" * 5_000])
def test_no_token_stands_at_a_place_that_is_none(site: Site, run: RunFiles, first: str) -> None:
    status, _, body = site.ask(f"/{TOKEN}/doc/{id_of(run, 'p4.py')}?tokens={first}")
    assert status == 404 and "tokens: no number" in body


def test_a_document_shows_its_row_text_tokens_and_what_changed(site: Site, run: RunFiles) -> None:
    near = site.page(f"doc/{id_of(run, 'near.py')}")
    other = site.page(f"doc/{id_of(run, 'p4.py')}")
    dropped, kept = (near, other) if 'id="diff"' in near else (other, near)
    assert "near_duplicate" in text_of(dropped, "fate") and "import sys" in text_of(dropped, "diff")
    assert 'id="diff"' not in kept and "similarity" in text_of(kept, "pairs")
    assert text_of(dropped, "tokens").startswith("TokensNone to see: it was dropped")
    family = html.unescape(re.findall(r'href="\.\./\./(\?family=[0-9a-f]*)"', dropped)[0])
    assert set(ids_in(site.page(family))) == {id_of(run, "near.py"), id_of(run, "p4.py")}


def test_a_family_is_offered_where_there_is_one(site: Site, run: RunFiles) -> None:
    def families(path: str) -> set[str]:
        return set(re.findall("family=([0-9a-f]*)", site.page(f"doc/{id_of(run, path)}")))

    for pair in (("near.py", "p4.py"), ("equal.py", "p5.py")):
        (kept,) = {path for path in pair if next(why(run, path))["keep"]}
        assert families(pair[0]) == families(pair[1]) == {id_of(run, kept)}
    assert not families("p6.py") and not families("conflict.py")  # kept, and dropped, without any duplicate


def test_one_copy_is_no_copies(site: Site, run: RunFiles) -> None:
    ledger = f"read_parquet('{run.store.root}/tables/ledger/*.parquet')"
    asked = f"select n_copies, any_value(doc_id) from {ledger} where n_copies < 2 group by 1 order by 1"
    for (_, doc_id), words in zip(duckdb.sql(asked).fetchall(), ("0 whole copies", "1 whole copy"), strict=True):
        assert f" packed, {words}</td>" in site.page(f"doc/{doc_id}")


def test_tokens_in_a_row_are_the_text(run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened, "N_TOKENS", 100)
    text, first, ids = "", 0, list[int]()
    with working() as work:
        while True:
            page = opened.open_document(run, id_of(run, "p7.py"), work, first_token=first).tokens
            text += "".join(token.text for token in page.tokens if not token.is_special)
            ids += [token.id for token in page.tokens]
            first += len(page.tokens)
            if first >= page.n_tokens:
                break
    assert text == files()["code/p7.py"]
    assert len(ids) == page.n_tokens and page.tokens[-1].is_special


def test_no_value_that_was_found_is_shown(site: Site, run: RunFiles) -> None:
    for path in ("p0.py", "p1.py", "p2.py", "t1.txt"):
        page = html.unescape(site.page(f"doc/{id_of(run, path)}"))
        bare = re.sub("<[^>]*>", "", page)
        assert not [value for value in VALUES if value in page or value in bare], path
    (document,) = why(run, "t1.txt")
    assert document["keep"]
    with working() as work:
        page = opened.open_document(run, document["doc_id"], work).tokens
    assert any(token.is_hidden for token in page.tokens)
    around = "".join("#" if token.is_hidden else token.text for token in page.tokens)
    assert re.search("Write to ?#+ about it", around)


def test_tokens_in_another_order_than_the_text_are_not_shown_beside_hidden_values() -> None:
    text = MaskedText(b"ab", (Find(0, 1, "email", "report", True),))
    special = np.zeros(2, bool)
    assert opened._covered([b"b", b"a"], special, text) is None
    covered: Any = opened._covered([b"a", b"b"], special, text)
    assert covered.tolist() == [True, False]


def test_hostile_text_and_paths_are_shown_and_not_done(site: Site, run: RunFiles) -> None:
    page = site.page(f"doc/{id_of(run, 'p3.py')}")
    assert "<script" not in page and "\u202e" not in page and "\x1b" not in page
    assert HOSTILE.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b") in text_of(page, "text")
    asked = urlencode({"path": '"><script>x</script>'})
    assert "<script" not in site.page(f"?{asked}")


def test_nothing_is_written(site: Site, run: RunFiles) -> None:
    def state() -> dict[str, tuple[int, str]]:
        paths = (p for p in Path(run.store.root).rglob("*") if p.is_file())
        return {str(p): (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest()) for p in paths}

    before = state()
    for path in ("", "?path=p", f"doc/{id_of(run, 'p1.py')}"):
        site.page(path)
    assert state() == before


def test_without_its_libraries_the_command_says_what_to_install(run: RunFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pipeline.browse.serve", "pipeline.browse.app"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = CliRunner().invoke(main, ["browse", run.store.root])
    assert done.exit_code == 1
    assert "browse needs uvicorn, which is not installed: pip install '.[browse]'" in done.output


def test_a_folder_that_is_no_run_is_refused_before_anything_is_served(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["browse", str(tmp_path)])
    assert done.exit_code == 1 and "make the run with `loopmix curate` first" in done.output


def test_a_run_that_is_made_anew_meanwhile_is_not_shown_by_the_old_mixture(tmp_path: Path) -> None:
    changed = read_run(tmp_path)
    with site_of(changed) as site:
        assert site.ask(f"/{TOKEN}/")[0] == 200
        manifest = Path(changed.store.full("manifest.json"))
        manifest.write_bytes(manifest.read_bytes() + b"\n")
        status, _, body = site.ask(f"/{TOKEN}/")
        assert status == 404 and "the run has changed since this page was opened" in body
