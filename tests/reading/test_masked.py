"""What is shown of a text holds no value that was found, whatever its policy."""

from __future__ import annotations

import pyarrow as pa
import pytest
from privacy import documented

from pipeline.config import Privacy
from pipeline.privacy.policies import Policy
from pipeline.privacy.redacted import redact
from pipeline.reading.masked import MaskedText, masked

TOKENS = [documented.drawn("ghp_{a36}", seed=n) for n in range(3)]
MAIL, HOST = "ann@tidepool.org", "93.184.216.34"
TEXT = f"A = '{TOKENS[0]}'\n# {MAIL} é {HOST}\nB = '{TOKENS[1]}'; C = '{TOKENS[0]}'\n# at last {MAIL}\n".encode()


def shown(policies: dict[str, Policy]) -> tuple[MaskedText, bytes | None]:
    documents = pa.table({"doc_id": ["0" * 32], "content": pa.array([TEXT], pa.large_binary())})
    row = redact(documents, pa.table({"language": ["Python"]}), config=Privacy(policies=policies)).to_pylist()[0]
    return masked(TEXT, row["findings"], redacted=row["content"], policies=policies), row["content"]


@pytest.mark.parametrize(
    "policies",
    [
        {},
        {"email": "report"},
        {"email": "drop", "github_token": "report"},
        {"email": "report", "ipv4": "drop"},
        {"secret": "report"},
        {"token": "report", "address": "report", "email": "report", "ipv4": "report", "github_token": "report"},
    ],
)
def test_no_value_is_shown_and_each_stands_where_the_find_says(policies: dict[str, Policy]) -> None:
    found, redacted = shown(policies)
    assert found.text == (redacted or TEXT)
    assert len(found.finds) == 6
    values = {v.encode() for v in (*TOKENS, MAIL, HOST)}
    for find in found.finds:
        assert (found.text[find.start : find.end] in values) == find.is_hidden
    assert not any(value in found.safe for value in values)
    n_hidden = sum(find.is_hidden for find in found.finds)
    assert found.safe.count(b" hidden]") == n_hidden
    assert "é".encode() in found.safe and found.safe.endswith(b"\n")


def test_a_redacted_text_that_the_finds_do_not_explain_is_not_shown_but_the_content_with_all_hidden() -> None:
    _, redacted = shown({})
    finds = [{"kind": "github_token", "start": TEXT.index(b"ghp"), "end": TEXT.index(b"ghp") + 40}]
    found = masked(TEXT, finds, redacted=redacted, policies={})
    assert found.text == TEXT
    assert [find.is_hidden for find in found.finds] == [True]
    assert found.safe.startswith(b"A = '[github_token hidden]'\n")


def test_finds_beyond_the_end_of_a_text_that_is_gone_are_passed_over() -> None:
    assert masked(b"", [{"kind": "email", "start": 0, "end": 4}], redacted=None, policies={}) == MaskedText(b"", ())
