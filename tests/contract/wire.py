"""Requests as they are written: every octet of target and headers, over plain HTTP/1.1."""

import http.client
import io
import socket
import threading
import time
from collections import defaultdict
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

LARGEST_ANSWER = 1 << 20


class Wire:
    """Sends what it is given without tidying it up, as libraries do; one connection a thread."""

    def __init__(self, url: str, seconds: float) -> None:
        """Speak to the server of `url`; an answer may take `seconds`, from begin to end."""
        self._url, self._seconds = urlsplit(url), seconds
        self._connections = defaultdict[int, http.client.HTTPConnection](self._new)

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        """The answer, read to its end; whatever goes wrong below HTTP is an `OSError`."""
        connection = self._connections[threading.get_ident()]
        due = time.monotonic() + self._seconds
        timer = threading.Timer(self._seconds, _interrupt, [connection])  # however it drips
        timer.start()
        try:
            _write(connection, request)
            return HTTPAdapter().build_response(request, _read(connection))
        except (OSError, http.client.HTTPException, ValueError) as error:
            connection.close()  # and it opens itself again
            why = "in time" if time.monotonic() >= due else f"({type(error).__name__})"
            raise OSError(f"no answer {why}") from None
        finally:
            timer.cancel()

    def close(self) -> None:
        """Let go of every connection."""
        for connection in self._connections.values():
            connection.close()

    def _new(self) -> http.client.HTTPConnection:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(self._url.netloc, timeout=self._seconds)


def _write(connection: http.client.HTTPConnection, request: requests.PreparedRequest) -> None:
    _, _, host, *target = (request.url or "").split("/", 3)
    method, body = request.method or "", request.body
    connection.putrequest(method, f"/{''.join(target)}", skip_host=True, skip_accept_encoding=True)
    for name, value in {"Host": host, **request.headers}.items():
        connection.putheader(name, value)
    # A server may answer, and close, before it has read a body to its end.
    with suppress(BrokenPipeError, ConnectionResetError):
        chunks: Any = body
        connection.endheaders(chunks, encode_chunked=isinstance(body, tuple))


def _read(connection: http.client.HTTPConnection) -> urllib3.HTTPResponse:
    answer = connection.getresponse()
    content = answer.read(LARGEST_ANSWER)
    if answer.read(1):
        raise ValueError("the answer is larger than anybody would read")
    return urllib3.HTTPResponse(
        io.BytesIO(content),
        urllib3.HTTPHeaderDict(answer.getheaders()),
        answer.status,
        answer.version,
        reason=answer.reason,
        preload_content=False,
        enforce_content_length=False,  # an answer to HEAD announces a body that it has not
    )


def _interrupt(connection: http.client.HTTPConnection) -> None:
    with suppress(OSError, AttributeError):  # it may be closed already
        connection.sock.shutdown(socket.SHUT_RDWR)
