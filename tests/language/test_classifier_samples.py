"""What the classifier is trained on: which files of a repository, under which label, and what is kept apart."""

import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from jobs import classifier_samples as samples
from jobs import sample_repositories
from jobs.classifier_samples import Sample
from jobs.train_classifier import without_copies

LAMP = b"def lamp_%d(street):\n    return street.lamps[%d]  # the lamp that stands at the corner of the street\n"
BOAT = b"function boat%d(oars) { return oars * %d; } // a boat that is rowed across the lake in the evening\n"


def table(folder: Path, name: str, files: dict[str, bytes]) -> None:
    columns = {"path": list(files), "content": pa.array(list(files.values()), pa.binary())}
    pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def files(n: int, extension: str = "py", content: bytes = LAMP) -> dict[str, bytes]:
    return {f"src/file{i}.{extension}": content % (i, i) for i in range(n)}


def test_a_repository_is_trained_on_or_held_out_as_a_whole(tmp_path: Path) -> None:
    for i in range(40):
        table(tmp_path, f"owner+lamps{i}", files(4) | files(3, "js", BOAT))
    splits: dict[str, set[str]] = {}
    for sample in samples.repositories(tmp_path):
        assert sample.origin == "repositories"
        splits.setdefault(sample.group, set()).add(sample.split)
    assert len(splits) == 40 and all(len(split) == 1 for split in splits.values())
    assert sum(split == {"dev"} for split in splits.values()) == 5  # about a fifth; keyed, so always the same


def test_no_repository_crowds_out_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_PER_REPOSITORY", 5)
    monkeypatch.setattr(samples, "MAX_LEARNED", 7)
    monkeypatch.setattr(samples, "HELD_OUT", "another salt")
    table(tmp_path, "large", files(30))
    table(tmp_path, "small", files(3))
    found = list(samples.repositories(tmp_path))
    train = [sample.group for sample in found if sample.split == "train"]
    assert sorted(train) == ["large"] * 4 + ["small"] * 3


@pytest.mark.parametrize(
    ("path", "content", "label"),
    [
        (
            "a/Player.mm",
            b'#import "Player.h"\n@implementation Player {\n  std::vector<int> notes;\n}\n@end\n',
            "Objective-C++",
        ),
        (
            "a/shop.cls",
            b"public with sharing class Shop {\n  List<Account> found = [SELECT Id FROM Account];\n}\n",
            "Apex",
        ),
        (
            "a/water.fx",
            b"float4x4 world;\ntechnique Water { pass P0 { VertexShader = compile vs_3_0 Main(); } }\n",
            "HLSL",
        ),
        (
            "a/glow.frag",
            b"uniform vec3 colour;\nvoid main() { gl_FragColor = vec4(colour, 1.0); }\n// a glow\n",
            "GLSL",
        ),
        (
            "a/Query.g",
            b"grammar Query;\nquery : SELECT fields FROM table ;\nSELECT : 'select' ;\n// and so on\n",
            "ANTLR",
        ),
        ("a/main.rs", b'fn main() {\n    let name = "street";\n    println!("the lamps of {}", name);\n}\n', "Rust"),
    ],
)
def test_a_tree_tells_what_shared_extensions_are(tmp_path: Path, path: str, content: bytes, label: str) -> None:
    table(tmp_path, "one", {path: content})
    assert [sample.label for sample in samples.repositories(tmp_path)] == [label]


def test_what_stays_doubtful_is_not_learned(tmp_path: Path) -> None:
    paper = b"\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{thesis}\n\\LoadClass{book}\n" * 3
    doubtful = {"a/x.mm": b"<map><node TEXT='a mind map'/></map>" * 3, "a/notes": b"some words " * 20, "a/t.cls": paper}
    table(tmp_path, "one", doubtful | {"README.txt": b"The lamps of the street are lit at dusk. " * 9, "a/s.py": b"x"})
    assert {sample.label for sample in samples.repositories(tmp_path)} <= {"TeX"}


def test_near_copies_of_held_out_files_are_not_trained_on() -> None:
    held = Sample("dev", "repositories", "Python", b"".join(LAMP % (i, i) for i in range(20)))
    copy = held._replace(split="train", content=held.content + b"LAST = 1\n")
    other = held._replace(split="train", content=b"".join(BOAT % (i, i) for i in range(20)))
    assert without_copies([copy, other], [held]) == [other]


def test_a_repository_becomes_a_table_without_other_peoples_code(tmp_path: Path) -> None:
    home = tmp_path / "owner+lamps"
    kept = {"src/lamp.py": LAMP % (1, 1), "zoo/ab.cr": b"class Zoo\n  def initialize(@name : String)\n  end\nend\n" * 3}
    left = {"vendor/a.py": LAMP, "web/app.min.js": BOAT, "short.py": b"x = 1\n", "data.py": b"\0" * 99}
    for path, content in (kept | left).items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_bytes(content)
    (home / "link.py").symlink_to("src/lamp.py")
    git = ["git", "-C", str(home), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "lamps"]):
        subprocess.run([*git, *command], check=True)
    result = CliRunner().invoke(sample_repositories.main, [str(home), "--out", str(tmp_path / "tables")])
    assert result.exit_code == 0, result.output
    found = pq.read_table(tmp_path / "tables" / "owner+lamps.parquet").to_pydict()
    assert dict(zip(found["path"], found["content"], strict=True)) == kept
    assert {s.label for s in samples.repositories(tmp_path / "tables")} == {"Python", "Crystal"}
