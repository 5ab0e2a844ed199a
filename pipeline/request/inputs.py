"""What input files say before they are read: a run among them is no training data, and wishes that cannot be met."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.config import Mixture, Source
from pipeline.errors import ConfigError, LoopmixError
from pipeline.globs import chooser
from pipeline.language.heuristics import generic_extensions
from pipeline.language.path import by_path
from pipeline.language.table import TEXT, group_of
from pipeline.request.contradictions import able_sources, caps_below_one, overrides_of
from pipeline.schema import OTHERS, TABLES
from pipeline.sources import Slice
from pipeline.sources.names import to_bytes, to_text
from pipeline.sources.roots import Root, locate
from pipeline.yaml_file import dotted

_TABLE_NAMES = "|".join(table.name for table in TABLES)
# Paths that only a run has: shards under the names of its tables, and the logs of its starts.
_OF_A_RUN = re.compile(
    rf"(?:^|(.*)/)(?:(?:tables/(?:{_TABLE_NAMES})|packed)/part-\d{{5,}}-of-\d{{5,}}\.(?:parquet|arrow)"
    r"|logs/\d{8}T\d{6}Z-[0-9a-f]{8}\.jsonl)"
)
# What a run folder will hold. Whoever would choose one of these from the folder would read its own output.
_WRITTEN = {
    "directory": ("manifest.json", "packed/part-00000-of-00004.arrow", "tables/documents/part-00000-of-00004.parquet",
                  "state/documents/0/table/00000.json", "logs/20260101T000000Z-00000000.jsonl", "report/index.html",
                  "lease.json", "tokenizer.json"),
    "jsonl": ("logs/20260101T000000Z-00000000.jsonl", "manifest.json", "state/documents/0/table/00000.json"),
    "parquet": ("tables/documents/part-00000-of-00004.parquet",),
}  # fmt: skip


def refuse_misplaced(mixture: Mixture, *, run: str) -> None:
    """Raise ConfigError for a source inside the run folder, or one that would read what is written into that folder.

    `run` is a path or URL. Links on the way to either are followed.
    """
    for source in mixture.sources:
        try:
            root = None if source.kind in ("datatrove", "plugin") else locate(source)
        except LoopmixError:
            continue  # nothing lies there; planning says so, where the log hears it
        place = source.path if root is None or root.fs is not None else root.path
        if not place or ("://" in place) != ("://" in run):
            continue
        where = f"sources.{source.name}.path: {source.path}"
        if _below(_real(place), _real(run)) is not None:
            raise ConfigError(f"{where} lies in the run folder {run}; choose another --out")
        inside = _below(_real(run), _real(place))
        if inside and root is not None and _would_read(source, root, inside):
            raise ConfigError(
                f"{where} holds the run folder {run}, whose own files would become documents; choose an --out outside "
                f"of it, or leave the folder out: write exclude: [/{inside}/] for this source"
            )


def _would_read(source: Source, root: Root, inside: str) -> bool:
    if root.only is not None:
        return False
    chosen = chooser(source.include, source.exclude)
    written = (f"{inside}/{name}" for name in _WRITTEN.get(source.kind, ()))
    return any(chosen(path) and root.names(path) for path in written)


def _real(place: str) -> str:
    return place.rstrip("/") if "://" in place else os.path.realpath(place)


def _below(path: str, folder: str) -> str | None:
    """`path` from `folder` on; None where it does not lie there, empty where both are one."""
    if path == folder:
        return ""
    above = f"{folder.rstrip('/')}/"
    return to_text(os.fsencode(path[len(above) :])) if path.startswith(above) else None


def refuse_runs(mixture: Mixture, slices: Iterable[Slice], *, run: str) -> None:
    """Raise ConfigError if a planned file is of a run: of an earlier one, or through a link of the one in `run`."""
    sources, roots = {s.name: s for s in mixture.sources}, {}
    for piece in slices:
        source = sources[piece.source]
        for file in piece.files:
            if source.name not in roots:
                roots[source.name] = locate(source)
            root = roots[source.name]
            where = f"sources.{source.name}.path: {source.path}: {file.path}"
            if (found := _OF_A_RUN.match(file.path)) and _is_run(root, found[1] or ""):
                raise ConfigError(f"{where} is of a run of loopmix, no training data; {_remedy(found[1])}")
            if root.takes_links and root.fs is None and "://" not in run and _leads_into(root.join(file.path), run):
                raise ConfigError(f"{where} leads into the run folder {run}; choose another --out or another path")


def _remedy(folder: str | None) -> str:
    """What to write; the documents of a run may be wanted, and then they are named."""
    if folder:
        return f"leave the folder out: write exclude: [/{folder}/] for this source"
    return "to mix its documents anew, read them as kind: parquet, with path: .../tables/documents/*.parquet"


def _leads_into(path: str, run: str) -> bool:
    name = os.fsdecode(to_bytes(path))
    return Path(name).is_symlink() and _below(os.path.realpath(name), os.path.realpath(run)) is not None


def _is_run(root: Root, folder: str) -> bool:
    """Whether a manifest of ours stands there. Where it cannot be read, names of that kind are enough."""
    if root.fs is not None:
        return bool(root.fs.exists(root.join(f"{folder}/manifest.json" if folder else "manifest.json")))
    path = Path(root.path) / os.fsdecode(to_bytes(folder)) / "manifest.json"
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return (path.parent / "logs").is_dir()
    except (OSError, ValueError):
        return True
    return isinstance(found, dict) and "format" in found and "stages" in found


# --- wishes that the names of the files cannot meet ------------------------------------------------------------------


def refuse_unmeetable(mixture: Mixture, slices: Sequence[Slice]) -> None:
    """Raise ConfigError if the names of all files of code tell their languages, and no balance can be made of these."""
    languages = named_languages(mixture, slices)
    if languages is None:
        return
    kept = {group_of(language) for language in languages - set(mixture.select.drop_languages)}
    shares, where = mixture.balance.code.shares, f"mixture {mixture.name!r}"
    said = f"by their names the files of code are {', '.join(sorted(languages))}"
    if not kept:
        raise ConfigError(f"{where}: select.drop_languages drops all code: {said}; drop fewer or add sources")
    if shares and OTHERS not in shares and not kept & set(shares):
        raise ConfigError(
            f"{where}: balance.code.shares names {', '.join(shares)} alone, of which there is nothing: {said}; "
            f"give them a share, or write `{OTHERS}: 1` for all that are not named"
        )
    for problem in caps_below_one("code", mixture.balance.code, kept):
        raise ConfigError(f"{where}: {dotted(problem.loc)}: {problem.message}; {said}")


def named_languages(mixture: Mixture, slices: Sequence[Slice]) -> set[str] | None:
    """The languages of the code pool by the names of the files alone; None where a name leaves it open.

    Content may say otherwise of single files; what is asked here is whether all of them say the same.
    """
    able = {s.name: s for s in able_sources(mixture, "code")}
    if mixture.classify.prose_in or any(
        s.kind not in ("directory", "git") or any(overrides_of(s, mixture)) for s in able.values()
    ):
        return None
    found: set[str] = set()
    for path in _paths(slices, of=able):
        candidates = by_path(path)
        if len(candidates.languages) != 1 or candidates.languages[0] == TEXT:
            return None
        if candidates.extension in generic_extensions():
            return None
        language = candidates.languages[0]
        found.add(mixture.classify.merge.get(language, language))
    return found


def _paths(slices: Iterable[Slice], *, of: Iterable[str]) -> Iterator[str]:
    names = set(of)
    return (file.path for piece in slices if piece.source in names for file in piece.files)
