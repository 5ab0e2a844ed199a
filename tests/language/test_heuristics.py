import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.heuristics import SECONDS, _finds, by_heuristics, calm, generic_extensions, rules, without_rule
from pipeline.language.table import languages

WORKED = [
    (".h", b"#import <Foundation/Foundation.h>\n@interface Lamp : NSObject\n@end\n", "Objective-C", True),
    (".h", b"#pragma once\nnamespace lamp {\nclass Bulb;\n}\n", "C++", True),
    (".h", b"#ifndef LAMP_H\nint lamp(void);\n#endif\n", "C", False),
    (".m", b"% dim the lamp\nx = 3;\n", "MATLAB", True),
    (".m", b"@implementation Lamp\n@end\n", "Objective-C", True),
    (".pl", b"use strict;\nmy $x = 1;\n", "Perl", True),
    (".pl", b"lit(X) :- lamp(X), on(X).\n", "Prolog", True),
    (".ts", b"<?xml version='1.0'?>\n<!DOCTYPE TS>\n<TS version='2.1'>\n", "XML", True),
    (".ts", b"export const lamp: number = 1\n", "TypeScript", False),
    (".md", b"# Lamps\n", "Markdown", True),
    (".md", b';; Machine description\n(define_insn "add")\n', "GCC Machine Description", True),
    (".v", b"module lamp(input a, output b);\nendmodule\n", "Verilog", True),
    (".v", b"Theorem lit : True.\nProof. exact I. Qed.\n", "Rocq Prover", True),
    (".v", b"fn main() {\n\tprintln('lit')\n}\n", "V", True),
    (".r", b"x <- c(1, 2)\n", "R", True),
    (".cls", b"\\NeedsTeXFormat{LaTeX2e}\n", "TeX", True),
    (".t", b"use strict;\nuse Test::More;\n", "Perl", True),
    (".sql", b"CREATE TABLE lamp (id INT);\n", "SQL", False),
    (".sql", b"DO $$ BEGIN; RETURN; END $$ LANGUAGE plpgsql\n", "PLpgSQL", True),
    (".inc", b"<?php\nfunction lamp() {}\n", "PHP", True),
    (".rs", b"pub fn lamp() {}\r\n", "Rust", True),
    (".pp", b"  ensure => present,\n", "Puppet", True),
    (".gd", b"# Declare the lamp\nextends Node\n", "GDScript", True),
    (".cfg", b"global\n    maxconn 10\nfrontend web\n    bind *:80\n", "HAProxy", True),
    (".pod", b"=begin pod\n", "Pod 6", True),
    (".H", b"struct Lamp;\n", "C++", False),
    (".rsc", b"module lang::lamp::Main\n", "Rascal", True),
]


@pytest.mark.parametrize(("extension", "head", "language", "confirmed"), WORKED)
def test_by_heuristics_settles_shared_extensions(extension: str, head: bytes, language: str, confirmed: bool) -> None:
    assert by_heuristics(extension, head) == ((language,), confirmed)


def test_by_heuristics_sees_unix_line_ends_when_a_file_has_others() -> None:
    unix = b"begin\n  x := 1;\nend.\n"
    assert by_heuristics(".pp", unix) == by_heuristics(".pp", unix.replace(b"\n", b"\r\n")) == (("Pascal",), True)
    assert by_heuristics(".pp", unix.replace(b"\n", b"\r")) == (("Pascal",), True)


def test_by_heuristics_says_nothing_when_no_rule_holds() -> None:
    assert by_heuristics(".cls", b"public class Lamp {}\n") == ((), False)
    assert by_heuristics(".unheardof", b"x") == ((), False)
    assert without_rule(("TeX", "Apex", "VBA"), ".cls") == ("Apex",)
    assert ".1" in generic_extensions() and ".py" not in generic_extensions()


def test_every_rule_compiles_and_names_a_listed_language() -> None:
    patterns = 0
    for extension, found in rules().items():
        assert extension.startswith(".")
        for rule in found:
            assert all(name in languages() for name in rule.languages), extension
            for pattern in (*rule.match, *rule.absent):
                regex.compile(pattern.encode(), regex.MULTILINE)
                patterns += 1
    assert patterns > 300


# What made linguist's own patterns quadratic or worse: blank lines, long lines, half of something repeated.
HOSTILE = [
    b"\n" * 8192,
    b" " * 8192,
    b"a\n" * 4096,
    b"a b(c)(d) " * 820,
    b"case\n" * 1640,
    b"<!" + b" " * 8190,
    b" vim: a=b" * 910,
    b"import\n" * 1170,
    b"begin\n" * 1365,
    b"/* vi" * 1638,
    b"public\n" * 1170,
    b"{" * 8192,
    b"\r\n" * 4096,
]


@pytest.mark.parametrize("head", HOSTILE, ids=range(len(HOSTILE)))
def test_no_pattern_comes_near_its_time_limit_on_hostile_bytes(head: bytes) -> None:
    calmed = calm(head)
    for pattern in {p for found in rules().values() for rule in found for p in (*rule.match, *rule.absent)}:
        regex.compile(pattern.encode(), regex.MULTILINE).search(calmed, timeout=SECONDS)  # raises


def test_a_search_that_takes_too_long_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pattern, head = r"(?:a|aa)+c|b", b"a" * 28 + b"b"
    assert _finds(pattern, head)
    monkeypatch.setattr("pipeline.language.heuristics.SECONDS", 0.001)
    assert not _finds(pattern, head)


def test_patterns_see_the_first_bytes_of_a_long_line() -> None:
    assert calm(b"x" * 1_000 + b"\ny") == b"x" * 400 + b"\ny"


@given(st.binary(max_size=400), st.sampled_from(sorted(rules())))
def test_by_heuristics_never_raises_whatever_the_bytes(head: bytes, extension: str) -> None:
    found, confirmed = by_heuristics(extension, head)
    assert confirmed <= bool(found)
    assert calm(calm(head)) == calm(head)
