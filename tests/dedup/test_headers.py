"""The rights comment at the beginning of a file, in the comment styles of many languages."""

import numpy as np
import pytest

from pipeline.dedup.headers import find_headers


def header_of(text: str) -> str:
    raw = b"xx" + text.encode()  # not at the beginning of the array
    data = np.frombuffer(raw, np.uint8)
    ((begin, end),) = find_headers(data, np.array([2]), np.array([len(raw)])).tolist()
    return raw[begin:end].decode()


@pytest.mark.parametrize(
    ("before", "header", "rest"),
    [
        ("", "# Copyright 2020 Somebody\n# All rights reserved.", "\n\nimport os\n"),
        ("", "/*\n * Licensed under some terms.\n   more words\n */", "\nint x;\n"),
        ("", "// SPDX-License-Identifier: MIT", "\n#include <x.h>\n"),
        ("#!/bin/sh\n", "# the licence of this file", "\necho hello\n"),
        ("", "-- COPYRIGHT by me", "\nselect 1;\n"),
        ("", "#Copyright me\n#See license.md", "\nx <- 1\n"),
        ("\ufeff", "// © me", "\nx();\n"),
        ('<?xml version="1.0"?>\n', "<!--\n  Copyright me\n-->", "\n<a/>\n"),
        ("<!DOCTYPE html>\n<html>\n", "<!-- see license.md -->", "\n<body/>\n"),
        ("<?php\n\n", "/** Copyright me */", "\nf();\n"),
        ("package a.b;\n\n", "// Copyright me", "\n\nclass X {}\n"),
        ("#ifndef X_H\n#define X_H\n\n", "/* Copyright me */", "\nint x;\n"),
        ("# -*- coding: utf-8 -*-\n\n", "# 版权所有", "\n\nx = 1\n"),
        ("", "C     Copyright me\nC     more\nC", "\n      PROGRAM X\n"),
        ("", "dnl Copyright me\ndnl\ndnl  under this licence\ndnl", "\ninclude(`x.m4')\n"),
        ("", "rem Copyright me\r\nrem\r\nrem the licence\r", "\ndir\n"),
        ("", "////\nCopyright me\n////", "\n= Title\n"),
        ("`timescale 1ns/1ps\n", "// Copyright me", "\nmodule x;\n"),
        ("# What it is for\n#\n", "# Copyright me\n# more\n#\n# the licence\n", "#\n# How to use it\nx = 1\n"),
        ("/*\n * What this is.\n *\n", " * Copyright me\n *\n * Some words.\n *\n * The licence. */", "\nint x;\n"),
        ("", "! Copyright me", "\nprogram x\n"),
        ("", "*> Copyright me", "\n       IDENTIFICATION DIVISION.\n"),
        ("", '\' Copyright me, "quoted" words', "\nDim x\n"),
        ("Option Explicit\n", "'Copyright me", "\nDim x\n"),
        ("", '" Copyright me\n" more', "\nset nocp\n"),
        ("@echo off\n", "rem Copyright me\nREM more", "\ndir\n"),
        ("", ":: Copyright me", "\ndir\n"),
        ("", "%% Copyright me\n%% more", "\n-module(x).\n"),
        ("", ";;; Copyright me", "\n(defun f ())\n"),
        ("", "#| Copyright me\n|#", "\n(define x 1)\n"),
        ("", "(* Copyright me *)", "\nlet x = 1\n"),
        ("", "{- Copyright me -}", "\nmodule X where\n"),
        ("", "{ Copyright me }", "\nunit x;\n"),
        ("", "--[[ Copyright me\n]]", "\nlocal x\n"),
        ("", "=begin\nCopyright me\n=end", "\nputs 1\n"),
        ("", '"""Copyright me\n"""', "\nimport x\n"),
        ("", "#= Copyright me =#", "\nx = 1\n"),
        ("", "<# Copyright me #>", "\nGet-Item x\n"),
        ("", "<%-- Copyright me --%>", "\n<p/>\n"),
        ("", "{# Copyright me #}", "\n{{ x }}\n"),
        ("", "dnl Copyright me", "\nAC_INIT\n"),
        ("", '.\\" Copyright me', "\n.TH X 1\n"),
        ("", "⍝ Copyright me", "\nx←1\n"),
        ("", "\\ Copyright me", "\n: x 1 ;\n"),
        ("", ".. Copyright me", "\n\nTitle\n=====\n"),
        ("", "/+ Copyright me +/", "\nmodule x;\n"),
        ("", "(; Copyright me ;)", "\n(module)\n"),
        ("---\n", "# Copyright me", "\na: 1\n"),
        ("", "/* Copyright me */", " int x;\n"),  # the code behind it in its line counts
        ("// first\n\n", "// Copyright me", "\n\n// of this file\nx();\n"),  # nor does another comment
        ("", "/* Copyright me */\n/* part two */\n/* all rights reserved */", "\nx();\n"),
    ],
)
def test_a_rights_comment_is_found(before: str, header: str, rest: str) -> None:
    assert header_of(before + header + rest) == header
    silent = header
    for word in (
        "Copyright",
        "COPYRIGHT",
        "licen",
        "Licen",
        "SPDX",
        "License",
        "©",
        "版权",
        "All rights",
        "all rights",
    ):
        silent = silent.replace(word, "words")
    assert header_of(before + silent + rest) == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "x = 1  # copyright\n",
        "import os\n# Copyright me\n",
        "/* never closed, Copyright me\n",
        '"copyright"\nputs 1\n',
        "'copyright';\nf();\n",
        '{\n  "license": "MIT"\n}\n',
        "#include <licence.h>\nint x;\n",
        "Copyright law is a body of law.\n",
        "code copyright\n",
        "   c copyright me\n   x = 1\n",
        "#include <a.h>\n// Copyright me\nint x;\n",
        "/*" + "words " * 4_000 + "copyright */\n",  # longer than a header may be
    ],
)
def test_what_is_no_comment_of_rights_stays(text: str) -> None:
    assert header_of(text) == ""


def test_what_follows_the_first_line_of_the_program_is_no_header() -> None:
    assert header_of("// Copyright me\n\npackage a;\n\n// Copyright you\nclass X {}\n") == "// Copyright me"
