"""Every name in a mixture that has a known set. Which set, the type of its field says (`config.Known`).

Works on the data as parsed, before any model is made of it, so that wrong names and wrong types are said together.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any

from pydantic import BaseModel

from pipeline.fields import PROSE_FORMATS, Known
from pipeline.language.decide import language_named
from pipeline.language.table import UNKNOWN, alias_table, extension_table, group_of, languages
from pipeline.privacy.kinds import CLASSES, kinds
from pipeline.schema import OTHERS, POOLS, PROSE_GROUP
from pipeline.select.license_names import find, known_names
from pipeline.yaml_file import Loc, Problem, closest, did_you_mean, nearest


def language_problem(name: str) -> str | None:
    """Why `name` names no language, with the nearest that do; None for a name or alias in any case."""
    if language_named(name) in languages():
        return None
    return f"{name!r} is no language of linguist{_nearest_language(name)}"


@dataclass
class Names:
    """The walk through one mixture: what it defines, and what was found wrong."""

    sources: Sequence[str]  # names of its sources
    merge: dict[str, str]  # languages that count as another
    apart: Sequence[str] = ()  # formats whose prose is a group of its own
    problems: list[Problem] = field(default_factory=list)

    def resolve(self, model: type[BaseModel], data: Any, *, loc: Loc = ()) -> Any:
        """`data` with aliases replaced by names; what has another shape than `model` is left for pydantic to refuse."""
        if not isinstance(data, dict):
            return data
        found = {}
        for key, value in data.items():
            known = model.model_fields.get(key)
            if known is not None:
                value = self._walk(Annotated[known.annotation, *known.metadata, None], value, (*loc, key))
            found[key] = value
        return found

    def _walk(self, kind: Any, value: Any, loc: Loc) -> Any:
        origin, inner = typing.get_origin(kind), typing.get_args(kind)
        if origin is Annotated:
            sets = [mark for mark in inner[1:] if isinstance(mark, Known)]
            if sets and isinstance(value, str):
                return self._name(sets[0], value, loc)
            return self._walk(inner[0], value, loc)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return self.resolve(kind, value, loc=loc)
        if origin in (typing.Union, UnionType):
            for one in inner:
                value = self._walk(one, value, loc)
        elif origin is tuple and isinstance(value, list):
            return [self._walk(inner[0], item, (*loc, i)) for i, item in enumerate(value)]
        elif origin is dict and isinstance(value, dict):
            return self._keys(inner, value, loc)
        return value

    def _keys(self, kinds: tuple[Any, ...], value: dict[Any, Any], loc: Loc) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        written: dict[Any, Any] = {}
        for key, item in value.items():
            name = self._walk(kinds[0], key, (*loc, key))
            if name in found:
                self.problems.append(Problem((*loc, key), f"is {name}, as {written[name]!r} before it; keep one"))
            found[name], written[name] = self._walk(kinds[1], item, (*loc, key)), key
        return found

    def _name(self, known: Known, value: str, loc: Loc) -> str:
        if known.others and value == OTHERS:
            return value
        # Below balance, a tokenizer's sample or a phase: the pool is part of the place.
        kind = f"{next(part for part in loc if part in POOLS)} group" if known.of == "group" else known.of
        name, problem = _CHECKS[kind](self, value)
        if problem is not None:
            meant = known.others and closest(value, (OTHERS,))
            self.problems.append(Problem(loc, f"{value!r} is no group{did_you_mean(meant)}" if meant else problem))
        return name

    def _language(self, name: str) -> tuple[str, str | None]:
        return language_named(name), language_problem(name)

    def _code_group(self, name: str) -> tuple[str, str | None]:
        """A group of the code pool: what documents of a language are counted as."""
        if name in CODE_GROUPS:
            return name, None
        if name == OTHERS:
            return name, f"`{OTHERS}` has no cap of its own: each group that is not named has none"
        if inside := next((one for one in PROSE_FORMATS if name == PROSE_GROUP.format(one)), None):
            missing = f"is a group with `classify.prose_in: {{{inside}: apart}}` only"
            return name, None if inside in self.apart else missing
        if problem := language_problem(name):
            return name, problem
        language = language_named(name)
        merged = self.merge.get(language, language)
        if merged != language:
            return language, f"{language} is counted as {merged} by classify.merge; write {group_of(merged)}"
        if group_of(language) != language:
            return language, f"{language} is counted as {group_of(language)}, as in linguist; write that"
        return language, None

    def _text_group(self, name: str) -> tuple[str, str | None]:
        """A group of the text pool: a source."""
        if name == OTHERS:
            return name, f"`{OTHERS}` has no cap of its own: each source that is not named has none"
        return name, self._source(name)[1]

    def _source(self, name: str) -> tuple[str, str | None]:
        if name in self.sources:
            return name, None
        return name, f"{name!r} is no source of this mixture{nearest(name, self.sources)}"

    def _license(self, text: str) -> tuple[str, str | None]:
        """An expression is taken as it is written; only its names are looked up."""
        unknown = [name for name in _license_names(text) if find(name) is None]
        if not unknown or find(text) is not None:
            return text, None
        near = closest(unknown[0], known_names())
        said = f"{unknown[0]!r} is no licence that is known{did_you_mean(near) if near else ''}"
        return text, f"{said}; write LicenseRef-NAME for one of your own"

    def _secret(self, name: str) -> tuple[str, str | None]:
        """A kind of secret or of personal data, or a class of kinds."""
        known = (*CLASSES, *kinds())
        return name, None if name in known else f"{name!r} is no kind of secret and no class{nearest(name, known)}"


_LICENSE_OPERATORS = re.compile(r"\s+(?:and|or|with)\s+|[()/,;|&]", re.IGNORECASE)
CODE_GROUPS = (UNKNOWN,)  # groups that are no language of linguist
_CHECKS: dict[str, Callable[[Names, str], tuple[str, str | None]]] = {
    "language": Names._language,
    "code group": Names._code_group,
    "text group": Names._text_group,
    "source": Names._source,
    "license": Names._license,
    "secret": Names._secret,
}


def names_of(data: Any) -> Names:
    """What a mixture as parsed defines itself; of any shape."""
    top = data if isinstance(data, dict) else {}
    sources = top.get("sources")
    listed = sources if isinstance(sources, list) else []
    named = [s["name"] for s in listed if isinstance(s, dict) and isinstance(s.get("name"), str)]
    classify = top.get("classify")
    merge = classify.get("merge") if isinstance(classify, dict) else None
    pairs = merge.items() if isinstance(merge, dict) else ()
    texts = ((a, b) for a, b in pairs if isinstance(a, str) and isinstance(b, str))
    prose_in = classify.get("prose_in") if isinstance(classify, dict) else None
    apart = [name for name, what in prose_in.items() if what == "apart"] if isinstance(prose_in, dict) else []
    return Names(named, {language_named(a): language_named(b) for a, b in texts}, apart)


def _license_names(expression: str) -> list[str]:
    """The names in a licence expression, without those that SPDX leaves to their writer."""
    parts = (part.strip() for part in _LICENSE_OPERATORS.split(expression))
    return [part for part in parts if part and not part.lower().startswith(("licenseref-", "documentref-"))]


def _nearest_language(name: str) -> str:
    """Aliases are looked through too, and answered with the name that they stand for; `jsx` is an extension only."""
    by_extension = extension_table().get(f".{name.lower().lstrip('.')}", ())[:3]
    found = by_extension or [language_named(one) for one in closest(name, _spellings())]
    return did_you_mean(dict.fromkeys(found)) if found else ""


@lru_cache(maxsize=1)
def _spellings() -> Iterable[str]:
    return tuple(dict.fromkeys([*languages(), *alias_table()]))
