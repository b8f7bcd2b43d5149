"""Start one of the backends on a free loopback port."""

import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.backends import fastapi_fixed, fastapi_naive, flask_fixed
from tests.backends.store import Store

FASTAPI = {"fastapi_naive": fastapi_naive.create_app, "fastapi_fixed": fastapi_fixed.create_app}


@contextmanager
def serving(name: str, store: Store, certificate: Path | None = None) -> Generator[str]:
    """Serve the backend and yield its URL. Only FastAPI backends support a `certificate`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if name in FASTAPI:
            stop = _start_uvicorn(FASTAPI[name](store), listener, certificate)
        else:
            stop = _start_werkzeug(flask_fixed.create_app(store), listener)
        scheme = "https" if certificate else "http"
        try:
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop()


def _start_uvicorn(
    app: FastAPI, listener: socket.socket, certificate: Path | None
) -> Callable[[], None]:
    # Close idle connections immediately, as a backend or proxy may do at any time.
    config = uvicorn.Config(
        app, log_level="critical", ssl_certfile=certificate, timeout_keep_alive=0
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)

    def stop() -> None:
        server.should_exit = True
        thread.join()

    return stop


def _start_werkzeug(app: Flask, listener: socket.socket) -> Callable[[], None]:
    server = make_server(
        "127.0.0.1", 0, app, threaded=True, request_handler=_Handler, fd=listener.fileno()
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    return stop


class _Handler(WSGIRequestHandler):
    """A handler that responds with HTTP/1.0 (Werkzeug's default) and without keep-alive."""

    def log(self, *_: object) -> None:
        """Discard the log message."""
