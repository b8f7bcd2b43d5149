"""Start one of the backends on a free loopback port."""

import logging
import socket
import socketserver
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from flask import Flask
from werkzeug.serving import make_server

from tests.backends import fastapi_fixed, fastapi_naive, flask_fixed
from tests.backends.store import Store

FASTAPI = {"fastapi_naive": fastapi_naive.create_app, "fastapi_fixed": fastapi_fixed.create_app}


@contextmanager
def serving_tcp(handler: type[socketserver.BaseRequestHandler]) -> Generator[str]:
    """Serve connections with this handler, and yield the server's URL."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextmanager
def serving(name: str, store: Store, certificate: Path | None = None) -> Generator[str]:
    """Serve the backend and yield its URL. Only FastAPI backends support a `certificate`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if name in FASTAPI:
            server = _uvicorn(FASTAPI[name](store), listener, certificate)
        else:
            server = _werkzeug(flask_fixed.create_app(store), listener)
        scheme = "https" if certificate else "http"
        with server:
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def _uvicorn(app: FastAPI, listener: socket.socket, certificate: Path | None) -> Generator[None]:
    # Close idle connections immediately, as a backend or proxy may do at any time.
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        ssl_certfile=certificate,
        timeout_keep_alive=0,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def _werkzeug(app: Flask, listener: socket.socket) -> Generator[None]:
    # By default, Werkzeug uses HTTP/1.0 without keep-alive.
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    with make_server("127.0.0.1", 0, app, threaded=True, fd=listener.fileno()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
