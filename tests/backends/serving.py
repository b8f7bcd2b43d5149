"""Serve one of the backends on a free loopback port: `python -m tests.backends.serving NAME`."""

import socket
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from flask import Flask
from waitress import wasyncore
from waitress.server import create_server

from tests.backends import fastapi_fixed, fastapi_naive, flask_fixed, flask_naive
from tests.backends.store import IDS, TOKENS, Store

FASTAPI = {"fastapi_naive": fastapi_naive.create_app, "fastapi_fixed": fastapi_fixed.create_app}
FLASK = {"flask_naive": flask_naive.create_app, "flask_fixed": flask_fixed.create_app}


@contextmanager
def serving(name: str, store: Store, certificate: Path | None = None) -> Generator[str]:
    """Serve the backend of this name until the block ends; yield its URL.

    With a certificate (PEM, with its key; FastAPI only) it is served over TLS.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        if name in FASTAPI:
            stop = _start_uvicorn(FASTAPI[name](store), listener, certificate)
        else:
            stop = _start_waitress(FLASK[name](store), listener)
        scheme = "https" if certificate else "http"
        try:
            yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            stop()


def _start_uvicorn(
    app: FastAPI, listener: socket.socket, certificate: Path | None
) -> Callable[[], None]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ssl_certfile=certificate))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    while not server.started:
        time.sleep(0.01)

    def stop() -> None:
        server.should_exit = True
        thread.join()

    return stop


def _start_waitress(app: Flask, listener: socket.socket) -> Callable[[], None]:
    app.logger.disabled = True  # failures of the naive one are expected
    channels: dict[int, Any] = {}
    server: Any = create_server(app, sockets=[listener], threads=24, map=channels)
    thread = threading.Thread(target=server.run)
    thread.start()

    def stop() -> None:
        server.trigger.pull_trigger(lambda: wasyncore.close_all(channels))  # in its own thread
        thread.join()
        server.task_dispatcher.shutdown()

    return stop


def main() -> None:
    """Serve the backend that the command line names until it is interrupted."""
    with serving(sys.argv[1], Store(unique_names="naive" not in sys.argv[1])) as url:
        print(f"{sys.argv[1]} at {url}, tokens {TOKENS}, ids {IDS}", flush=True)  # noqa: T201
        threading.Event().wait()


if __name__ == "__main__":
    main()
