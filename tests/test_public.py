"""The public Python interface: exactly these names, each of which says what it is."""

from __future__ import annotations

import importlib
import inspect

import pytest

import pipeline

PUBLIC = {
    "pipeline": pipeline.__all__,  # listed by docs/python.md, which tests/api/test_public_names.py holds equal
    "tokenizer": [
        "BUILTIN",
        "END_OF_TEXT",
        "SPECIAL_TOKENS",
        "VOCAB_SIZE",
        "Encoder",
        "GroupFit",
        "TokenizerError",
        "VocabularyFit",
        "load",
        "load_bytes",
        "measure",
        "train",
    ],
    "pipeline.plt": [
        "PLT",
        "BatchStream",
        "Evaluated",
        "Noted",
        "Saved",
        "SequenceStream",
        "Started",
        "Stepped",
        "TrainConfig",
        "TrainEvent",
        "ValidateOptions",
        "diagnose",
        "dry_run",
        "export",
        "judge",
        "leads",
        "load",
        "read_config",
        "to_json",
        "train",
        "validate_run",
    ],
}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_are_these_and_no_others_when_imported(name: str) -> None:
    if name == "pipeline.plt":
        pytest.importorskip("torch")
    module = importlib.import_module(name)
    assert module.__all__ == PUBLIC[name]
    assert module.__doc__
    for public in PUBLIC[name]:
        found = getattr(module, public)
        if inspect.isclass(found) or inspect.isfunction(found):
            said = inspect.getdoc(found) or ""
            # a dataclass without a docstring is given its signature as one
            assert said and not said.startswith(f"{public}("), f"{name}.{public} says nothing of itself"


def test_package_names_its_public_modules_when_read() -> None:
    import pipeline

    assert all(f"    {name} " in str(pipeline.__doc__) for name in PUBLIC if name != "pipeline")
