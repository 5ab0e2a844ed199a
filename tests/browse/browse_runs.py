"""A server of a small run, in a thread of the tests."""

from __future__ import annotations

import http.client
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from pipeline.browse.app import app_of
from pipeline.browse.serve import ADDRESS, listening
from pipeline.engine.run_folder import RunFiles
from pipeline.reading.work import working

TOKEN = "a-token"


@dataclass(frozen=True)
class Site:
    """Where it answers."""

    port: int

    @property
    def address(self) -> str:
        return f"http://{ADDRESS}:{self.port}/{TOKEN}/"

    def ask(self, path: str, *, method: str = "GET", host: str | None = None) -> tuple[int, dict[str, str], str]:
        """Status, headers and body."""
        connection = http.client.HTTPConnection(ADDRESS, self.port, timeout=60)
        connection.request(method, path, headers={} if host is None else {"Host": host})
        answer = connection.getresponse()
        said = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode("utf-8")
        connection.close()
        return said

    def page(self, path: str) -> str:
        """The body of a page that there is."""
        status, _, body = self.ask(f"/{TOKEN}/{path}")
        assert status == 200, body
        return body


@contextmanager
def site_of(run: RunFiles) -> Iterator[Site]:
    """Serve until the end of the block."""
    with working() as work, listening(0) as socket:
        server = uvicorn.Server(uvicorn.Config(app_of(run, work, token=TOKEN), log_level="error"))
        failed: queue.Queue[BaseException] = queue.Queue()

        def serve() -> None:
            try:
                server.run(sockets=[socket])
            except BaseException as error:  # noqa: BLE001 - said by the test, not lost in a thread
                failed.put(error)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Site(socket.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
        assert failed.empty(), failed.get()
