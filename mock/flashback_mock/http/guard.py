"""Access to `/__admin`: local programs, the mock's own page, or requests with the token."""

import hmac
import re
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from .app import bearer_token
from .messages import HttpError, Request

# A name of this machine only: any other could be a web page's own (DNS rebinding).
LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
COOKIE = "flashback_mock_session"


class Guard:
    """Admits requests to `/__admin`.

    Without a token it admits only requests that no page of another origin can send: the Host is a
    name of this machine, which no DNS record can fake, and the Origin is the mock's own. With a
    token it admits requests with the token, and browsers that opened the link, which sets a cookie.
    """

    def __init__(self, token: str | None = None) -> None:
        """Admit local requests, or if a token is set, requests that carry it."""
        self._token = token
        self.session = secrets.token_urlsafe() if token else ""

    def check(self, request: Request, *, is_page: bool) -> None:
        """Raise `HttpError` unless the request is admitted.

        Other pages may link to it: responses cannot be framed, and a GET changes nothing.
        """
        headers = request.headers
        opened = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest"))
        linked = is_page and request.method == "GET" and opened == ("navigate", "document")
        if self._token is None:
            if not LOOPBACK.fullmatch(headers.get("Host", "")):
                raise HttpError(403, "Host: must be localhost, 127.0.0.1 or [::1], with the port")
        elif self._has_token(request):
            return
        elif not self._has_session(request):
            raise HttpError(
                401,
                "Authorization: needs the bearer token of --admin-token; "
                "in a browser, open the link that the mock prints at start",
                {"WWW-Authenticate": "Bearer"},
            )
        if not linked:
            _check_same_origin(request)

    def is_login(self, request: Request) -> bool:
        """Return whether the request opens the link that the mock prints."""
        given = parse_qs(request.query).get("session", [""])[0]
        return bool(self.session) and hmac.compare_digest(given.encode(), self.session.encode())

    def _has_token(self, request: Request) -> bool:
        given = bearer_token(request.headers.getall("Authorization", []))
        return hmac.compare_digest(given, self._token or "")

    def _has_session(self, request: Request) -> bool:
        try:
            cookies = SimpleCookie(request.headers.get("Cookie", ""))
        except CookieError:
            return False
        given = cookies[COOKIE].value if COOKIE in cookies else ""
        return hmac.compare_digest(given.encode(), self.session.encode())


def _check_same_origin(request: Request) -> None:
    host = request.headers.get("Host", "")
    own = (f"http://{host}", f"https://{host}")  # a proxy may have added TLS
    if request.headers.get("Origin", own[0]) not in own:
        raise HttpError(403, "Origin: pages of other origins are not admitted")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise HttpError(403, "Sec-Fetch-Site: pages of other origins are not admitted")
