"""Every tool that `bench_language.py` compares, behind one call: files in; languages, confidences and CPU seconds out.

Answers are linguist's names as they are scored ("Visual Basic" for its three dialects), or "Unknown". A tool that is
not installed is left out, and `missing` says what to install.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import langid_data
from bench_language_sets import File

from pipeline.config import Classify
from pipeline.language.decide import classify_batch
from pipeline.language.guesslang import linguist_labels, scores
from pipeline.language.table import TEXT, UNKNOWN, alias_table

# Labels of magika and lexer aliases of pygments that linguist spells otherwise. Labels that stand for several of
# linguist's languages are given the commonest.
NAMES = {
    "appleplist": "XML Property List", "asm": "Assembly", "autoit": "AutoIt", "bib": "BibTeX", "cs": "C#",
    "csproj": "XML", "dm": "DM", "erb": "HTML+ERB", "gas": "Assembly", "gemfile": "Ruby", "gemspec": "Ruby",
    "gitattributes": "Git Attributes", "gitmodules": "Git Config", "gradle": "Gradle", "htaccess": "ApacheConf",
    "ignorefile": "Ignore List", "internetshortcut": "INI", "ipynb": "Jupyter Notebook", "jinja": "Jinja",
    "jsonl": "JSON", "latex": "TeX", "lisp": "Common Lisp", "po": "Gettext Catalog", "proto": "Protocol Buffer",
    "randomtxt": TEXT, "rdf": "XML", "srt": "SubRip Text", "svg": "SVG", "textproto": "Protocol Buffer Text Format",
    "txt": TEXT, "vba": "VBA", "vcxproj": "XML", "vtt": "WebVTT", "winregistry": "Windows Registry Entries",
    "text only": TEXT, "html+php": "PHP", "objective-c": "Objective-C", "vb.net": "Visual Basic .NET",
    "mathematica": "Wolfram Language", "transact-sql": "TSQL", "ca65 assembler": "Assembly", "nasm": "Assembly",
    "base makefile": "Makefile", "cobolfree": "COBOL", "fortranfixed": "Fortran", "googlesql": "SQL",
    "jsx": "JavaScript", "mysql": "SQL", "postgresql sql dialect": "SQL", "python 2.x": "Python", "tasm": "Assembly",
}  # fmt: skip


class Answers(NamedTuple):
    """One language and one confidence per file (0 where the tool gives none), one pool where the tool knows pools, and
    the CPU seconds of this call."""

    languages: list[str]
    confidences: list[float]
    pools: list[str]
    seconds: float


class Tool(NamedTuple):
    """A way to ask one program. `own` are the languages that it can answer, None for all of the list; a slow tool is
    asked about a sample. A variant of another tool is left out of the speed table, and one that has no answer for prose
    out of the pool table."""

    name: str
    ask: Callable[[list[File]], Answers]
    own: frozenset[str] | None = None
    slow: bool = False
    variant: bool = False
    pools: bool = True


def canonical(label: str) -> str:
    """The scoring name of a label in any tool's spelling; a label that linguist does not know stays as it is."""
    lower = label.lower()
    name = NAMES.get(lower) or alias_table().get(lower.replace(" ", "-")) or label
    return langid_data.canonical(name)


def _timed(answer: Callable[[], list[tuple[str, float]]]) -> Answers:
    start = time.process_time()
    rows = answer()
    seconds = time.process_time() - start
    languages = [canonical(label) for label, _ in rows]
    pools = ["text" if language == TEXT else "code" for language in languages]
    return Answers(languages, [float(confidence) for _, confidence in rows], pools, seconds)


def ask_us(files: list[File], *, with_names: bool, min_confidence: float) -> Answers:
    start = time.process_time()
    verdicts = classify_batch(
        [file.name if with_names else "" for file in files],
        [file.content for file in files],
        config=Classify(min_confidence=min_confidence),
    )
    seconds = time.process_time() - start
    languages = [langid_data.canonical(verdict.language) for verdict in verdicts]
    return Answers(languages, [v.confidence for v in verdicts], [v.pool for v in verdicts], seconds)


