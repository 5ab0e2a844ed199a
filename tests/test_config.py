from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipeline.cli.explain import explain
from pipeline.cli.main import main
from pipeline.config import Mixture
from pipeline.errors import ConfigError
from pipeline.request.load import load_mixture

GOOD = """
name: small
sources:
  - {name: code, kind: directory, path: src, pool: code}
  - {name: prose, kind: jsonl, path: /data/prose/*.jsonl.gz, pool: text, columns: {content: text, path: id}}
balance:
  code: {parts: 2, shares: {Python: 10.1, others: 30}}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "mixture.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_day_needs_no_quotes(tmp_path: Path) -> None:
    mixture = load_mixture(write(tmp_path, GOOD + "publish: {published: 2026-01-31, version: 2026-02-01}\n"))
    assert (mixture.publish.published, mixture.publish.version) == ("2026-01-31", "2026-02-01")


@pytest.mark.parametrize(("written", "meant"), [("0", 0), ("00", 0), ("7", 7), ("0x10", 16), ("1_000", 1000)])
def test_numbers_that_mean_what_they_say_are_read(tmp_path: Path, written: str, meant: int) -> None:
    assert load_mixture(write(tmp_path, GOOD + f"seed: {written}\n")).seed == meant


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    mixture = load_mixture(write(tmp_path, GOOD))
    assert [s.path for s in mixture.sources] == [str(tmp_path / "src"), "/data/prose/*.jsonl.gz"]
    assert mixture.tokenizer.path == "builtin"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "seeed: 1\n", r"line 8: seeed: there is no such key; did you mean seed\?"),
        (GOOD + "name: again\n", "yaml:8:1: key 'name' is given twice, first in line 2"),
        (GOOD + "seed: 1e3\n", r"seed: Input should be a valid integer"),
        (
            GOOD + "pack: {seq_len: 262,144}\n",
            "mixture.yaml:8:21: key 144 is not text; .*number is written without commas",
        ),
        (GOOD + 'pack: {seq_len: "4096"}\n', r"pack\.seq_len: Input should be a valid integer"),
        (GOOD + "seed: no\n", "seed: Input should be a valid integer"),
        (GOOD + "seed: -1\n", "greater than or equal to 0"),
        (GOOD + "near_dups: {min_similarity: .nan}\n", r"near_dups\.min_similarity"),
        (GOOD + "near_dups: {min_similarity: 1.5}\n", "less than or equal to 1"),
        (GOOD + "1: one\n", "key 1 is not text"),
        (GOOD.replace("prose,", "code,"), "two sources share a name"),
        (GOOD.replace("directory", "ftp"), r"sources\.0\.kind"),
        (GOOD.replace("name: small", "name: ../small"), "name: Input should be small letters, digits"),
        ("name: x\nsources: []\n", "sources"),
        ("[1, 2", "is not valid YAML"),
        ("just text", "holds text and no keys; expected keys, at least `name:`, `sources:`"),
        ("name: !!python/object/apply:os.system ['true']\n", "is not valid YAML"),
        ("name: !!binary aGk=\nsources: []\n", "no text, number, list or mapping"),
        ("a: " + "[" * 20_000, "is not valid YAML"),
        ("name: x\nsources: [{name: d, kind: datatrove}]", "needs `reader`"),
        ("name: x\nsources: [{name: d, kind: jsonl}]", "`path` is missing"),
    ],
)
def test_bad_files_are_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_mixture(write(tmp_path, text))
    assert "mixture.yaml" in str(caught.value)


def test_missing_and_binary_files_are_config_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_mixture(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_mixture(tmp_path / "binary.yaml")


def test_shown_mixture_is_commented_yaml_that_loads_to_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    result = CliRunner().invoke(main, ["config", str(path)])
    assert result.exit_code == 0, result.output
    again = write(tmp_path, result.output)
    assert load_mixture(again) == load_mixture(write(tmp_path, GOOD))
    uncommented = [line for line in result.output.splitlines() if "#" not in line]
    assert len(uncommented) < 8, uncommented


def test_every_field_says_what_it_means() -> None:
    mixture = Mixture.model_validate_json('{"name": "x", "sources": [{"name": "a", "kind": "git", "path": "/x"}]}')
    for line in explain(mixture):
        assert "#" in line, line
    assert yaml.safe_load("\n".join(explain(mixture)))["pack"]["seq_len"] == 4096


def test_errors_are_one_line_and_exit_with_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["config", str(write(tmp_path, "name: 1\n"))])
    assert result.exit_code == 1
    assert result.output.startswith("loopmix: ConfigError: ")
    assert len(result.output.splitlines()) == 1


def test_wrong_usage_exits_with_two() -> None:
    assert CliRunner().invoke(main, ["curate"]).exit_code == 2
    assert CliRunner().invoke(main, ["nothing"]).exit_code == 2
