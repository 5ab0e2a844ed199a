"""Typical mistakes, and of each what its one line must hold: the place, the value seen, the remedy.

`docs/errors.md` is made from this table and from what the command says (`test_mistakes.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

GOOD = """\
name: mine
sources:
  - {name: repos, kind: directory, path: code, pool: code}
  - {name: books, kind: directory, path: text, pool: text}
pack: {seq_len: 64, n_shards: 1, n_partitions: 1}
select: {max_loss: 1.0}
"""
TRAIN = """\
model: {vocab_size: 76800, n_layers: 1, hidden_size: 16, n_heads: 2, n_kv_heads: 1, intermediate_size: 32}
optimiser: {n_steps: 3}
data: {sequences_per_step: 2}
"""


@dataclass(frozen=True)
class Mistake:
    """One mistake: files of the folder that it is made in, the command, and parts of what is said of it."""

    did: str
    command: str
    parts: tuple[str, ...]
    files: dict[str, str | bytes] = field(default_factory=dict)
    code: int = 1
    needs: str = ""  # a library without which something else is wrong first
    without: str = ""  # a library that is not installed
    draws: bool = False  # two more lines: the line of the file, and a caret below it


def of_mixture(did: str, text: str, *parts: str, draws: bool = False) -> Mistake:
    """A mistake in a mixture file, which `loopmix config` finds as `curate` does."""
    return Mistake(did, "config mix.yaml", parts, {"mix.yaml": text}, draws=draws)


def instead(old: str, new: str) -> str:
    """The good mixture with one part of it replaced."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def of_input(did: str, source: str, *parts: str, files: dict[str, str | bytes] | None = None) -> Mistake:
    """A mistake in where or how a source is read, which `curate` finds."""
    text = instead("{name: repos, kind: directory, path: code, pool: code}", source)
    return Mistake(did, "curate mix.yaml --out new", parts, {"mix.yaml": text, **(files or {})})


