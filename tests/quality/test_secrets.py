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
    f'dbpassword = "{noise(14)}"',  # a name may end in the word
    'password = "' + "qmzkrty7" + '"',  # eight different characters are just random enough
    "eyJ" + noise(128) + ".eyJ" + noise(200) + "." + noise(10),  # the longest token that is looked for
]


@pytest.mark.parametrize("document", SECRETS, ids=lambda d: d[:12].replace("\n", " "))
def test_a_secret_is_counted_once_when_it_stands_in_code(document):
    assert count(f"# settings\n{document}\nprint(1)\n") == [(1, 0)]


@pytest.mark.parametrize("document", SECRETS, ids=lambda d: d[:12].replace("\n", " "))
def test_nothing_is_counted_when_a_secret_is_split_between_documents(document):
    middle = len(document) - 6
    assert count(document[:middle], document[middle:])[1] == (0, 0)


def test_a_match_ends_with_its_document():
    assert count("ghp_" + noise(20), noise(16)) == [(0, 0), (0, 0)]
    assert count("ghp_" + noise(36), noise(16)) == [(1, 0), (0, 0)]
    assert count("8", "0.77.23.99") == [(0, 0), (0, 0)]  # not 80.77.23.99


@pytest.mark.parametrize(
    ("before", "n", "alphabet", "after"),
    [
        (KEY, 32, string.ascii_letters, ""),
        ("AKIA", 16, UPPER, " "),
        ("ghp_", 36, string.ascii_letters, ""),
        ("github_pat_", 50, string.ascii_letters, ""),
        ("glpat-", 20, string.ascii_letters, ""),
        ("xoxb-" + "123456", 10, string.ascii_letters, ""),
        ("sk_live_", 20, string.ascii_letters, ""),
        ("AIza", 35, string.ascii_letters, " "),
        ("sk-" + "9", 39, string.ascii_letters, ""),
        ("npm_", 36, string.ascii_letters, " "),
        ("pypi-" + "AgE", 50, string.ascii_letters, ""),
        ("hf_", 34, string.ascii_letters, " "),
        ("SG." + noise(22) + ".", 43, string.ascii_letters, ""),
        ("AccountKey=", 86, string.ascii_letters, "=="),
        ("eyJ" + noise(10) + ".eyJ" + noise(10) + ".", 10, string.ascii_letters, ""),
    ],
)
def test_a_token_is_counted_from_its_documented_length_on(before, n, alphabet, after):
    assert count(before + noise(n, alphabet) + after) == [(1, 0)]
    assert count(before + noise(n - 1, alphabet) + after) == [(0, 0)]
    is_open = after == ""
    assert count(before + noise(n + 1, alphabet) + after) == [(int(is_open), 0)]


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
        'password = "hunter22"',  # too few different characters
        'password = "jumpingfoxdwarves"',  # no digit
        'password = "48' + '29175036"',  # a number
        f'public_token="{noise(16, "0123456789abcdef")}"',
        f'publicToken="{noise(16, "0123456789abcdef")}"',
        "https://user:" + "x" * 40 + "@tidepool.org/",
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
        *("3.200.29.14", "13.16.42.64", "13.16.42.255", "80.0.23.99", "223.5.5.5"),
        *("172.15.99.1", "172.32.99.1", "100.63.1.1", "100.128.1.1", "198.17.1.1", "198.20.1.1"),
    ],
)
def test_personal_data_is_counted_when_it_points_to_someone(document):
    assert count(document) == [(0, 1)]


@pytest.mark.parametrize(
    "document",
    [
        "someone@example.com or me@mail.example.org or you@localhost",
        "git@github.com:tidepool/code.git",
        "icon@2x.png and logo@small.SVG",
        "y = a@b.T; z = a @ b",
        "@decorator\n@a.b.c",
        "npm i left-pad@1.2.3.beta",
        "127.0.0.1 10.20.30.40 192.168.1.77 172.16.99.1 169.254.100.1 0.0.0.0 255.255.255.0 224.0.0.251 100.64.1.1",
        "192.0.2.77 198.51.100.77 203.0.113.77",
        "10.200.30.40 172.31.99.1 100.127.1.1 198.18.1.1 198.19.1.1",
        "2.200.29.14 and 13.16.42.63 and 13.16.42.256 and 5.80.77.23.9",
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
