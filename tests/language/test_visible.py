# ruff: noqa: RUF001 (other alphabets are the point)
"""Prose inside markup and data, and what a mixture makes of it. All contents are made up here."""

import json

import pytest
from handmade import documents
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Classify
from pipeline.fields import PROSE_FORMATS
from pipeline.language.decide import classify_one
from pipeline.language.languages import classify
from pipeline.language.table import languages
from pipeline.language.visible import _VISIBLE, MIN_STRING_BYTES, format_of, holds_prose

SENTENCES = (
    "The lamp had been lit for an hour when the fog came in from the sea, and nobody in the house spoke about it.",
    "They had all seen such a fog before, and they knew that it would be gone by the morning.",
    "The old man put another log on the fire, sat down, and took up the book that he never finished.",
    "Then somebody knocked at the door, and he went to open it with the lamp in his hand.",
)
CHINESE = ("雾从海上来的时候，灯已经亮了一个小时，屋里没有人谈起它。", "老人又往火里添了一根柴，然后拿起了那本书。") * 2
TEI = '<?xml version="1.0"?>\n<TEI><teiHeader><title>Fog</title></teiHeader><text><body>\n{}\n</body></text></TEI>\n'
PAGE = (
    "<!DOCTYPE html>\n<html><head><title>Fog</title><style>p {{ color: red }}</style></head>\n<body>{}</body></html>\n"
)


def forms(sentences: tuple[str, ...]) -> dict[str, str]:
    """A document of each format that holds `sentences`, by file name."""
    lines = sentences * 5
    rows = [json.dumps({"n": n, "text": line}, ensure_ascii=n % 2 == 0) for n, line in enumerate(lines)]
    spoken = [f"{n}\n00:00:{n:02},000 --> 00:00:{n + 1:02},000\n{line}\n" for n, line in enumerate(lines, 1)]
    return {
        "fog.xml": TEI.format("\n".join(f"<p>{line}</p>" for line in lines)),
        "fog.html": PAGE.format("\n".join(f"<p>{line}</p>" for line in lines)),
        "fog.jsonl": "\n".join(rows),
        "fog.yaml": "".join(f"p{n}: >\n  {line}\n  {line}\n" for n, line in enumerate(lines)),
        "fog.tsv": "".join(f"{n}\t{line}\n" for n, line in enumerate(lines)),
        "fog.srt": "\n".join(spoken),
    }


@pytest.mark.parametrize("sentences", [SENTENCES, CHINESE], ids=["English", "Chinese"])
@pytest.mark.parametrize("name", forms(SENTENCES))
def test_prose_in_markup_and_data_says_so(name: str, sentences: tuple[str, ...]) -> None:
    found = classify_one(name, forms(sentences)[name].encode())
    assert (found.pool, found.content_kind) == ("code", "prose") and found.language != "Text"


NO_PROSE = [
    ("lamps.xml", '<lamps>\n' + '  <lamp name="mill" lit="yes" height="3"/>\n' * 40 + "</lamps>\n"),
    ("texts.xml", '<string name="lamp" translatable="true" context="street">Light it</string>\n' * 40),
    ("page.html", "<!DOCTYPE html>\n<html><script>\n" + "lit = [1, 2].map((n) => n + 1);\n" * 80 + "</script></html>"),
    ("lamps.json", json.dumps([{"name": "mill lane", "lit": True, "height": n} for n in range(60)], indent=1)),
    ("signs.json", json.dumps(["灯塔雾海船桥河山林火书门手家人" * 6] * 20, ensure_ascii=False)),
    ("zh.yaml", "".join(f"label_{n}: 打开文件\n" for n in range(60))),
    ("lamps.csv", "".join(f"{n},mill lane,yes,3.5\n" for n in range(60))),
    ("build.yml", "# " + "\n# ".join(SENTENCES * 4) + "\njobs:\n  - run: make\n"),
    ("lamps.toml", '[text]\nbody = """\n' + "\n".join(SENTENCES) + '\n"""\n'),  # no format of the list
]  # fmt: skip


@pytest.mark.parametrize(("name", "content"), NO_PROSE)
def test_tags_labels_tables_and_comments_are_no_prose(name: str, content: str) -> None:
    assert classify_one(name, content.encode()).content_kind != "prose"


