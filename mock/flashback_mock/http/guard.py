"""Access to `/__admin`: for local programs, the mock's own page, or holders of the token."""

import hmac
import re
import secrets

from .messages import HttpError, Request

# Only names of this machine: any other name could belong to a web page (DNS rebinding).
LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE | re.ASCII)


class Guard:
    """Admits requests to `/__admin`.

    Without a token, it admits only requests that no page of another origin can send: the Host is a
    name of this machine, which DNS cannot redirect, and the Origin is the mock's own. With a token,
    it admits requests with the token, and browsers that opened the link, which sets a cookie.
    """

    def __init__(self, token: str | None = None) -> None:
        """Admit local requests or, if a token is set, requests that have it."""
        self._token = token
        self.session = secrets.token_urlsafe() if token else ""
        # Browsers share cookies among ports: mocks on one host need different names.
        self.cookie = f"flashback_mock_{secrets.token_hex(4)}"

    def check(self, request: Request, *, is_page: bool) -> None:
        """Raise `HttpError` unless the request is admitted.

        Pages on other origins may link to the mock's page, as it cannot be framed and opening it
        changes nothing.
        """
        headers = request.headers
        opened = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest"))
        linked = is_page and request.method == "GET" and opened == ("navigate", "document")
        if self._token is None:
            if not LOOPBACK.fullmatch(headers.get("Host", "")):
                raise HttpError(403, "Host: must be localhost, 127.0.0.1 or [::1], with the port")
        elif hmac.compare_digest(request.token, self._token):
            return
        elif not self._has_session(headers.get("Cookie", "")):
            raise HttpError(
                401,
                "Authorization: needs the bearer token of --admin-token; "
                "in a browser, open the link that the mock prints at start",
                {"WWW-Authenticate": "Bearer"},
            )
        if not linked:
            _check_same_origin(request)

    def is_session(self, given: str) -> bool:
        """Return whether this is the session of the link that the mock prints."""
        received = given.encode("utf-8", "surrogateescape")  # any bytes
        return bool(self.session) and hmac.compare_digest(received, self.session.encode())

    def _has_session(self, cookies: str) -> bool:
        found = re.search(f"(?:^|; *){self.cookie}=([^; ]*)", cookies)
        return found is not None and self.is_session(found[1])


def _check_same_origin(request: Request) -> None:
    host = request.headers.get("Host", "")
    own = (f"http://{host}", f"https://{host}")  # a proxy may have added TLS
    if request.headers.get("Origin", own[0]) not in own:
        raise HttpError(403, "Origin: pages of other origins are not admitted")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise HttpError(403, "Sec-Fetch-Site: pages of other origins are not admitted")
