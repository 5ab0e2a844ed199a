"""Path patterns: gitignore's dialect, held against git itself; what is refused; folders that need not be walked."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import Mixture, Source
from pipeline.errors import ConfigError
from pipeline.globs import check_pattern, check_patterns, chooser, matcher, pruner
from pipeline.sources import plan_slices
from pipeline.sources.local import walk
from pipeline.yaml_file import validate

WORKED = [
    ("*.py", "a.py", True),
    ("*.py", "a/b/c.py", True),
    ("*.py", "a.pyc", False),
    ("*.py", "a.py/b.c", True),  # a folder may bear that name
    ("/*.py", "a/b.py", False),
    ("src/*.py", "src/a.py", True),
    ("src/*.py", "src/a/b.py", False),
    ("src/*.py", "x/src/a.py", False),
    ("src/*", "src/a/b.py", True),
    ("src/**", "src/a/b.py", True),
    ("src/**", "src", False),
    ("src/**/*.py", "src/a.py", True),
    ("src/**/*.py", "src/a/b/c.py", True),
    ("src/", "src/a/b.py", True),
    ("src/", "x/src/a.py", True),
    ("/src/", "x/src/a.py", False),
    ("src/", "src", False),
    ("vendor", "vendor/a/b.c", True),
    ("vendor", "x/vendor", True),
    ("**/test/*.py", "test/a.py", True),
    ("**/test/*.py", "a/b/test/c.py", True),
    ("**/test/*.py", "a/mytest/c.py", False),
    ("a/**/z", "a/z", True),
    ("a/**/z", "a/b/c/z", True),
    ("a*/b", "a/b", True),
    ("a?.c", "ab.c", True),
    ("a?.c", "a/.c", False),
    ("[ab].c", "b.c", True),
    ("[!ab].c", "b.c", False),
    ("[!ab].c", "c.c", True),
    ("[^ab].c", "b.c", False),
    ("x[!a]b", "x/b", False),
    ("x[!a]", "x/b", False),
    ("[a-c]x", "bx", True),
    ("[]]", "]", True),
    ("a[+-9]b", "a/b", False),
    ("*", "new\nline", True),
    ("*.py", "new\n/line.py", True),
    ("*", "\n", True),
    ("*.py", "a.py\n", False),
    ("*.PY", "a.py", False),
    ("(a|b)+.py", "(a|b)+.py", True),
    (r"\#a", "#a", True),
    (r"\!a", "!a", True),
    (r"a\*", "a*", True),
    (r"a\*", "ab", False),
    ("a ", "a", True),
    ("été*", "été.py", True),
]


@pytest.mark.parametrize(("pattern", "path", "expected"), WORKED)
def test_pattern_matches_by_the_documented_rules(pattern: str, path: str, expected: bool) -> None:
    assert matcher((pattern,))(path) is expected


@pytest.mark.skipif(shutil.which("git") is None, reason="needs the program git")
def test_pattern_matches_what_git_ignores(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    paths = sorted({path for _, path, _ in WORKED if "\n" not in path})
    for pattern in dict.fromkeys(pattern for pattern, *_ in WORKED):
        (tmp_path / ".gitignore").write_text(pattern + "\n", encoding="utf-8")
        command = ["git", "-C", str(tmp_path), "check-ignore", "--no-index", "-z", "--stdin"]
        said = subprocess.run(command, input="\0".join(paths).encode(), capture_output=True, check=False).stdout
        assert said.decode().split("\0")[:-1] == [path for path in paths if matcher((pattern,))(path)], pattern


def test_pattern_is_anchored_when_a_document_bears_an_absolute_path() -> None:
    assert matcher(("/src/*.py",))("/src/a.py") and not matcher(("/src/*.py",))("/x/src/a.py")


def test_name_matches_by_its_escapes_when_its_bytes_are_no_utf8() -> None:
    for pattern in (r"caf\xe9.py", r"caf\\xe9.py", "caf*.py", "*.py"):
        assert matcher((pattern,))(r"d/caf\xe9.py")
    assert not matcher((r"caf\xe9.py",))("caf\xe9.py")


def test_the_last_pattern_that_matches_decides() -> None:
    kept = matcher(("*.py", "!*_test.py", "/slow_test.py"))
    assert [p for p in ("a.py", "a_test.py", "slow_test.py", "d/slow_test.py") if kept(p)] == ["a.py", "slow_test.py"]
    assert [p for p in ("vendor/a", "vendor/ours/a") if matcher(("vendor/", "!vendor/ours/"))(p)] == ["vendor/a"]
    assert not matcher(())("a")


def test_chooser_takes_what_include_matches_and_exclude_does_not() -> None:
    chosen = chooser(("*.py", "docs/**"), ("*_test.py",))
    assert [p for p in ("a.py", "a_test.py", "docs/x", "b.c") if chosen(p)] == ["a.py", "docs/x"]


@pytest.mark.parametrize("pattern", ["", " ", "/", "#a", "!", "a[b", "[z-a]", "[[:alpha:]]", "a\\"])
def test_pattern_is_refused_when_it_can_match_nothing(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of gitignore"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("*.{py,js}", "write '*.py', '*.js' in its place"),
        ("!/{a,b}/", "write '!/a/', '!/b/' in its place"),
        ("{a,{b,it's}}", "write 'a', 'b', 'it''s' in its place"),
        ("a.py{,c}", "write 'a.py', 'a.pyc' in its place"),
        ("{a,b,c}{d,e,f}", "write a pattern for each in its place"),
        ("{a,b}" * 40, "write a pattern for each in its place"),
    ],
)
def test_pattern_is_refused_when_only_a_shell_would_read_its_braces(pattern: str, written: str) -> None:
    with pytest.raises(ValueError, match="has braces, which gitignore takes for a name") as said:
        check_patterns(("b", pattern))
    assert written in str(said.value)


def test_braces_of_a_name_are_taken_and_match_it() -> None:
    for pattern in (r"\{a,b\}", r"\{a,b}", "[{]a,b}", "{{cookiecutter.name}}", "{a}", "a{1..3}"):
        assert check_pattern(pattern) == pattern
        assert matcher((pattern,))(pattern.replace("\\", "").replace("[{]", "{"))


def test_pattern_is_refused_when_nothing_before_it_could_be_taken_back() -> None:
    with pytest.raises(ValueError, match=r"'!a' stands first"):
        check_patterns(("!a", "b"))
    assert check_patterns(("b", "!a")) == ("b", "!a") and check_patterns(()) == ()


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"include": ["*.py", "a[b"]}, r"sources\.0\.include: .*'a\[b'"),
        ({"exclude": ["!a"]}, r"sources\.0\.exclude: .*'!a' stands first"),
        ({"overrides": [{"path": "[z-a]", "language": "C"}]}, r"classify\.overrides\.0\.path: .*'\[z-a\]'"),
        ({"overrides": [{"path": "!a", "language": "C"}]}, r"classify\.overrides\.0\.path: .*'!a' stands first"),
    ],
)
def test_mixture_names_the_key_when_a_pattern_is_wrong(more: dict[str, object], where: str) -> None:
    classify = {"overrides": more.pop("overrides", [])}
    source = {"name": "a", "kind": "directory", "path": "x", **more}
    with pytest.raises(ConfigError, match=where):
        validate(Mixture, {"name": "m", "sources": [source], "classify": classify}, where="m.yaml")


PARTS = st.sampled_from(["a", "b", "ab", "*", "**", "a*", "?", "[!a]", "[ab]", "***", "b?"])
PATTERNS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "/"]),
    st.lists(PARTS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "/"]),
)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for folder in ("", "a", "b", "a/a", "a/b", "b/ab", "a/b/a", "ab/b/ab"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name in ("ax", "bb", "x"):
            (root / folder / name).write_bytes(b"x")
    return root


@given(st.lists(PATTERNS, min_size=1, max_size=3), st.lists(PATTERNS.map("!{}".format), max_size=1))
def test_walking_past_excluded_folders_equals_filtering_all_files(
    tree: Path, patterns: list[str], taken_back: list[str]
) -> None:
    exclude = check_patterns((*patterns, *taken_back))
    kept = matcher(exclude)
    walked = walk(str(tree), prunes=pruner(exclude), max_depth=None, take_links=False)[0]
    every = walk(str(tree), prunes=lambda folder: False, max_depth=None, take_links=False)[0]
    assert [file for file in walked if not kept(file.path)] == [file for file in every if not kept(file.path)]


def test_folder_is_walked_past_when_all_below_is_excluded() -> None:
    prunes = pruner(("vendor/**", "build/", "**/node_modules/**", "*.egg", "/top"))
    folders = ("vendor", "a/vendor", "a/build", "a/node_modules", "x.egg", "top", "a/top", "a")
    assert [folder for folder in folders if prunes(folder)] == ["vendor", "a/build", "a/node_modules", "x.egg", "top"]
    assert not pruner(("vendor/", "!vendor/ours/"))("vendor")


def test_excluded_folder_is_not_even_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("keep/a.py", "deep/vendor/b.py"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"x")
    opened: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (opened.append(os.fsdecode(path)), scandir(path))[1])
    source = Source(name="here", kind="directory", path=str(tmp_path), exclude=("vendor/",))
    assert [file.path for piece in plan_slices(source, shard_bytes=1024) for file in piece.files] == ["keep/a.py"]
    assert not [path for path in opened if path.rstrip("/").endswith("vendor")]


@given(st.text("ab[]!^-\\/*?.~&|# ", max_size=12), st.text("ab[]/-.\n", max_size=8))
def test_matcher_answers_or_refuses_when_the_pattern_is_any(pattern: str, path: str) -> None:
    try:
        assert matcher((pattern,))(path) in (True, False)
    except ValueError as error:
        assert "is no pattern" in str(error)


@pytest.mark.parametrize(
    ("pattern", "path", "wanted"), [("[[]x]", "[x]", True), ("[[]x]", "x", False), ("a[b[c]d", "a[d", True)]
)
def test_a_bracket_in_a_class_is_itself(pattern: str, path: str, wanted: bool) -> None:
    assert matcher((pattern,))(path) is wanted
