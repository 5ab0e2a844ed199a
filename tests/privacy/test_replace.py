"""Placeholders: a second look finds nothing, code parses as before, nothing of a value is left or leads back to it."""

import ast
import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from privacy import documented
from privacy.fragments import FRAGMENT

from pipeline.privacy.find import find
from pipeline.privacy.kinds import kinds
from pipeline.privacy.policies import policy_of
from pipeline.privacy.replace import replaced, spans_of

TOKEN = documented.drawn("ghp_{a36}", seed=5)
BODY = "\n".join(documented.drawn("{b64}", seed=n) for n in range(4)) + "\n" + documented.drawn("{b10}==", seed=9)
PEM = f"-----BEGIN RSA PRIVATE {'KEY'}-----\n{BODY}\n-----END RSA PRIVATE {'KEY'}-----\n"


def spans(raw: bytes, *, unquoted: bool = False) -> list[tuple[int, int, str]]:
    finds = find(np.frombuffer(raw, np.uint8), np.array([0, len(raw)]), unquoted=np.array([unquoted]))
    return spans_of(finds).get(0, [])


def redacted(text: str | bytes, *, unquoted: bool = False, policies=None) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    [(out, _)] = replaced([raw], [spans(raw, unquoted=unquoted)], unquoted=[unquoted], policies=policies or {})
    return raw if out is None else out


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENT, max_size=10).map(b"".join), st.booleans())
def test_a_second_look_finds_nothing(raw, unquoted):
    once = redacted(raw, unquoted=unquoted)
    assert spans(once, unquoted=unquoted) == []
    assert redacted(once, unquoted=unquoted) == once
    assert once.count(b"\n") == raw.count(b"\n")


def test_what_a_placeholder_uncovers_is_replaced_too():
    text = "version@tidepool.org 93.184.216.34"  # the word before four numbers goes with the address
    once = redacted(text)
    assert spans(once.encode() if isinstance(once, str) else once) == [] and b"93.184" not in once


def test_a_program_parses_and_differs_in_its_strings_alone():
    program = (
        f'TOKEN = "{TOKEN}"\nPEM = """{PEM}"""\nCONFIG = {{"password": \'kT7#pQ2!vv9x\', "to": "ann@tidepool.org"}}\n'
        f'HOSTS = ["93.184.216.34", "2a01:4f8:c17:b8f::2"]\nURL = "postgres://app:{TOKEN[4:18]}@db.tidepool.org/main"\n'
    )
    once = redacted(program).decode()

    def blank(tree: ast.AST) -> str:
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant):
                node.value = 0
        return ast.dump(tree)

    assert once != program and blank(ast.parse(once)) == blank(ast.parse(program))
    for value in (TOKEN[4:], "kT7#pQ2!vv9x", "ann@", "93.184", "2a01:4f8", TOKEN[4:18], *BODY.split()):
        assert value not in once
    assert once.count("\n") == program.count("\n")
    json.loads(redacted(json.dumps({"key": PEM, "secret": "q8Zt40pLx!aw"})))


def test_placeholders_are_of_documentation_ranges_and_carry_their_sign():
    once = redacted(f'a = "{TOKEN}"; mail ann@tidepool.org; 93.184.216.34; 2a01:4f8::2').decode()
    assert re.search(r'"ghp_EXAMPLE\w{29}"', once)
    assert re.search(r"user\d+@example\.(com|org)", once)
    assert re.search(r"(192\.0\.2|198\.51\.100|203\.0\.113)\.\d+", once)
    assert re.search(r"2001:db8:[0-9a-f]+::1?", once)


def test_equal_values_become_equal_and_others_differ():
    lines = redacted("ann@tidepool.org\nbo@tidepool.org\nann@tidepool.org\n").decode().split()
    assert lines[0] == lines[2] != lines[1]
    hosts = redacted("".join(f"93.184.{a}.{b}\n" for a in (216, 217) for b in range(80, 180))).split()
    assert len(set(hosts)) == 200


@pytest.mark.parametrize(("one", "two"), [("ann@tidepool.org", "bo@shore.net"), ("93.184.216.34", "80.77.23.99")])
def test_a_placeholder_says_nothing_of_its_value(one, two):
    """Two documents that differ in nothing but the value become the same: nobody can try values until one fits."""
    frame = "maintained since 2009\nfrom {} on\n"
    assert redacted(frame.format(one)) == redacted(frame.format(two))
    assert redacted(frame.format(one)) != redacted("x" + frame.format(one))[1:]  # but each document draws anew


def test_policies_hold_for_a_kind_before_its_class():
    policies = {"email": "report", "github_token": "drop", "token": "redact"}
    assert policy_of("email", policies) == "report" and policy_of("ipv4", policies) == "redact"
    assert policy_of("github_token", policies) == "drop" and policy_of("npm_token", policies) == "redact"
    text = f"ann@tidepool.org {TOKEN} 93.184.216.34"
    raw = text.encode()
    [(out, found)] = replaced([raw], [spans(raw)], unquoted=[False], policies=policies)
    assert out is not None and out.startswith(f"ann@tidepool.org {TOKEN} ".encode()) and b"93.184" not in out
    assert [kind for *_, kind in found] == ["email", "github_token", "ipv4"]
    [(out, _)] = replaced([raw], [spans(raw)], unquoted=[False], policies=dict.fromkeys(kinds(), "report"))
    assert out is None


def test_the_lines_of_a_key_stay_and_its_body_goes():
    once = redacted(PEM).decode()
    old, new = PEM.splitlines(), once.splitlines()
    assert [len(line) for line in old] == [len(line) for line in new]
    assert new[0] == old[0] and new[-1] == old[-1] and all(a != b for a, b in zip(old[1:-1], new[1:-1], strict=True))
