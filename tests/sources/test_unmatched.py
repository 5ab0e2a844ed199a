"""Patterns of `include` and `exclude` that fit no file are named by lint and by a run, at no second listing."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pipeline.cli.main import main
from pipeline.config import Mixture, Source
from pipeline.request.lint_inputs import lint
from pipeline.sources import git, plan_slices, roots
from pipeline.sources.unmatched import unmatched

FILES = ("a.py", "b.js", "docs/a.md", "vendor/a.min.js", "vendor/deep/b.py")


def write(folder: Path) -> Path:
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1\n")
    return folder


def source(path: Path, **more: Any) -> Source:
    return Source(**({"name": "it", "kind": "directory", "path": str(path), "pool": "code"} | more))


def idle(one: Source) -> dict[str, tuple[str, ...]]:
    return {found.key: found.patterns for found in unmatched(one)}


def test_each_pattern_is_asked_by_itself(tmp_path: Path) -> None:
    write(tmp_path)
    assert idle(source(tmp_path)) == {}
    assert idle(source(tmp_path, include=("*.py", "*.rs"), exclude=("*.md", "*.txt"))) == {
        "include": ("*.rs",),
        "exclude": ("*.txt",),
    }
    assert idle(source(tmp_path, exclude=("*.py", "!/a.py", "!/c.py"))) == {"exclude": ("!/c.py",)}
    assert idle(source(tmp_path / "a.py", exclude=("*.js",))) == {"exclude": ("*.js",)}
    assert idle(source(tmp_path / "*.py", exclude=("*.js",))) == {"exclude": ("*.js",)}, "the glob means no other"


def test_a_folder_that_is_left_out_counts_though_it_is_not_opened(tmp_path: Path) -> None:
    write(tmp_path)
    assert unmatched(source(tmp_path, exclude=("vendor/",))) == []
    (found,) = unmatched(source(tmp_path, exclude=("vendor/", "*.min.js")))
    assert (found.patterns, found.is_beside) == (("*.min.js",), True)


def test_what_is_never_listed_may_be_left_out_too(tmp_path: Path) -> None:
    write(tmp_path)
    assert idle(source(tmp_path, exclude=(".git", ".svn/", "__pycache__/", "*.pyc"))) == {}


def test_rows_are_asked_by_their_files_hidden_ones_too(tmp_path: Path) -> None:
    for name in ("a.jsonl", "._a.jsonl"):
        (tmp_path / name).write_text(json.dumps({"content": "x = 1\n"}) + "\n")
    assert idle(source(tmp_path, kind="jsonl", exclude=("._*", "b*"))) == {"exclude": ("b*",)}


@pytest.mark.skipif(shutil.which("git") is None, reason="needs the program git")
def test_tracked_files_are_asked_from_their_checkout_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a"]):
        subprocess.run(["git", "-C", str(write(tmp_path / "one")), *command], check=True)
    (tmp_path / "one" / "untracked.rs").write_text("x")
    one, calls = source(tmp_path / "*", kind="git", include=("/a.py", "*.rs", "/one/b.js")), []
    real = git.output
    monkeypatch.setattr(git, "output", lambda *a: (calls.append(a), real(*a))[1])
    with roots.listed_once():
        plan_slices(one, shard_bytes=1 << 20)
        n_calls = len(calls)
        assert idle(one) == {"include": ("*.rs", "/one/b.js")}
    assert n_calls == len(calls) == 2


def test_lint_names_source_and_pattern_but_no_folder_that_a_run_may_make(tmp_path: Path) -> None:
    def found(**more: Any) -> list[tuple[str, str]]:
        mixture = Mixture(name="m", sources=(source(write(tmp_path), **more),))
        return [(one.key, one.seen) for one in lint(mixture) if one.kind == "pattern_without_file"]

    assert found(exclude=("*.md", "/runs/one/")) == []
    assert found(exclude=("*.mdx", "vendr/")) == [("sources.it.exclude", "no file matches '*.mdx', 'vendr/'")]
    ((key, seen),) = found(include=("*", "*.mdx"), exclude=("vendor",))
    assert key == "sources.it.include" and seen.endswith("'*.mdx', beside those in folders that others leave out")


def test_a_run_says_it_and_lists_no_folder_twice_for_it(
    tmp_path: Path, walked: list[str], mixture_of: Callable[[str], Path]
) -> None:
    write(tmp_path / "in")
    mixture = mixture_of("kind: directory, path: in, pool: code, exclude: ['*.mdx']")
    said = CliRunner().invoke(main, ["curate", str(mixture), "--out", str(tmp_path / "run")]).output
    assert "warning: source it: exclude: no file matches '*.mdx'\n" in said
    assert walked == [str(tmp_path / "in")]
    CliRunner().invoke(main, ["lint", str(mixture)])
    assert walked == [str(tmp_path / "in")] * 2
