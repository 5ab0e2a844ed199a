"""What two mixtures ask otherwise: every resolved key that differs, and which of them are limits of which reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import reduce
from typing import Any

from pipeline.compare.found import SettingChange
from pipeline.config import Mixture
from pipeline.engine.changes import flat
from pipeline.filters import Measuring
from pipeline.reading.select_effects import COUNTED
from pipeline.reasons import SETTINGS
from pipeline.rules.resolve import WITHOUT, resolve

_NAMED = ("sources", "against")  # lists whose entries have names
_MAX_CHARS = 40  # of a value in a sentence


def setting_changes(a: Mixture, b: Mixture) -> tuple[SettingChange, ...]:
    """Every key that differs, in the order of keys. A source or run that one mixture has alone is one of them."""
    dumps = [mixture.model_dump(mode="json") for mixture in (a, b)]
    found = []
    for kind in _NAMED:
        names = [{entry["name"]: entry for entry in dump[kind]} for dump in dumps]
        for name in names[0].keys() ^ names[1].keys():
            found.append(SettingChange(f"{kind}.{name}", *(_brief(of.get(name)) for of in names)))
            for dump in dumps:
                dump[kind] = [entry for entry in dump[kind] if entry["name"] != name]
    if sum(change.key.startswith("sources.") for change in found) == 0:
        orders = [[entry["name"] for entry in dump["sources"]] for dump in dumps]
        if orders[0] != orders[1]:
            found.append(SettingChange("sources", *orders))
    old, new = (dict(flat(dump)) for dump in dumps)
    found += [SettingChange(k, old.get(k), new.get(k)) for k in old.keys() | new.keys() if old.get(k) != new.get(k)]
    return tuple(sorted(found, key=lambda change: change.key))


def not_counted(run: Mixture, other: Mixture) -> tuple[str, ...]:
    """Keys that differ and of which `loopmix select --against` counts nothing: all but rules and what `select` shuts
    out. Names, what is published, and into how many parts work and files are divided decide nothing."""
    return tuple(change.key for change in setting_changes(run, other) if not _is_counted(change.key))


def _is_counted(key: str) -> bool:
    section, _, rest = key.partition(".")
    if rest in ("n_partitions", "n_shards"):
        return True
    if section == "quality":
        return rest.partition(".")[0] not in Measuring.model_fields
    return key in COUNTED or section in ("name", "publish")


def _brief(entry: dict[str, Any] | None) -> str | None:
    """A source in a few words."""
    return None if entry is None else f"{entry['kind']} {entry['path']}"


def limits(mixture: Mixture) -> dict[tuple[str, str], Any]:
    """The value of every limit by reason and key; a rule without a limit has the value that it asks for."""
    found: dict[tuple[str, str], Any] = {}
    for asked in resolve(mixture.quality):
        found[asked.rule.reason, asked.key] = asked.limit
    for setting in SETTINGS:
        if setting.key is None:
            continue
        if setting.key.startswith("against."):
            field = setting.key.rpartition(".")[2]
            for entry in mixture.against:
                if entry.kind != "run":
                    found[setting.reason, f"against.{entry.name}.{field}"] = getattr(entry, field)
        else:
            found[setting.reason, setting.key] = reduce(getattr, setting.key.split("."), mixture)
    return found


def limits_that_differ(a: Mixture, b: Mixture) -> dict[str, tuple[str, ...]]:
    """Of each reason its limits that differ, in words."""
    old, new = limits(a), limits(b)
    found: dict[str, tuple[str, ...]] = {}
    for reason, key in sorted(old.keys() | new.keys()):
        if said := _said(key, old.get((reason, key)), new.get((reason, key))):
            found[reason] = (*found.get(reason, ()), said)
    return found


def _said(key: str, old: Any, new: Any) -> str:
    if old == new:
        return ""
    if old is None or new is None:  # of rules: limits themselves are never null
        only = "A" if new is None else "B"
        return (
            f"a rule of {only} alone ({key})"
            if key == WITHOUT
            else f"a rule of {only} alone, {key} = {value(new if old is None else old)}"
        )
    return f"{key}: {value(old)} in A, {value(new)} in B"


def value(found: Any) -> str:
    """A value of a mixture in a sentence."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        plain = list(found) if isinstance(found, tuple) else found
        text = json.dumps(plain, ensure_ascii=False, default=str)
        return text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}..."
    return f"{int(found):,}" if float(found).is_integer() else f"{found:g}"


def changed_keys(changes: tuple[SettingChange, ...], section: str) -> Iterator[str]:
    """Keys of one section of the mixture that differ."""
    return (change.key for change in changes if change.key.partition(".")[0] == section)
