"""The stage in a run: what is trained on holds no secret; `verify` sees it when it does; `why` says where it stood."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from privacy import documented

from pipeline.arrays.trained import trained
from pipeline.cli.why import why_lines
from pipeline.config import Privacy
from pipeline.engine.executor import InlineExecutor
from pipeline.engine.progress import silent
from pipeline.engine.run import Run
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.mix.encoder import load_encoder
from pipeline.privacy import redacted
from pipeline.privacy.policies import dropping
from pipeline.privacy.redacted import redact
from pipeline.reading.lookup import why
from pipeline.reading.verify import verify
from pipeline.recipe import curate
from pipeline.report.compute import compute
from pipeline.request.load import load_mixture
from pipeline.schema import DOCUMENTS, REDACTED, SELECT, TOKENS

TOKEN, OTHER = (documented.drawn("ghp_{a36}", seed=n) for n in (1, 2))
MAIL, HOST = "ann@tidepool.org", "93.184.216.34"
WORDS = [documented.drawn("{L7}", seed=n) for n in range(300)]


def program(n: int, secret: str = "") -> str:
    """A program like no other; its second line may hold a secret."""
    draw = random.Random(n)
    names = [draw.sample(WORDS, 3) for _ in range(9)]
    lines = [f"def {a}_{n}({b}, {c}):\n    return {a} * {b} + {n}" for a, b, c in names]
    return f"import os\nKEY = '{secret or WORDS[n]}'\n" + "\n\n".join(lines) + "\n"


def prose(n: int, secret: str = "") -> str:
    draw = random.Random(1000 + n)
    lines = [" ".join(draw.sample(WORDS, 12)) + " and the words that go with it." for _ in range(9)]
    return "\n".join([lines[0], f"Write to {secret} about it." if secret else lines[1], *lines[2:]]) + "\n"


def curated(folder: Path, *, policies: str = "{}") -> RunFiles:
    for name, make, mine in (("code", program, {0: TOKEN, 1: OTHER, 2: HOST}), ("text", prose, {0: MAIL, 1: TOKEN})):
        (folder / name).mkdir(parents=True)
        for n in range(8):
            suffix = "py" if name == "code" else "txt"
            (folder / name / f"{n}.{suffix}").write_text(make(n, mine.get(n, "")), encoding="utf-8")
    (folder / "mixture.yaml").write_text(
        f"name: private\nsources:\n  - {{name: code, kind: directory, path: code, pool: code, license: MIT}}\n"
        f"  - {{name: text, kind: directory, path: text, pool: text, license: MIT}}\n"
        f"privacy: {{policies: {policies}}}\npack: {{seq_len: 64, n_shards: 1, n_partitions: 1}}\n"
    )
    mixture = load_mixture(folder / "mixture.yaml")
    curate(Run(open_store(str(folder / "run")), mixture, InlineExecutor(), silent()))
    return RunFiles(open_store(str(folder / "run")))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    return curated(tmp_path_factory.mktemp("private"))


def tokens_of(run: RunFiles) -> dict[str, bytes]:
    """What each kept document became, by its path."""
    encoder, texts = load_encoder("builtin"), {}
    for shard in range(run.n_shards):
        ids = run.tables.read(TOKENS, shard)["token_ids"]
        paths = run.tables.read(DOCUMENTS, shard, columns=["path"])["path"].to_pylist()
        texts |= {p: encoder.decode(np.asarray(i.values)[:-1]) for p, i in zip(paths, ids, strict=True) if i.is_valid}
    return texts


def promise(run: RunFiles) -> tuple[bool, str]:
    return next((f.kept, f.detail) for f in verify(run) if f.promise == "privacy")


def test_no_secret_is_left_in_tokens_and_all_promises_hold(run: RunFiles) -> None:
    texts = tokens_of(run)
    assert len(texts) == 16
    for secret in (TOKEN, OTHER, MAIL, HOST):
        assert not any(secret.encode() in text for text in texts.values())
    assert b"KEY = 'ghp_EXAMPLE" in texts["0.py"] and b"@example." in texts["0.txt"]
    assert texts["3.py"].decode() == program(3)
    assert [f.promise for f in verify(run) if not f.kept] == []


def test_the_table_holds_places_and_no_values(run: RunFiles) -> None:
    rows = [row for shard in range(run.n_shards) for row in run.tables.read(REDACTED, shard).to_pylist()]
    found = [[f["kind"] for f in row["findings"]] for row in rows if row["findings"]]
    assert sorted(found) == [["email"], ["github_token"], ["github_token"], ["github_token"], ["ipv4"]]
    assert all((row["content"] is not None) == bool(row["findings"]) for row in rows)
    files = [p for p in Path(run.store.root).rglob("*") if p.is_file() and "/documents/" not in p.as_posix()]
    assert not [p for p in files if TOKEN.encode() in p.read_bytes()]


def test_why_shows_line_column_kind_and_policy(run: RunFiles) -> None:
    (document,) = why(run, "0.py")
    assert document["findings"] == [{"line": 2, "column": 8, "kind": "github_token", "policy": "redact"}]
    assert "  finds     line 2, column 8: github_token, redacted" in why_lines(document)
    assert TOKEN not in json.dumps(document)


def test_the_report_counts_by_kind_language_and_source(run: RunFiles) -> None:
    found = compute(run).privacy
    assert [(k.kind, k.policy, k.n_finds, k.n_docs) for k in found.kinds] == [
        ("github_token", "redact", 3, 3),
        ("email", "redact", 1, 1),
        ("ipv4", "redact", 1, 1),
    ]
    assert [(p.name, p.n_docs, p.n_left_docs, p.n_docs_of_class["token"]) for p in found.languages] == [
        ("Python", 3, 0, 2),
        ("Text", 2, 0, 1),
    ]
    assert [(p.name, p.n_docs_of_class["email"]) for p in found.sources] == [("code", 0), ("text", 1)]


def test_verify_fails_when_redaction_is_switched_off_behind_its_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redacted, "find", lambda data, offsets, *, unquoted: Nothing)
    run = curated(tmp_path)
    monkeypatch.undo()
    kept, detail = promise(run)
    assert not kept and "hold what should be redacted" in detail and "github_token" in detail and TOKEN not in detail


class Nothing:
    """What `find` returns where it looks at nothing."""

    document = start = end = np.zeros(0, np.int64)
    kind: list[str] = []  # noqa: RUF012 - as Finds has it


def test_policies_drop_and_report(tmp_path: Path) -> None:
    run = curated(tmp_path, policies="{github_token: drop, address: drop, email: report}")
    decided = [row for shard in range(run.n_shards) for row in run.tables.read(SELECT, shard).to_pylist()]
    assert sorted(row["reasons"] for row in decided if row["reasons"]) == [["personal_data"], *[["secret"]] * 3]
    assert MAIL.encode() in tokens_of(run)["0.txt"]
    assert [f.promise for f in verify(run) if not f.kept] == []
    (document,) = why(run, "0.py")
    lines = [" ".join(line.split()) for line in why_lines(document)]
    assert "finds line 2, column 8: github_token, drops the document" in lines
    assert "to pass this limit, write in the mixture: privacy: {policies: {github_token: redact}}" in lines
    (left,) = [p for p in compute(run).privacy.sources if p.name == "text"]
    assert left.n_left_docs == 1


def table(*rows: tuple[str, bytes]) -> pa.Table:
    documents = pa.table(
        {
            "doc_id": [f"{n:032x}" for n in range(len(rows))],
            "content": pa.array([c for _, c in rows], pa.large_binary()),
        }
    )
    return redact(documents, pa.table({"language": [language for language, _ in rows]}), config=Privacy())


def test_quotes_are_needed_by_language() -> None:
    line = b"api_key=" + documented.drawn("{a24}", seed=1).encode() + b"\n"
    assert [len(f) for f in table(("INI", line), ("Python", line))["findings"].to_pylist()] == [1, 0]


def test_equal_documents_are_redacted_alike_and_shards_of_nothing_are_fine() -> None:
    content = f"mail {MAIL} or {HOST}\n".encode()
    one, two, three = table(("Text", content), ("Text", content), ("Text", b"nothing"))["content"].to_pylist()
    assert one == two and three is None
    assert table().num_rows == 0


def test_trained_takes_the_redacted_text_where_there_is_one() -> None:
    documents = pa.table({"content": pa.array([b"a", b"b"], pa.large_binary())})
    for changed, wanted in (([None, b"x"], [b"a", b"x"]), ([None, None], [b"a", b"b"])):
        assert trained(documents, pa.table({"content": pa.array(changed, pa.large_binary())})).to_pylist() == wanted


def test_dropping_maps_kinds_to_reasons() -> None:
    assert dropping(Privacy().policies) == {}
    assert dropping({"email": "drop", "npm_token": "drop"}) == {
        "email": "personal_data",
        "npm_token": "secret",
    }
