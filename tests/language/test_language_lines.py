import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.lines import by_modeline, by_shebang, by_signature

SHEBANGS = [
    (b"#!/bin/sh\n", "Shell"),
    (b"#! /usr/bin/perl -w\n", "Perl"),
    (b"#!/usr/bin/env python3.11\n", "Python"),
    (b"#!/usr/bin/env -S LANG=C ruby -w\n", "Ruby"),
    (b"#!C:\\tools\\node.exe\r\n", "JavaScript"),
    (b'#!/bin/sh\n# next line runs in Tcl \\\nexec tclsh "$0" "$@"\n', "Tcl"),
    (b"#!/bin/sh\nexec ./server --port 80\n", "Shell"),
    (b"#!/opt/unheard-of\n", None),
    (b"#!\n", None),
    (b"#!/usr/bin/env\n", None),
    (b"# !/bin/sh\n", None),
    (b"#!" + b"/" * 5000, None),
    (b"#!\xff\xfe\n", None),
]
MODELINES = [
    (b"/* -*- C++ -*- */\n", b"", "C++"),
    (b"// -*- tab-width: 4; mode: c++; indent-tabs-mode: nil -*-\n", b"", "C++"),
    (b"# -*- coding: utf-8 -*-\n", b"", ""),
    (b"\n\n\n; -*- Mode: Lisp -*-\n", b"", "Common Lisp"),
    (b"1\n2\n3\n4\n5\n6 -*- perl -*-\n", b"", ""),
    (b"", b"x\n# vim: set ft=ruby ts=2:\n", "Ruby"),
    (b"", b"x\n// vim:filetype=javascript", "JavaScript"),
    (b"", b"# vim: ts=4 sw=4\n", ""),
    (b"", b"# vim600: syntax=make\n", "Makefile"),
    (b"", b"# environment: ft=ruby\n", ""),
    (b"-*-", b"-*-", ""),
]
SIGNATURES = [
    (b"\n  <!DOCTYPE html>\n<html>", "HTML"),
    (b"<?php echo 1;", "PHP"),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<note/>", "XML"),
    (b"<?xml version='1.0'?>\n<svg xmlns='x'/>", "SVG"),
    (b"<?xml version='1.0'?>\n<xsl:stylesheet version='1.0'/>", "XSLT"),
    (b"diff --git a/x b/x\n", "Diff"),
    (b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n", "Diff"),
    (b"--- a list of things\n", ""),
    (b'{"lamp": 1}\n', "JSON"),
    (b'{"lamp": 1}\n{"lamp": 2}\n', "JSON"),
    (b"[[1, 2], [3]]", "JSON"),
    (b"[1, 2]", ""),
    (b"{}", ""),
    (b"[" * 50_000, ""),
    (b"{" + b'"a":{' * 20_000, ""),
    (b"[section]\nkey = 1\n", ""),
    (b"", ""),
]


@pytest.mark.parametrize(("head", "language"), SHEBANGS)
def test_by_shebang_reads_the_interpreter(head: bytes, language: str | None) -> None:
    assert next(iter(by_shebang(head)), None) == language


@pytest.mark.parametrize(("head", "tail", "language"), MODELINES)
def test_by_modeline_reads_emacs_and_vim_lines(head: bytes, tail: bytes, language: str) -> None:
    assert by_modeline(head, tail) == language


@pytest.mark.parametrize(("head", "language"), SIGNATURES)
def test_by_signature_knows_an_opening_that_only_one_language_has(head: bytes, language: str) -> None:
    assert by_signature(head) == language


@given(
    st.sampled_from([b"#!", b"#!/usr/bin/env ", b"-*-", b"vim: ", b"{", b"[", b"<?xml", b""]), st.binary(max_size=300)
)
def test_first_lines_never_raise_whatever_follows(start: bytes, rest: bytes) -> None:
    head = start + rest
    assert isinstance(by_shebang(head), tuple)
    assert isinstance(by_modeline(head, rest), str)
    assert isinstance(by_signature(head), str)
