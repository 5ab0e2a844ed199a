"""Language classification beside magika, guesslang's model, pygments and linguist-js: the same files, in one run.

    pip install magika==1.0.3 pygments==2.21.0
    npm install --prefix FOLDER linguist-js@3.0.4
    python tests/bench/bench_language.py --corpus CORPUS --linguist-js FOLDER [--sample 400] [--only accuracy speed ...]

Peers that are not installed are named and left out. Needs the labelled files that `tests/language/langid_data.py`
looks for. CORPUS is a folder made by the corpus builder beside them; without it there is no wild slice, and the pool
table has fewer kinds. Slow peers answer a keyed sample of each slice (`--sample 0`: all); beside every peer stands
what we score on the very files that it was asked about.

Accuracy: linguist's names; a language and its group count as one, and so do the dialects of Visual Basic. Macro-F1 is
the mean over the languages that occur in the slice. Two figures: over all files of the 103 languages, and over those in
languages that the peer knows ("own"). "loopmix" on content alone always answers; "loopmix, or Unknown" has the default
threshold, and an "Unknown" counts as wrong. "wild, no near copy" leaves out files of which another version lies in a
folder that training may read.

Pool, the one that each kind belongs in. Code: source code, Markdown, HTML, JSON, notebooks, man pages (Roff is markup),
CSV and logs (data, not running text). Text: books and laws as running text, and licences. The rows of misleading names
follow the content: prose in a .py is text, code in a .txt is code, a table in a .js is code. Of the peers' answers
"plain text" is the text pool, and every other one the code pool.

Speeds are files per CPU second, warm, medians of interleaved rounds; pygments gets the first 8 kB of a file. Start is
the CPU time of a fresh process that names the language of one small file, its children included. Nothing is trained
here, so there is no cross-source row: train without a source, then read that source's rows.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "language")]

import langid_data  # noqa: E402
from bench_language_peers import Answers, Tool, missing, start_commands, tools  # noqa: E402
from bench_language_sets import (  # noqa: E402
    MISNAMED,
    File,
    dev_files,
    misnamed_files,
    packages,
    pool_files,
    wild_files,
)

ROUNDS = 3
N_FAST, N_SLOW = 2_000, 150  # files per round of the speed table
PARTS = ("accuracy", "calibration", "pool", "speed", "start")
MISLEADING = tuple(f"in {extension}" for _, extension in MISNAMED.values())
START_FILE = "import sys\n\n\ndef main() -> None:\n    print(len(sys.argv))\n\n\nmain()\n"


class Board:
    """Asks each tool about each file once, and keeps the answers."""

    def __init__(self, sample: int) -> None:
        self.sample = sample
        self.known: dict[tuple[str, bool], dict[File, tuple[str, float, str]]] = {}

    def files_for(self, tool: Tool, files: list[File]) -> list[File]:
        """All files, or a slow tool's keyed sample of them."""
        if not tool.slow or not self.sample:
            return files
        return keyed_order(files)[: self.sample]

    def ask(self, tool: Tool, files: list[File], *, with_names: bool) -> list[tuple[str, float, str]]:
        """Language, confidence and pool of each file."""
        known = self.known.setdefault((tool.name, with_names), {})
        new = list(dict.fromkeys(file for file in files if file not in known))
        if new:
            languages, confidences, pools, _ = tool.ask(new)
            known.update(zip(new, zip(languages, confidences, pools, strict=True), strict=True))
        return [known[file] for file in files]


def keyed_order(files: list[File]) -> list[File]:
    return sorted(files, key=lambda file: blake2b(file.content, key=b"order", digest_size=8).digest())


def macro_f1(found: list[str], labels: list[str]) -> float:
    """Mean F1 over the languages among the labels."""
    right = Counter(label for name, label in zip(found, labels, strict=True) if name == label)
    given, there = Counter(found), Counter(labels)
    return statistics.fmean(2 * right[name] / (given[name] + there[name]) for name in there)


def score(rows: list[tuple[str, float, str]], files: list[File]) -> str:
    if not files:
        return "    -/-    "
    found, labels = [row[0] for row in rows], [file.language for file in files]
    top = sum(name == label for name, label in zip(found, labels, strict=True)) / len(files)
    return f"{top:.3f}/{macro_f1(found, labels):.3f}"


