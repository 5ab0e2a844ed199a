"""Signs of single documents: real files of this project are sound, and what is done to them is called by its name."""

import base64
import hashlib
import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.language.classes import CLASSES
from pipeline.ruin import labels
from pipeline.ruin.kernels import line_order
from pipeline.ruin.kinds import Kind, Measured, kinds_of
from pipeline.ruin.labels import judge
from pipeline.ruin.measure import masked_contained
from pipeline.ruin.pairs import MIN_TOKENS, build_steps, packaged
from pipeline.ruin.sample import SampledDocument
from pipeline.ruin.signs import measure

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "pipeline").rglob("*.py"), key=lambda p: p.name)
SOURCES = [p for p in SOURCES if p.stat().st_size > 1_000][::8]
PROSE = sorted((ROOT / "docs").glob("*.md"))
SOURCE = (ROOT / "pipeline" / "errors.py").read_bytes()


def kinds(text: bytes, *, pool: str = "code", group: str = "Python", ends: bool = True) -> tuple[Kind, ...]:
    """The kinds of a document that nothing else is like."""
    clean = text.decode("utf-8", "ignore").encode()
    (order,) = packaged().order([clean])
    backwards = packaged().order([b" ".join(clean.split(b" ")[::-1])])[0] if order.score < 1.4 else None
    (label,) = judge([clean], [(pool, group)])
    return kinds_of(Measured(measure(text), order, backwards, label, 0.0, 0, 0.0, 0, ends))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_sources_of_this_project_are_sound(path: Path) -> None:
    assert set(kinds(path.read_bytes())) <= {"shuffled_lines"}  # a short list may stand in any order


@pytest.mark.parametrize("path", PROSE, ids=lambda p: p.name)
def test_its_documents_are_sound(path: Path) -> None:
    assert set(kinds(path.read_bytes(), pool="text", group="docs")) <= {"shuffled_lines", "truncated"}


def test_random_bytes_are_noise() -> None:
    assert kinds(np.random.default_rng(0).integers(0, 256, 900).astype(np.uint8).tobytes())[0] == "noise"


def test_bytes_that_are_no_utf8_are_noise_even_where_they_repeat() -> None:
    text = "Där går en älg över ön, och åsnan äter äpplen på ängen. Så är det, år efter år.\n" * 4
    assert kinds(text.encode("latin-1"), pool="text", group="books")[0] == "noise"
    assert "noise" not in kinds(text.encode(), pool="text", group="books")


def test_random_characters_are_noise() -> None:
    letters = np.random.default_rng(0).integers(33, 127, 1_500).astype(np.uint8).tobytes()
    assert kinds(letters)[0] == "noise"


@pytest.mark.parametrize("encode", [base64.encodebytes, base64.b64encode, lambda text: text.hex().encode()])
def test_encoded_bytes_are_called_so(encode) -> None:
    assert kinds(encode(SOURCE))[0] == "encoded"


def test_lists_of_hashes_and_of_paths_are_not_encoded() -> None:
    hashes = [hashlib.sha256(bytes([i])).hexdigest() for i in range(40)]
    line = "install package-1.0.{} https://example.org/source/old/openssl-1.0.{}.tar.gz#{} --if needed\n"
    share = measure("".join(line.format(i, i, h) for i, h in enumerate(hashes)).encode()).encoded
    assert 0.3 < share < 0.5  # counted once, not as base64 and as hexadecimal too
    paths = "\n".join(f"src/com/example/{name}/abstractions/rhino/BinaryReader/Elements" for name in "abcdefgh")
    assert measure(paths.encode()).encoded == 0


@pytest.mark.parametrize("codec", ["cp1252", "latin-1", "cp1251", "mac_roman"])
def test_letters_read_in_another_encoding(codec: str) -> None:
    text = "Gefühlsmäßig größere Übergänge für höfliche Ärzte, déjà vu, naïve façade, señor año.\n" * 2
    assert "mojibake" in kinds(text.encode().decode(codec, "replace").encode(), pool="text", group="books")
    assert "mojibake" not in kinds(text.encode(), pool="text", group="books")


def test_letters_of_many_scripts_are_no_mojibake() -> None:
    for text in (
        "Съешь же ещё этих мягких французских булок. ",
        "ἐν ἀρχῇ ἦν ὁ λόγος, ",
        "いろはにほへと散りぬるを。",
        "Ærøskøbing ",
    ):
        assert measure((text * 8).encode()).mojibake == 0


def test_a_sentence_again_and_again() -> None:
    assert kinds(b"It was a dark and stormy night, the rain fell in torrents. " * 30)[0] == "repetition"


def test_one_template_with_other_numbers() -> None:
    lines = b"".join(
        b"Row %d of the table holds the value %d and points at row %d.\n" % (i, i * i, i + 1) for i in range(40)
    )
    assert kinds(lines, pool="text", group="docs")[0] == "template"


def shuffled(text: bytes, *, seed: int) -> bytes:
    words = text.split(b" ")
    return b" ".join(words[i] for i in np.random.default_rng(seed).permutation(len(words)))


def test_shuffled_tokens_have_no_order() -> None:
    encoder = packaged().encoder
    scores = []
    for seed, path in enumerate(SOURCES):
        ids = encoder.encode_batch([path.read_bytes()])[1][:-1]
        mixed = encoder.decode(np.random.default_rng(seed).permutation(ids))
        plain, permuted = packaged().order([path.read_bytes(), mixed.decode("utf-8", "ignore").encode()])
        assert plain.forward > permuted.forward
        scores.append((plain.score, permuted.score))
    healthy, spoilt = np.array(scores).T
    assert healthy.min() > 1.2 > np.quantile(spoilt, 0.9)


