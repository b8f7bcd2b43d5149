"""Access control for `/__admin`."""

import hmac
import re
import secrets

from .messages import HttpError, Request

# Allow no other host names: an attacker could use them for DNS rebinding.
LOOPBACK_HOST = re.compile(
    r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE | re.ASCII
)


class Guard:
    """Decides which requests to `/__admin` are allowed.

    If no token is set, the Host header must be a loopback name or address. If a token is set, each
    request must contain the token or the session cookie, which a browser receives when it opens the
    link that the mock prints. Cross-origin requests are rejected unless they contain the token.
    """

    def __init__(self, token: str | None = None) -> None:
        self._token = token
        self.session = secrets.token_urlsafe() if token else ""
        # Browsers share cookies between ports, so each mock on a host needs its own cookie name.
        self.cookie = f"flashback_mock_{secrets.token_hex(4)}"

    def check(self, request: Request, *, is_page: bool) -> None:
        """Raise `HttpError` if the request is not allowed.

        Pages on other origins can link to the mock's web page. This is safe: opening the page
        changes nothing, and other pages cannot embed it.
        """
        headers = request.headers
        opened = (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest"))
        linked = is_page and request.method == "GET" and opened == ("navigate", "document")
        if self._token is None:
            if not LOOPBACK_HOST.fullmatch(headers.get("Host", "")):
                raise HttpError(403, "Host: must be localhost, 127.0.0.1 or [::1]")
        elif hmac.compare_digest(request.token, self._token):
            return
        elif not self._has_session(headers.get("Cookie", "")):
            raise HttpError(
                401,
                "Authorization: the bearer token for /__admin is required; "
                "in a browser, open the link that the mock printed when it started",
            )
        if not linked:
            _check_same_origin(request)

    def is_session(self, session: str) -> bool:
        """Return whether the session id matches the one in the link that the mock printed."""
        received = session.encode("utf-8", "surrogateescape")  # cookies can contain any bytes
        return bool(self.session) and hmac.compare_digest(received, self.session.encode())

    def _has_session(self, cookies: str) -> bool:
        found = re.search(f"(?:^|; *){self.cookie}=([^; ]*)", cookies)
        return found is not None and self.is_session(found[1])


def _check_same_origin(request: Request) -> None:
    host = request.headers.get("Host", "")
    own = (f"http://{host}", f"https://{host}")  # a reverse proxy can terminate TLS
    if request.headers.get("Origin", own[0]) not in own:
        raise HttpError(403, "Origin: requests from other origins are not allowed")
    if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        raise HttpError(403, "Sec-Fetch-Site: requests from other origins are not allowed")
