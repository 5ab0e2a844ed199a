"""What can be read of a page, in characters."""

import numpy as np
import pytest

from pipeline.quality.html_text import MAX_REFERENCE_BYTES, visible_chars


def visible(page: str) -> int:
    raw = page.encode()
    data = np.frombuffer(b"<p" + raw + b"> text", np.uint8)  # neighbours must not count
    found = visible_chars(data, np.array([0, 2, 2 + len(raw), data.size]), np.array([False, True, False]))
    assert found[0] == found[2] == 0
    return int(found[1])


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p class='a>b'>Hello</p>", "Hello"),
        ("a < b <3 > c", "a < b <3 > c"),
        ("a<!-- no > -->b", "ab"),
        ("<!DOCTYPE html>\n<?php no ?>a", "_a"),  # white space between tags is one character
        ("<i>a</i>  \n\n  <i>b</i>", "a_b"),
        ("<i> a </i>", " a "),
        ("<script>if (a < b) no</script>x", "x"),
        ("<STYLE type='a'>no</style >x", "x"),
        ("<template><b>no</b></template>x", "x"),
        ("<scripts>yes</scripts>", "yes"),
        ("<script/>yes", "yes"),
        ("<script>a</scripted>b</script>c", "c"),
        ("<style>never closed", ""),
        ("<!-- never closed", ""),
        ("&eacute;&#233;&#xe9;", "éée"),
        ("a & b &; &a b;", "a & b &; &a b;"),
        ("&" + "a" * MAX_REFERENCE_BYTES + ";", "&" + "a" * MAX_REFERENCE_BYTES + ";"),
        ("é你", "é你"),
        ("<", "<"),
        ("<a href=", ""),
        ('<a title="it\'s > here" b>x', "x"),
        ("<a b'>x", "x"),  # a quote that is no value's
    ],
)
def test_visible_characters(page: str, text: str) -> None:
    assert visible(page) == len(text)


@pytest.mark.parametrize("piece", ["<div>", "<", "<!--", '<a href="', "&amp;", "<script>", "</", "&"])
def test_no_page_takes_more_than_a_walk(piece: str) -> None:
    assert visible(piece * 100_000) >= 0
