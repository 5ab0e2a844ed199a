"""Which pool: four hundred made documents of twenty kinds (`pool_documents.py`), under their own names and without.

    python tests/bench/bench_pool.py [--show]

Prints, for each kind, how many of its documents end in the wrong pool, and for text in markup how many are seen as
such (`content_kind`). `--show` lists every error. Needs nothing but this checkout.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "bench")]

from pool_documents import KINDS, Document, documents  # noqa: E402

from pipeline.language.decide import Classification, classify_batch  # noqa: E402

CODE_NAMES = ("notes.py", "notes.js", "notes.c", "notes.rb", "notes.go")
SETTINGS = ("own", "none", "code")  # what the documents are called


def verdicts(found: list[Document], *, setting: str) -> list[Classification]:
    names = {
        "own": [one.name for one in found],
        "none": [""] * len(found),
        "code": [CODE_NAMES[i % len(CODE_NAMES)] for i in range(len(found))],
    }
    return classify_batch(names[setting], [one.content for one in found])


def wanted(one: Document, setting: str) -> str | None:
    """The right pool; None for documents that may be in either without their names. Only text is tried under a name of
    code: what else bears one is code."""
    if setting == "code":
        return one.nameless if one.pool == "text" else None
    return one.pool if setting == "own" else one.nameless


def wrong(found: list[Document], *, setting: str) -> list[tuple[Document, Classification]]:
    rows = zip(found, verdicts(found, setting=setting), strict=True)
    return [(one, verdict) for one, verdict in rows if wanted(one, setting) not in (None, verdict.pool)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Errors of the pool on made documents.")
    parser.add_argument("--show", action="store_true", help="list every error")
    show = parser.parse_args().show
    found = list(documents())
    errors = {setting: wrong(found, setting=setting) for setting in SETTINGS}
    seen = verdicts(found, setting="own")
    print("| kind | pool | documents | wrong | wrong without a name | wrong under a name of code | seen as prose |")
    print("|---" * 7 + "|")
    for kind, (_, pool, _, _) in KINDS.items():
        mine = [(one, verdict) for one, verdict in zip(found, seen, strict=True) if one.kind == kind]
        cells = []
        for setting in SETTINGS:
            judged = any(wanted(one, setting) for one, _ in mine)
            cells.append(str(sum(one.kind == kind for one, _ in errors[setting])) if judged else "-")
        n_prose = sum(verdict.content_kind == "prose" for _, verdict in mine)
        print(f"| {kind} | {pool} | {len(mine)} | {' | '.join(cells)} | {n_prose} |")
    sums = [f"{len(errors[s])} of {sum(wanted(one, s) is not None for one in found)}" for s in SETTINGS]
    print(f"| all | | {len(found)} | {' | '.join(sums)} | |")
    if show:
        for setting, rows in errors.items():
            for one, verdict in rows:
                print(setting, one.kind, one.name, tuple(verdict), repr(one.content.decode()[:60]))


if __name__ == "__main__":
    main()
