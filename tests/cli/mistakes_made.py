"""Mistakes with input, runs and arguments; and the table of all."""

from __future__ import annotations

import json

from mistakes import GOOD, SYNTAX, TRAIN, VALUES, Mistake, instead, of_input
from mistakes_written import WRITTEN

_ROW = json.dumps({"content": "print('hello')", "path": "a.py"}) + "\n"
INPUTS = [
    of_input(
        "parquet read as a folder of files",
        "{name: repos, kind: directory, path: rows.parquet, pool: code}",
        "sources.repos.kind: directory makes one document of each file",
        "write kind: parquet",
        files={"rows.parquet": b"PAR1"},
    ),
    of_input(
        "a path that is wrong",
        "{name: repos, kind: directory, path: cod, pool: code}",
        "sources.repos.path: ",
        "cod does not exist",
        "expected a folder, a file or a glob",
    ),
    of_input(
        "a glob that matches nothing",
        "{name: repos, kind: jsonl, path: rows/*.jsonl, pool: code}",
        "sources.repos.path: ",
        "rows/*.jsonl matches",
        "looked at 1 files",
        "correct the path",
        files={"rows/a.json": _ROW},
    ),
    of_input(
        "braces in a path",
        "{name: repos, kind: jsonl, path: 'rows/*.{json,jsonl}', pool: code}",
        "sources.repos.path: ",
        "rows/*.{json,jsonl} matches",
        "a glob knows no braces: write a source for each",
        files={"rows/a.json": _ROW},
    ),
    of_input(
        "a file of the wrong kind",
        "{name: repos, kind: parquet, path: rows/a.jsonl, pool: code}",
        "rows/a.jsonl: it is not parquet",
        "use kind: jsonl",
        files={"rows/a.jsonl": _ROW},
    ),
    of_input(
        "a column that there is not",
        "{name: repos, kind: jsonl, path: rows/a.jsonl, pool: code, columns: {content: text}}",
        "sources.repos.columns.content: a.jsonl",
        "'text'",
        "found ['content', 'path']",
        files={"rows/a.jsonl": _ROW},
    ),
    of_input(
        "a gzip file that is none",
        "{name: repos, kind: jsonl, path: rows/a.jsonl.gz, pool: code}",
        "rows/a.jsonl.gz: ",
        "not gzip but JSON",
        "--on-bad-shard skip",
        files={"rows/a.jsonl.gz": _ROW},
    ),
    of_input(
        "a parquet file that was cut",
        "{name: repos, kind: parquet, path: rows/a.parquet, pool: code}",
        "rows/a.parquet: ",
        "is damaged",
        "fetch it again or exclude it",
        files={"rows/a.parquet": b"PAR1" + bytes(99)},
    ),
    of_input(
        "a file without rows",
        "{name: repos, kind: jsonl, path: rows/a.jsonl, pool: code}",
        "rows/a.jsonl: holds no row",
        "an empty file",
        "fetch it again",
        files={"rows/a.jsonl": ""},
    ),
    of_input(
        "a folder that is no checkout",
        "{name: repos, kind: git, path: code, pool: code}",
        "sources.repos.path: ",
        "is no git checkout",
        "use kind: directory",
    ),
    of_input(
        "a folder that `datasets` did not write",
        "{name: repos, kind: huggingface, path: code, pool: code}",
        "sources.repos.path: ",
        "holds no state.json",
        "use kind: parquet",
    ),
    of_input(
        "a reader that there is not",
        "{name: repos, kind: datatrove, reader: NoReader, pool: code}",
        "sources.repos.reader: 'NoReader'",
        "expected one of",
    ),
    Mistake(
        "a tokenizer that is not there",
        "curate mix.yaml --out new",
        ("tokenizer.path: ", "tok.json", "give a tokenizer.json or 'builtin'"),
        {"mix.yaml": GOOD + "tokenizer: {path: tok.json}\n"},
    ),
    Mistake(
        "a tokenizer that is none",
        "curate mix.yaml --out new",
        ("tokenizer.path: ", "no model.vocab", "give the tokenizer.json of a byte-level BPE"),
        {"mix.yaml": GOOD + "tokenizer: {path: tok.json}\n", "tok.json": "{}"},
    ),
    Mistake(
        "more tokens than there are",
        "curate mix.yaml --out new",
        ("balance.total_tokens", "1,000,000,000", "at most 2,412", "write balance.total_tokens: 2412"),
        {"mix.yaml": GOOD + "balance: {total_tokens: 1000000000}\n"},
    ),
    Mistake(
        "a plug-in that is not installed",
        "curate mix.yaml --out new",
        ("quality.plugins: ", "'mine'", "there: none"),
        {"mix.yaml": GOOD + "quality: {plugins: [mine]}\n"},
    ),
]
RUNS = [
    Mistake(
        "a run that was cut",
        "verify run",
        ("run/manifest.json: is damaged", "line 1 column 2", "remove it and run again"),
        {"run/manifest.json": "{"},
    ),
    Mistake(
        "a run that was edited",
        "verify run",
        ("run/manifest.json: was changed", "copy state/manifest.json of the run over it"),
        {"run/manifest.json": "{}"},
    ),
    Mistake(
        "a run that is not there",
        "verify nothing",
        ("nothing/manifest.json: does not exist", "make the run with `loopmix curate` first"),
    ),
    Mistake(
        "a folder that is no run",
        "report code",
        ("code/manifest.json: does not exist", "make the run with `loopmix curate` first"),
    ),
    Mistake("a file instead of a run", "report mix.yaml", ("'mix.yaml' is a file", "'RUN'"), code=2),
    Mistake("a document that there is not", "why run code/a.py", ("'code/a.py': ", "doc_id, path or path ending")),
    Mistake("a sequence that there is not", "trace run 100000", ("sequence 100000: ", "has sequences 0 to ")),
    Mistake(
        "a folder that holds something else",
        "curate mix.yaml --out code",
        ("code: holds files but no run", "m0.py", "choose an empty or new folder for --out"),
    ),
    Mistake(
        "the run of another mixture",
        "curate mix.yaml --out run",
        ("run: holds a run of mixture 'mine', not of 'other'", "choose another --out, or say --replace"),
        {"mix.yaml": instead("mine", "other")},
    ),
    Mistake(
        "a run inside its own source",
        "curate mix.yaml --out code/run",
        ("sources.repos.path: ", "code/run", "write exclude: [/run/] for this source"),
    ),
    Mistake("a run below a file", "curate mix.yaml --out mix.yaml/run", ("mix.yaml is no folder", "name another one")),
    Mistake(
        "an export onto something",
        "export-data run --to parquet --out code",
        ("code: is not an empty folder", "choose another --out"),
    ),
    Mistake(
        "a list with a line that says nothing",
        "forget run --list list.txt",
        ("line 1: path code/a.py", "correct them, or say --allow-missing"),
        {"list.txt": "path code/a.py\n"},
    ),
    Mistake(
        "a model that is none",
        "diagnose code --data run",
        ("code/config.json: ", "give a folder written by `loopmix train` or `export`"),
    ),
    Mistake(
        "a model with too few entries for the tokens",
        "train train.yaml --data run --out model",
        ("model.vocab_size is 1000", "holds token id ", "at least "),
        {"train.yaml": TRAIN.replace("76800", "1000")},
    ),
    Mistake(
        "a tokenizer larger than its sample",
        "train-tokenizer mix.yaml --out tok.json --sample-bytes 5000",
        ("vocab_size is 76,800", "ask for at most "),
    ),
    Mistake(
        "a source of code that is not there",
        "classify code/nothing.py",
        ("code/nothing.py: ", "give existing files or folders"),
    ),
]
ARGUMENTS = [
    Mistake(
        "a cluster that does not answer",
        "curate mix.yaml --out new --ray-address 127.0.0.1:1",
        ("--ray-address 127.0.0.1:1", "nobody answers", "start the cluster first"),
        needs="ray",
    ),
    Mistake(
        "a cluster without the extra `ray`",
        "curate mix.yaml --out new --ray-address auto",
        ("Ray is not installed", "pip install 'loopmix[ray]'"),
        without="ray",
    ),
    Mistake(
        "an object store without the extra `cloud`",
        "curate mix.yaml --out s3://bucket/run",
        ("need the package obstore", "pip install 'loopmix[cloud]'"),
        without="obstore",
    ),
    Mistake(
        "a list that is not there",
        "forget run --list list.txt",
        ("'--list': File 'list.txt' does not exist", "loopmix forget --help"),
        code=2,
    ),
    Mistake("a command that is spelled wrongly", "curat mix.yaml", ("'curat'", "Did you mean 'curate'?"), code=2),
    Mistake(
        "an option that is spelled wrongly",
        "curate mix.yaml --otu run",
        ("loopmix curate: ", "'--otu'", "Did you mean '--out'?"),
        code=2,
    ),
    Mistake(
        "an argument that is missing",
        "curate --out run",
        ("loopmix curate: Missing argument 'MIXTURE'", "loopmix curate --help"),
        code=2,
    ),
    Mistake(
        "an option that is missing",
        "curate mix.yaml",
        ("loopmix curate: Missing option '--out'", "loopmix curate --help"),
        code=2,
    ),
    Mistake(
        "an executor that there is not",
        "curate mix.yaml --out new --executor spark",
        ("'--executor': 'spark'", "'auto', 'inline', 'processes', 'ray'"),
        code=2,
    ),
    Mistake(
        "a format that there is not",
        "export-data run --to megatron-lm",
        ("'--to': 'megatron-lm'", "'megatron', 'mds'"),
        code=2,
    ),
    Mistake(
        "a cluster and this machine at once",
        "curate mix.yaml --out new --executor inline --ray-address auto",
        ("a Ray address and executor inline", "exclude each other: leave one of them out"),
        code=2,
    ),
    Mistake("a sample of more than all", "curate mix.yaml --out new --sample 5", ("'--sample': 5.0", "0<x<1"), code=2),
    Mistake("a number that is none", "trace run first", ("'SEQUENCE': 'first'", "is not a valid integer"), code=2),
    Mistake(
        "loops that are no numbers", "validate run --out v --loops two", ("--loops 'two'", "as in 1,2,3,4"), code=2
    ),
    Mistake(
        "a training without a place for its model",
        "train train.yaml --data run",
        ("--out is missing", "--dry-run"),
        {"train.yaml": TRAIN},
        code=2,
    ),
    Mistake("an example that there is not", "config --example papr", ("'papr'", "did you mean paper?")),
    Mistake("neither a mixture nor an example", "config", ("MIXTURE", "--example NAME"), code=2),
    Mistake(
        "a cluster without a folder that its nodes reach",
        "verify run --ray-address auto",
        ("--ray-address auto", "with --scratch"),
    ),
]
MISTAKES = {
    "A file that is no YAML": SYNTAX,
    "A value that cannot be": VALUES,
    "A value as people write it elsewhere": WRITTEN,
    "Input that is not what the mixture says": INPUTS,
    "A folder that is not what it should be": RUNS,
    "Arguments": ARGUMENTS,
}