def test_what_nobody_sees_does_not_count() -> None:
    hidden = "".join(f"<!-- {line} -->\n<script>{line}</script>\n<p>1</p>\n" for line in SENTENCES * 3)
    assert not holds_prose("HTML", PAGE.format(hidden).encode())
    split = "<!-- " + " <b>".join(SENTENCES) + " -->" + "<p>1</p>" * 40
    assert not holds_prose("HTML", split.encode())
    assert holds_prose("HTML", (split + "".join(f"<p>{line}</p>" for line in SENTENCES * 40)).encode())


@pytest.mark.parametrize("element", ["script", "style", "teiHeader", "head"])
def test_elements_that_nobody_sees_are_left_out(element: str) -> None:
    body = "".join(f"<p>{line}</p>\n" for line in SENTENCES * 3)
    assert holds_prose("HTML", f"<div><b>1</b>\n<section>\n{body}</section></div>\n".encode())
    assert not holds_prose("HTML", f"<div><b>1</b>\n<{element}>\n{body}</{element}></div>\n".encode())


def test_a_file_is_prose_only_where_most_of_it_is_seen() -> None:
    fields = {f"field_{n}": {"type": "integer", "minimum": n, "maximum": 9 * n} for n in range(12)}
    schema = json.dumps({"description": " ".join(SENTENCES[:2])} | fields, indent=1)
    assert len(schema) < 2_000  # all of it is looked at
    assert not holds_prose("JSON", schema.encode())
    assert holds_prose("JSON", json.dumps({"description": " ".join(SENTENCES), "n": 1}).encode())


def test_short_strings_are_labels_though_together_they_read_as_prose() -> None:
    short = [part.strip() + "." for line in SENTENCES for part in line.replace(".", "").split(",")]
    labels = [part for part in short if len(part) < MIN_STRING_BYTES] * 6
    assert len(labels) >= 12
    assert not holds_prose("JSON", json.dumps(labels).encode())
    assert not holds_prose("YAML", "".join(f"- {part}\n" for part in labels).encode())
    assert holds_prose("JSON", json.dumps(list(SENTENCES) * 3).encode())


def test_a_dialect_counts_as_its_family_and_every_format_is_read() -> None:
    assert (format_of("Maven POM"), format_of("HTML+ERB"), format_of("Python"), format_of("?")) == (
        "XML",
        "HTML",
        "",
        "",
    )
    assert set(_VISIBLE) == set(PROSE_FORMATS) <= set(languages())


@given(st.sampled_from(PROSE_FORMATS), st.binary(max_size=300), st.text('<>!-/sript"\\&; \n', max_size=300))
def test_reading_never_raises_whatever_the_bytes(name: str, content: bytes, text: str) -> None:
    assert holds_prose(name, content + text.encode()) in (True, False)


def placed(config: Classify, hints: tuple[str, ...] = ("auto", "auto", "code")) -> list[tuple[str, str, str, str]]:
    names, data = ["fog.xml", "lamps.xml", "fog.xml"], forms(SENTENCES)["fog.xml"]
    table = classify(documents(0, [data, NO_PROSE[0][1], data], path=names, pool_hint=list(hints)), config=config)
    return [tuple(row.values()) for row in table.select(["pool", "language", "group", "content_kind"]).to_pylist()]


def test_a_mixture_leaves_prose_in_markup_where_it_is_unless_it_says_otherwise() -> None:
    kept = [("code", "XML", "XML", "prose"), ("code", "XML", "XML", "code"), ("code", "XML", "XML", "prose")]
    assert placed(Classify()) == placed(Classify(prose_in={"XML": "keep", "HTML": "text"})) == kept
    apart = ("code", "XML", "XML prose", "prose")
    assert placed(Classify(prose_in={"XML": "apart"})) == [apart, kept[1], apart]
    text = placed(Classify(prose_in={"XML": "text"}))
    assert [row[0] for row in text] == ["text", "code", "code"]  # a source that insists on code keeps it
    assert [row[1] for row in text] == ["XML"] * 3 and text[0][2] not in ("XML", "XML prose")
