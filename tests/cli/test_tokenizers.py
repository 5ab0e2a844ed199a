"""`loopmix tokenizer-report` and `train-tokenizer`: what is printed, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli.fit import MIN_MEAN_BYTES, UNSEEN
from pipeline.cli.main import main
from pipeline.cli.unseen import documents_on

DATA = Path(__file__).parent.parent / "data"
CODE = "def count_of(rows):\n    return len(rows)  # of all\n\n\n"


def call(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return done.exit_code, done.output


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for repository, text in (("one", CODE * 500), ("two", CODE + "zzyzzx = 1\n")):
        (tmp_path / repository / ".git").mkdir(parents=True)
        (tmp_path / repository / "rows.py").write_text(text)
        (tmp_path / repository / ".git" / "config.py").write_text("hidden = 1\n" * 99)
    (tmp_path / "one" / "picture.bin").write_bytes(bytes(range(256)) * 20)
    return tmp_path


@pytest.fixture
def words_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """One public vocabulary is here, the others are not."""
    found = ({"o200k": lambda text: len(text.split())}, {"cl100k": "bpe-openai is not installed"})
    monkeypatch.setattr("tokenizer.peers.installed", lambda: found)


@pytest.mark.usefixtures("words_too")
def test_report_names_languages_peers_and_entries(folder: Path) -> None:
    code, printed = call("tokenizer-report", "builtin", "--on", folder)
    assert code == 0, printed
    assert "not compared with cl100k: bpe-openai is not installed" in printed
    for words in (
        "mean of 1 languages",
        "Python",
        "o200k",
        "never used",
        "unreachable",
        "used by one of 2 origins only",
    ):
        assert words in printed
    assert "never saw these files" in " ".join(printed.split())
    assert max(map(len, printed.splitlines())) <= 80


@pytest.mark.usefixtures("words_too")
def test_json_report_counts(folder: Path) -> None:
    report = json.loads(call("tokenizer-report", "builtin", "--on", folder, "--json")[1])
    sample = report["sample"]
    assert sample["note"] == UNSEEN
    (group,) = sample["groups"]
    n_bytes = len(CODE) * 501 + len("zzyzzx = 1\n")
    assert (group["group"], group["n_docs"], group["n_bytes"]) == ("Python", 2, n_bytes)
    assert group["n_bytes"] >= MIN_MEAN_BYTES
    n_words = len(CODE.split()) * 501 + 3
    assert group["bytes_per_token"]["o200k"] == round(n_bytes / n_words, 4)
    assert sample["mean_bytes_per_token"] == group["bytes_per_token"]
    assert sample["n_used"] + sample["unused"]["n"] == report["n_text_entries"]
    assert sample["only_steps"]["n"] < sample["unused"]["n"]
    lonely = {entry["text"] for entry in sample["one_origin"]["entries"]}
    assert any(text and text in "zzyzzx" for text in lonely)
    assert "return" not in lonely


def test_report_without_texts_says_what_it_wants() -> None:
    code, printed = call("tokenizer-report", "builtin")
    assert code == 0
    assert "--on PATH" in printed


@pytest.mark.parametrize(
    ("file", "on", "words"),
    [
        ("builtin", "no/such/folder", "no/such/folder: there is no such file or folder"),
        ("no_such.json", ".", "cannot read the tokenizer"),
    ],
)
def test_report_refuses_what_is_not_there(file: str, on: str, words: str) -> None:
    code, printed = call("tokenizer-report", file, "--on", on)
    assert code == 1
    assert words in printed
    assert "Traceback" not in printed


def test_report_refuses_a_folder_without_text(tmp_path: Path) -> None:
    code, printed = call("tokenizer-report", "builtin", "--on", tmp_path)
    assert code == 1
    assert "no text in" in printed


def test_a_mixture_gives_its_documents_with_their_languages() -> None:
    found = list(documents_on((DATA / "mixture.yaml",), sample_bytes=10**9))
    assert len(found) > 20
    assert {"Python", "C"} <= {document.group for document in found}
    fewer = list(documents_on((DATA / "mixture.yaml",), sample_bytes=20_000))
    assert 0 < len(fewer) < len(found)
    assert set(fewer) <= set(found)


def test_a_smaller_sample_of_a_folder_is_part_of_a_larger_one(tmp_path: Path) -> None:
    for i in range(60):
        (tmp_path / f"f{i}.py").write_text(CODE + f"x = {i}\n")
    every = list(documents_on((tmp_path,), sample_bytes=10**6))
    third = list(documents_on((tmp_path,), sample_bytes=len(CODE) * 20))
    assert len(every) == 60
    assert 5 < len(third) < 40
    assert set(third) <= set(every)


def test_train_tokenizer_refuses_a_vocabulary_that_the_sample_cannot_fill(tmp_path: Path) -> None:
    mixture = DATA / "mixture.yaml"
    arguments = ("--vocab-size", 200_000, "--sample-bytes", 60_000, "--out", tmp_path / "t.json")
    code, printed = call("train-tokenizer", mixture, *arguments)
    assert code == 1
    assert "vocab_size is 200,000, but this sample teaches only" in printed
    assert "ask for at most" in printed
    assert not (tmp_path / "t.json").exists()


def test_train_tokenizer_says_what_each_group_gave_and_which_share_is_of_nothing(tmp_path: Path) -> None:
    mixture = (DATA / "mixture.yaml").read_text(encoding="utf-8").replace("path: ", f"path: {DATA}/")
    mixture = mixture.replace(f"path: {DATA}/path", "path: path")
    shares = "tokenizer: {sample: {code: {parts: 3, shares: {zig: 1, python: 2, others: 1}}, text: {parts: 1}}}\n"
    (tmp_path / "mixture.yaml").write_text(mixture + shares, encoding="utf-8")
    asked = ("--vocab-size", 400, "--sample-bytes", 40_000, "--out", tmp_path / "t.json")
    code, printed = call("train-tokenizer", tmp_path / "mixture.yaml", *asked)
    assert code == 0, printed
    code_bytes, text_bytes = (int(n.replace(",", "")) for n in re.findall(r"(?:code|text) ([\d,]+) bytes of", printed))
    assert (code_bytes, text_bytes) == (30_000, 10_000)
    assert "groups: Python" in printed
    assert "warning: tokenizer.sample.code.shares: no document of Zig passes the rules" in printed


@pytest.mark.parametrize("asked", [["--vocab-size", "4294967297"], ["--sample-bytes", "0"], ["--sample-bytes", "-1"]])
def test_absurd_sizes_are_refused_before_anything_is_read(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "mix.yaml").write_text("no mixture")
    done = CliRunner().invoke(main, ["train-tokenizer", str(tmp_path / "mix.yaml"), "--out", "x.json", *asked])
    assert done.exit_code == 2 and asked[0] in done.output
