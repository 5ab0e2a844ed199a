"""Set `opencoder` beside OpenCoder's own filter code, rule by rule, on the same documents.

    git clone OpenCoder-llm/opc_data_filtering CLONE       # and a Python that has its packages
    python tests/bench/bench_opencoder.py CLONE FILE.parquet ... --python VENV/bin/python [--documents 2000] [--seed 0]

The files need the columns path and content. Documents are drawn by a key of their content, named by our own classifier
(theirs goes by endings alone), and judged by both before a draw: where a rule keeps a fifth, all that it hits count.
A document in a language that their table does not know, or one above a megabyte, is left out: they drop the one unseen
and take minutes for the other. Printed for each of their rules: documents that both hit, only they, only we, and the
share of equal decisions; then those of the set as a whole, without their rules that ours leaves out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.config import Classify
from pipeline.filters import Measuring, Quality
from pipeline.language.languages import classify
from pipeline.quality.quality import measure
from pipeline.rules.judge import FeaturesOfShard, judge
from pipeline.rules.resolve import rules_of
from pipeline.rules.settings import columns_for

MAX_BYTES = 1_000_000
# Their names of rules, without qsc_ and the language, and ours. A rule of theirs that has two sides is two of ours.
OURS: dict[str, tuple[str, ...]] = {
    "frac_chars_replacement_symbols": ("replacement_characters",),
    "num_words": ("few_words", "few_words_of_text"),
    "num_chars": ("few_chars", "long_data"),
    "mean_word_length": ("short_words", "long_words", "short_words_of_text", "long_words_of_text"),
    "frac_words_unique": ("few_different_words",),
    **{f"frac_chars_top_{n}grams": (f"top_{n}_gram",) for n in (2, 3, 4)},
    **{f"frac_chars_dupe_{n}grams": (f"duplicate_{n}_grams",) for n in range(5, 11)},
    "frac_lines_dupe_lines": ("repeated_lines",),
    "size_file_byte": ("too_large",),
    "num_lines": ("few_lines", "many_lines"),
    "num_chars_line_max": ("long_line",),
    "num_chars_line_mean": ("short_mean_line", "long_mean_line"),
    "frac_chars_alphabet": ("low_alpha",),
    "frac_chars_digital": ("digits",),
    "frac_chars_whitespace": ("space",),
    "frac_chars_comments": ("comments",),
    "cate_xml_start": ("xml_head",),
    "cate_autogen": ("generated",),
    "frac_lines_long_string": ("long_string_lines",),
    "frac_chars_string_length": ("strings",),
    "frac_chars_long_word_length": ("long_words_in_strings",),
    "cate_encoded_data": ("encoded_data",),
    "frac_chars_hex_words": ("hex_words",),
    "frac_lines_prompt_comments": ("todo_lines",),
    "frac_lines_assert": ("assert_lines",),
    "frac_lines_func_ratio": ("functions",),
    "score_lines_no_logic": ("no_logic",),
    "frac_lines_print": ("print_lines",),
    "cate_var_zero": ("no_variable",),
    "nums_lines_main": ("mains",),
    "frac_lines_preprocessor_directives": ("preprocessor_lines",),
    "frac_lines_pass": ("pass_lines",),
    "frac_lines_import": ("import_lines",),
    "frac_lines_simplefunc": ("simple_functions",),
    "cate_testfile": ("go_tests",),
    "num_chars_text": ("visible_chars",),
    "frac_words_text": ("visible_frac",),
}


def drawn(paths: list[str], *, n: int, seed: int) -> pa.Table:
    """`n` documents of the code pool in a known language, the same whatever order the files have."""
    rows: dict[bytes, tuple[str, bytes]] = {}
    for path in paths:
        for batch in pq.ParquetFile(path).iter_batches(1_000, columns=["path", "content"]):
            for name, content in zip(batch["path"].to_pylist(), batch["content"].to_pylist(), strict=True):
                if content and len(content) <= MAX_BYTES:
                    content = content.decode("utf-8", "replace").encode()  # as both will read it
                    key = blake2b(content, digest_size=8, key=str(seed).encode()).digest()
                    rows[key] = (name, content)
    keys = sorted(rows)[: 3 * n]  # some are text, some in no known language
    documents = pa.table(
        {
            "doc_id": [key.hex().zfill(32) for key in keys],
            "path": [rows[key][0] for key in keys],
            "content": pa.array([rows[key][1] for key in keys], pa.large_binary()),
            "problem": pa.nulls(len(keys), pa.string()),
            "source": ["bench"] * len(keys),
            "pool_hint": ["code"] * len(keys),
            "language_label": pa.nulls(len(keys), pa.string()),
        }
    )
    languages = classify(documents, config=Classify())
    known = ~np.isin(languages["language"].to_pylist(), ("Unknown", "Other code"))
    places = np.flatnonzero(known & (np.array(languages["pool"].to_pylist()) == "code"))[:n]
    return documents.take(places).append_column("language", languages["language"].take(places))


def ours(documents: pa.Table) -> list[set[str]]:
    """The reasons of set opencoder for each document, before a draw."""
    rules = [rule.model_copy(update={"keep_frac": 0.0}) for rule in rules_of(Quality(sets=("opencoder",)))]
    n = documents.num_rows
    languages = pa.table({"language": documents["language"], "pool": ["code"] * n})
    found = measure(documents, languages, config=Measuring(parse="off")).select(columns_for(rules))
    names, words = np.array(documents["language"].to_pylist()), np.zeros(n, np.uint64)
    shard = FeaturesOfShard(found, np.full(n, "code"), names, (words, words), np.ones(n, bool))
    reasons: list[set[str]] = [set() for _ in range(n)]
    for fired in judge(rules, shard):
        for row in np.flatnonzero(fired.mask).tolist():
            reasons[row].add(fired.reason.removeprefix("opencoder."))
    return reasons


def theirs(documents: pa.Table, *, clone: str, python: str) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder, "in.parquet"), Path(folder, "out.jsonl")
        pq.write_table(documents.select(["path", "language", "content"]), source)
        peer = Path(__file__).with_name("opencoder_peer.py")
        subprocess.run([python, str(peer), clone, str(source), str(out)], check=True, stdout=subprocess.DEVNULL)
        return [json.loads(line) for line in out.read_text().splitlines()]


def bare(rule: str) -> str:
    """Their rule without its prefix: qsc_codecpp_frac_lines_print is frac_lines_print."""
    return rule.split("_", 2)[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clone")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    documents = drawn(options.files, n=options.documents, seed=options.seed)
    peer = theirs(documents, clone=options.clone, python=options.python)
    known = np.array([row["kind"] != "unknown" for row in peer])
    mine = [reasons for reasons, is_known in zip(ours(documents), known, strict=True) if is_known]
    hits = [{bare(str(rule)) for rule in row["hits"]} for row in peer if row["kind"] != "unknown"]  # type: ignore[attr-defined]
    dropped = [row["kind"] == "excluded" for row in peer if row["kind"] != "unknown"]
    print(f"{len(mine):,} documents, {len(known) - len(mine)} more in languages unknown to them")
    print(f"{'their rule':36} {'both':>5} {'they':>5} {'we':>5}  equal")
    wrong: Counter[int] = Counter()
    for rule, reasons in OURS.items():
        a = np.array([rule in found for found in hits])
        b = np.array([bool(found & set(reasons)) and not out for found, out in zip(mine, dropped, strict=True)])
        wrong.update(np.flatnonzero(a != b).tolist())
        print(f"{rule:36} {(a & b).sum():5} {(a & ~b).sum():5} {(b & ~a).sum():5}  {(a == b).mean():.4f}")
    left_out = Counter(rule for found in hits for rule in found if rule not in OURS)
    print(f"left out of ours: {dict(left_out)}")
    a = np.array([bool(found & OURS.keys()) or out for found, out in zip(hits, dropped, strict=True)])
    b = np.array([bool(found) for found in mine])
    print(f"they drop {a.mean():.4f}, we {b.mean():.4f}, equal {(a == b).mean():.4f}")
    print(f"every rule equal in {1 - len(wrong) / len(a):.4f} of the documents")


if __name__ == "__main__":
    main()
