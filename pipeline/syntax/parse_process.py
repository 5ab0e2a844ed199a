"""Parsing in a process of its own, so that no grammar can take a worker with it or hold it up.

Grammars are C code of many hands. What one of them does wrong (a crash, an endless loop, gigabytes) ends the child, and
costs the one document that it had in hand; the next goes to a new child. Frames of bytes go there and back, nothing is
unpickled. The child ends itself when it has used CPU_SECONDS on one document: the kernel's timer of its own CPU time,
so a busy machine gives the same answer as an idle one. `parse.py` bounds the work by counting, at some tenths of a
second for what people write, so the timer is for what counting does not see.
"""

import atexit
import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

from pipeline.arrays.cpu_clock import report_child
from pipeline.errors import StageError

CPU_SECONDS = 4  # twenty-five times the slowest real file of 64 kB in any grammar (0.16 s)
MEMORY_BYTES = 4_000_000_000  # of address space; grammars have been seen to take gigabytes for 64 kB of garbage
# tree-sitter keeps what it was given to read, so a child that has read this much makes room.
_MAX_CHILD_BYTES = 256_000_000

_REQUEST = struct.Struct("<BHIQ")  # what is asked, bytes of the language's name, bytes of the file, a drawn number
_ERRORS, _NODE = range(2)  # what is asked: the share in errors, or a random node
# Status, CPU seconds of the child so far, and what was found: a share, or both ends of a node; or bytes of a message.
_ANSWER = struct.Struct("<Bddd")
_NOT_PARSED, _PARSED, _FAILED = range(3)
_READY = b"+"
_START = "from pipeline.syntax.parse_process import serve; serve()"


Death = Literal["crashed", "ended"]


class ParserProcess:
    """One child at a time; begun when it is first asked, ended with this process."""

    def __init__(self, start: str = _START) -> None:
        self._start = start
        self._child: subprocess.Popen[bytes] | None = None
        self._n_bytes = 0
        self._cpu_seconds = 0.0  # of the child, as far as it told

    def parse(self, content: bytes, language: str) -> float | Death | None:
        """`parse.parse_error_frac` of a file, or what became of the child. StageError as there, or if none begins."""
        found = self._twice(_ERRORS, content, language, 0)
        return found[0] if isinstance(found, tuple) else found

    def node(self, content: bytes, language: str, drawn: int) -> tuple[int, int] | Death | None:
        """`parse.node_span` of a file, or what became of the child. StageError as there, or if none begins."""
        found = self._twice(_NODE, content, language, drawn)
        return (int(found[0]), int(found[1])) if isinstance(found, tuple) else found

    def _twice(self, asked: int, content: bytes, language: str, drawn: int) -> tuple[float, float] | Death | None:
        """A document is asked for again of a new child where the first crashed: the system may have ended that, or what
        it had read before."""
        found = self._answer(asked, content, language, drawn)
        return self._answer(asked, content, language, drawn) if found == "crashed" else found

    def _answer(self, asked: int, content: bytes, language: str, drawn: int) -> tuple[float, float] | Death | None:
        if self._child is None or self._n_bytes > _MAX_CHILD_BYTES:
            self.close()
            self._begin()
        assert self._child is not None
        self._n_bytes += len(content)
        name = language.encode()
        answer, message = self._ask(self._child, _REQUEST.pack(asked, len(name), len(content), drawn) + name + content)
        if answer is None:
            return self._death()
        status, *values = answer
        if status == _FAILED:
            raise StageError(message)
        return (values[0], values[1]) if status == _PARSED else None

    def _ask(self, child: "subprocess.Popen[bytes]", request: bytes) -> tuple[tuple[int, float, float] | None, str]:
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(request)
            child.stdin.flush()
        except BrokenPipeError:
            return None, ""
        answer = child.stdout.read(_ANSWER.size)
        if len(answer) < _ANSWER.size:
            return None, ""
        status, cpu_seconds, first, second = _ANSWER.unpack(answer)
        report_child(cpu_seconds - self._cpu_seconds)
        self._cpu_seconds = cpu_seconds
        message = child.stdout.read(int(first)).decode() if status == _FAILED else ""
        return (status, first, second), message

    def _death(self) -> Death:
        assert self._child is not None
        code = self._child.wait()
        self.close()
        return "ended" if code == -signal.SIGPROF else "crashed"

    def _begin(self) -> None:
        paths = [path or str(Path.cwd()) for path in sys.path]
        self._child = child = subprocess.Popen(  # noqa: S603 - this interpreter and our own code
            [sys.executable, "-c", self._start],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # what a dying grammar writes says nothing to anybody
        )
        # A child that dies before it is asked did not die of a document, and neither would the next live.
        if child.stdout is None or child.stdout.read(1) != _READY:
            code = child.wait()
            self.close()
            raise StageError(
                f"measure: the process that parses did not begin (exit code {code} of {sys.executable}); "
                "mend it, or set quality.parse to off"
            )

    def close(self) -> None:
        """End the child, if there is one."""
        child, self._child, self._n_bytes = self._child, None, 0
        if child is not None:
            child.kill()
            child.wait()
            report_child(-self._cpu_seconds)
            self._cpu_seconds = 0.0
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # something was still to be written
                        pipe.close()


_processes: dict[int, ParserProcess] = {}


def parser_process() -> ParserProcess:
    """That of this process; a fork begins its own."""
    if os.getpid() not in _processes:
        _processes.clear()  # of the process that this one was forked from
        _processes[os.getpid()] = ParserProcess()
        atexit.register(_processes[os.getpid()].close)
    return _processes[os.getpid()]


# --- the child -------------------------------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests until the other side is gone."""
    from pipeline.syntax.parse import node_span, parse_error_frac

    _bound()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    sink.write(_READY)
    sink.flush()
    while len(head := source.read(_REQUEST.size)) == _REQUEST.size:
        asked, n_name, n_bytes, drawn = _REQUEST.unpack(head)
        language, content = source.read(n_name).decode(), source.read(n_bytes)
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            if asked == _NODE:
                found: tuple[float, float] | None = node_span(content, language, drawn)
            else:
                share = parse_error_frac(content, language)
                found = None if share is None else (share, 0.0)
        except StageError as error:
            message = str(error).encode()
            sink.write(_ANSWER.pack(_FAILED, time.process_time(), len(message), 0.0) + message)
        else:
            status = _NOT_PARSED if found is None else _PARSED
            sink.write(_ANSWER.pack(status, time.process_time(), *(found or (0.0, 0.0))))
        signal.setitimer(signal.ITIMER_PROF, 0)
        sink.flush()


def _bound() -> None:
    """Bounds that the kernel keeps, where it knows them."""
    import resource

    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # ends the process, inside C code too
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and ends this one
    for limit, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, MEMORY_BYTES)):
        _, hard = resource.getrlimit(limit)
        wanted: Any = value if hard == resource.RLIM_INFINITY else min(value, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows no bound of address space
            resource.setrlimit(limit, (wanted, hard))
