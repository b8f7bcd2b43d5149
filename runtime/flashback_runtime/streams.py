"""Blocking connections whose reads share one deadline; httpcore limits each read by itself."""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from typing import Any

import httpcore

from . import deadlines

_CHUNK = 16384  # bytes; a slow reader must not hold one write longer than the deadline


class DeadlineStream(httpcore.NetworkStream):
    """A connection that gives up when the attempt's time is over."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _limit(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _CHUNK):
            self._stream.write(buffer[start : start + _CHUNK], _limit(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _limit(timeout))
        return DeadlineStream(secured)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens such connections."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        stream = self._backend.connect_tcp(
            host, port, _limit(timeout), local_address, socket_options
        )
        return DeadlineStream(stream)


def _limit(timeout: float | None) -> float | None:
    return deadlines.within(deadlines.attempt.ends_at, timeout)
