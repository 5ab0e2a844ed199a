"""Grammars that crash, hang or eat memory cost one document, and the rest is parsed as if nothing had been."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pipeline.errors import StageError
from pipeline.filters import Measuring
from pipeline.quality import syntax
from pipeline.syntax import parse_process
from pipeline.syntax.parse import parse_error_frac
from pipeline.syntax.parse_process import ParserProcess, parser_process

# A child whose parser does what a marker in the file says; its bounds are small, so that a test is quick.
WILD = """
import os
from pipeline.syntax import parse, parse_process
real = parse.parse_error_frac
def wild(content, language):
    if b"ABORT" in content:
        os.abort()
    if b"FAULT" in content:
        import ctypes
        ctypes.string_at(0)
    while b"LOOP" in content:
        pass
    if b"EAT" in content:
        hold = bytes(3_000_000_000)
    if b"GONE" in content:
        raise parse.StageError("measure: the grammar 'ü' cannot be loaded")
    return real(content, language)
parse.parse_error_frac = wild
parse_process.CPU_SECONDS = 0.3
parse_process.MEMORY_BYTES = 2_000_000_000
parse_process.serve()
"""
SOUND, BROKEN = b"int f(void) { return 1; }\n", b"int f(void) { return 1; }\n) ] }\n"


@pytest.fixture
def wild() -> Iterator[ParserProcess]:
    process = ParserProcess(WILD)
    yield process
    process.close()


@pytest.mark.parametrize(
    ("marker", "fate"), [(b"ABORT", "crashed"), (b"FAULT", "crashed"), (b"LOOP", "ended"), (b"EAT", "crashed")]
)
def test_a_document_that_a_grammar_dies_of_is_told_and_the_next_is_parsed(
    wild: ParserProcess, marker: bytes, fate: str
) -> None:
    before = wild.parse(BROKEN, "C")
    assert before == parse_error_frac(BROKEN, "C") != 0
    assert wild.parse(SOUND + marker, "C") == fate
    assert wild.parse(SOUND + marker, "C") == fate
    assert [wild.parse(SOUND, "C"), wild.parse(BROKEN, "C"), wild.parse(b"x", "Brainfuck")] == [0.0, before, None]


def test_a_document_is_asked_for_again_when_somebody_ended_the_child(tmp_path: Path) -> None:
    """As the system does for want of memory: the answer is that of a run in which nobody did."""
    once = f"""
import os
from pipeline.syntax import parse, parse_process
real = parse.parse_error_frac
def killed_once(content, language):
    if not os.path.exists({str(tmp_path / "killed")!r}):
        open({str(tmp_path / "killed")!r}, "w").close()
        os.kill(os.getpid(), 9)
    return real(content, language)
