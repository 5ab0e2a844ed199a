"""The mixtures that ship are valid and say what their README says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import Mixture
from pipeline.language.shares import OTHERS, PAPER_SHARES
from pipeline.language.table import languages
from pipeline.request.load import load_mixture

FOLDER = Path(__file__).resolve().parent.parent / "mixture_configs"
MIXTURES = sorted(f for f in FOLDER.glob("*.yaml") if not f.name.startswith("train_"))


@pytest.mark.parametrize("file", MIXTURES, ids=lambda f: f.stem)
def test_shipped_mixture_loads_when_nothing_was_fetched_yet(file: Path):
    mixture = load_mixture(file)
    assert isinstance(mixture, Mixture)
    assert mixture.balance.code.parts == mixture.balance.text.parts == 1
    assert {s.pool for s in mixture.sources} == {"code", "text"}
    assert all(s.columns.path for s in mixture.sources), "without a path no file name decides the language"


@pytest.mark.parametrize("file", MIXTURES, ids=lambda f: f.stem)
def test_shipped_mixture_names_only_known_languages(file: Path):
    code = load_mixture(file).balance.code
    assert (set(code.shares) | set(code.max_frac)) - {OTHERS} <= set(languages())


def test_readme_explains_every_file_in_the_folder():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [f.name for f in sorted(FOLDER.glob("*.yaml")) if f"**`{f.name}`**" not in text] == []
    assert len(MIXTURES) >= 3


def test_paper_mixture_holds_the_numbers_of_the_paper():
    mixture = load_mixture(FOLDER / "paper.yaml")
    assert mixture.balance.code.shares == PAPER_SHARES
    assert mixture.balance.total_tokens == 18 * 10**12


def test_demo_mixture_reads_what_the_collector_writes_next_to_it():
    mixture = load_mixture(FOLDER / "demo.yaml")
    runs = FOLDER.parent / "runs" / "demo"
    for source in mixture.sources:
        assert source.path == str(runs / "inputs" / f"{source.name}-*.jsonl.zst")
    assert mixture.tokenizer.path == str(runs / "tokenizer.json")
