"""Why a document that both runs keep has another number of tokens: only what really made it so is named."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cases_by_hand import MADE, USUAL, cause, document
from compared import beside, ledger, made

import tokenizer
from pipeline.compare.found import ChangedDocument, RunComparison
from pipeline.config import Mixture
from pipeline.engine.run_folder import RunFiles

ADDRESSES = ("mara.lindqvist@harbour-mail.se", "t.okonkwo@river-works.ng", "ines@quarry-lane.pt")
REPORTED = Mixture.model_validate(USUAL.model_dump() | {"privacy": {"policies": {"email": "report"}}})


# --- two runs that differ in nothing else ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """The small corpus with addresses in one document of each pool."""
    folder = tmp_path_factory.mktemp("private") / "data"
    shutil.copytree(corpus, folder)
    for name, line in (
        ("text/keep__low_tide.txt", "Write to {}.\n"),
        ("code/scripts/keep__recipe_scaler.rb", "# ask {}\n"),
    ):
        assert (folder / name).exists(), name
        with (folder / name).open("a", encoding="utf-8") as file:
            file.writelines(line.format(address) for address in ADDRESSES)
    return folder


def run_of(folder: Path, name: str, more: str = "") -> RunFiles:
    text = (folder / "mixture.yaml").read_text(encoding="utf-8")
    (folder / f"{name}.yaml").write_text(text + more, encoding="utf-8")
    return made(folder.parent / name, folder / f"{name}.yaml")


@pytest.fixture(scope="module")
def masked(private: Path) -> RunFiles:
    """Every find has a placeholder, which is the default."""
    return run_of(private, "masked")


@pytest.fixture(scope="module")
def reported(private: Path) -> RunFiles:
    """The same, with addresses left as they are."""
    return run_of(private, "reported", "privacy: {policies: {email: report}}\n")


def token_examples(found: RunComparison) -> dict[str, ChangedDocument]:
    assert found.documents is not None
    return {example.path: example for example in found.documents.examples if example.kind == "other_tokens"}


def tokens_of(run: RunFiles) -> dict[str, int]:
    return {row["path"]: row["n_tokens"] for row in ledger(run).values() if row["keep"]}


def test_a_run_that_differs_in_privacy_alone_names_what_is_masked(masked: RunFiles, reported: RunFiles) -> None:
    found = beside(masked, reported)
    examples, n = token_examples(found), (tokens_of(masked), tokens_of(reported))
    assert [change.key for change in found.settings] == ["privacy.policies.email"]
    assert found.documents is not None
    differ = {path for path in n[0].keys() & n[1].keys() if n[0][path] != n[1][path]}
    assert len(differ) == found.documents.counts["other_tokens"] == len(examples)
    assert differ == examples.keys() == {"scripts/keep__recipe_scaler.rb", "keep__low_tide.txt"}
    for path, example in examples.items():
        assert example.cause == (
            f"it has {n[0][path]:,} tokens in A and {n[1][path]:,} in B; masked otherwise: email is found 3 times, "
            "redact in A and report in B by privacy.policies"
        )
    assert not [e for e in found.documents.examples if e.path not in differ and "masked" in e.cause]


def test_a_run_that_differs_in_its_tokenizer_alone_names_that_and_nothing_masked(
    private: Path, masked: RunFiles
) -> None:
    spelled = tokenizer.train(["def count(row):\n    return row + 1\n" * 40] * 4, vocab_size=360, max_reserved_frac=1)
    (private / "small.json").write_bytes(spelled.to_str().encode())
    other = run_of(private, "small", "tokenizer: {path: small.json}\n")
    found = beside(masked, other)
    examples = token_examples(found)
    assert "scripts/keep__recipe_scaler.rb" in tokens_of(masked), "no document with finds was looked at"
    assert len(examples) == 12
    hashes = found.a.tokenizer[:12], found.b.tokenizer[:12]
    for example in examples.values():
        assert re.fullmatch(
            rf"it has [\d,]+ tokens in A and [\d,]+ in B; the tokenizers differ, {hashes[0]} in A and {hashes[1]} in B",
            example.cause,
        )
    assert found.documents is not None
    assert not [e for e in found.documents.examples if "masked" in e.cause]


# --- case by case ----------------------------------------------------------------------------------------------------


def email(start: int, *, policy: str = "redact") -> dict[str, Any]:
    return {"kind": "email", "start": start, "end": start + 9, "policy": policy}


ONE = document("d", n_tokens=10, masked="one", findings=[email(5)])
COUNTS = "it has 10 tokens in A and 12 in B; "


@pytest.mark.parametrize(
    ("there", "mixtures", "versions", "said"),
    [
        (
            {"findings": [email(5, policy="report")]},
            (USUAL, REPORTED),
            (1, 1),
            "masked otherwise: email is found once, redact in A and report in B by privacy.policies",
        ),
        (
            {"findings": [email(5), email(30)]},
            (USUAL, USUAL),
            (1, 2),
            "masked otherwise: email is found 1 times in A and 2 in B; the stage redacted is version 1 in A and 2 in B",
        ),
        (
            {"findings": [email(6)]},
            (USUAL, USUAL),
            (1, 1),
            "masked otherwise: email is found once, at other places in A and B",
        ),
        (
            {},
            (USUAL, USUAL),
            (1, 2),
            "masked otherwise: the same finds (email) have other placeholders in A and B; the stage redacted is "
            "version 1 in A and 2 in B",
        ),
        ({"masked": "one"}, (USUAL, REPORTED), (1, 2), "nothing that the runs hold says why"),
        ({"masked": None}, (USUAL, REPORTED), (1, 2), "nothing that the runs hold says why"),
    ],
)
def test_how_a_text_is_masked_otherwise(
    there: dict[str, Any], mixtures: tuple[Mixture, Mixture], versions: tuple[int, int], said: str
) -> None:
    other = ONE | {"n_tokens": 12, "masked": "two"} | there
    made_by = replace(MADE, redacted=versions[0]), replace(MADE, redacted=versions[1])
    for kind in ("other_tokens", "other_amount", "out_of_mixture"):
        assert cause(kind, ONE, other, mixtures=mixtures, made_by=made_by) == COUNTS + said


def test_other_bytes_are_the_cause_and_their_finds_are_none() -> None:
    one, other = ONE | {"content_hash": b"1"}, ONE | {"content_hash": b"2", "masked": "two", "n_tokens": 12}
    said = "the input holds other bytes in A and B, 100 each; it has 10 tokens in A and 12 in B"
    assert cause("other_tokens", one, other) == said
    gone = other | {"content_hash": None}
    assert cause("other_tokens", one, gone).endswith("other placeholders in A and B"), "sizes are all that is known"


def test_masks_are_no_cause_of_a_language_which_is_told_before() -> None:
    said = cause("other_language", ONE, ONE | {"masked": "two", "language": "Cython"})
    assert said.startswith("no difference")


def test_forms_and_versions_of_the_code_are_named() -> None:
    other = ONE | {"n_tokens": 12, "form": "psm"}
    said = cause("other_tokens", ONE, other, made_by=(MADE, replace(MADE, tokens=4)))
    assert said == COUNTS + "the stage tokens is version 1 in A and 4 in B; its form is plain in A and psm in B"


def test_masks_explain_a_change_of_fate_only_where_nothing_else_does() -> None:
    dropped = ONE | {"masked": "two", "fate": "dropped", "keep": False, "reasons": ["too_short"], "n_tokens": 0}
    dropped["fired"] = [{"rule": "too_short", "value": 20.0}]
    dropped["findings"] = [email(5, policy="report")]
    asked = {"quality": {"code": {"min_chars": 30}}}
    said = cause("left", ONE, dropped, mixtures=(USUAL, REPORTED))
    assert said == "masked otherwise: email is found once, redact in A and report in B by privacy.policies"
    strict = Mixture.model_validate(REPORTED.model_dump() | asked)
    assert cause("left", ONE, dropped, mixtures=(USUAL, strict)).startswith("too_short: 20 is below")
    assert "masked" not in cause("left", ONE, dropped, mixtures=(USUAL, strict))
