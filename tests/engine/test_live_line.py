"""A run as a person watches it: the rendered screen of a pseudo-terminal, and plain text wherever there is none."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.engine.live_line import LiveLine, Meter, duration, shown_name

ROOT = Path(__file__).parents[2]
FUSED = "languages+redacted+quality+judged+overlaps+signatures"
STAGES = ["documents", "exact_dups", *FUSED.split("+"), "similar", "near_dups", "select", "tokens", "balance", "packed"]
STAGES += ["ledger"]
# A run of three steps among libraries that talk; it waits for a line in the middle of one.
SCRIPT = f"""
import logging, os, subprocess, sys, warnings
from pipeline.engine.live_line import console_of
from pipeline.engine.progress import Progress, RunLog
from pipeline.engine.store import open_store
progress = Progress(console_of(), log=RunLog(open_store(sys.argv[1]), print))
progress.know({STAGES!r})
with progress.recorded(), progress.alone():
    progress.skipped("documents")
    with progress.step({FUSED!r}, n_items=1600, n_done=0) as advance:
        for _ in range(500):
            advance({{"n_docs": 12, "n_bytes": 10_000}})
        os.write(2, b"(raylet) core_worker.cc:12: " + b"a worker says what it thinks of this machine " * 3 + b"\\n")
        warnings.warn("torch finds something old")
        logging.getLogger("datatrove").warning("a log line of another library" + "\\x1b[2J" * progress.is_live)
        subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write('tokenizers in a child\\\\n')"])
        print("printed by a library", flush=True)
        sys.stdin.readline()
        for _ in range(1100):
            advance({{"n_docs": 12, "n_bytes": 10_000}})
    with progress.step("exact_dups.group", n_items=1, n_done=0) as advance:
        advance({{"n_docs": 18}})
