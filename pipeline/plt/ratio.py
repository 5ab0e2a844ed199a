"""The ratio of code to text that a run's manifest promises, and that a training is judged by."""

import json
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.plt.config import TrainConfig
from pipeline.plt.shards import MANIFEST_NAME
from pipeline.schema import POOLS


def promised_parts(data: Path) -> dict[str, int] | None:
    """Parts of each pool in the mixture that made the run at `data`; None without a manifest. Raises ConfigError."""
    path = data / MANIFEST_NAME
    if not path.is_file():
        return None
    try:
        balance = json.loads(path.read_text(encoding="utf-8"))["mixture"]["balance"]
        parts = {pool: int(balance[pool]["parts"]) for pool in POOLS}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: names no ratio of the pools ({error!r}); run `loopmix curate` again") from error
    if min(parts.values()) < 1:
        raise ConfigError(f"{path}: the ratio of the pools is {parts}, expected whole numbers from 1 on")
    return parts


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