def ask_guesslang(files: list[File]) -> Answers:
    """The label with the highest probability in guesslang's model, without any rule of ours."""

    def rows() -> list[tuple[str, float]]:
        found = scores([file.content for file in files])
        best = found.argmax(axis=1)
        return [(linguist_labels()[i][0], row[i]) for i, row in zip(best, found, strict=True)]

    return _timed(rows)


@lru_cache(maxsize=1)
def _magika():
    from magika import Magika

    return Magika()


def ask_magika(files: list[File], *, raw: bool) -> Answers:
    """`raw` is the model's own label; otherwise magika's rules may replace an unsure label by "txt" or "unknown"."""

    def rows() -> list[tuple[str, float]]:
        found = []
        for file in files:
            result = _magika().identify_bytes(file.content)
            model, output = str(result.dl.label), str(result.output.label)
            label = model if raw and model != "undefined" else output
            found.append((UNKNOWN if label in ("unknown", "empty") else label, result.score))
        return found

    return _timed(rows)


def ask_pygments(files: list[File], *, with_names: bool) -> Answers:
    from pygments.lexers import guess_lexer, guess_lexer_for_filename
    from pygments.util import ClassNotFound

    def rows() -> list[tuple[str, float]]:
        found = []
        for file in files:
            text = file.content[:8_192].decode("utf-8", "replace")
            try:
                lexer = guess_lexer_for_filename(file.name, text) if with_names else guess_lexer(text)
            except ClassNotFound:
                found.append((UNKNOWN, 0.0))
            else:
                found.append((_lexer_language(lexer.name, *lexer.aliases), 0.0))
        return found

    return _timed(rows)


def _lexer_language(name: str, *aliases: str) -> str:
    """A lexer's language; of a template or dialect that linguist does not list, the host: CSS for "CSS+Mako"."""
    names = name.lower(), *aliases, name.lower().partition("+")[0], name.lower().partition(" with ")[0]
    known = (alias for alias in names if alias in NAMES or alias.replace(" ", "-") in alias_table())
    return canonical(next(known, name))


LINGUIST_JS = """
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const linguist = (await import(pathToFileURL(process.argv[1]).href)).default;
const files = JSON.parse(readFileSync(0, "utf8"));
const options = { offline: true, keepVendored: true, keepBinary: true, childLanguages: true, calculateLines: false,
                  checkIgnored: false, checkAttributes: false };
await linguist.analyseRawContent({ "warm.h": "int x;" }, options);
const contents = Object.fromEntries(files.map(([name, text], i) => [`${i}/${name}`, text]));
const start = process.cpuUsage();
const { results } = (await linguist.analyseRawContent(contents, options)).files;
const used = process.cpuUsage(start);
process.stdout.write(JSON.stringify({
  languages: files.map(([name], i) => results[`${i}/${name}`] ?? "Unknown"),
  seconds: (used.user + used.system) / 1e6 }));
"""


def ask_linguist_js(files: list[File], *, entry: Path, with_names: bool) -> Answers:
    """All files in one Node process; CPU seconds are of the analysis alone, without start and data."""
    rows = [[file.name if with_names else "", file.content.decode("utf-8", "replace")] for file in files]
    command = ["node", "--input-type=module", "-e", LINGUIST_JS, str(entry)]
    done = subprocess.run(command, input=json.dumps(rows).encode(), stdout=subprocess.PIPE, check=True)
    found = json.loads(done.stdout)
    languages = [canonical(label) for label in found["languages"]]
    pools = ["text" if language == TEXT else "code" for language in languages]
    return Answers(languages, [0.0] * len(files), pools, found["seconds"])


