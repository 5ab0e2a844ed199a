"""Who may ask: programs of this machine that know the token, by a name of this machine, and only to read."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.browse import pages
from pipeline.browse.opened import open_document
from pipeline.browse.search import find, query_of
from pipeline.engine.manifest import MANIFEST
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import LoopmixError
from pipeline.reading.work import Work

# A page of a stranger that has its own name lead to this machine asks by that name.
_HOSTS = frozenset({"127.0.0.1", "localhost"})
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def app_of(run: RunFiles, work: Work, *, token: str) -> ASGIApp:
    """The application; every path begins with the token. One request is worked on at a time, so memory is that of
    one shard."""
    one_by_one = threading.Lock()
    opened_as = run.store.find(MANIFEST)

    def page(make: Callable[[Request], bytes]) -> Callable[[Request], Response]:
        def answer(request: Request) -> Response:
            with one_by_one:
                try:
                    # What is held of the mixture must be what the tables were made by.
                    if run.store.find(MANIFEST) != opened_as:
                        raise LoopmixError("the run has changed since this page was opened; start loopmix browse again")
                    return HTMLResponse(make(request))
                except LoopmixError as error:
                    return HTMLResponse(pages.sorry(run, str(error)), status_code=404)

        return answer

    def search(request: Request) -> bytes:
        query = query_of(dict(request.query_params))
        return pages.results(run, query, find(run, query))

    def opened(request: Request) -> bytes:
        first = request.query_params.get("tokens", "0")
        if not (first.isascii() and first.isdecimal() and len(first) < 16):  # thousands of digits are no int to Python
            raise LoopmixError("tokens: no number")
        found = open_document(run, request.path_params["doc_id"], work, first_token=int(first))
        return pages.opened(run, found)

    routes = [
        Route(f"/{token}/", page(search), methods=["GET"]),
        Route(f"/{token}/doc/{{doc_id}}", page(opened), methods=["GET"]),
    ]
    return Guarded(Starlette(routes=routes), token=token)


class Guarded:
    """An application that answers nobody else."""

    def __init__(self, app: ASGIApp, *, token: str) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        problem = _refused(scope, token=self._token)
        app: ASGIApp = self._app if problem is None else Response(problem[1] + "\n", status_code=problem[0])

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower().encode(): value.encode() for name, value in _HEADERS.items()}
                message["headers"] = [*message.get("headers", ()), *own.items()]
            await send(message)

        await app(scope, receive, with_headers)


def _refused(scope: Scope, *, token: str) -> tuple[int, str] | None:
    """Status and reason for a request that is not answered."""
    hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1 or hosts[0].partition(":")[0].lower() not in _HOSTS:
        return 421, "this page is asked for by 127.0.0.1 or localhost alone"
    given = str(scope["path"]).split("/")[1]
    if not secrets.compare_digest(given.encode(), token.encode()):
        return 404, "not found: open the whole address that `loopmix browse` printed"
    return None