def test_reversed_tokens_run_backwards() -> None:
    encoder = packaged().encoder
    ids = encoder.encode_batch([SOURCE])[1][:-1]
    back = encoder.decode(ids[::-1]).decode("utf-8", "ignore").encode()
    plain, turned = packaged().order([SOURCE, back])
    assert plain.forward > 2 > 0.5 > turned.forward
    measured = Measured(measure(back), turned, plain, judge([back], [("code", "Python")])[0], 0, 0, 0, 0, True)
    assert kinds_of(measured)[0] == "reversed"
    assert kinds_of(measured._replace(backwards=turned))[0] == "shuffled_tokens"


def test_a_short_document_says_nothing_of_order() -> None:
    (order,) = packaged().order([b"x = 1\n"])
    assert order.n_tokens < MIN_TOKENS
    assert math.isnan(order.score)
    assert kinds(b"x = 1\n") == ()


def test_pairs_that_belong_together_score_above_chance() -> None:
    counts = np.array([[0, 90, 0], [0, 0, 90], [90, 0, 0]])
    steps = build_steps(counts, prior=1.0)
    assert (steps[[0, 1, 2], [1, 2, 0]] > 0).all()
    assert (steps[[0, 1, 2], [0, 1, 2]] < 0).all()
    assert (build_steps(np.full((3, 3), 7), prior=1.0) == 0).all()


def test_line_order_of_shuffled_lines_is_that_of_chance() -> None:
    rng = np.random.default_rng(0)
    lines = (ROOT / "pipeline" / "plt" / "model.py").read_bytes().split(b"\n")
    plain = line_order(np.frombuffer(b"\n".join(lines), np.uint8))[1]
    mixed = [
        line_order(np.frombuffer(b"\n".join(rng.permutation(np.array(lines, object))), np.uint8))[1] for _ in range(60)
    ]
    assert plain > 5
    assert abs(np.mean(mixed)) < 0.5
    assert 0.7 < np.std(mixed) < 1.4


def test_a_cut_in_the_middle_of_a_block() -> None:
    text = (ROOT / "pipeline" / "plt" / "model.py").read_bytes()
    place = text.index(b"(self, config: ModelConfig") + 12
    assert "truncated" in kinds(text[:place])
    assert "truncated" not in kinds(text[:place], ends=False)  # the sample ends there, not the document
    assert "truncated" not in kinds(text)


def test_labels_that_the_content_contradicts() -> None:
    method = b"""    @Override
    public synchronized void add%d(final List<String> names) throws IOException {
        Map<String, Integer> counts = new HashMap<>();
        for (String name : names) {
            counts.put(name, counts.getOrDefault(name, %d));
        }
        System.out.println(counts);
    }
"""
    head = b"package a.b;\n\nimport java.util.List;\nimport java.util.Map;\n\npublic final class Cup extends Vessel {\n"
    java = head + b"".join(method % (i, i) for i in range(6)) + b"}\n"
    prose = (ROOT / "docs" / "scale.md").read_text("utf-8").split("\n\n")
    text = "\n\n".join(p for p in prose if p[0].isalpha() and "`" not in p).encode()
    assert judge([java], [("code", "Java")])[0] == ("Java", False, False)
    assert judge([java], [("code", "Python")])[0].wrong_language
    assert judge([java], [("text", "books")])[0].wrong_pool
    assert not judge([text], [("text", "books")])[0].wrong_pool


def document(number: int, text: bytes, group: str = "docs") -> SampledDocument:
    return SampledDocument(number, str(number), "text", group, np.zeros(1, np.uint32), text, True)


def test_templates_are_found_between_documents_of_a_group() -> None:
    words = b"Entry %d was made on day %d by the office of records, which keeps it for a century in its cellar, "
    same = [
        document(
            i,
            words % (10**i, 3 * 10 ** (2 * i))
            + b"and under lock, where nobody but its keeper ever goes to read it. " * 2,
        )
        for i in range(3)
    ]
    other = document(3, SOURCE)
    share, n = masked_contained([*same, other, document(4, same[0].text, group="elsewhere")])
    assert share[:3].tolist() == [1, 1, 1]
    assert share[3:].tolist() == [0, 0]
    assert (n > 0).all()


def test_a_label_that_the_classifier_leaves_a_chance_is_not_doubted() -> None:
    row = np.zeros(len(CLASSES), np.float32)
    row[CLASSES.index("Java")], row[CLASSES.index("Python")] = 0.975, 0.02
    assert not labels._verdict(b"", row, "code", "Python").wrong_language
    row[CLASSES.index("Python")] = 0.005
    assert labels._verdict(b"", row, "code", "Python").wrong_language
    assert not labels._verdict(b"", row, "code", "A language without a class").wrong_language


def test_a_passage_in_common_is_no_copy() -> None:
    fits = labels.LabelDoubts("Python", False, False)
    sound = Measured(measure(SOURCE), packaged().order([SOURCE])[0], None, fits, 1.0, 5, 0, 0, True)
    assert "copied" not in kinds_of(sound)
    assert "copied" in kinds_of(sound._replace(n_anchors=6))
    assert "copied" not in kinds_of(sound._replace(n_anchors=6, contained=0.9))