"""


@dataclass
class Screen:
    """What a terminal of `width` columns shows of a stream: only what our output may use; anything else is an error."""

    width: int
    rows: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0
    pending: str = ""

    def feed(self, text: str) -> None:
        text, self.pending = self.pending + text, ""
        while text:
            code = re.match(r"\x1b\[(\?25[lh]|[\d;]*m|(\d*)A|2K)", text)
            if code:
                self._control(code)
                text = text[code.end() :]
            elif re.fullmatch(r"\x1b(\[[?\d;]*)?", text):  # the rest of a code comes with the next read
                self.pending, text = text, ""
            else:
                self._put(text[0])
                text = text[1:]

    def _control(self, code: re.Match[str]) -> None:
        if code[1].endswith("A"):
            self.row -= int(code[2] or 1)
            assert self.row >= 0, "the cursor went above the screen"
        elif code[1] == "2K":
            self.rows[self.row] = ""

    def _put(self, char: str) -> None:
        if char == "\r":
            self.column = 0
        elif char == "\n":
            self._down()
        else:
            assert char.isprintable(), f"{char!r} was sent to the terminal"
            if self.column == self.width:
                self._down()
                self.column = 0
            line = self.rows[self.row].ljust(self.column)
            self.rows[self.row] = line[: self.column] + char + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.row += 1
        if self.row == len(self.rows):
            self.rows.append("")

    @property
    def shown(self) -> list[str]:
        return [row.rstrip() for row in self.rows if row.strip()]


@dataclass
class Terminal:
    """A program in a pseudo-terminal."""

    process: subprocess.Popen[bytes]
    master: int
    screen: Screen
    raw: bytes = b""

    def until(self, is_there: Callable[[list[str]], bool] | None = None) -> list[str]:
        """Read until the screen shows something, or, without it, until the program ends."""
        while is_there is None or not is_there(self.screen.shown):
            ready, _, _ = select.select([self.master], [], [], 120)
            assert ready, f"nothing more came; the screen shows {self.screen.shown}"
            try:
                data = os.read(self.master, 65_536)
            except OSError:  # the other end is closed
                data = b""
            if not data:
                assert is_there is None, f"the program has ended; the screen shows {self.screen.shown}"
                assert self.process.wait() == 0, self.screen.shown
                break
            self.raw += data
            self.screen.feed(data.decode())
        return self.screen.shown


@contextmanager
def started(folder: Path, *, width: int, **environment: str) -> Iterator[Terminal]:
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    how = termios.tcgetattr(slave)
    how[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, how)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], stdin=slave, stdout=slave, stderr=slave, env=clean() | environment
    )
    os.close(slave)
    with process:
        try:
            yield Terminal(process, master, Screen(width))
        finally:
            os.close(master)
            process.kill()


def clean() -> dict[str, str]:
    left_out = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "PYTHONPATH", "PYTHONWARNINGS")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}


def middle(shown: list[str]) -> bool:
    """The live line stands below all that libraries say."""
    return (
        len(shown) > 5
        and "500/1,600" in shown[-1]
        and all(any(one in row for row in shown) for one in ("in a child", "printed by"))
    )


@pytest.mark.parametrize(
    ("width", "bar", "rates"),
    [
        (70, "", ""),
        (80, "", r"  [\d.]+ MB/s"),
        (200, "█{7}░{17}  ", r"  [\d.]+ MB/s  [\d,]+ documents/s"),
    ],
)
def test_screen_shows_one_line_at_work_and_above_it_what_libraries_say(
    tmp_path: Path, width: int, bar: str, rates: str
) -> None:
    line = rf"  stages 3-8 of 15  languages\+\.\.\.\+signatures  {bar}500/1,600{rates}  [\d.]+ \w+ left"
    with started(tmp_path, width=width) as terminal:
        shown = terminal.until(middle)
        assert re.fullmatch(line, shown[-1]), shown[-1]
        assert sum("1,600" in row for row in shown) == 1, f"the line stands there more than once: {shown}"
        text = "".join(row.ljust(width) for row in shown)  # a long line goes on in the next row
        said = [
            "(raylet) core_worker.cc:12: a worker says what it thinks of this machine a worker says what it thinks",
            "UserWarning: torch finds something old",
            r"a log line of another library\x1b[2J",
            "tokenizers in a child",
            "printed by a library",
        ]
        for one in said:
            assert one in text, one
        os.write(terminal.master, b"\n")
        shown = terminal.until()
        assert shown[0].split() == ["documents", "done", "before"]
        rows = [row for row in shown if row.startswith("  ") and ("1,600" in row or "1/1" in row)]
        assert len(rows) == 2, f"the live line is still there: {shown}"
        assert re.match(r"  languages\+\.\.\.\+signatures           1,600/1,600, ", rows[0])
        assert re.fullmatch(r"  exact_dups.group                   1/1, [\d.]+ s", rows[1]), "groups are no documents"
        assert terminal.raw.endswith(b"\x1b[?25h") or terminal.raw.rfind(b"\x1b[?25h") > terminal.raw.rfind(
            b"\x1b[?25l"
        )
    (log,) = (tmp_path / "logs").iterdir()
    events = [json.loads(event) for event in log.read_text().splitlines()]
    logged = " ".join(event["line"] for event in events if event["event"] == "said")
    for one in ("(raylet) core_worker.cc", "torch finds something old", "log line of another", "tokenizers in a child"):
        assert one in logged, one


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}])
def test_terminal_gets_plain_lines_when_it_asks_for_them(tmp_path: Path, environment: dict[str, str]) -> None:
    with started(tmp_path, width=80, **environment) as terminal:
        os.write(terminal.master, b"\n")
        shown = terminal.until()
    assert b"\x1b" not in terminal.raw
    assert sum("1,600/1,600" in row for row in shown) == 1


@pytest.mark.parametrize("environment", [{}, {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1"}])
def test_pipe_gets_one_plain_line_a_step(tmp_path: Path, environment: dict[str, str]) -> None:
    call = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    done = subprocess.run(call, input=b"\n", capture_output=True, env=clean() | environment, check=True)
    assert b"\x1b" not in done.stdout
    first, printed, second, third = done.stdout.decode().splitlines()
    assert first.split() == ["documents", "done", "before"]
    assert printed == "printed by a library"
    assert re.fullmatch(
        r"  languages\+\.\.\.\+signatures           1,600/1,600, [\d.]+ MB/s, [\d,]+ documents/s, [\d.]+ s", second
    )
    assert re.fullmatch(r"  exact_dups.group                   1/1, [\d.]+ s", third)
    assert b"(raylet)" in done.stderr, "standard error was sent elsewhere, and stays there"


def test_line_never_exceeds_its_room_and_always_says_how_far_it_is() -> None:
    meter = Meter(100_000, 61_234, 0, n_docs=10**12, n_bytes=10**16)
    meter.started -= 100_000
    for step in ("packed.interleave", FUSED, "similar.a_step_with_a_very_long_name_of_its_own"):
        line = LiveLine(step, "stages 3-8 of 15", meter)
        for room in range(10, 230):
            text = line.fitted(room)
            assert len(text) <= room
            assert len(line.fitted(room, is_ascii=True)) <= room
            if room >= 50:
                assert "61,234/100,000" in text
                assert "left" in text
            if room >= 160:
                assert "documents/s" in text
    assert line.fitted(200, is_ascii=True).isascii()


def test_names_and_durations_are_short() -> None:
    assert shown_name(FUSED) == "languages+...+signatures"
    assert shown_name("tokens+ledger") == "tokens+ledger"
    assert [duration(s) for s in (0.4, 99.4, 100, 5_000, 6_000, 86_400)] == [
        "0 s",
        "99 s",
        "2 min",
        "83 min",
        "1.7 h",
        "24.0 h",
    ]
