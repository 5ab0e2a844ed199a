"""Headless Chromium that is led by hand: pages are opened, links and buttons clicked, and what is shown is read.

It speaks the DevTools protocol over two pipes, JSON with a zero byte behind each message, so it needs no library.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
_MAX_ASKS = 3000  # of 20 milliseconds
_QUIET = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage --remote-debugging-pipe about:blank"
)


@dataclass
class Tab:
    """One tab, of which each step waits for the page."""

    to: IO[bytes]
    of: int  # the end of a pipe
    rest: bytes = b""  # of what has come: behind the last message
    session: str = ""
    seen: list[dict[str, Any]] = field(default_factory=list)
    number: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """What the browser answers; events on the way are kept in `seen`."""
        own = next(self.number)
        said = {"id": own, "method": method, "params": given} | ({"sessionId": self.session} if self.session else {})
        self.to.write(json.dumps(said).encode() + b"\0")
        self.to.flush()
        while (message := self._next()).get("id") != own:
            self.seen.append(message)
        assert "error" not in message, message
        return dict(message["result"])

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.rest:
            more = os.read(self.of, 1 << 20)
            assert more, "the browser ended"
            self.rest += more
        message, _, self.rest = self.rest.partition(b"\0")
        return dict(json.loads(message))

    def _loaded(self) -> None:
        while not any(event.get("method") == "Page.loadEventFired" for event in self.seen):
            self.seen.append(self._next())

    def open(self, address: str) -> None:
        self.seen.clear()
        self.call("Page.navigate", url=address)
        self._loaded()

    def run(self, script: str) -> Any:
        """The value of an expression on the page, or that it promises."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, is_so: Callable[[], bool]) -> None:
        """Take in events until something holds: for about a minute, not for ever."""
        for _ in range(_MAX_ASKS):
            if is_so():
                return
            self.run("new Promise((done) => setTimeout(done, 20))")
        raise AssertionError(f"it never was so; last seen: {self.seen[-3:]}")

    def follow(self, selector: str) -> None:
        """Click what leads to another page."""
        self.seen.clear()
        self.click(selector)
        self._loaded()

    def click(self, selector: str) -> None:
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def window(self, width: int, *, dark: bool = False) -> None:
        """How wide it is, and which colours it prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def photograph(self, file: Path) -> None:
        """The whole page as a PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        file.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def tab(profile: Path) -> Iterator[Tab]:
    """A browser with one tab, until the end of the block."""
    assert CHROMIUM is not None
    (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()

    def pipes() -> None:
        os.dup2(os.dup(read_in), 3)  # over a copy: one of the pipes may be 3 or 4 itself
        os.dup2(os.dup(write_out), 4)

    command = [CHROMIUM, *_QUIET.split(), f"--user-data-dir={profile}"]
    with subprocess.Popen(command, preexec_fn=pipes, close_fds=False, stderr=subprocess.DEVNULL) as process:
        os.close(read_in)
        os.close(write_out)
        with os.fdopen(write_in, "wb") as to:
            found = Tab(to, read_out)
            pages = [one for one in found.call("Target.getTargets")["targetInfos"] if one["type"] == "page"]
            found.session = found.call("Target.attachToTarget", targetId=pages[0]["targetId"], flatten=True)[
                "sessionId"
            ]
            found.call("Page.enable")
            try:
                yield found
            finally:
                process.terminate()
                os.close(read_out)
