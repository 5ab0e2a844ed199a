"""The trainer as the command line loads it: late, because torch takes a second, and with its threads told to sleep."""

import os
from typing import Any

from pipeline.errors import ConfigError


def load_trainer() -> Any:
    """The package `pipeline.plt`, or a ConfigError that says how to get it."""
    # Torch's CPU threads wait for each other by spinning. On a machine that others use too they spin for the core that
    # another process holds, and a step took many times as long; with this bound they sleep after some microseconds. It
    # must be set before torch is loaded, and whoever has set it already is left alone.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        import pipeline.plt
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is not installed; pip install 'loopmix[train]'") from error
    return pipeline.plt
