"""What is counted as a secret or personal, and what is not. Values are put together at run time, so that no scanner of
repositories takes this file for a leak."""

import random
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.quality import secrets


def count(*documents: str | bytes) -> list[tuple[int, int]]:
    raw = [d.encode() if isinstance(d, str) else d for d in documents]
    offsets = np.cumsum([0, *(len(r) for r in raw)])
    found = secrets.count(np.frombuffer(b"".join(raw), np.uint8), offsets)
    return list(zip(found.n_secrets.tolist(), found.n_personal.tolist(), strict=True))


def noise(n: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    """n characters that look random and are the same each time."""
    return "".join(random.Random(n).choices(alphabet, k=n))


UPPER = string.ascii_uppercase + "234567"
KEY = f"-----BEGIN RSA PRIVATE {'KEY'}-----\n"
SECRETS = [
    KEY + noise(64) + "\n" + noise(64),
    KEY.replace("RSA ", "") + "Proc-Type: 4,ENCRYPTED\n\n" + noise(64),
    "aws_id = " + "AKIA" + noise(16, UPPER),
    "ghp_" + noise(36),
    "token: gho_" + noise(36),
    "github_pat_" + noise(60),
    "glpat-" + noise(20),
    "xoxb-" + "123456789012-" + noise(24),
    "sk_live_" + noise(24),
    "AIza" + noise(35),
    "sk-" + "proj-" + noise(44),
    "npm_" + noise(36),
    "pypi-" + "AgEIcHlwaS5vcmc" + noise(60),
    "hf_" + noise(34, string.ascii_letters),
    "SG." + noise(22) + "." + noise(43),
    "AccountKey=" + noise(86) + "==",
    "eyJ" + noise(20) + ".eyJ" + noise(40) + "." + noise(43),
    "postgres://app:" + noise(14) + "@db.tidepool.org/main",
    f'DB_PASSWORD = "{noise(14)}"',
    f"secret_token: '{noise(40)}'",
    f'{{"apiKey" : "{noise(24)}"}}',
    f"$config['access_key'] = '{noise(20)}';",
    f'client_secret => "{noise(20)}"',
]


@pytest.mark.parametrize("document", SECRETS, ids=lambda d: d[:12].replace("\n", " "))
def test_a_secret_is_counted_once_when_it_stands_in_code(document):
    assert count(f"# settings\n{document}\nprint(1)\n") == [(1, 0)]


@pytest.mark.parametrize("document", SECRETS, ids=lambda d: d[:12].replace("\n", " "))
def test_nothing_is_counted_when_a_secret_is_split_between_documents(document):
    middle = len(document) - 6
    assert count(document[:middle], document[middle:])[1] == (0, 0)


@pytest.mark.parametrize(
    "document",
    [
        KEY + "here goes the key",
        f'if text.startswith("{KEY.strip()}"):',
        "AKIA" + noise(9, UPPER) + "EXAMPLE",
        "MAKIA" + noise(16, UPPER),  # the tail of a longer word
        "task-" + noise(50),  # ends in sk-
        "sk-" + "loading-indicator-for-the-large-table-of-contents",  # a style
        'password = "correcthorse"',  # a word
        'password = "changeme1234567"',
        'password = "<your password 1>"',
        'token = "${API_TOKEN_7}"',
        f'publicKeyToken="{noise(16, "0123456789abcdef")}"',
        'password = os.environ["DB_PASSWORD_1"]',
        "token == previous_token_2",
        "https://user:password@tidepool.org/",
        "http://localhost:8080/@scope/name",
    ],
)
def test_nothing_is_counted_when_a_secret_is_only_spoken_of(document):
    assert count(document) == [(0, 0)]


@pytest.mark.parametrize(
    "document",
    [
        "Written by Ann <ann.lee+code@mail.tidepool.org>",
        "mailto:o'brien@tidepool.org",
        "at 93.184.216.34 port 80",
        "[80.77.23.9]:443",
    ],
)
def test_personal_data_is_counted_when_it_points_to_someone(document):
    assert count(document) == [(0, 1)]


@pytest.mark.parametrize(
    "document",
    [
        "someone@example.com or me@mail.example.org or you@localhost",
        "git@github.com:tidepool/code.git",
        "icon@2x.png and logo@small.svg",
        "y = a@b.T; z = a @ b",
        "@decorator\n@a.b.c",
        "npm i left-pad@1.2.3.beta",
        "127.0.0.1 10.20.30.40 192.168.1.77 172.16.99.1 169.254.100.1 0.0.0.0 255.255.255.0 224.0.0.251 100.64.1.1",
        "192.0.2.77 198.51.100.77 203.0.113.77",
        "version 4.65.100.2, v8.99.1.100, Version=9.0.100.200",
        "1.3.6.1.4.1.99999 and section 13.16.42.2 and 2.5.29.14",
        "80.77.23.999 and 80.077.23.9 and 80.77.23.9.1 and a80.77.23.9",
    ],
)
def test_nothing_personal_is_counted_when_it_is_reserved_or_something_else(document):
    assert count(document) == [(0, 0)]


def test_each_document_has_its_own_counts_when_there_are_several():
    assert count("a", SECRETS[3] + "\n" + SECRETS[6], "", "Ann <ann@tidepool.org>, Bo <bo@tidepool.org>") == [
        (0, 0),
        (2, 0),
        (0, 0),
        (0, 2),
    ]


def test_counts_start_at_the_slice_when_offsets_do_not_begin_at_zero():
    data = np.frombuffer(b"ann@tidepool.org bo@tidepool.org", np.uint8)
    found = secrets.count(data, np.array([3, 16, 32]))
    assert found.n_personal.tolist() == [0, 1]


@given(st.lists(st.sampled_from([b"@", b".", b"1", b"12", b"ghp_", b"token", b"=", b'"', b"a", b"://", b":", b"\xff"])))
def test_count_survives_when_given_fragments(parts):
    document = b"".join(parts)
    whole = count(document, document)
    assert whole[0] == whole[1]
    assert min(whole[0]) >= 0


def test_count_is_linear_when_every_byte_could_start_something():
    for piece in (b"a@", b"1.", b"token", b"sk-", b"eyJ", b"://a:", b"-----BEGIN ", b'token="'):
        assert count(piece * 30_000) == [(0, 0)]


def test_entropy_is_that_of_a_coin_when_two_letters_alternate():
    assert secrets.entropy(b"abababab") == 1.0
    assert secrets.entropy(b"aaaa") == 0.0
