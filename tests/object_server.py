"""An S3 server on loopback, held in memory, that counts what is asked of it and can be told to fail."""

from __future__ import annotations

import random
import socket
import struct
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

FAULTS = ("503", "429", "reset", "partial", "slow", "lost")  # lost: done, and the answer never comes
SLOW_SECONDS = 0.3
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}


@dataclass
class Asked:
    """Requests by kind, and bytes of bodies that were sent and taken."""

    requests: Counter[str] = field(default_factory=Counter)
    n_read: int = 0
    n_written: int = 0
    names: list[tuple[str, str]] = field(default_factory=list)  # kind, and the object or prefix

    @property
    def total(self) -> int:
        return sum(self.requests.values())


@dataclass
class ObjectServer:
    """The WSGI application in front of moto's. `fails` is the share of requests that a fault of `faults` meets."""

    inner: Callable[..., Iterable[bytes]]
    url: str = ""
    asked: Asked = field(default_factory=Asked)
    fails: float = 0.0
    faults: tuple[str, ...] = FAULTS
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    before: Callable[[str, str], None] | None = None  # called with kind and name before a request is answered
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        kind, name = _kind(environ), _name(environ)
        with self.lock:
            self.asked.requests[kind] += 1
            self.asked.n_written += int(environ.get("CONTENT_LENGTH") or 0)
            self.asked.names.append((kind, name))
            fault = self.chance.choice(self.faults) if self.chance.random() < self.fails else None
        if self.before is not None:
            self.before(kind, name)
        if fault in ("503", "429"):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start(f"{fault} Slow Down", [("Content-Length", "0"), ("Connection", "close")])
            return [b""]
        if fault == "reset":
            _reset(environ)
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        said: list[Any] = []
        body = b"".join(self.inner(environ, lambda status, headers, *_: said.extend((status, headers))))
        if fault == "lost":
            _reset(environ)
        with self.lock:
            self.asked.n_read += 0 if kind == "HEAD" else len(body)
        start(*said)
        if fault == "partial" and kind != "HEAD" and len(body) > 1:
            return _half(environ, body)
        return [body]

    def forget(self) -> Asked:
        """What was asked until now; counting begins anew."""
        with self.lock:
            before, self.asked = self.asked, Asked()
        return before


def _kind(environ: dict[str, Any]) -> str:
    method, query = environ["REQUEST_METHOD"], environ["QUERY_STRING"]
    if method == "GET" and ("list-type" in query or "prefix=" in query):
        return "LIST"
    if method == "POST":
        return "DELETE" if query.startswith("delete") else "POST"
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "COPY"
    return str(method)


def _name(environ: dict[str, Any]) -> str:
    return f"{environ['PATH_INFO']}?{environ['QUERY_STRING']}".rstrip("?")


def _half(environ: dict[str, Any], body: bytes) -> Iterator[bytes]:
    yield body[: len(body) // 2]
    _reset(environ)


def _reset(environ: dict[str, Any]) -> NoReturn:
    """Close the connection as a machine that dies would."""
    found: socket.socket = environ["werkzeug.socket"]
    found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    found.shutdown(socket.SHUT_RDWR)
    found.close()
    raise ConnectionResetError  # the server takes it for one of the other side


@contextmanager
def object_server(*, bucket: str = "bucket") -> Iterator[ObjectServer]:
    """Start one with an empty bucket; it ends with the block. Loopback only."""
    from moto.core.models import reset_model_data
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *said: Any) -> None: ...

    app = ObjectServer(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    app.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        reset_model_data()
        urllib.request.urlopen(urllib.request.Request(f"{app.url}/{bucket}", method="PUT")).read()
        app.forget()
        yield app
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