def print_accuracy(board: Board, all_tools: list[Tool], title: str, files: list[File], *, with_names: bool) -> None:
    """One line per tool: over all files, then over those in the tool's own languages, ours beside it on the same."""
    print(f"\n{title}: {len(files)} files, {len({file.language for file in files})} languages")
    print(f"  {'':22} {'files':>5}  {'top-1/F1':11}  {'(ours)':11}   {'own':>5}  {'top-1/F1':11}  {'(ours)':11}")
    us = all_tools[0]
    for tool in all_tools:
        asked = board.files_for(tool, files)
        own = [file for file in asked if tool.own is None or file.language in tool.own]
        cells = []
        for some in (asked, own):
            theirs = score(board.ask(tool, some, with_names=with_names), some)
            ours = score(board.ask(us, some, with_names=with_names), some) if "loopmix" not in tool.name else ""
            cells.append(f"{len(some):5}  {theirs:11}  {ours:11}")
        print(f"  {tool.name:22} {cells[0]}   {cells[1] if tool.own is not None else ''}".rstrip())


def accuracy_tables(board: Board, blind: list[Tool], named: list[Tool], dev: list[File], wild: list[File]) -> None:
    real = [file for file in dev if file.kind != "rosetta"]
    slices = {"real files": real, "real files + Rosetta (must .91/.87, goal .94/.90)": dev, "wild": wild}
    slices["wild, no near copy"] = [file for file in wild if file.kind == "wild"]
    slices |= {f"by source: {kind}": [f for f in dev if f.kind == kind] for kind in ("linguist", "smola", "rosetta")}
    print("\n== CONTENT ONLY, 103 LANGUAGES ==")
    for title, files in slices.items():
        if files:
            print_accuracy(board, blind, title, files, with_names=False)
    own = next(tool.own for tool in blind if tool.name.startswith("guesslang")) or frozenset()
    smola = [file for file in dev if file.kind == "smola"]
    print("\n== CONTENT ONLY, GUESSLANG'S LANGUAGES ==")
    title = "smola (must .94, goal .955)"
    print_accuracy(board, blind, title, [f for f in smola if f.language in own], with_names=False)
    print("\n== WITH NAMES, 103 LANGUAGES ==")
    linguist = [file for file in real if file.kind == "linguist"]
    print_accuracy(board, named, "linguist samples (must .990, goal .997)", linguist, with_names=True)
    print_accuracy(board, named, "smola (must .955, goal .965)", smola, with_names=True)
    shared = [file for file in real if file.shared_extension]
    print_accuracy(board, named, "shared extensions (must .955, goal .97)", shared, with_names=True)


def print_calibration(board: Board, blind: list[Tool], title: str, files: list[File]) -> None:
    """Expected calibration error over 15 equal bins, and what is kept, how right, above three confidences."""
    print(f"\n{title}, content only: ECE; share kept and accuracy at p >= .5, .8, .95")
    for tool in blind:
        asked = board.files_for(tool, files)
        rows = board.ask(tool, asked, with_names=False)
        p = np.array([row[1] for row in rows])
        right = np.array([row[0] == file.language for row, file in zip(rows, asked, strict=True)])
        if not p.any():
            continue
        bins = np.minimum((p * 15).astype(int), 14)
        error = sum(abs(p[bins == b].sum() - right[bins == b].sum()) for b in range(15)) / len(p)
        cells = [
            f"{(p >= at).mean():4.0%} {right[p >= at].mean() if (p >= at).any() else 0:.3f}" for at in (0.5, 0.8, 0.95)
        ]
        print(f"  {tool.name:22} {len(asked):5}  ECE {error:.3f}   " + "   ".join(cells))


