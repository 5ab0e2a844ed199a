"""YAML files read strictly, and models built from them: every error of a file at once, each with its line.

Plain YAML keeps the last of two equal keys, and pydantic knows of no lines and of no neighbours. Here a key given twice
is refused, a name that is not known is answered with the nearest that are, and an error says where it stands.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.errors import ConfigError, no_file
from pipeline.slips import Answers, Number, choices_of, located, marked, no_yaml

Model = TypeVar("Model", bound=BaseModel)
Loc = tuple[str | int, ...]  # keys and numbers of list items, from the top of the file

MAX_VALUES = 1_000_000  # of a file, with all that aliases repeat: a plain choice, far above any list of paths
MAX_ERRORS = 20  # said of one file: more fill a screen, and the first ones mended mend many
_MIN_LIKENESS = 0.6  # difflib's own default: two letters in five may differ
_FEW = 12  # names that are all said where none is near: a line holds that many


@dataclass(frozen=True)
class Problem:
    """What is wrong at one place of a file."""

    loc: Loc
    message: str


@dataclass(frozen=True)
class YamlFile:
    """A file's content as plain data, and the node tree that knows its lines."""

    path: str
    data: Any
    root: yaml.Node | None = None

    def line(self, loc: Loc) -> int | None:
        """The line of the last part of `loc` that stands in the file, from 1; None where nothing of it does."""
        lines = [line for line, _ in self._parts(loc)]
        return lines[-1] if lines else None

    def written(self, loc: Loc) -> str | None:
        """The value at `loc` as it stands in the file; None where there is none, or no single one."""
        nodes = [self.root, *(node for _, node in self._parts(loc))]
        return str(nodes[-1].value) if len(nodes) > len(loc) and isinstance(nodes[-1], yaml.ScalarNode) else None

    def _parts(self, loc: Loc) -> Iterator[tuple[int, yaml.Node]]:
        """The line, from 1, and the value of each part of `loc`, as far as they stand in the file."""
        node = self.root
        for part in loc:
            if isinstance(node, yaml.MappingNode):
                found = next(((k, v) for k, v in node.value if k.value == part), None)
                if found is None:
                    return
                at, node = found
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                at = node = node.value[part]
            else:
                return
            yield at.start_mark.line + 1, node

    def refuse(self, problems: Iterable[Problem]) -> None:
        """Raise ConfigError with all `problems`, in the order of the file; nothing happens where there are none."""
        ordered = sorted(dict.fromkeys(problems), key=lambda p: self.line(p.loc) or 0)
        if ordered:
            raise ConfigError(f"{self.path}: {'; '.join(self._lines(ordered))}")

    def _lines(self, problems: Sequence[Problem]) -> Iterator[str]:
        for problem in problems[:MAX_ERRORS]:
            line = self.line(problem.loc)
            yield f"{f'line {line}: ' if line else ''}{dotted(problem.loc)}: {problem.message}"
        if len(problems) > MAX_ERRORS:
            yield f"and {len(problems) - MAX_ERRORS} more errors"


