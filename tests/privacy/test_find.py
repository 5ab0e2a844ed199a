"""What is found as a secret or personal, and what is not. Values are put together at run time, so that no scanner of
repositories takes this file for a leak."""

import random
import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.privacy import looks
from pipeline.privacy.find import find
from pipeline.privacy.kinds import PERSONAL, kinds


def found(*documents: str | bytes, unquoted: bool = False) -> list[list[tuple[str, bytes]]]:
    """Kind and bytes of each find, document by document."""
    raw = [d.encode() if isinstance(d, str) else d for d in documents]
    offsets = np.cumsum([0, *(len(r) for r in raw)])
    data = np.frombuffer(b"".join(raw), np.uint8)
    out: list[list[tuple[str, bytes]]] = [[] for _ in raw]
    finds = find(data, offsets, unquoted=np.full(len(raw), unquoted))
    rows = zip(finds.document.tolist(), finds.start.tolist(), finds.end.tolist(), finds.kind, strict=True)
    for document, start, end, kind in rows:
        out[document].append((kind, raw[document][start:end]))
    return out


def count(*documents: str | bytes) -> list[tuple[int, int]]:
    """How many secrets and how many personal data each document holds."""
    sorts = [[kinds()[kind].cls in PERSONAL for kind, _ in finds] for finds in found(*documents)]
    return [(len(own) - sum(own), sum(own)) for own in sorts]


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
        ("xoxb-" + "123456" + "-", 10, string.ascii_letters, ""),
        ("sk_live_", 10, string.ascii_letters, ""),
        ("AIza", 35, string.ascii_letters, " "),
        ("sk-" + "9", 31, string.ascii_letters, ""),
        ("npm_", 36, string.ascii_letters, " "),
        ("pypi-" + "AgE", 50, string.ascii_letters, ""),
        ("hf_", 34, string.ascii_letters + string.digits, " "),
        ("SG." + noise(22) + ".", 39, string.ascii_letters, ""),
        ("AccountKey=", 86, string.ascii_letters, "=="),
        ("eyJ" + noise(10) + ".eyJ", 10, string.ascii_letters, ""),
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
        "m 1.52-.87 2.83-2.12 3.51.98.32 2.03.5 3.11",
        'changed "6.90.0.21", upgraded to 4.6.85.25',
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


def test_finds_count_from_their_document_when_offsets_do_not_begin_at_zero():
    data = np.frombuffer(b"ann@tidepool.org bo@tidepool.org", np.uint8)
    finds = find(data, np.array([3, 16, 32]), unquoted=np.zeros(2, bool))
    assert (finds.document.tolist(), finds.start.tolist(), finds.end.tolist()) == ([1], [1], [16])


@given(st.lists(st.sampled_from([b"@", b".", b"1", b"12", b"ghp_", b"token", b"=", b'"', b"a", b"://", b":", b"\xff"])))
def test_count_survives_when_given_fragments(parts):
    document = b"".join(parts)
    whole = count(document, document)
    assert whole[0] == whole[1]
    assert min(whole[0]) >= 0


def test_count_is_linear_when_every_byte_could_start_something():
    for piece in (b"a@", b"1.", b"token", b"sk-", b"eyJ", b"://a:", b"-----BEGIN ", b'token="'):
        assert count(piece * 30_000) == [(0, 0)]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("DB_PASSWORD=" + noise(14), noise(14)),
        ("export API_KEY=" + noise(32) + "  # the shop's", noise(32)),
        ("  client_secret: " + noise(24), noise(24)),
        ("auth.token = " + noise(40), noise(40)),
        ("mysql --password=" + noise(13) + " shop", noise(13)),
        ("?a=1&access_token=" + noise(20) + "&b=2", noise(20)),
    ],
)
def test_a_value_without_quotes_is_found_only_where_none_are_needed(line, value):
    assert [v for _, v in found(f"# settings\n{line}\n", unquoted=True)[0]] == [value.encode()]
    assert found(f"# settings\n{line}\n") == [[]]