parse.parse_error_frac = killed_once
parse_process.serve()
"""
    process = ParserProcess(once)
    try:
        assert process.parse(BROKEN, "C") == parse_error_frac(BROKEN, "C")
        assert (tmp_path / "killed").exists()
    finally:
        process.close()


def test_one_child_parses_all_until_it_has_read_much(wild: ParserProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    def child() -> int:
        wild.parse(SOUND, "C")
        assert wild._child is not None
        return wild._child.pid

    first = child()
    assert child() == first
    monkeypatch.setattr(parse_process, "_MAX_CHILD_BYTES", 10)
    assert child() != first


def test_an_error_in_the_child_is_an_error_here(wild: ParserProcess) -> None:
    with pytest.raises(StageError, match="measure: the grammar 'ü' cannot be loaded"):
        wild.parse(b"GONE", "C")
    assert wild.parse(SOUND, "C") == 0.0


def test_a_child_that_cannot_begin_is_an_error_and_no_document_s_fault() -> None:
    with pytest.raises(StageError, match=r"did not begin \(exit code 3 .*set quality\.parse to off"):
        ParserProcess("raise SystemExit(3)").parse(SOUND, "C")


def test_a_file_that_takes_a_grammar_a_minute_is_ended() -> None:
    """The case that was found, were it not known by its repeats: a backslash costs Haskell what all before it did."""
    unseen = "import pipeline.syntax.parse as s; s.is_repetitive = lambda _: False; "
    quick = ParserProcess(f"{unseen}from pipeline.syntax import parse_process as p; p.CPU_SECONDS = 0.5; p.serve()")
    try:
        assert quick.parse(b"\\\n" * 32_000, "Haskell") == "ended"
        assert quick.parse(b"module Main where\nmain = print 1\n", "Haskell") == 0.0
    finally:
        quick.close()


def test_a_child_ends_with_its_parent() -> None:
    code = (
        "import os; from pipeline.syntax.parse_process import parser_process as p; p().parse(b'int a;', 'C'); "
        "print(p()._child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    pid = int(done.stdout)
    for _ in range(200):
        if not _lives(pid):
            return
        time.sleep(0.05)
    pytest.fail(f"the child {pid} lives on")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_process_has_one_child_and_a_fork_its_own() -> None:
    assert parser_process() is parser_process()
    mine = parser_process().parse(BROKEN, "C")
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(writer, repr((parser_process().parse(BROKEN, "C"), parser_process()._child.pid)).encode())  # type: ignore[union-attr]
        os._exit(0)
    os.waitpid(pid, 0)
    share, child = eval(os.read(reader, 1000))
    assert share == mine
    assert child != parser_process()._child.pid  # type: ignore[union-attr]


def tables(contents: list[bytes]) -> pa.Table:
    import hashlib

    return pa.table(
        {
            "content": pa.array(contents, pa.large_binary()),
            "content_hash": pa.array([hashlib.md5(c).digest() for c in contents], pa.binary(16)),
        }
    )


def parsed(contents: list[bytes], languages: list[str], **settings: object) -> list[bool]:
    found = syntax.measure(
        tables(contents),
        languages=np.array(languages, np.str_),
        wanted=np.ones(len(contents), bool),
        config=Measuring.model_validate(settings),
    )
    assert not found["parser_died"].any()
    return list(~np.isnan(found["parse_error_frac"]))


def test_a_sample_is_a_share_of_the_documents_whatever_stands_beside_them() -> None:
    contents = [b"int a%d;" % k for k in range(300)]
    languages = ["C"] * 300
    chosen = parsed(contents, languages, parse="sample", parse_sample_frac=0.2)
    assert abs(sum(chosen) - 60) < 4 * (300 * 0.2 * 0.8) ** 0.5
    part = parsed(contents[100:], languages[100:], parse="sample", parse_sample_frac=0.2)
    assert part == chosen[100:]
    assert sum(parsed(contents, languages, parse="sample", parse_sample_frac=0.0)) == 0
    mixed, of_each = [b"int a;", b"b = 1\n", b"text"], ["C", "Python", "Brainfuck"]
    assert parsed(mixed, of_each, parse="all") == [True, True, False]
    assert parsed(mixed, of_each, parse="sample", parse_sample_frac=1.0) == [True, True, False]
    assert parsed(mixed, of_each, parse="off") == [False] * 3


@pytest.mark.parametrize(("said", "meant"), [(True, "all"), (False, "off"), ("sample", "sample")])
def test_parse_was_a_switch_and_may_be_written_so(said: object, meant: str) -> None:
    assert Measuring.model_validate({"parse": said}).parse == meant


def test_a_document_that_killed_its_parser_has_no_share_and_says_so(
    wild: ParserProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(syntax, "parser_process", lambda: wild)
    contents = [SOUND, SOUND + b"// ABORT", BROKEN, SOUND + b"// LOOP"]
    found = syntax.measure(
        tables(contents), languages=np.array(["C"] * 4), wanted=np.ones(4, bool), config=Measuring(parse="all")
    )
    assert found["parser_died"].tolist() == [False, True, False, True]
    assert np.isnan(found["parse_error_frac"]).tolist() == [False, True, False, True]


def test_what_a_child_used_is_reported_while_it_lives_and_left_to_the_kernel_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reported: list[float] = []
    monkeypatch.setattr(parse_process, "report_child", reported.append)
    process = ParserProcess()
    process.parse(SOUND, "C")
    process.parse(SOUND * 200, "C")
    assert len(reported) == 2 and min(reported) > 0  # what was used since the last answer
    process.close()
    assert sum(reported) == pytest.approx(0, abs=1e-9)
    process.close()
    assert sum(reported) == pytest.approx(0, abs=1e-9)
    process.parse(SOUND, "C")  # the next child begins from nothing
    assert reported[-1] > 0
    process.close()
    assert sum(reported) == pytest.approx(0, abs=1e-9)
