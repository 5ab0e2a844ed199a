"""The ratio of code to text that a run's manifest promises, and that a training is judged by."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import gcd
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, unfit
from pipeline.plt.config import TrainConfig
from pipeline.plt.durable import read_small
from pipeline.plt.shards import MANIFEST_NAME
from pipeline.schema import PACKED, POOLS


def promised_parts(data: Path) -> dict[str, int] | None:
    """Parts of each pool in the mixture that made the run at `data`; None without a manifest. Raises ConfigError.

    Where phases have ratios of their own, the parts are those of all their tokens.
    """
    path = data / MANIFEST_NAME
    if not path.is_file():
        return None
    with _naming_ratios(path):
        manifest = json.loads(read_small(path))
        ratios = _ratios(manifest["mixture"])
        (parts,) = ratios if len(ratios) == 1 else [_of_tokens(manifest["stages"][PACKED]["counts"])]
    if min(parts.values()) < 1:
        raise ConfigError(f"{path}: the ratio of the pools is {parts}, expected whole numbers from 1 on")
    return parts


def refuse_ratios(data: Path) -> None:
    """Raise ConfigError for a run whose phases have several ratios: read in order, no one ratio can judge it."""
    path = data / MANIFEST_NAME
    if path.is_file():
        with _naming_ratios(path):
            ratios = _ratios(json.loads(read_small(path))["mixture"])
        if len(ratios) > 1:
            said = ", ".join(":".join(str(of[pool]) for pool in POOLS) for of in ratios)
            raise ConfigError(
                f"{data}: its phases have several ratios of code and text ({said}), and a training in stream order is "
                "judged by one; `loopmix validate` draws from all of them at the ratio of the whole"
            )


@contextmanager
def _naming_ratios(path: Path) -> Iterator[None]:
    """ConfigError for a manifest in which no ratio is found."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ZeroDivisionError) as error:
        raise ConfigError(
            f"{path}: names no ratio of the pools ({unfit(error)}); run `loopmix curate` again"
        ) from error


def _ratios(mixture: dict[str, Any]) -> list[dict[str, int]]:
    """The ratios that a mixture promises: its own, or those of its phases, each once."""
    own = {pool: int(mixture["balance"][pool]["parts"]) for pool in POOLS}
    said = [phase["ratio"] or own for phase in mixture.get("phases") or ()] or [own]
    found = [{pool: int(of[pool]) for pool in POOLS} for of in said]
    return [of for number, of in enumerate(found) if of not in found[:number]]


def _of_tokens(counts: dict[str, int]) -> dict[str, int]:
    n_tokens = {pool: int(counts[f"n_{pool}_tokens"]) for pool in POOLS}
    scale = gcd(*n_tokens.values())
    return {pool: n // scale for pool, n in n_tokens.items()}


def with_ratio(config: TrainConfig, *, data: Path) -> tuple[TrainConfig, str | None]:
    """The training file with the manifest's ratio where it names none, and what to tell where it names another."""
    promised, keys = promised_parts(data), {pool: f"{pool}_parts" for pool in POOLS}
    if promised is None:
        return config, None
    if not config.data.model_fields_set & set(keys.values()):
        parts = {keys[pool]: promised[pool] for pool in POOLS}
        return config.model_copy(update={"data": config.data.model_copy(update=parts)}), None
    given = {pool: getattr(config.data, keys[pool]) for pool in POOLS}
    if given[POOLS[0]] * promised[POOLS[1]] == given[POOLS[1]] * promised[POOLS[0]]:
        return config, None
    shown = [":".join(str(of[pool]) for pool in POOLS) for of in (given, promised)]
    note = f"the training file asks for {shown[0]} (code:text) but {data} was balanced {shown[1]}; judged by {shown[0]}"
    return config, note