def dotted(loc: Loc) -> str:
    """A place as messages name it."""
    return ".".join(str(part) for part in loc) or "file"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean A or B?` with the names that look like `name`, else all where they are few, or nothing."""
    names = list(known)
    if found := closest(name, names):
        return did_you_mean(found)
    return f"; expected {'one of ' if len(names) > 1 else ''}{', '.join(names)}" if 0 < len(names) <= _FEW else ""


def closest(name: str, known: Iterable[str]) -> list[str]:
    """The names that look like `name`, the likest first; case does not count."""
    by_fold: dict[str, str] = {}
    for one in known:
        by_fold.setdefault(one.lower(), one)
    return [by_fold[one] for one in difflib.get_close_matches(name.lower(), by_fold, n=3, cutoff=_MIN_LIKENESS)]


def did_you_mean(names: Iterable[str]) -> str:
    """The question as messages end in it."""
    return f"; did you mean {' or '.join(names)}?"


# libyaml where PyYAML was built with it: the same safe constructors over a parser that is ten times faster. Built from
# source without it, PyYAML has no such name.
_Safe: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse_shipped(text: str) -> Any:
    """A table that ships with the package as plain data; tests hold that no key in one is given twice."""
    return yaml.load(text, Loader=_Safe)  # noqa: S506 - safe: either of the two safe loaders


class _UniqueKeyLoader(_Safe):  # type: ignore[valid-type,misc]
    """A safe loader that refuses a key given twice; plain YAML would keep the last one silently."""


class _Refused(yaml.MarkedYAMLError):
    """What YAML takes and we do not."""


def _construct_unique(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key, mark = loader.construct_object(key_node, deep=True), key_node.start_mark
        if not isinstance(key, str):
            said = "put it in quotes; a number is written without commas, as 4096 or 4_096, or 0.5"
            raise _Refused(problem=f"key {key!r} is not text; {said}", problem_mark=mark)
        if key in seen:
            said = f"key {key!r} is given twice, first in line {seen[key]}; keep one"
            raise _Refused(problem=said, problem_mark=mark)
        seen[key] = mark.line + 1
    made: dict[Any, Any] = loader.construct_mapping(node, deep=True)
    return made


def _construct_as_written(loader: _UniqueKeyLoader, node: yaml.ScalarNode) -> int | float:
    """A number, unless its digits mean another one in YAML: 1:1 is 61 there, and 017 is 15."""
    is_sixties, is_eights = ":" in node.value, re.fullmatch(r"[-+]?0[0-7_]*[1-7][0-7_]+", node.value)
    make = loader.construct_yaml_float if node.tag.endswith(":float") else loader.construct_yaml_int
    made: int | float = make(node)
    if is_sixties or is_eights:
        said = f"YAML reads {node.value} as {made}; write the number that is meant, or put text in quotes"
        if parts := re.fullmatch(r"(\d+):(\d+)", node.value):
            said += f"; a ratio is {{code: {{parts: {parts[1]}}}, text: {{parts: {parts[2]}}}}}"
        raise _Refused(problem=said, problem_mark=node.start_mark)
    return made


def _construct_text(loader: _UniqueKeyLoader, node: yaml.ScalarNode) -> str:
    """As it stands in the file: no key of ours holds a date, and names and days look like one."""
    return str(loader.construct_scalar(node))


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_unique)
_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:int", _construct_as_written)
_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:float", _construct_as_written)
_UniqueKeyLoader.add_constructor("tag:yaml.org,2002:timestamp", _construct_text)


def read_yaml(path: Path) -> YamlFile:
    """Parse a YAML file safely; ConfigError for unreadable files, bad syntax, duplicate or non-text keys."""
    if said := no_file(path):  # nor would it have a folder, from which relative paths begin
        raise ConfigError(f"{path}: {said}")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}{_beside(path, error)}") from error
    except UnicodeDecodeError as error:
        at = f"byte 0x{error.object[error.start]:02x} at {error.start}"
        raise ConfigError(f"{path}: cannot be read: is no text in UTF-8 ({at}); give a YAML file") from error
    try:
        loader = _UniqueKeyLoader(text)
        try:
            node = loader.get_single_node()
            _refuse_bomb(node, where=str(path))
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except _Refused as error:
        at, shown = marked(text, error.problem_mark)
        raise ConfigError(f"{path}:{at}: {error.problem}", shown=shown) from error
    except (yaml.YAMLError, RecursionError) as error:
        at, said, shown = no_yaml(text, error)
        raise ConfigError(f"{path}{at}: is not valid YAML: {said}", shown=shown) from error
    return YamlFile(str(path), data, node)


def _refuse_bomb(root: yaml.Node | None, *, where: str) -> None:
    """ConfigError where aliases in aliases make more values than any file here has: ten lines can make ten billion."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = 1  # of one that stands in itself, which PyYAML refuses later
            parts = node.value if isinstance(node, yaml.SequenceNode) else ()
            if isinstance(node, yaml.MappingNode):
                parts = [part for pair in node.value for part in pair]
            sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    if root is not None and (n := size(root)) > MAX_VALUES:
        raise ConfigError(f"{where}: aliases (*name) make {n:,} values of it; write at most {MAX_VALUES:,}")


def _beside(path: Path, error: OSError) -> str:
    """The files of its folder that a missing one may be meant to be."""
    if not isinstance(error, FileNotFoundError):
        return ""
    folder = path.parent
    if not folder.is_dir():
        return f"; there is no folder {folder}"
    near = closest(path.name, sorted(one.name for one in folder.iterdir() if one.is_file()))
    return did_you_mean(str(folder / name) for name in near) if near else ""


# Keys that only one kind of file has, and the command that takes it.
_KINDS = {
    "a mixture": ({"sources"}, "loopmix curate {} --out RUN"),
    "a training file": ({"model", "optimiser"}, "loopmix train {} --data RUN --out MODEL"),
}


def refuse_other_kind(file: YamlFile, *, wanted: Literal["a mixture", "a training file"]) -> None:
    """Raise ConfigError, with the command that takes it, for a file of another kind."""
    keys = file.data.keys() if isinstance(file.data, dict) else set()
    for kind, (telling, command) in _KINDS.items():
        if kind != wanted and telling & keys and not _KINDS[wanted][0] & keys:
            own = ", ".join(f"`{key}`" for key in sorted(telling & keys))
            said = f"is {kind} (it has {own}), not {wanted}; it goes with `{command.format(file.path)}`"
            raise ConfigError(f"{file.path}: {said}")


def validate(model: type[Model], data: Any, *, where: str) -> Model:
    """`build` for data that come from no YAML file. Raises ConfigError with every error."""
    return build(model, YamlFile(where, data))


_KIND = {list: "a list", str: "text", bool: "a switch", int: "a number", float: "a number"}


def build(model: type[Model], file: YamlFile, *, more: Sequence[Problem] = ()) -> Model:
    """`file.data` as `model`. Raises ConfigError with all that pydantic finds and all of `more`.

    Goes through JSON, where strict mode still takes a list for a tuple.
    """
    if not isinstance(file.data, dict):
        held = "is empty" if file.data is None else f"holds {_KIND.get(type(file.data), 'a value')} and no keys"
        asked = ", ".join(f"`{name}:`" for name, field in model.model_fields.items() if field.is_required())
        raise ConfigError(f"{file.path}: {held}; expected keys, at least {asked or 'one'}")
    try:
        made = model.model_validate_json(json.dumps(file.data))
    except ValidationError as error:
        said = {problem.loc for problem in more}  # `more` knows better what is wrong there
        found = [p for p in problems_of(error, model, file) if p.loc not in said]
        file.refuse([*found, *more])
        raise AssertionError("a validation error without errors") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{file.path}: holds a value that is no text, number, list or mapping: {error}") from None
    file.refuse(more)
    return made


def problems_of(error: ValidationError, model: type[BaseModel], file: YamlFile) -> Iterator[Problem]:
    """What pydantic found, with the nearest names where a key or a choice is not known."""
    everything = error.errors(include_url=False)
    for number, found in enumerate(everything):
        loc, given = found["loc"], found["input"]
        if found["type"] == "too_short" and any(_is_below(other["loc"], loc) for other in everything):
            continue  # a list is short of its items that are wrong, and these are said
        if found["type"] == "extra_forbidden":
            yield Problem(loc, f"there is no such key{_nearest_key(loc, model)}")
            continue
        # Each answer takes as long as the whole file did, and no more than so many errors are said.
        refusal = partial(_refusal, file.data, loc, model) if number < MAX_ERRORS else _not_asked
        asked = Answers(file.written(loc), refusal)
        loc, message = located(found, model.model_fields, asked)
        if found["type"] == "missing":
            message += _about(loc, model)
        elif found["type"] == "too_short":
            message = (
                f"a list of at least {found['ctx']['min_length']} is expected{_about(loc, model)}{_each(loc, model)}"
            )
        elif found["type"] == "literal_error":
            near = closest(given, choices_of(found)) if isinstance(given, str) else []
            message += did_you_mean(near) if near else ""
        elif str(given).lower() in _NO_BOUND and _may_be_null(loc, model):
            message = f"{message.partition('; ')[0]}; write null, or take the key out"
        yield Problem(loc, message)


def _refusal(data: Any, loc: Loc, model: type[BaseModel], value: Number) -> str | None:
    """What pydantic would say of another value at `loc`; None of one that it takes."""
    here = changed = copy.deepcopy(data)
    for part in loc[:-1]:
        here = here[part]
    here[loc[-1]] = value
    try:
        model.model_validate_json(json.dumps(changed))
    except ValidationError as error:
        return next((found["msg"] for found in error.errors() if found["loc"] == loc), None)
    return None


def _not_asked(value: Number) -> None:
    """Nothing is known to be wrong with the value."""


def _is_below(loc: Loc, list_loc: Loc) -> bool:
    return len(loc) > len(list_loc) and loc[: len(list_loc)] == list_loc


def _about(loc: Loc, model: type[BaseModel]) -> str:
    """What a key that is missing would say."""
    here = _model_at(loc[:-1], model)
    field = here.model_fields.get(str(loc[-1])) if here is not None else None
    return f"; it says: {field.description}" if field is not None and field.description else ""


_NO_BOUND = ("all", "auto", "inf", "infinity", "nil", "none", "unlimited")  # as people write that nothing is set


def _may_be_null(loc: Loc, model: type[BaseModel]) -> bool:
    here = _model_at(loc[:-1], model)
    field = here.model_fields.get(str(loc[-1])) if here is not None and loc else None
    return field is not None and type(None) in typing.get_args(field.annotation)


def _each(loc: Loc, model: type[BaseModel]) -> str:
    """What each entry of a list must say, where entries have keys."""
    one = _model_at(loc, model)
    asked = [name for name, field in one.model_fields.items() if field.is_required()] if one is not None else []
    return f"; write for each {', '.join(f'`{name}:`' for name in asked)}" if asked else ""


def _nearest_key(loc: Loc, model: type[BaseModel]) -> str:
    """Where a key of this name belongs, or which keys of its place look like it."""
    key, here = str(loc[-1]), _model_at(loc[:-1], model)
    elsewhere = [dotted(place) for place in _keys_of(model) if place[-1] == key]
    keys = list(here.model_fields) if here is not None else []
    if key.isdecimal():  # the rest of a number that was written with a comma
        return "; write numbers without commas, as 4096 or 4_096"
    if elsewhere and not closest(key, keys):
        return f"; `{key}` belongs to {' or '.join(place.rpartition('.')[0] or 'the top' for place in elsewhere)}"
    return nearest(key, keys)


def _model_at(loc: Loc, model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that reads what stands at `loc`."""
    here: type[BaseModel] | None = model
    for part in loc:
        if here is not None and isinstance(part, str):
            field = here.model_fields.get(part)
            here = next(models_in(field.annotation), None) if field is not None else None
    return here


def _keys_of(model: type[BaseModel]) -> Iterator[Loc]:
    for name, field in model.model_fields.items():
        yield (name,)
        for inner in models_in(field.annotation):
            yield from ((name, *rest) for rest in _keys_of(inner))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that a field's annotation names, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from models_in(inner)
