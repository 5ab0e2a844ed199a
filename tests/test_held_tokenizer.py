"""A run holds the tokenizer that made its token ids; whoever reads the ids uses that one and refuses another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from handmade import documents, unredacted

import tokenizer
from pipeline.config import Mixture
from pipeline.config import Tokenizer as Named
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError, StoreError
from pipeline.mix.settings import encoding_of
from pipeline.mix.tokens import tokenize
from pipeline.reading.verify import verify
from pipeline.recipe import curate
from pipeline.report import count
from pipeline.request.load import load_mixture
from pipeline.sealed import sealed

DATA = Path(__file__).parent / "data"


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    """Two small tokenizers with the same number of ids, most of which spell something else."""
    first = tokenizer.train(["def count(row):\n    return row + 1\n" * 40] * 4, vocab_size=360, max_reserved_frac=1)
    second = tokenizer.train(["The river follows the garden in winter. " * 40] * 4, vocab_size=360, max_reserved_frac=1)
    return first.to_str().encode(), second.to_str().encode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, vocabularies: tuple[bytes, bytes]) -> Iterator[tuple[Path, Mixture]]:
    folder = tmp_path_factory.mktemp("held")
    (folder / "named.json").write_bytes(vocabularies[0])
    mixture = load_mixture(DATA / "mixture.yaml")
    mixture = mixture.model_copy(update={"tokenizer": Named(path=str(folder / "named.json"))})
    work(folder / "run", mixture)
    yield folder, mixture


def work(out: Path, mixture: Mixture) -> None:
    curate(Run(open_store(str(out)), mixture, InlineExecutor(), silent()))


def broken(run: Path) -> list[str]:
    return [f.promise for f in verify(RunFiles(open_store(str(run)))) if not f.kept]


def test_run_when_made_holds_the_bytes_of_its_tokenizer(made: tuple[Path, Mixture], vocabularies) -> None:
    run = made[0] / "run"
    assert (run / "tokenizer.json").read_bytes() == vocabularies[0]
    named = json.loads((run / "manifest.json").read_text())["tokenizer"]
    opened = RunFiles(open_store(str(run)))
    assert named["path"] == "tokenizer.json" and len(named["sha256"]) == 64
    assert count(opened).tokenizer == named["sha256"]
    assert opened.tokenizer() == vocabularies[0]


def test_verify_when_the_named_file_has_changed_or_gone_uses_the_run_s_own(made, vocabularies) -> None:
    folder, _ = made
    try:
        (folder / "named.json").write_bytes(vocabularies[1])
        assert broken(folder / "run") == []
        (folder / "named.json").unlink()
        assert broken(folder / "run") == []
    finally:
        (folder / "named.json").write_bytes(vocabularies[0])


def test_verify_when_the_held_tokenizer_is_another_says_so(made, vocabularies) -> None:
    folder, mixture = made
    held = folder / "run/tokenizer.json"
    held.write_bytes(vocabularies[1])
    try:
        assert broken(folder / "run") == ["files", "text", "privacy"]
        with pytest.raises(StoreError, match="not the tokenizer that made this run"):
            RunFiles(open_store(str(folder / "run"))).tokenizer()
        work(folder / "run", mixture)
        assert held.read_bytes() == vocabularies[0] and broken(folder / "run") == []
    finally:
        held.write_bytes(vocabularies[0])


def test_run_when_its_tokenizer_changes_tokenizes_anew_and_holds_the_new_one(tmp_path: Path, vocabularies) -> None:
    (tmp_path / "named.json").write_bytes(vocabularies[0])
    mixture = load_mixture(DATA / "mixture.yaml")
    mixture = mixture.model_copy(update={"tokenizer": Named(path=str(tmp_path / "named.json"))})
    work(tmp_path / "run", mixture)
    before = json.loads((tmp_path / "run/manifest.json").read_text())
    (tmp_path / "named.json").write_bytes(vocabularies[1])
    work(tmp_path / "run", mixture)
    after = json.loads((tmp_path / "run/manifest.json").read_text())
    assert (tmp_path / "run/tokenizer.json").read_bytes() == vocabularies[1]
    assert before["tokenizer"]["sha256"] != after["tokenizer"]["sha256"]
    redone = [s for s in after["stages"] if after["stages"][s]["fingerprint"] != before["stages"][s]["fingerprint"]]
    assert redone == ["balance", "ledger", "packed", "tokens"] and broken(tmp_path / "run") == []


def test_old_run_when_it_holds_no_tokenizer_is_refused_with_the_remedy(made) -> None:
    folder, mixture = made
    manifest = folder / "run/manifest.json"
    whole = json.loads(manifest.read_text())
    without = {k: v for k, v in whole.items() if k != "tokenizer"}
    manifest.write_text(json.dumps(sealed(without)))
    with pytest.raises(StoreError, match="run `loopmix curate` with the same mixture again"):
        RunFiles(open_store(str(folder / "run"))).tokenizer()
    work(folder / "run", mixture)  # nothing is made anew: only the tokenizer is added
    after = json.loads(manifest.read_text())
    assert after["tokenizer"] == whole["tokenizer"]
    assert after["stages"] == whole["stages"]


def test_tokenize_when_the_file_changes_under_a_run_is_refused(tmp_path: Path, vocabularies) -> None:
    path = tmp_path / "named.json"
    path.write_bytes(vocabularies[0])
    config = encoding_of(Named(path=str(path)))
    changed = config.model_copy(update={"file_hash": "0" * 64})
    shard = documents(0, ["one", "two"])
    with pytest.raises(ConfigError, match="changed while the run was made"):
        tokenize(shard, pa.table({"keep": [True, True]}), unredacted(shard), config=changed)


def test_trainer_when_given_another_vocabulary_refuses(made, vocabularies, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from pipeline.plt.vocabulary import check_same_tokenizer, run_tokenizer

    run, other, same = made[0] / "run", tmp_path / "other.json", tmp_path / "same.json"
    other.write_bytes(vocabularies[1])
    same.write_bytes(vocabularies[0])
    assert run_tokenizer(run) == run / "tokenizer.json"
    assert run_tokenizer(run, given=same) == same
    with pytest.raises(ConfigError, match=r"is another tokenizer .* leave --tokenizer out"):
        run_tokenizer(run, given=other)
    with pytest.raises(ConfigError, match="does not exist"):
        run_tokenizer(run, given=tmp_path / "gone.json")
    model = tmp_path / "model"
    model.mkdir()
    check_same_tokenizer(model, data=run, tokenizer=same)  # a model that holds none
    (model / "tokenizer.json").write_bytes(vocabularies[0])
    check_same_tokenizer(model, data=run, tokenizer=run / "tokenizer.json")
    (model / "tokenizer.json").write_bytes(vocabularies[1])
    with pytest.raises(ConfigError, match="token ids of another tokenizer"):
        check_same_tokenizer(model, data=run, tokenizer=run / "tokenizer.json")


def test_trainer_when_the_held_tokenizer_is_damaged_or_unnamed_says_what_to_do(made, vocabularies) -> None:
    pytest.importorskip("torch")
    from pipeline.plt.vocabulary import run_tokenizer

    run = made[0] / "run"
    manifest = (run / "manifest.json").read_bytes()
    try:
        (run / "tokenizer.json").write_bytes(vocabularies[1])
        with pytest.raises(ConfigError, match="run `loopmix curate` again, which puts it back"):
            run_tokenizer(run)
        (run / "manifest.json").write_text('{"mixture": {"tokenizer": {"path": "builtin"}}}')
        with pytest.raises(ConfigError, match=r"names no tokenizer\.json"):
            run_tokenizer(run)
    finally:
        (run / "tokenizer.json").write_bytes(vocabularies[0])
        (run / "manifest.json").write_bytes(manifest)