def tools(linguist_js: Path | None, *, with_names: bool) -> list[Tool]:
    """Ours first, then each installed peer that answers such questions."""
    ours = partial(ask_us, with_names=with_names)
    found = [Tool("loopmix", partial(ours, min_confidence=0.5))]
    if not with_names:
        own = frozenset(canonical(names[0]) for names in linguist_labels())
        found = [
            Tool("loopmix", partial(ours, min_confidence=0.0)),
            Tool("loopmix, or Unknown", partial(ours, min_confidence=0.5), variant=True, pools=False),
            Tool("guesslang's model", ask_guesslang, own, pools=False),
        ]
    if find_spec("magika") and not with_names:
        labels = frozenset(canonical(str(label)) for label in _magika().get_model_content_types())
        found.append(Tool("magika, model's label", partial(ask_magika, raw=True), labels, slow=True, pools=False))
        found.append(Tool("magika, output label", partial(ask_magika, raw=False), labels, slow=True, variant=True))
    if find_spec("pygments"):
        from pygments.lexers import get_all_lexers

        lexers = frozenset(_lexer_language(name, *aliases) for name, aliases, _, _ in get_all_lexers(plugins=False))
        found.append(Tool("pygments", partial(ask_pygments, with_names=with_names), lexers, slow=True))
    if entry := linguist_js_entry(linguist_js):
        ask = partial(ask_linguist_js, entry=entry, with_names=with_names)
        found.append(Tool("linguist-js", ask, pools=with_names))
    return found


def linguist_js_entry(folder: Path | None) -> Path | None:
    """The package's module below a folder with `node_modules`, if it and Node are there."""
    entry = (folder or Path.cwd()).resolve() / "node_modules" / "linguist-js" / "dist" / "index.js"
    return entry if entry.is_file() and shutil.which("node") else None


def missing(linguist_js: Path | None) -> list[str]:
    """What is not installed, and how to get it."""
    lines = [f"{name}: pip install {name}" for name in ("magika", "pygments") if not find_spec(name)]
    if not linguist_js_entry(linguist_js):
        lines.append(
            "linguist-js: npm install linguist-js, then --linguist-js FOLDER (that holds node_modules); needs node"
        )
    return lines


def start_commands(linguist_js: Path | None, file: Path) -> dict[str, list[str]]:
    """Fresh processes that name the language of one file, by tool. The bare interpreters are the floor.

    linguist-js has the file on standard input.
    """
    python, magika = sys.executable, Path(sys.executable).parent / "magika"
    root = Path(__file__).resolve().parents[2]
    ours = (
        f"import sys; sys.path.insert(0, {str(root)!r}); sys.argv[0] = 'loopmix'; "
        "from pipeline.cli.main import main; main()"
    )
    model = (
        f"import sys; sys.path.insert(0, {str(root)!r}); from pipeline.language.guesslang import scores; "
        f"print(scores([open({str(file)!r}, 'rb').read()]).argmax())"
    )
    commands = {
        "python alone": [python, "-c", "pass"],
        "loopmix classify": [python, "-c", ours, "classify", str(file)],
        "loopmix classify --content-only": [python, "-c", ours, "classify", "--content-only", str(file)],
        "guesslang's model": [python, "-c", model],
    }
    if find_spec("magika"):
        code = f"from magika import Magika; print(Magika().identify_path({str(file)!r}).output.label)"
        commands["magika (Python)"] = [python, "-c", code]
    if magika.is_file():
        commands["magika (command)"] = [str(magika), str(file)]
    if find_spec("pygments"):
        code = f"from pygments.lexers import guess_lexer; print(guess_lexer(open({str(file)!r}).read()))"
        commands["pygments"] = [python, "-c", code]
    if entry := linguist_js_entry(linguist_js):
        commands["node alone"] = ["node", "-e", "0"]
        commands["linguist-js"] = ["node", "--input-type=module", "-e", LINGUIST_JS, str(entry)]
    return commands
