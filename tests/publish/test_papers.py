"""The papers of a run: every number is that of an independent recount, and no name of a stranger breaks out of them."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from export.export_runs import export_run
from hand_run import SHARDS, STREAM, hand_run

from pipeline.cli.main import main
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import ConfigError, StoreError
from pipeline.export import export_data
from pipeline.privacy.kinds import kinds
from pipeline.publication import Publication
from pipeline.publish import PAPERS, facts_of, papers, publish
from pipeline.publish.card import languages_of, size_of
from pipeline.publish.papers import publish_to
from pipeline.publish.summary import band
from pipeline.publish.words import personal_of, steps_of

STRANGE = "x|y\n# [a](http://b) <script>`*_www.c\x1b\u202e---\n: {}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return hand_run(tmp_path_factory.mktemp("papers") / "run")


def ledger_of(run: RunFiles) -> list[dict[str, Any]]:
    """Read by Parquet alone, without anything of ours."""
    files = sorted(Path(run.store.root, "tables/ledger").glob("*.parquet"))
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def rows_of(text: str, heading: str) -> dict[str, list[str]]:
    """The rows of the first table behind a heading, by their first cells."""
    body = text.split(f"\n{heading}\n", 1)[1]
    lines = [line for line in re.split(r"\n#+ ", body)[0].splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {"/".join(row[:2]) if not row[1].replace(",", "").isdigit() else row[0]: row for row in cells}


def numbers(row: list[str]) -> list[int]:
    return [int(cell.replace(",", "")) for cell in row if re.fullmatch(r"[\d,]+", cell)]


def test_tables_of_the_card_are_those_of_an_independent_recount(run: RunFiles) -> None:
    card = papers(facts_of(run))["README.md"].decode()
    ledger = ledger_of(run)
    tokens: dict[str, Counter[str]] = {key: Counter() for key in ("language", "license", "source")}
    docs: dict[str, Counter[str]] = {key: Counter() for key in tokens}
    for row in ledger:
        if row["n_packed_tokens"]:
            for key in tokens:
                name = "none given" if row[key] is None else row[key]
                tokens[key][name] += row["n_packed_tokens"]
                docs[key][name] += 1
    for heading, key in (("## Languages", "language"), ("## Licences", "license"), ("## Sources", "source")):
        shown = rows_of(card, heading)
        found = {name.rpartition("/")[2].replace("\\", ""): numbers(row) for name, row in shown.items()}
        assert found == {name: [docs[key][name], n] for name, n in tokens[key].items()}, heading
    reasons = Counter(reason for row in ledger for reason in row["reasons"])
    dropped = {name.replace("\\", ""): numbers(row) for name, row in rows_of(card, "## Dropped").items()}
    assert dropped == {name: [n] for name, n in reasons.items()}
    n_dropped = sum(not row["keep"] for row in ledger)
    assert f"{n_dropped} of {len(ledger)} documents were dropped" in card


def test_sizes_are_those_of_the_packed_sequences(run: RunFiles) -> None:
    made = papers(facts_of(run))
    of_pool = {p: sum(n for pool, pieces in STREAM if pool == p for *_, n in pieces) for p in ("code", "text")}
    total, padding = sum(of_pool.values()), 10 * len(STREAM) - sum(of_pool.values())
    shares = f"{of_pool['code']} of code, {of_pool['text']} of text"
    said = f"{len(STREAM)} sequences of 10 token ids: {total} tokens ({shares})"
    assert f"{said} and {padding} of padding." in made["README.md"].decode()
    assert f"{len(STREAM)} sequences, {total} tokens" in json.loads(made["croissant.json"])["description"]
    assert f"{total} ({of_pool['code']} code, {of_pool['text']} text)" in made["training_content.md"].decode()


def test_languages_of_one_group_are_counted_once_as_in_the_report(tmp_path: Path) -> None:
    named = iter(["TypeScript", "Python", "TSX"] * 99)
    docs = tuple(
        tuple(replace(doc, language=next(named)) if doc.pool == "code" else doc for doc in shard) for shard in SHARDS
    )
    run = hand_run(tmp_path / "run", shards=docs)
    packed = {row["language"] for row in ledger_of(run) if row["pool"] == "code" and row["n_packed_tokens"]}
    assert packed == {"TypeScript", "TSX"}
    assert "source code in 1 language; prose from 1 source |" in papers(facts_of(run))["training_content.md"].decode()


def test_what_is_no_language_is_said_apart_and_many_sources_are_counted(tmp_path: Path) -> None:
    named = iter(["Klingon", "Python", "Other code"] * 99)
    docs = tuple(
        tuple(
            replace(doc, source=doc.path) if doc.pool == "text" else replace(doc, language=next(named)) for doc in shard
        )
        for shard in SHARDS
    )
    said = papers(facts_of(hand_run(tmp_path / "run", shards=docs)))["training_content.md"].decode()
    apart = r"(of no language, and not counted: Other code)"
    assert f"source code in 1 language {apart}; prose from 2 sources |" in said


def test_the_front_matter_is_what_a_hub_reads(run: RunFiles, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    path = tmp_path / "README.md"
    path.write_bytes(papers(facts_of(run))["README.md"])
    front = hub.metadata_load(path)
    assert front["configs"] == [{"config_name": "packed", "data_files": "packed/*.arrow", "default": True}]
    assert front["size_categories"] == ["n<1K"] and front["task_categories"] == ["text-generation"]
    assert front["license"] == "other" and re.fullmatch(r"[a-z0-9.-]+", front["license_name"])
    assert front["license_link"] == "LICENSE.md"
    assert all(re.fullmatch(r"[a-z]{2,3}|code", code) for code in front["language"])
    card = hub.DatasetCard.load(path)
    assert card.data.pretty_name == "hand" and card.data.to_dict()["license_name"] == "each-document-its-own"
    assert "# hand" in card.text and not card.text.lstrip().startswith("---")


def test_one_licence_of_all_that_enters_is_the_licence_of_the_card(tmp_path: Path) -> None:
    docs = tuple(tuple(replace(doc, license="Apache-2.0") for doc in shard) for shard in SHARDS)
    card = papers(facts_of(hand_run(tmp_path / "run", shards=docs)))["README.md"].decode()
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["license"] == "apache-2.0" and "license_name" not in front
    docs = tuple(tuple(replace(doc, license="My-Own-1.0") for doc in shard) for shard in SHARDS)
    card = papers(facts_of(hand_run(tmp_path / "other", shards=docs)))["README.md"].decode()
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "other"


def test_a_blank_licence_is_none_given_and_no_second_name_for_it(tmp_path: Path) -> None:
    given = iter(["  ", "\t", None] * 99)
    docs = tuple(tuple(replace(doc, license=next(given)) for doc in shard) for shard in SHARDS)
    run = hand_run(tmp_path / "run", shards=docs)
    made = papers(facts_of(run))
    blank = [row for row in ledger_of(run) if row["n_packed_tokens"] and not (row["license"] or "").strip()]
    for name in ("README.md", "LICENSE.md"):
        text = made[name].decode()
        assert "(empty)" not in text and text.count("| none given |") == 1, name
        (row,) = re.findall(r"\| none given \| ([\d,]+) \| ([\d,]+) \|", text)
        assert row == (str(len(blank)), str(sum(one["n_packed_tokens"] for one in blank)))
    assert "(empty)" not in made["training_content.md"].decode()


@pytest.mark.parametrize("finds", [{}, {"email": 2}])
def test_papers_say_that_telephone_numbers_are_not_looked_for(run: RunFiles, finds: dict[str, int]) -> None:
    facts = facts_of(run)
    facts.counts.finds = Counter(finds)
    assert not any("phone" in name for name in kinds())  # whoever adds such a kind says something else here
    for name in ("README.md", "training_content.md"):
        assert "telephone numbers and numbers of cards are not looked for." in papers(facts)[name].decode()


@pytest.mark.parametrize(
    ("n_rows", "words"),
    [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (10**9 - 1, "100M<n<1B"), (10**12, "n>1T")],
)
def test_classes_of_sizes_are_the_hubs(n_rows: int, words: str) -> None:
    assert size_of(n_rows) == words


@pytest.mark.parametrize(
    ("n", "words"),
    [
        (0, "less than 1 billion tokens"),
        (10**9 - 1, "less than 1 billion tokens"),
        (10**9, "1 billion to 10 trillion tokens"),
        (10**13, "1 billion to 10 trillion tokens"),
        (10**13 + 1, "more than 10 trillion tokens"),
    ],
)
def test_bands_are_the_templates(n: int, words: str) -> None:
    assert band(n) == words


def test_languages_are_codes_that_hubs_know(tmp_path: Path) -> None:
    codes = {"e.txt": "zh-Hant", "h.txt": "iw"}
    docs = tuple(tuple(replace(d, prose_language=codes.get(d.path)) for d in shard) for shard in SHARDS)
    facts = facts_of(hand_run(tmp_path / "run", shards=docs))
    assert languages_of(facts) == ["code", "zh", "he"]
    front = yaml.safe_load(papers(facts)["README.md"].decode().split("---\n")[1])
    assert front["language"] == ["code", "zh", "he"]


def test_norwegian_is_text_in_the_front_matter(tmp_path: Path) -> None:
    """YAML reads a bare `no` as false."""
    docs = tuple(tuple(replace(d, prose_language="no" if d.pool == "text" else None) for d in s) for s in SHARDS)
    card = papers(facts_of(hand_run(tmp_path / "run", shards=docs)))["README.md"].decode()
    assert yaml.safe_load(card.split("---\n")[1])["language"] == ["code", "no"]


def test_strange_names_are_shown_letter_by_letter_in_every_paper(tmp_path: Path) -> None:
    docs = tuple(
        tuple(replace(d, license=STRANGE, language=STRANGE if d.language == "Python" else d.language) for d in shard)
        for shard in SHARDS
    )
    run = hand_run(tmp_path / "run", shards=docs)
    said = Publication(name=STRANGE, creator=STRANGE, contact=STRANGE)
    made = papers(facts_of(run, said=said))
    for name in ("README.md", "LICENSE.md", "training_content.md"):
        text = made[name].decode().split("\n---\n")[-1]  # behind the front matter, where YAML quotes the name
        assert "<script>" not in text and "\x1b" not in text and "\u202e" not in text and "](http" not in text
        assert r"x\|y \# \[a\]\(http\:\/\/b\) &lt;script&gt;\`\*\_www\.c" in text
    front = made["README.md"].decode().split("---\n")[1]
    assert yaml.safe_load(front)["configs"][0]["config_name"] == "packed"
    assert yaml.safe_load(front)["pretty_name"] == STRANGE.translate({10: " ", 0x1B: "\ufffd", 0x202E: "\ufffd"})
    assert made["croissant.json"].isascii()
    found = json.loads(made["croissant.json"])
    assert "\x1b" not in found["name"] and "\u202e" not in found["creator"]["name"]


def test_no_path_of_the_machine_and_no_password_stands_in_a_paper(run: RunFiles) -> None:
    secret = run.mixture.model_copy(
        update={
            "sources": (
                run.mixture.sources[0].model_copy(update={"path": "s3://key:word@bucket/private"}),
                run.mixture.sources[1].model_copy(update={"path": "hf://datasets/owner/corpus@main/data/*.parquet"}),
            )
        }
    )
    facts = replace(facts_of(run), mixture=secret)
    every = b"".join(papers(facts).values()).decode()
    assert "word@" not in every and "bucket" not in every and "/private" not in every
    assert str(run.store.root) not in every
    assert r"https\:\/\/huggingface\.co\/datasets\/owner\/corpus " in every


def test_equal_runs_have_equal_papers_and_an_equal_report_stands(tmp_path: Path) -> None:
    first, second = (hand_run(tmp_path / name) for name in ("a", "b"))
    assert papers(facts_of(first)) == papers(facts_of(second))
    files = publish(first)
    assert [file.path for file in files] == list(PAPERS)
    for file in files:
        assert hashlib.sha256(Path(first.store.root, file.path).read_bytes()).hexdigest() == file.sha256


def test_the_summary_says_beside_bytes_and_tokens_what_they_are_of(tmp_path: Path) -> None:
    shards = tuple(
        tuple(replace(d, n_bytes=1_000 + 7 * i) for i, d in enumerate(s, 9 * k)) for k, s in enumerate(SHARDS)
    )
    run = hand_run(tmp_path / "run", shards=shards)
    text = papers(facts_of(run))["training_content.md"].decode()
    assert "| bytes of them, whole | tokens that enter |" in text and "| part | tokens that enter |" in text
    assert (
        "Their bytes are counted whole and once, whether a document is repeated or cut; tokens are those that" in text
    )
    rows = ledger_of(run)
    parts = [row for row in rows if row["n_packed_tokens"] not in (0, row["n_tokens"])]
    assert parts, "the run repeats or cuts a document, so that the two differ"
    for source in {row["source"] for row in rows}:
        mine = [row for row in rows if row["source"] == source]
        enter = [row for row in mine if row["n_packed_tokens"]]
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {source} |"))
        n_bytes, n_tokens = (sum(row[name] for row in enter) for name in ("n_bytes", "n_packed_tokens"))
        assert f"| {len(enter)} of {len(mine)} | {n_bytes:,} | {n_tokens:,} |" in line


def test_many_natural_languages_are_not_cut_without_a_word(run: RunFiles) -> None:
    facts = facts_of(run)
    prose: Counter[str | None] = Counter({f"q{chr(97 + i)}": 50 - i for i in range(23)})
    text = papers(replace(facts, counts=replace(facts.counts, prose=prose)))["training_content.md"].decode()
    (line,) = (line for line in text.splitlines() if line.startswith("| languages of the prose |"))
    assert line.count("%") == 20 and line.endswith("% and 3 more |")


def test_sources_stand_in_the_summary_where_their_maker_says(run: RunFiles) -> None:
    said = Publication.model_validate_json(
        json.dumps({"origins": {"web": {"kind": "crawled", "url": "https://web.example/", "description": "Pages"}}})
    )
    text = papers(facts_of(run, said=said))["training_content.md"].decode()
    crawled = text.split("### 2.3 ")[1].split("### 2.4 ")[0]
    packed = [row for row in ledger_of(run) if row["source"] == "web" and row["n_packed_tokens"]]
    n_docs = sum(row["source"] == "web" for row in ledger_of(run))
    assert r"| web | https\:\/\/web\.example\/ | Pages | " in crawled
    n_bytes, n_tokens = (sum(row[name] for row in packed) for name in ("n_bytes", "n_packed_tokens"))
    assert f"| {len(packed)} of {n_docs} | {n_bytes} | {n_tokens} | less" in crawled
    assert "to be stated: crawlers" in crawled
    open_ = text.split("### Not yet assigned")[1].split("## 3.")[0]
    assert "| prose | " in open_ and "| web | " not in open_


def test_placeholders_are_named_as_such_and_go_when_stated(run: RunFiles, tmp_path: Path) -> None:
    asked = ["creator", "contact", "address", "date"]
    text = papers(facts_of(run))["README.md"].decode()
    assert [what for what in asked if f"\\[to be stated: {what}\\]" in text] == asked
    stated = {"creator": "Who", "contact": "w@x.example", "address": "https://x.example/d", "published": "2026-01-31"}
    made = publish_to(run, out=tmp_path / "out", stated=stated)
    assert made.open_ == ()
    text = (tmp_path / "out/README.md").read_text()
    assert "to be stated" not in text and "| made by | Who |" in text
    found = json.loads((tmp_path / "out/croissant.json").read_text())
    assert (found["creator"]["name"], found["url"]) == ("Who", "https://x.example/d")
    assert found["datePublished"] == "2026-01-31"


def test_what_cannot_be_stated_is_refused_before_anything_is_written(run: RunFiles, tmp_path: Path) -> None:
    for key, value in (("address", "javascript:alert(1)"), ("published", "soon"), ("creatr", "x"), ("creator", "")):
        with pytest.raises(ConfigError, match=f"publish: {key}: "):
            publish_to(run, out=tmp_path / "out", stated={key: value})
    assert not (tmp_path / "out").exists()
    with pytest.raises(ConfigError, match="lies inside the run"):
        publish_to(run, out=Path(run.store.root) / "papers")


def test_the_command_writes_beside_the_run_and_says_what_is_open(tmp_path: Path) -> None:
    run = hand_run(tmp_path / "run")
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    done = CliRunner().invoke(main, ["publish", run.store.root, "--creator", "Who", "--address", "https://x.example/d"])
    assert done.exit_code == 0, done.output
    assert "to be stated: contact, published" in done.output
    assert before == {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    names = sorted(p.name for p in (tmp_path / "run-papers").iterdir())
    assert names == ["LICENSE.md", "README.md", "croissant.json", "training_content.md"]
    again = CliRunner().invoke(main, ["publish", run.store.root])
    assert again.exit_code == 1 and "is not an empty folder" in again.output
    line = ["publish", run.store.root, "--out", str(tmp_path / "j"), "--json"]
    said = json.loads(CliRunner().invoke(main, line).output)
    assert {file["path"] for file in said["files"]} == set(names)


def test_a_run_loads_by_the_card_at_its_top(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    truth = export_run(tmp_path / "run")
    for name, data in papers(facts_of(truth.run)).items():
        (tmp_path / "run" / name).write_bytes(data)
    found = datasets.load_dataset(str(tmp_path / "run"), split="train", cache_dir=str(tmp_path / "cache"))
    assert found.to_list() == truth.rows


def test_an_export_for_a_hub_holds_the_papers_of_its_own_files(tmp_path: Path) -> None:
    truth = export_run(tmp_path / "run")
    out = export_data(truth.run, to="huggingface", out=tmp_path / "out").folder
    found = json.loads((out / "croissant.json").read_text())
    files = {one["contentUrl"]: one["sha256"] for one in found["distribution"] if "contentUrl" in one}
    on_disk = [p for p in out.rglob("*") if p.suffix == ".parquet"] + [out / "tokenizer.json"]
    assert files == {p.relative_to(out).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in on_disk}
    names = pq.read_schema(out / "documents/train-00000.parquet").names
    sets = {one["name"]: [field["name"] for field in one["field"]] for one in found["recordSet"]}
    assert sets["documents"] == names
    front = yaml.safe_load((out / "README.md").read_text().split("---\n")[1])
    assert [one["data_files"] for one in front["configs"]] == ["data/*.parquet", "documents/*.parquet"]
    assert (out / "training_content.md").is_file() and (out / "LICENSE.md").is_file()


def test_a_run_without_a_ledger_has_no_papers(tmp_path: Path) -> None:
    run = hand_run(tmp_path / "run")
    next(Path(run.store.root, "tables/ledger").iterdir()).unlink()
    with pytest.raises(StoreError):
        papers(facts_of(run))


def test_memory_is_that_of_different_licences_and_not_of_documents(run: RunFiles) -> None:
    cube = facts_of(run).counts.cube
    assert isinstance(cube, pa.Table)
    keys = {(r["source"], r["pool"], r["language"], r["license"]) for r in ledger_of(run)}
    assert cube.num_rows == len(keys) < len(ledger_of(run))


def test_what_is_left_as_found_and_what_was_not_compared_is_said(run: RunFiles) -> None:
    facts = facts_of(run)
    facts = replace(facts, counts=replace(facts.counts, finds=Counter({"email": 3})))
    for policy, said in (("redact", "What enters has placeholders"), ("report", "Of all others what enters has")):
        privacy = facts.mixture.privacy.model_copy(update={"policies": {"email": policy}})
        mixture = facts.mixture.model_copy(update={"privacy": privacy, "against": ()})
        text = personal_of(replace(facts, mixture=mixture))
        assert said in text and ("Left as found, because the mixture says so: email." in text) == (policy == "report")
    did = {name: text for name, _, text in steps_of(replace(facts, mixture=mixture))}
    assert did.get("overlaps", "").startswith("compared with no benchmark")