SYNTAX = [
    of_mixture(
        "indented with a tab",
        "name: mine\nsources:\n\t- {name: a, kind: git, path: a}\n",
        "mix.yaml:3:1: ",
        "indent line 3 with spaces",
        draws=True,
    ),
    of_mixture(
        "no space behind a colon",
        "name:mine\nsources:\n  - {name: a, kind: git, path: a}\n",
        "mix.yaml:2:8: ",
        "write `name: mine` in line 1",
        draws=True,
    ),
    of_mixture(
        "a colon inside a text",
        GOOD + "tokenizer:\n  path: a: b\n",
        "mix.yaml:8:10: ",
        "put text that holds a colon in quotes",
        draws=True,
    ),
    of_mixture(
        "lines of one mapping in two columns",
        GOOD + "tokenizer:\n    path: builtin\n  sample: {}\n",
        "mix.yaml:9:3: ",
        "begin in one column; this one does not",
        draws=True,
    ),
    of_mixture(
        "a bracket that is not closed",
        instead("max_loss: 1.0}", "drop_languages: [Java, C") + "seed: 1\n",
        "mix.yaml:7:5: ",
        "close the bracket that opens in line 6",
        draws=True,
    ),
    of_mixture(
        "a quote that is not closed",
        GOOD + 'tokenizer: {path: "builtin}\n',
        "mix.yaml:7:28: ",
        "close the quote that begins in line 7",
        draws=True,
    ),
    of_mixture(
        "a path that begins with a star",
        instead("path: code", "path: *.parquet"),
        "mix.yaml:3:43: ",
        "put text that begins with * or & in quotes",
        draws=True,
    ),
    of_mixture(
        "a key given twice",
        GOOD + "seed: 1\nseed: 2\n",
        "mix.yaml:8:1: ",
        "'seed' is given twice, first in line 7",
        "keep one",
        draws=True,
    ),
    of_mixture(
        "a comma in a number",
        instead("seq_len: 64", "seq_len: 262,144"),
        "mix.yaml:5:21: ",
        "key 144 is not text",
        "a number is written without commas, as 4096 or 4_096",
        draws=True,
    ),
    of_mixture(
        "a tag",
        instead("name: mine", "name: !!python/name:os.system"),
        "mix.yaml:1:7: ",
        "python/name:os.system",
        "write plain values",
        draws=True,
    ),
    of_mixture(
        "two documents in one file", GOOD + "---\nname: other\n", "mix.yaml:7:1: ", "take the line --- out", draws=True
    ),
    of_mixture(
        "a control character",
        instead("name: mine", "name: mi\x07ne"),
        "mix.yaml:1: ",
        "holds the character '\\x07'",
        "take it out",
    ),
    of_mixture("an empty file", "", "mix.yaml: is empty", "expected keys, at least `name:`, `sources:`"),
    of_mixture(
        "a list at the top",
        "- name: mine\n- sources: []\n",
        "mix.yaml: holds a list",
        "expected keys, at least `name:`, `sources:`",
    ),
    of_mixture("text instead of keys", "mine\n", "mix.yaml: holds text", "expected keys, at least `name:`, `sources:`"),
]
VALUES = [
    of_mixture(
        "no source at all",
        "name: mine\nsources: []\n",
        "sources: a list of at least 1 is expected",
        "write for each `name:`, `kind:`",
    ),
    of_mixture(
        "a key that is spelled wrongly",
        GOOD + "balance: {total_token: 1000}\n",
        "mix.yaml: line 7: balance.total_token: ",
        "did you mean total_tokens?",
    ),
    of_mixture(
        "a key in the wrong section",
        GOOD + "max_lines: 3\n",
        "mix.yaml: line 7: max_lines: ",
        "`max_lines` belongs to quality.code",
    ),
    of_mixture(
        "a choice that there is not",
        instead("kind: directory", "kind: folder"),
        "mix.yaml: line 3: sources.0.kind: ",
        "'directory', 'git', 'parquet'",
        "(got 'folder')",
    ),
    of_mixture(
        "a number in quotes",
        instead("seq_len: 64", 'seq_len: "64"'),
        "mix.yaml: line 5: pack.seq_len: ",
        "(got '64')",
        "write 64",
    ),
    of_mixture(
        "a number that YAML reads as text",
        GOOD + "balance: {total_tokens: 1e9}\n",
        "line 7: balance.total_tokens: ",
        "(got '1e9')",
        "write 1000000000",
    ),
    of_mixture(
        "percent instead of a share",
        GOOD + "balance: {code: {max_frac: {Python: 40}}}\n",
        "line 7: balance.code.max_frac.Python: ",
        "(got 40)",
        "for 40 % write 0.4",
    ),
    of_mixture(
        "a size below zero",
        GOOD + "ingest: {shard_bytes: -64}\n",
        "line 7: ingest.shard_bytes: ",
        "greater than or equal to 1024",
        "(got -64)",
    ),
    of_mixture(
        "a share of nothing",
        GOOD + "balance: {code: {shares: {Python: 0, others: 1}}}\n",
        "line 7: balance.code.shares.Python: ",
        "greater than 0",
        "(got 0)",
    ),
    of_mixture(
        "caps that do not reach the whole",
        GOOD + "balance: {text: {max_frac: {books: 0.5}}}\n",
        "line 7: balance.text.max_frac: ",
        "books 0.5",
        "raise the caps to 1 in sum",
    ),
    of_mixture(
        "a language that there is not",
        instead("max_loss: 1.0", "drop_languages: [pyhton]"),
        "line 6: select.drop_languages.0: ",
        "'pyhton'",
        "did you mean Python",
    ),
    of_mixture(
        "a source that there is not",
        GOOD + "balance: {text: {shares: {boks: 1}}}\n",
        "line 7: balance.text.shares.boks: ",
        "did you mean books?",
    ),
    of_mixture(
        "a licence that there is not",
        instead("pool: text", "pool: text, license: Apche-2.0"),
        "line 4: sources.1.license: ",
        "'Apche-2.0'",
        "did you mean apache-2.0",
    ),
    of_mixture(
        "a list where a mapping belongs",
        GOOD + "balance: [total_tokens]\n",
        "line 7: balance: ",
        "a mapping, as in {key: value}",
        "(got ['total_tokens'])",
    ),
    of_mixture(
        "a word where a list belongs",
        GOOD + "quality: {sets: gopher}\n",
        "line 7: quality.sets: ",
        "a list, as in [a, b]",
        "(got 'gopher')",
    ),
    of_mixture(
        "a word that YAML reads as a switch",
        instead("name: mine", "name: no"),
        "line 1: name: ",
        "YAML reads no, off or false so",
        "put the word in quotes",
    ),
    of_mixture(
        "a name with a blank",
        instead("name: mine", "name: my mixture"),
        "line 1: name: ",
        "small letters, digits",
        "(got 'my mixture')",
    ),
    of_mixture(
        "a source without a kind",
        instead("kind: directory, ", ""),
        "line 3: sources.0.kind: is missing",
        "how to read it",
    ),
    of_mixture(
        "two sources of one name",
        instead("name: books", "name: repos"),
        "line 4: sources.1.name: ",
        "['repos']",
        "give each its own",
    ),
    of_mixture(
        "a training file given as a mixture",
        TRAIN,
        "mix.yaml: is a training file",
        "`loopmix train mix.yaml --data RUN --out MODEL`",
    ),
    Mistake(
        "a mixture given as a training file",
        "train mix.yaml --data run --out model",
        ("mix.yaml: is a mixture", "`loopmix curate mix.yaml --out RUN`"),
    ),
    Mistake(
        "a file that is not there",
        "config mxi.yaml",
        ("mxi.yaml: cannot be read: No such file", "did you mean mix.yaml?"),
    ),
    Mistake("a folder instead of a file", "config code", ("'code' is a directory", "loopmix config --help"), code=2),
    Mistake(
        "a file that is no text",
        "config mix.yaml",
        ("mix.yaml: cannot be read", "byte 0xff at 4", "give a YAML file"),
        {"mix.yaml": b"PAR1\xff\xfe\x00"},
    ),
]


def lay(mistake: Mistake, place: Path) -> None:
    """Write the files of a mistake."""
    for name, content in mistake.files.items():
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode())
