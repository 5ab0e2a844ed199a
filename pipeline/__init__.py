"""Loopmix: from raw code and text to a balanced, packed, proven pretraining mixture. Start reading at `recipe.py`.

Public to Python are these modules with what their `__all__` lists; everything else may change without notice:

    pipeline        make a mixture and ask a finished run (docs/python.md); a name is loaded when it is first used
    pipeline.plt    the trainer, and `load` for what it exported; needs torch
    tokenizer       the byte-level BPE: train, load, encode, measure
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors; at run time `__getattr__` loads them
    from pipeline.api.making import curate
    from pipeline.api.mixtures import PlainMixture as Mixture
    from pipeline.api.mixtures import load_mixture
    from pipeline.api.opened import FinishedRun, open_run
    from pipeline.api.tables import RunTable
    from pipeline.errors import CheckpointError, ConfigError, LoopmixError, SchemaError, StageError, StoreError
    from pipeline.reading.verify import Finding

__all__ = [
    "CheckpointError",
    "ConfigError",
    "Finding",
    "FinishedRun",
    "LoopmixError",
    "Mixture",
    "RunTable",
    "SchemaError",
    "StageError",
    "StoreError",
    "__version__",
    "curate",
    "load_mixture",
    "open_run",
]

__version__ = "0.1.0"

# Where each public name lives: importing this package, which every command does, costs none of them.
_PLACES = {
    "Finding": "pipeline.reading.verify",
    "FinishedRun": "pipeline.api.opened",
    "Mixture": "pipeline.api.mixtures",
    "RunTable": "pipeline.api.tables",
    "curate": "pipeline.api.making",
    "load_mixture": "pipeline.api.mixtures",
    "open_run": "pipeline.api.opened",
    **dict.fromkeys(
        ("CheckpointError", "ConfigError", "LoopmixError", "SchemaError", "StageError", "StoreError"), "pipeline.errors"
    ),
}
_OTHER_NAMES = {"Mixture": "PlainMixture"}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(_PLACES[name]), _OTHER_NAMES.get(name, name))
    globals()[name] = found  # asked for once
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
