"""Who answered: the endpoint, or a proxy, server or router before it."""

import re
from dataclasses import dataclass

from support.exchange import Response

# No length, a long target, large headers: refused by servers before they route, in any format.
BEFORE_ROUTING = (411, 414, 431)
CHANGING_HEADERS = {
    "age", "alt-svc", "cache-control", "connection", "content-encoding", "content-language",
    "content-length", "content-type", "date", "etag", "expires", "keep-alive", "last-modified",
    "pragma", "server", "set-cookie", "transfer-encoding", "vary",
}  # fmt: skip
PROXY_PAGE = re.compile(
    r"<center>(nginx|openresty)|Apache/\d|Apache Server|cloudflare|CloudFront|awselb|HAProxy"
    r"|Varnish|ModSecurity|Request forbidden by administrative rules|Reference #[\d.a-f]+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Shape:
    """How the endpoint's responses look, to tell them from those of what is before it."""

    known: frozenset[tuple[str | None, frozenset[str]]] = frozenset()  # server, other headers

    def including(self, response: Response) -> "Shape":
        """Return a shape that also includes this response, known to be the endpoint's."""
        names = {name.lower() for name, _ in response.headers}
        headers = frozenset(names - CHANGING_HEADERS)
        return Shape(self.known | {(response.header("Server"), headers)})

    def differs(self, response: Response) -> bool:
        """Return whether a proxy, server or router before the endpoint made the response."""
        if response.status in BEFORE_ROUTING:
            return True
        if "json" in response.media_type or response.succeeded:
            return False
        if response.status == 500:  # a proxy refuses with 4xx or 501 to 504; this is a failure
            return False
        names = {name.lower() for name, _ in response.headers}
        server = response.header("Server")
        is_known = any(server == known and headers <= names for known, headers in self.known)
        return not is_known or PROXY_PAGE.search(response.text) is not None
