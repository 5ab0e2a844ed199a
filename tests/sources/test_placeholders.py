"""Files that stand for something else have reasons of their own; files that speak of them have none."""

from __future__ import annotations

import pickle
import pickletools

import pytest

from pipeline.config import Source
from pipeline.sources.raw import RawDocument
from pipeline.sources.rows import as_documents

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"
CONFLICT = b"a = 1\n<<<<<<< HEAD\nb = 2\n=======\nb = 3\n>>>>>>> topic\n"
OBJECTS = {"name": ["x", "y"], "n": (1, 2.5, None)}


class Thing:
    """Pickled, never unpickled."""


def _problem(raw: bytes) -> str | None:
    table = as_documents(
        [RawDocument("f", 0, raw)],
        source=Source(name="s", kind="directory", path="x"),
        max_document_bytes=10**6,
        min_encoding_confidence=0.75,
    )
    found: str | None = table["problem"][0].as_py()
    return found


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (POINTER, "lfs_pointer"),
        (POINTER.rstrip(b"\n"), "lfs_pointer"),
        (POINTER.replace(b"\n", b"\r\n"), "lfs_pointer"),
        (POINTER.replace(b"git-lfs.github.com/spec/v1", b"hawser.github.com/spec/v1"), "lfs_pointer"),
        (POINTER.replace(b"oid", b"ext-0-foo sha256:" + b"0" * 64 + b"\noid"), "lfs_pointer"),
        (POINTER + b"# how to read a pointer\n", None),
        (b"# Git LFS\n\n" + POINTER, None),
        (b"version https://git-lfs.github.com/spec/v1\nis the first line of a pointer\n", None),
        (CONFLICT, "merge_conflict"),
        (CONFLICT.replace(b"\n", b"\r\n"), "merge_conflict"),
        (CONFLICT.replace(b"=======", b"||||||| base\nb = 0\n======="), "merge_conflict"),
        (CONFLICT[6:], "merge_conflict"),
        (b"    " + CONFLICT.replace(b"\n", b"\n    "), None),
        (b"Title\n=======\n\n<<<<<<< is how ours begins\n", None),
        (b">>>>>>> a\n=======\n<<<<<<< b\n", None),
        (b"```\n" + CONFLICT[6:] + b"```\n", None),
        (b"@example\n" + CONFLICT[6:] + b"@end example\n", None),
        (b'TEXT = """\n' + CONFLICT[6:] + b'"""\n', None),
        (b"cat >expect <<-EOF\n" + CONFLICT[6:] + b"EOF\n", None),
        (b"```\n" + CONFLICT[6:] + b"```\n" + CONFLICT, "merge_conflict"),
        (b"/* x */\n\n" + CONFLICT[6:], "merge_conflict"),
        # A quote at the end of the line before closes a string unless it opens one.
        (b"import a from 'a'\n" + CONFLICT[6:], "merge_conflict"),
        (b'#include "a.h"\r\n' + CONFLICT[6:], "merge_conflict"),
        (b'{\n  "a": "b"\n' + CONFLICT[6:], "merge_conflict"),
        (b'"""What it does."""\n' + CONFLICT[6:], "merge_conflict"),
        (b"x = `a`\n" + CONFLICT[6:], "merge_conflict"),
        (b"cat <<EOF\na\nEOF\n" + CONFLICT[6:] + b"cat <<EOF\nb\nEOF\n", "merge_conflict"),
        (b"x = 1 << shift\n" + CONFLICT[6:], "merge_conflict"),
        # Quoted, though not from the first line on.
        (b"```\nint x;\n" + CONFLICT[6:] + b"```\n", None),
        (b'a = """one\n' + CONFLICT[6:] + b'"""\n', None),
        (b"const a = `\none\n" + CONFLICT[6:] + b"`;\n", None),
        (b"cat >expect <<-\\EOF\n1\n" + CONFLICT[6:] + b"EOF\n", None),
        (b'let a = r#"one"#;\nlet b = "\n' + CONFLICT[6:] + b'";\n', None),
        (b"<<<<<<<< HEAD\n========\n>>>>>>>> x\n", None),
        (pickle.dumps(OBJECTS, 0), "pickle"),
        (pickle.dumps([1, "a"], 0) + b"\n", "pickle"),
        (pickle.dumps(Thing(), 0), "pickle"),
        (pickle.dumps(OBJECTS, 2), "pickle"),
        (b"cpathlib\nPurePath\np0\n(Vsrc\np1\ntp2\nRp3\n.", "pickle"),
        (b"class\nof words\nthat end.", None),
        (pickle.dumps(OBJECTS, 4), "pickle"),
        (pickletools.optimize(pickle.dumps(Thing(), 5)), "pickle"),
        (b"(cond (t 1))\n.", None),
        (b"(i am sure that this is a text in brackets, and it ends with a stop).\n", None),
        ("if a:  # \u202e } \u2066if (x)\n".encode(), "bidi_controls"),
        ("s = 'user\u202e \u2066// admin\u2069 \u2066'\n".encode(), "bidi_controls"),
        ("x = '\u2067abc'\n".encode(), "bidi_controls"),
        ("Ann\u202e\nBob\n".encode(), None),
        ("path = '\u202aC:\\temp'\n".encode(), None),
        ("hello = '\u2068name\u2069'\n".encode(), None),
        ("title = '\u202bשלום\u202c'\n".encode(), None),  # noqa: RUF001
        ('{"Name", "שם"}.\n{"Topic", "\u202bTopic"}.\n'.encode(), None),
        ("שלום\u200f, עולם\n".encode(), None),
        ("msg = '\u2067مرحبا\u2069'\n".encode(), None),  # noqa: RUF001
        ("# שלום\nx = '\u202ea'\n".encode(), "bidi_controls"),
    ],
)
def test_placeholder_is_named(raw: bytes, problem: str | None) -> None:
    assert _problem(raw) == problem
