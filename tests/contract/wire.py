"""Requests as they are written: every octet of target and headers, over plain HTTP/1.1."""

import http.client
import io
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

LARGEST_ANSWER = 1 << 20
GLANCE = 0.05  # seconds between looks at who is late


class Wire(HTTPAdapter):
    """Sends what it is given without tidying it up, as libraries do; one connection a thread.

    Whatever goes wrong below HTTP is a `requests.ConnectionError`, and what takes longer than the
    timeout altogether, however it drips, a `requests.Timeout`.
    """

    def __init__(self) -> None:
        """Nothing is connected yet."""
        super().__init__()
        self._kept = threading.local()
        self._all: list[http.client.HTTPConnection] = []
        self._due: dict[http.client.HTTPConnection, float] = {}
        threading.Thread(target=self._interrupt_what_is_late, daemon=True).start()

    def send(  # noqa: PLR0913, PLR0917 - the signature is requests'
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002
        timeout: Any = None,
        verify: Any = True,  # noqa: FBT002
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send a request, and read its answer to the end."""
        del stream, verify, cert, proxies  # settings that nobody can give
        url = urlsplit(request.url or "")
        connection = self._connection(url.scheme, url.netloc)
        due = self._due[connection] = time.monotonic() + timeout
        try:
            return self.build_response(request, _exchange(connection, request))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._forget()
            kind = requests.Timeout if time.monotonic() >= due else requests.ConnectionError
            raise kind(type(error).__name__, request=request) from None
        finally:
            del self._due[connection]

    def close(self) -> None:
        """Let go of every connection."""
        super().close()
        for connection in self._all:
            connection.close()

    def _interrupt_what_is_late(self) -> None:
        while True:
            time.sleep(GLANCE)
            for connection, due in list(self._due.items()):
                if time.monotonic() >= due:
                    with suppress(OSError, AttributeError):
                        connection.sock.shutdown(2)

    def _connection(self, scheme: str, netloc: str) -> http.client.HTTPConnection:
        if getattr(self._kept, "server", None) != (scheme, netloc):
            self._forget()
            self._kept.server = scheme, netloc
            self._kept.connection = (
                http.client.HTTPSConnection(netloc, context=ssl.create_default_context())
                if scheme == "https"
                else http.client.HTTPConnection(netloc)
            )
            self._all.append(self._kept.connection)
        connection: http.client.HTTPConnection = self._kept.connection
        return connection

    def _forget(self) -> None:
        if getattr(self._kept, "server", None):
            self._kept.connection.close()
            self._kept.server = None


def _exchange(
    connection: http.client.HTTPConnection, request: requests.PreparedRequest
) -> urllib3.HTTPResponse:
    target = (request.url or "").split("/", 3)[3:]
    connection.putrequest(
        request.method or "", "/" + "".join(target), skip_host=True, skip_accept_encoding=True
    )
    connection.putheader("Host", urlsplit(request.url or "").netloc)
    for name, value in request.headers.items():
        connection.putheader(name, value)
    # A server may answer, and close, before it has read a body to its end.
    with suppress(BrokenPipeError, ConnectionResetError):
        body: Any = request.body
        chunked = isinstance(body, Iterable) and not isinstance(body, (bytes, str))
        connection.endheaders(body, encode_chunked=chunked)
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
