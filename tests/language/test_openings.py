"""What a document opens as, against an extension of a rare language. All contents are made up here."""

import json

import pytest

from pipeline.config import Classify
from pipeline.language.decide import classify_one
from pipeline.language.openings import FIRST_BYTES, belied, is_rare
from pipeline.language.table import extension_table, languages

XML = b'<?xml version="1.0"?>\n<lamps>\n  <lamp lit="yes"/>\n</lamps>\n'
HTML = b"<!DOCTYPE html>\n<html><body><p>Lamps</p></body></html>\n"
JSON = b'{\n  "lamps": [{"lit": true}, {"lit": false}]\n}\n'
SHEBANG = b"#!/usr/bin/env python3\nprint('lit')\n"
DIFF = b"diff --git a/lamp.c b/lamp.c\n--- a/lamp.c\n+++ b/lamp.c\n@@ -1 +1 @@\n-int lit;\n+int dark;\n"
UNIFIED = b"--- lamp.c\t2024-01-01\n+++ lamp.c\t2024-01-02\n@@ -1 +1 @@\n-int lit;\n+int dark;\n"
KEY = b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ==\n-----END PUBLIC KEY-----\n"
OPENINGS = [(XML, "XML"), (HTML, "HTML"), (JSON, "JSON"), (SHEBANG, "Python"), (DIFF, "Diff"), (UNIFIED, "Diff"),
            (KEY, "Public Key")]  # fmt: skip
# Extensions of one language each, none of the 103.
RARE = (".aug", ".xc", ".fy", ".icl", ".tps", ".hb", ".self", ".hc", ".ne", ".rl", ".plot", ".ooc", ".boo", ".nit",
        ".cob2", ".pike", ".factor", ".chpl", ".golo", ".io")  # fmt: skip


@pytest.mark.parametrize(("content", "language"), OPENINGS, ids=range(len(OPENINGS)))
@pytest.mark.parametrize("extension", RARE)
def test_an_unmistakable_opening_beats_a_rare_extension(extension: str, content: bytes, language: str) -> None:
    found = classify_one("street/lamp" + extension, content)
    assert (found.language, found.decided_by) == (language, "shebang" if content is SHEBANG else "signature")


@pytest.mark.parametrize("extension", RARE)
def test_a_rare_extension_is_believed_without_such_an_opening(extension: str) -> None:
    if extension in extension_table():
        found = classify_one("lamp" + extension, b"lamp is lit\nlamp is dark\n")
        assert (found.language, found.decided_by) == (extension_table()[extension][0], "extension")


@pytest.mark.parametrize(
    ("path", "content", "language"),
    [
        ("street.lvproj", XML, "LabVIEW"),
        ("street.ftl", XML, "FreeMarker"),
        ("street.asp", HTML, "Classic ASP"),
        ("street.hbs", HTML, "Handlebars"),
        ("street.maxpat", JSON, "Max"),
        ("street.cue", JSON, "CUE"),
        ("street.jsonnet", JSON, "Jsonnet"),
        ("street.sage", SHEBANG, "Sage"),
        ("street.py", XML, "Python"),  # no rare language: its extension is believed
        ("street.js", JSON, "JavaScript"),
    ],
)
def test_a_language_that_may_open_so_keeps_its_documents(path: str, content: bytes, language: str) -> None:
    assert classify_one(path, content).language == language


def test_an_opening_decides_among_candidates_that_cannot_have_it() -> None:
    assert classify_one("lamp.moo", XML).language == "XML"  # Mercury or Moocode
    assert classify_one("lamp.cfg", JSON).language == "JSON"
    assert classify_one("lamp.yml", HTML).language == "HTML"
    assert classify_one("lamp.res", XML).language == "XML"


def test_a_long_json_text_is_known_by_its_beginning() -> None:
    rows = json.dumps([{"number": n, "name": "lamp \u706f", "lit": n % 3 == 0, "height": n / 7} for n in range(600)])
    for limit in range(1_000, 1_080):  # cut inside names, numbers, escapes and strings
        assert classify_one("lamps.self", rows.encode(), config=Classify(max_scan_bytes=limit)).language == "JSON"
    broken = rows.replace('"lit"', "lit", 1)
    assert classify_one("lamps.self", broken.encode()).language == "Self"
    assert classify_one("lamps.self", ("[" * 9_000).encode()).language == "Self"
    assert classify_one("lamps.self", (b'{"n": ' + b"9" * 9_000)).language in ("JSON", "Self")


def test_document_types_are_xml() -> None:
    dtd = b"<!-- lamps of a street -->\n<!ELEMENT street (lamp*)>\n<!ATTLIST lamp lit CDATA #REQUIRED>\n"
    for name in ("street.dtd", "street.ent", "street.mod", "street", "street.elements"):
        assert classify_one(name, dtd).language == "XML", name


def test_every_opening_begins_with_a_byte_that_is_looked_at() -> None:
    for content, _ in OPENINGS:
        assert content[:1] in FIRST_BYTES
    for first in (
        b'.\\" lamps\n.TH LAMP 1\n',
        b"%!PS\n",
        b"\\documentclass{a}\n",
        b"{\\rtf1}",
        b"WEBVTT\n",
        b"<?php 1;",
    ):
        assert first[:1] in FIRST_BYTES
        assert belied(("Self",), first, cut=False) is not None
    assert belied(("Self",), b"\n " + XML, cut=False) == ("XML", "signature")
    assert belied(("Self",), b"lamp\n" + XML, cut=False) is None
    assert belied(("CUE",), JSON, cut=False) is None
    assert belied(("CUE",), b"{\\rtf1}", cut=False) == ("Rich Text Format", "signature")  # no brace of JSON's


def test_rare_is_what_has_no_class() -> None:
    assert is_rare("Self") and is_rare("Harbour") and not is_rare("Python") and not is_rare("TSX")
    assert all(extension in languages()["Other code"].extensions for extension in (".cir", ".rc"))