def print_pools(board: Board, all_tools: list[Tool], files: list[File], *, with_names: bool) -> None:
    """Share in the right pool by kind and tool, then over all documents and kinds whose names do not mislead.

    Slow tools answer a sample of each kind.
    """
    able = [tool for tool in all_tools if tool.pools]
    kinds = list(dict.fromkeys(file.kind for file in files))
    print(f"\n{'with names' if with_names else 'content only'}: {len(files)} documents" + " " * 12, end="")
    print("".join(f"{tool.name:>22}" for tool in able))
    totals: dict[str, list[tuple[float, int]]] = {tool.name: [] for tool in able}
    for kind in kinds:
        some = [file for file in files if file.kind == kind]
        cells = []
        for tool in able:
            asked = keyed_order(some)[: max(30, board.sample // len(kinds))] if tool.slow and board.sample else some
            rows = board.ask(tool, asked, with_names=with_names)
            right = sum(row[2] == file.pool for row, file in zip(rows, asked, strict=True)) / len(asked)
            if not kind.endswith(MISLEADING):
                totals[tool.name].append((right, len(some)))
            cells.append(f"{right:22.3f}")
        print(f"  {kind:14} -> {some[0].pool:4} {len(some):6}        " + "".join(cells))
    weighted = [sum(r * n for r, n in rows) / sum(n for _, n in rows) for rows in totals.values()]
    mean = [statistics.fmean(r for r, _ in rows) for rows in totals.values()]
    print(f"  {'all documents (must .98, goal .995)':36}" + "".join(f"{value:22.3f}" for value in weighted))
    print(f"  {'mean of the kinds':36}" + "".join(f"{value:22.3f}" for value in mean))


def print_speeds(all_tools: list[Tool], files: list[File], *, with_names: bool) -> None:
    """Warm medians over interleaved rounds; every tool gets the first files of one keyed order."""
    order = keyed_order(files)
    rates: dict[str, list[float]] = {}
    rows = [tool for tool in all_tools if not tool.variant]
    for round_ in range(ROUNDS + 1):
        for tool in rows:
            some = order[: N_SLOW if tool.slow else N_FAST]
            answers: Answers = tool.ask(some)
            if round_:  # the first round warms up
                rates.setdefault(tool.name, []).append(len(some) / answers.seconds)
    ours = statistics.median(rates["loopmix"])
    must = "must 20,000, goal 30,000" if with_names else "must 15,000, goal 20,000"
    size = statistics.fmean(len(file.content) for file in order[:N_FAST]) / 1e3
    title = f"{'with names' if with_names else 'content only'}, {size:.1f} kB a file"
    print(f"\n{title}: files per CPU second, median of {ROUNDS} ({must})")
    for name, values in rates.items():
        median = statistics.median(values)
        spread = f"from {min(values):,.0f} to {max(values):,.0f}"
        print(f"  {name:22} {median:9,.0f}   {spread:24} ours is {ours / median:.1f} x")


def print_starts(linguist_js: Path | None) -> None:
    """CPU seconds of a fresh process, its children included."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hello.py"
        file.write_text(START_FILE)
        given = json.dumps([[file.name, START_FILE]]).encode()
        spent: dict[str, list[float]] = {}
        for round_ in range(ROUNDS + 3):
            for name, command in start_commands(linguist_js, file).items():
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run(command, input=given, stdout=subprocess.DEVNULL, check=True)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                if round_:  # the first fills caches
                    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
                    spent.setdefault(name, []).append(used)
    print(f"\nfresh process on one small file: CPU seconds, median of {ROUNDS + 2} (must .6, goal .3)")
    for name, values in spent.items():
        print(f"  {name:32} {statistics.median(values):6.2f}   from {min(values):.2f} to {max(values):.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Language classification beside its peers.")
    parser.add_argument("--corpus", type=Path, help="folder made by the corpus builder")
    parser.add_argument("--linguist-js", type=Path, help="folder with node_modules/linguist-js")
    parser.add_argument("--sample", type=int, default=400, help="files of a slice for slow peers; 0: all")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts of the table")
    options = parser.parse_args()
    if not langid_data.is_there():
        sys.exit(f"no labelled files at {langid_data.FOLDER}")
    for line in missing(options.linguist_js):
        print(f"NOT INSTALLED, LEFT OUT: {line}")
    if options.corpus and not packages(options.corpus):
        sys.exit(f"no tables in {options.corpus / 'cache'}; give the folder that the corpus builder made")
    if not options.corpus:
        print("NO --corpus: no wild slice; no licences, man pages and few web pages in the pool table")
    board = Board(options.sample)
    blind, named = (tools(options.linguist_js, with_names=with_names) for with_names in (False, True))
    dev = dev_files()
    wild = wild_files(options.corpus) if options.corpus else []
    if "accuracy" in options.only:
        accuracy_tables(board, blind, named, dev, wild)
    if "calibration" in options.only:
        print("\n== CALIBRATION ==")
        print_calibration(board, blind, "real files", [file for file in dev if file.kind != "rosetta"])
        print_calibration(board, blind, "real files + Rosetta", dev)
    if "pool" in options.only:
        print("\n== CODE OR PROSE: SHARE IN THE RIGHT POOL ==")
        pool = pool_files(dev, options.corpus, langid_data.FOLDER.parent / "text")
        print_pools(board, blind, pool, with_names=False)
        print_pools(board, named, pool + misnamed_files(pool), with_names=True)
    if "speed" in options.only:
        print("\n== SPEED ==")
        print_speeds(blind, dev + wild, with_names=False)
        print_speeds(named, [file for file in dev if file.name], with_names=True)
    if "start" in options.only:
        print_starts(options.linguist_js)


if __name__ == "__main__":
    main()
