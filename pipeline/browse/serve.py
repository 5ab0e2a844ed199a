"""The server of one run, on this machine's own address."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable

import uvicorn

from pipeline.browse.app import app_of
from pipeline.engine.run_folder import RunFiles
from pipeline.errors import ConfigError
from pipeline.reading.work import working

ADDRESS = "127.0.0.1"


def serve(run: RunFiles, *, port: int, said: Callable[[str], None]) -> None:
    """Answer until Ctrl-C; `said` is told the address when it answers. `port` 0: any that is free.

    ConfigError for a port that is taken; StoreError for a folder that is no finished run, before anything is served.
    """
    token = secrets.token_urlsafe(16)
    _ = run.n_shards  # reads the manifest
    with working() as work, listening(port) as own:
        app = app_of(run, work, token=token)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, server_header=False))
        said(f"http://{ADDRESS}:{own.getsockname()[1]}/{token}/")
        server.run(sockets=[own])


def listening(port: int) -> socket.socket:
    """A socket of this machine's own address, which no other machine reaches."""
    own = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        own.bind((ADDRESS, port))
        own.listen()
    except OSError as error:
        own.close()
        raise ConfigError(f"--port {port}: {error.strerror}; name another, or 0 for any that is free") from error
    return own
