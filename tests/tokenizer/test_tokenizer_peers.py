"""Public vocabularies: those that are not here are named with the reason, those that are here count plain text."""

import pytest

from tokenizer.peers import PEERS, Count, Peer, installed


def fails() -> Count:
    raise AttributeError("no such name")


def test_a_missing_package_and_one_that_does_not_open_are_named() -> None:
    peers = (
        Peer("absent", 1, "no-such-package", "no_such_package", fails),
        Peer("other", 1, "json-of-old", "json", fails),
        Peer("words", 1, "json", "json", lambda: lambda text: len(text.split())),
    )
    found, missing = installed(peers)
    assert list(found) == ["words"]
    assert found["words"]("two words") == 2
    assert missing == {
        "absent": "no-such-package is not installed",
        "other": "json-of-old does not open it (AttributeError: no such name)",
    }


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_public_vocabulary_takes_names_of_special_tokens_for_text(peer: Peer) -> None:
    pytest.importorskip(peer.module)
    count = peer.open()
    assert (count(""), count("a"), count("hello world")) == (0, 1, 2)
    assert count("<|endoftext|>") > 3
