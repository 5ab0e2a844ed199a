import io

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from language_snippets import HASKELL, JAVA, PROSE, PYTHON, RUST

from jobs import learn_classifier as learn
from pipeline.language import tokens
from pipeline.language.classes import CLASSES, OTHER, class_of
from pipeline.language.classifier import Model, packaged, probabilities, read, sums

LAMPS = [b"lamp %d := lit; street.add(lamp %d);\n" % (i, i + 1) * 6 for i in range(12)]
BOATS = [b"(defboat boat-%d (oars %d))\n" % (i, i + 2) * 6 for i in range(12)]


@pytest.fixture(scope="module")
def small() -> Model:
    trained = learn.train(LAMPS + BOATS, [0] * 12 + [1] * 12, n_classes=2)
    return Model(
        ("lamps", "boats"), trained.keys, trained.table, np.float32(trained.scale), trained.bias, np.float32(1)
    )


def test_training_again_gives_the_same_bytes(small: Model) -> None:
    again = learn.train(LAMPS + BOATS, [0] * 12 + [1] * 12, n_classes=2)
    assert np.float32(again.scale) == small.scale
    for name in ("keys", "table", "bias"):
        assert np.array_equal(getattr(small, name), getattr(again, name))


def test_a_trained_model_tells_its_classes_apart(small: Model) -> None:
    unseen = [b"lamp 99 := lit;\n", b"(defboat big (oars 99))\n"]
    logits, squares = sums(small, unseen, slots=tokens.slots_of(small.keys))
    assert logits.argmax(axis=1).tolist() == [0, 1]
    assert (squares > 0).all()


def test_what_only_one_repository_says_is_no_feature_of_its_language() -> None:
    own = [content.replace(b"street", b"zanzibar") for content in LAMPS]
    asked = learn.count([b"zanzibar", b"lamp"])
    name, word = (set(asked.columns[a:b].tolist()) for a, b in zip(asked.bounds[:-1], asked.bounds[1:], strict=True))
    labels = [0] * 12 + [1] * 12
    for groups, known in ((["one"] * 12 + ["two"] * 12, False), ((["one"] * 6 + ["three"] * 6) + ["two"] * 12, True)):
        trained = learn.train(own + BOATS, labels, n_classes=2, groups=groups)
        assert bool(name & set(trained.keys.tolist())) is known
        assert bool(word & set(trained.keys.tolist())) is known


def test_a_saved_model_reads_back_and_equal_models_are_equal_bytes(small: Model, tmp_path) -> None:
    learn.save(small, tmp_path / "one")
    learn.save(small, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    for mine, theirs in zip(small, read((tmp_path / "one").read_bytes()), strict=True):
        assert np.array_equal(mine, theirs)


def test_weights_are_refused_when_a_pickle_hides_in_them(small: Model, tmp_path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        read(zstandard.compress(buffer.getvalue()))


def test_sums_are_what_the_features_say(small: Model) -> None:
    content = LAMPS[0] + BOATS[0]
    features = learn.count([content])
    place = {int(key): row for row, key in enumerate(small.keys.tolist())}
    buffer = np.zeros(tokens.MAX_FEATURES, np.uint32)
    n = tokens.extract(np.frombuffer(content, np.uint8), 0, len(content), tokens.KINDS, buffer)
    keys, counts = np.unique(buffer[:n] & 0xFFFFFF, return_counts=True)
    assert sorted(features.columns.tolist()) == keys.tolist()
    known = [
        (place[key], int(tokens.WEIGHTS[c - 1])) for key, c in zip(keys.tolist(), counts, strict=True) if key in place
    ]
    total = sum(weight * small.table[row].astype(np.int64) for row, weight in known)
    square = sum(weight * weight for _, weight in known)
    logits, squares = sums(small, [content], slots=tokens.slots_of(small.keys))
    assert squares.tolist() == [square]
    assert np.allclose(logits[0], total / np.sqrt(square) * small.scale + small.bias, atol=1e-5)


def test_packaged_weights_belong_to_the_classes_and_share_no_slot() -> None:
    model = packaged()
    assert model.classes == CLASSES and len(CLASSES) == 105
    assert (np.diff(model.keys.astype(np.int64)) > 0).all()
    low = model.keys & np.uint32((1 << tokens.SLOT_BITS) - 1)
    assert np.unique(low).size == low.size


@pytest.mark.parametrize(
    ("content", "name"),
    [(PYTHON, "Python"), (HASKELL, "Haskell"), (JAVA, "Java"), (RUST, "Rust"), (PROSE, "Text")],
    ids=["python", "haskell", "java", "rust", "prose"],
)
def test_probabilities_are_highest_for_the_right_class(content: bytes, name: str) -> None:
    row = probabilities([content])[0]
    assert CLASSES[int(row.argmax())] == name


def test_a_content_with_hardly_a_known_feature_is_no_language() -> None:
    assert [CLASSES[i] for i in probabilities([b"", b"?", b"\xff\xfe%%\n"]).argmax(axis=1)] == [OTHER] * 3


@settings(max_examples=30)
@given(st.lists(st.one_of(st.binary(max_size=300), st.sampled_from([PYTHON, PROSE, JAVA])), max_size=6))
def test_a_batch_equals_its_documents_alone(contents: list[bytes]) -> None:
    together = probabilities(contents)
    assert together.shape == (len(contents), len(CLASSES))
    for content, row in zip(contents, together, strict=True):
        assert abs(float(row.sum()) - 1) < 1e-5
        assert np.array_equal(probabilities([content])[0], row)


def test_a_document_of_one_endless_token_ends() -> None:
    for content in (b"a" * 3_000_000, b"(" * 3_000_000, b"a b\n" * 750_000):
        assert probabilities([content]).shape == (1, len(CLASSES))


def test_dialects_and_groups_have_the_class_of_their_language() -> None:
    assert [class_of(name) for name in ("TSX", "VBA", "Maven POM", "Rust", "Text")] == [
        "TypeScript", "Visual Basic .NET", "XML", "Rust", "Text",
    ]  # fmt: skip
    assert class_of("Brainfuck") == class_of("no such language") == OTHER