@pytest.mark.parametrize(
    "line",
    [
        "password: get_password2(user1)",
        "token = tokens.Next1",
        "secret: /run/secrets/app1",
        "PASSWORD=$DB_PASSWORD_1",
        "token: !vault 12ab34cd",
        "secret_name: shop-b7f2-k9x1",
        "password_file = h7Gx2kQ9z",
        "api_key: <insert your key 1>",
        "secret: xxxxxxxxxxxxxxxxxxxxxxxx1",
    ],
)
def test_nothing_is_found_without_quotes_when_it_is_code_a_path_or_a_name(line):
    assert found(f"{line}\n", unquoted=True) == [[]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('setPassword("' + noise(16) + '")', noise(16)),
        ('db --password "' + noise(16) + '"', noise(16)),
        ('if ("' + noise(16) + '" == password) {', noise(16)),
        ('if (apiKey !== "' + noise(16) + '") {', noise(16)),
        ('char secret[17] = "' + noise(16) + '";', noise(16)),
        ('password = @"Zt!4$kk^p(q";', "Zt!4$kk^p(q"),
        ("password := k{Zt)!4$kk^p(q\n", "k{Zt)!4$kk^p(q"),  # brackets that are not code's
    ],
)
def test_a_string_is_found_when_its_name_says_so_without_an_equals_sign_before_it(text, value):
    assert [v for _, v in found(text)[0]] == [value.encode()]


@pytest.mark.parametrize(
    "text",
    [
        'getToken("' + noise(16) + '")',
        'error: unexpected token "i8x16.nearest", expected',
        'token = "^[a-z]+[0-9]*$1"',
        'private $token = "/^[\\x21\\x23-\\x27]/1";',
        'password = "str2bytes(hex1)"',
        'GPT2Tokenizer.from_pretrained("openai-community/gpt2x9")',
        'CREDENTIALS_KEY = "google_oauth2_credentials"',
        "encrypt({PublicKey=#jose_jwk{}, StaticSecretKey=#jose_jwk{}}, Key)",
    ],
)
def test_no_string_is_found_when_it_is_asked_for_or_is_code(text):
    assert found(text) == [[]]


@pytest.mark.parametrize(
    "address", ["2a01:4f8:c17:b8f::2", "2001:470:1f0b:16b0:20c:29ff:fe3d:1", "2606:2800:220:1::93"]
)
def test_an_ipv6_address_is_found_when_it_is_public(address):
    assert found(f"listen [{address}]:443\n") == [[("ipv6", address.encode())]]


@pytest.mark.parametrize(
    "text", ["2001:db8::1", "fe80::1ff:fe23:4567:890a", "2020::year", "at 2012:10:11", "std::2abc::x", "3fff:0:1::2"]
)
def test_no_ipv6_address_is_found_when_it_is_reserved_or_something_else(text):
    assert found(text) == [[]]


def test_a_private_key_is_its_body_when_it_stands_in_a_string_of_a_program():
    lines = [noise(64), noise(63), noise(20)]
    escaped = KEY.strip() + "\\n" + "\\n".join(lines) + "\\n-----END"
    joined = f'"{KEY.strip()}\\n"\n' + "\n".join(f'    "{line}\\n"' for line in lines) + '\n    "-----END'
    for text in (escaped, joined):
        [[(kind, body)]] = found(text)
        assert kind == "pem_private_key"
        assert body.startswith(lines[0].encode()) and body.endswith(lines[2].encode())


def test_finds_that_overlap_are_one_of_the_kind_that_says_most():
    token = "ghp_" + noise(36)
    assert found(f'github_token = "{token}"') == [[("github_token", token.encode())]]
    assert found(f'github_token = "{token}/more-1"') == [[("github_token", f"{token}/more-1".encode())]]


def test_entropy_is_that_of_a_coin_when_two_letters_alternate():
    assert looks.entropy(b"abababab") == 1.0
    assert looks.entropy(b"aaaa") == 0.0
