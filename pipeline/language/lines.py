"""What the first and last lines of a document say of themselves: shebang, editor modeline, signature."""

import json
import re

from pipeline.language.table import alias_table, interpreter_table

N_LINES = 5  # where editors look for modelines: so many lines at either end
MAX_EDGE_BYTES = 1_024  # bytes at either end that are searched for them; five lines are rarely longer

_EXEC = re.compile(rb"^exec\s+(?:-\S+\s+)*([\w.+-]+)", re.MULTILINE)
_VIM = re.compile(rb"(?:^|\s)(?:vim?(?:[<=>]?\d+)?|ex):(.*)")
_VIM_TYPE = re.compile(rb"(?:^|[\s:])(?:ft|filetype|syn|syntax)\s*=\s*([\w+#.-]+)")
_MODE_MARKS = (b"-*-", b"vi", b"ex:")  # without any of them no line can be a modeline
_VERSION = re.compile(r"[\d.]+\Z")

BEFORE_OPENINGS = b"\xef\xbb\xbf \t\r\n"  # a byte order mark and blanks
# How a document begins, in lower case and after blanks, where nothing but its language begins so.
_SIGNATURES = (
    (b"<?php", "PHP"),
    (b"<!doctype html", "HTML"),
    (b"<html", "HTML"),
    (b"<?xml", "XML"),
    (b"diff --git ", "Diff"),
    (b"\\documentclass", "TeX"),
    (b"%!ps", "PostScript"),
    (b"{\\rtf", "Rich Text Format"),
    (b"-----begin ", "Public Key"),
    (b"webvtt", "WebVTT"),
)
# Declarations of a document type, which stand alone or behind a comment.
_DTD = re.compile(rb"^[ \t]*<!(?:ELEMENT|ENTITY|ATTLIST)[ \t\n]", re.MULTILINE)
_JSON_START = re.compile(r"\s*(?:\{\s*\"|\[\s*[\[{])")
MAX_TOKEN_CHARS = 8  # where a text is cut inside `false` or an escape, the parser complains about its beginning
_SUBTITLE = re.compile(rb"\A\d+\r?\n\d\d:\d\d:\d\d,\d{3} --> \d\d:")


_MANPAGE = re.compile(rb"^[.'](?:TH|Dd|Dt|SH|Sh)[ \t]+\S", re.MULTILINE)


def by_shebang(head: bytes) -> tuple[str, ...]:
    """Languages of the interpreter in `#!`, likeliest first; empty without a known one."""
    if not head.startswith(b"#!"):
        return ()
    line, _, rest = head[2:1024].partition(b"\n")
    words = line.decode("latin-1").split()
    interpreter = _basename(words[0]) if words else ""
    if interpreter == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        interpreter = _basename(words[0]) if words else ""
    if interpreter == "sh" and (match := _EXEC.search(rest)):  # `exec tclsh "$0" "$@"` under a shell's shebang
        interpreter = match[1].decode("latin-1")
        if interpreter not in interpreter_table():
            interpreter = "sh"
    table = interpreter_table()
    return table.get(interpreter) or table.get(_VERSION.sub("", interpreter)) or ()


def _basename(word: str) -> str:
    return re.split(r"[/\\]", word)[-1].lower().removesuffix(".exe")


def by_modeline(head: bytes, tail: bytes) -> str:
    """The language that an Emacs or Vim modeline names, or an empty text. `tail` is the document's end."""
    first, last = head[:MAX_EDGE_BYTES], tail[-MAX_EDGE_BYTES:]
    if not any(mark in first or mark in last for mark in _MODE_MARKS):
        return ""
    edges = first.split(b"\n", N_LINES)[:N_LINES] + last.split(b"\n")[-N_LINES - 1 :]
    for line in edges:
        mode = _emacs_mode(line) if b"-*-" in line else _vim_mode(line) if b":" in line else b""
        if language := alias_table().get(mode.decode("latin-1").strip().lower()):
            return language
    return ""


def _emacs_mode(line: bytes) -> bytes:
    """The mode in `-*- C++ -*-` or `-*- mode: c++; tab-width: 4 -*-`."""
    parts = line.split(b"-*-")
    if len(parts) < 3:
        return b""
    if b":" not in parts[1]:
        return parts[1]
    variables = (variable.partition(b":") for variable in parts[1].split(b";"))
    return next((value for key, _, value in variables if key.strip().lower() == b"mode"), b"")


def _vim_mode(line: bytes) -> bytes:
    options = _VIM.search(line)
    kind = _VIM_TYPE.search(options[1]) if options else None
    return kind[1] if kind else b""


def by_signature(head: bytes, *, cut: bool = False) -> str:
    """The language of a document that begins as only one language does, or an empty text. `cut`: the document goes on
    behind `head`."""
    start = head[:256].lstrip(BEFORE_OPENINGS).lower()
    for signature, language in _SIGNATURES:
        if start.startswith(signature):
            return _xml_dialect(head) if language == "XML" else language
    if start.startswith((b".", b"'")) and _MANPAGE.search(head):
        return "Roff Manpage"
    if start.startswith(b"{") and b'"cells"' in head[:256] and b'"cell_type"' in head:
        return "Jupyter Notebook"
    if _SUBTITLE.match(start):
        return "SubRip Text"
    if start.startswith((b"--- ", b"index: ")) and b"\n+++ " in head and b"\n@@ " in head:
        return "Diff"
    if start.startswith((b"<!element ", b"<!entity ", b"<!attlist ", b"<!--")) and _DTD.search(head):
        return "XML"
    if not start.startswith((b"{", b"[")):
        return ""
    return "JSON" if _is_json(head) or (cut and _begins_json(head)) else ""


def _begins_json(head: bytes) -> bool:
    """True if a parser finds no mistake in the text but that it ends: at its last token, or in a string."""
    text = head.decode("utf-8", "ignore")
    if not _JSON_START.match(text):
        return False
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.msg.startswith("Unterminated string") or error.pos >= len(text) - MAX_TOKEN_CHARS
    except (ValueError, RecursionError):  # a number of too many digits; too deep to tell
        return False
    return True


def _is_json(head: bytes) -> bool:
    """True if the text, or its first line where each line is a value of its own, is an object or holds one."""
    for part in (head, head.lstrip().partition(b"\n")[0]):
        try:
            value = json.loads(part)
        except (ValueError, RecursionError):  # a UnicodeDecodeError is a ValueError
            continue
        return bool(value) and (isinstance(value, dict) or isinstance(value[0], dict | list))
    return False


def _xml_dialect(head: bytes) -> str:
    return "SVG" if b"<svg" in head[:2048] else "XSLT" if b"<xsl:stylesheet" in head[:2048] else "XML"


def is_markup(head: bytes) -> bool:
    """True for what begins with a tag, as XML does and no programming language that shares an extension with it."""
    return head[:256].lstrip(BEFORE_OPENINGS).startswith(b"<")
