"""Accuracy and speed of language identification beside Pygments, on the same files in the same process.

Run: python tests/bench/bench_language.py. Needs the labelled files that `tests/language/langid_data.py` looks for.
Speeds are CPU seconds of one core. Pygments is scored over the languages whose lexer names linguist knows.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "language")]

import langid_data  # noqa: E402
from langid_data import Labelled, accuracy  # noqa: E402

from pipeline.language.guesslang import linguist_labels, scores  # noqa: E402
from pipeline.language.table import alias_table, extension_table  # noqa: E402
from pipeline.language.verdict import classify_batch  # noqa: E402

N_PYGMENTS = 400


def timed(work: Callable[[], list[str]]) -> tuple[list[str], float]:
    start = time.process_time()
    found = work()
    return found, time.process_time() - start


def ours(files: list[Labelled], *, with_names: bool) -> list[str]:
    paths = [file.name if with_names else "" for file in files]
    verdicts = classify_batch(paths, [file.content for file in files], pool_hints=["code"] * len(files))
    return [verdict.language for verdict in verdicts]


def guesslang(files: list[Labelled]) -> list[str]:
    return [linguist_labels()[i][0] for i in scores([file.content for file in files]).argmax(axis=1)]


def pygments(files: list[Labelled], *, with_names: bool) -> list[str]:
    from pygments.lexers import guess_lexer, guess_lexer_for_filename
    from pygments.util import ClassNotFound

    found = []
    for file in files:
        text = file.content[:8_192].decode("utf-8", "replace")
        try:
            lexer = guess_lexer_for_filename(file.name, text) if with_names else guess_lexer(text)
        except ClassNotFound:
            found.append("Unknown")
            continue
        names = [lexer.name.lower().replace(" ", "-"), *lexer.aliases]
        found.append(next((alias_table()[name] for name in names if name in alias_table()), lexer.name))
    return found


def report(name: str, work: Callable[[list[Labelled]], list[str]], files: list[Labelled]) -> float:
    """Print a line and return files per CPU second."""
    found, seconds = timed(lambda: work(files))
    listed = [(language, file) for language, file in zip(found, files, strict=True) if file.in_list]
    sure = [(language, file) for language, file in listed if language != "Unknown"]
    n_bytes = sum(len(file.content) for file in files)
    print(
        f"{name:32} {len(files):5} files  all {accuracy(found, files):.3f}  "
        f"of the 103 {accuracy(*map(list, zip(*listed, strict=True))):.3f}  "
        f"when sure {accuracy(*map(list, zip(*sure, strict=True))):.3f} ({len(sure) / len(listed):.0%})  "
        f"{n_bytes / seconds / 1e6:7.1f} MB/CPU-s {len(files) / seconds:8.0f} files/CPU-s"
    )
    return len(files) / seconds


def main() -> None:
    if not langid_data.is_there():
        sys.exit(f"no labelled files at {langid_data.FOLDER}")
    files = langid_data.read("dev")
    named = [file for file in files if file.name]
    unique = [f for f in named if len(extension_table().get("." + f.name.rpartition(".")[2].lower(), ())) == 1]
    real = [file for file in files if file.slice != "rosetta"]
    ours(files, with_names=True), ours(files, with_names=False)  # compile first
    report("path decides", lambda f: ours(f, with_names=True), unique)
    fast = report("with names", lambda f: ours(f, with_names=True), named)
    report("content only, real files", lambda f: ours(f, with_names=False), real)
    blind = report("content only, with snippets", lambda f: ours(f, with_names=False), files)
    report("guesslang's top label alone", guesslang, files)
    try:
        import pygments as _  # noqa: F401
    except ImportError:
        print("pygments is not installed: no peer")
        return
    step = max(1, len(named) // N_PYGMENTS)
    slow = report("pygments, with names", lambda f: pygments(f, with_names=True), named[::step])
    slow_blind = report("pygments, content only", lambda f: pygments(f, with_names=False), files[:: len(files) // 200])
    print(f"ratio to pygments, files/CPU-s: with names {fast / slow:.0f} x, content only {blind / slow_blind:.0f} x")


if __name__ == "__main__":
    main()
