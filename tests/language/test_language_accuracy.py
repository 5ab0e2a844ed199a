"""Accuracy on labelled files, with floors just below what was measured."""

import langid_data
import pytest
from langid_data import Labelled, accuracy

from pipeline.config import Classify
from pipeline.language.decide import Declared, classify_batch
from pipeline.language.guesslang import linguist_labels, scores

pytestmark = pytest.mark.skipif(not langid_data.is_there(), reason=f"no labelled files at {langid_data.FOLDER}")


GUESS = Classify(min_confidence=0.15)  # the floors below count best guesses, not what a mixture would believe


@pytest.fixture(scope="module")
def files() -> list[Labelled]:
    return langid_data.read("dev")


def classify(files: list[Labelled], *, with_names: bool) -> list[str]:
    paths = [file.name if with_names else "" for file in files]
    verdicts = classify_batch(
        paths, [file.content for file in files], declared=[Declared("code")] * len(files), config=GUESS
    )
    return [verdict.language for verdict in verdicts]


def test_languages_are_right_when_files_have_names(files: list[Labelled]) -> None:
    named = [file for file in files if file.name]
    found = classify(named, with_names=True)
    listed = [(name, file) for name, file in zip(found, named, strict=True) if file.in_list]
    assert len(named) > 1500 and len(listed) > 600
    assert accuracy(found, named) >= 0.97  # measured: 0.975
    assert accuracy([name for name, _ in listed], [file for _, file in listed]) >= 0.98  # measured: 0.988


def test_content_alone_tells_the_languages_of_the_list(files: list[Labelled]) -> None:
    listed = [file for file in files if file.in_list]
    found = classify(listed, with_names=False)
    assert accuracy(found, listed) >= 0.93  # measured: 0.94
    real = [(name, file) for name, file in zip(found, listed, strict=True) if file.slice != "rosetta"]
    assert accuracy([name for name, _ in real], [file for _, file in real]) >= 0.9  # measured: 0.913


def test_confidence_is_what_it_says(files: list[Labelled]) -> None:
    listed = [file for file in files if file.in_list]
    verdicts = classify_batch(
        [""] * len(listed), [file.content for file in listed], declared=[Declared("code")] * len(listed), config=GUESS
    )
    sure = [(v.language, file) for v, file in zip(verdicts, listed, strict=True) if v.confidence >= 0.95]
    assert len(sure) / len(listed) >= 0.6
    assert accuracy([name for name, _ in sure], [file for _, file in sure]) >= 0.97


def test_names_settle_shared_extensions(files: list[Labelled]) -> None:
    shared = [file for file in files if file.in_list and file.name and file.shared_extension]
    found = classify(shared, with_names=True)
    assert len(shared) > 200
    assert accuracy(found, shared) >= 0.97  # measured: 0.975


def test_the_port_is_as_accurate_as_guesslang(files: list[Labelled]) -> None:
    # Measured: 0.83, and the SavedModel's labels on these files are the same.
    covered = {name for names in linguist_labels() for name in names[:1]}
    known = [file for file in files if file.language in covered]
    best = scores([file.content for file in known]).argmax(axis=1)
    assert accuracy([linguist_labels()[i][0] for i in best], known) >= 0.82
