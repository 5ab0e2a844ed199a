import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.decide import classify_one
from pipeline.language.heuristics import SECONDS, _finds, by_heuristics, calm, generic_extensions, rules, without_rule
from pipeline.language.own_rules import CONFIRMED_ONLY
from pipeline.language.path import by_path
from pipeline.language.rules import Open, by_rules
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


OWN = [
    # path, content, language: what public repositories hold under these extensions
    ("lamp.m", b"/* lights a lamp */\n#include <stdio.h>\nint main(void)\n{\n  puts(\"lit\");\n}\n", "Objective-C"),
    ("lamp.m", b"#ifdef LIT\nextern void light(int n);\n#endif\n", "Objective-C"),
    ("lamp.m", b"function y = lamp(x)\n% lights x lamps\ny = x * 2;\nend\n", "MATLAB"),
    ("LAMP.m", b"LAMP ;light lamps\n N X S X=$G(^LAMP(1))\n D ^LIT\n Q\n", "M"),
    ("Lamp.cls", b"Object subclass: #Lamp\n  instanceVariableNames: 'lit'\n  category: 'Street'!\n", "Smalltalk"),
    ("Lamp.cls", b"\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{lamp}\n", "TeX"),
    ("Lamp.cls", b"VERSION 1.0 CLASS\nAttribute VB_Name = \"Lamp\"\n", "VBA"),
    ("Lamp.g", b"/* lamps */\ngrammar Lamp;\n\nlamp : 'lit' | 'dark' ;\n", "ANTLR"),
    ("lamp.g", b"header {\n  package street;\n}\nclass LampParser extends Parser;\n", "ANTLR"),
    ("lamp.g", b"InstallMethod( Lamp, [ IsInt ], n -> n );\n", "GAP"),
    ("lamp.t", b"var n : int := 1\nloop\n  put \"lit\"\n  exit when n > 3\nend loop\n", "Turing"),
    ("lamp.t", b"BEGIN { @INC = '../lib' }\nprint \"1..2\\n\";\nprint \"ok 1\\n\";\n", "Perl"),
    ("lamp.t", b"Light a lamp:\n\n  $ lamp --light\n  lit\n", "ShellSession"),
    ("lamp.t", b"local std = terralib.includec(\"stdlib.h\")\nterra lamp(n : int) return n end\n", "Terra"),
    ("foo.mod", b"module example.org/lamp\n\ngo 1.21\n\nrequire example.org/oil v1.2.0\n", "Go Module"),
    ("foo.mod", b"drivers/lamp/lamp.ko\ndrivers/lamp/lamp.o drivers/lamp/oil.o\n\n", "Linux Kernel Module"),
    ("Foo.mod", b"MODULE Foo;\nFROM InOut IMPORT WriteString;\nBEGIN\n  WriteString('lit')\nEND Foo.\n", "Modula-2"),
    ("foo.mod", b"set LAMPS;\nparam oil {LAMPS};\nminimize cost: sum {l in LAMPS} oil[l];\n", "AMPL"),
    ("cfunc.mod", b"#include <math.h>\n\nvoid cm_lamp(ARGS)\n{\n  OUTPUT(out) = 1;\n}\n", "C"),
    ("nmos.mod", b"* a model card\n.model n1 nmos level=57\n+tnom=27 tox=4.5e-9\n", "Other code"),
    ("lamp.sp", b"a lamp\nR1 1 0 10k\nV1 1 0 dc 5\n.tran 1n 1u\n.end\n", "Other code"),
    ("lamp.sp", b"#include <sourcemod>\npublic void OnPluginStart() { PrintToServer(\"lit\"); }\n", "SourcePawn"),
    ("lamp.rc", b"#include \"resource.h\"\nIDI_LAMP ICON \"lamp.ico\"\n", "Other code"),
    ("presubmit.cfg", b"# Tests\nbuild_file: \"lamp.sh\"\ntimeout_mins: 60\n", "Protocol Buffer Text Format"),
    ("PRESUBMIT.cfg", b"[Hook Scripts]\nlint = tools/lint.sh ${PREUPLOAD_FILES}\n", "INI"),
    ("haproxy.cfg", b"global\n    maxconn 100\n\nfrontend lamps\n    bind :80\n", "HAProxy"),
    ("lamp.conf", b"[lamps]\nlit = 3\n", "INI"),
    ("lamp.conf", b"<VirtualHost *:80>\n  ServerName lamp.example\n</VirtualHost>\n", "ApacheConf"),
    ("lamp.conf", b"server {\n  listen 80;\n  location /lamp {\n    root /srv;\n  }\n}\n", "Nginx"),
    ("lamp.conf", b"lamps {\n  lit = true\n  oil = ${oil}\n}\n", "HOCON"),
    ("lamp.v", b"(* lamps *)\nLemma lit : forall n, n = n.\nProof. trivial. Qed.\n", "Rocq Prover"),
    ("lamp.v", b"(* keep *)\nmodule lamp(input a, output b);\nassign b = a;\nendmodule\n", "Verilog"),
    ("lamp.pm", b"$lamp[0xc7] = [\n'lit', 'dark',\n];\n1;\n", "Perl"),
    ("lamp.hb", b"<div>{{#if lit}}{{name}}{{/if}}</div>\n", "Handlebars"),
    ("lamp.ts", b"<?xml version=\"1.0\"?>\n<!DOCTYPE TS>\n<TS version=\"2.1\" language=\"de\"></TS>\n", "XML"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "content", "language"), OWN)
def test_our_own_patterns_name_what_linguist_has_not(path: str, content: bytes, language: str) -> None:
    assert classify_one(path, content).language == language


@pytest.mark.parametrize("path", ["lamp.conf", "lamp.cfg"])
def test_a_language_that_no_classifier_knows_is_no_guess(path: str) -> None:
    content = b"{\n  lamp => 'mill lane',\n  oil => [3, 5],\n};\n"
    left = by_rules(by_path(path), content, wordy=False, max_scan_bytes=8_192)
    named = set(left.candidates) if isinstance(left, Open) else {left[0]}
    assert set(by_path(path).languages) & CONFIRMED_ONLY and not named & CONFIRMED_ONLY
