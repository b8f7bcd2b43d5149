"""Distinguishes the endpoint's responses from those of a proxy, server or router in front of it."""

import re
from dataclasses import dataclass, field

from support.exchange import Response

# Servers return these before routing: no Content-Length, URI too long, headers too large.
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


@dataclass
class Shape:
    """The characteristics of the endpoint's responses: `Server` values and header names."""

    known: list[tuple[str | None, set[str]]] = field(default_factory=list)

    def learn(self, response: Response) -> None:
        """Add the characteristics of a response that comes from the endpoint."""
        names = {name.lower() for name, _ in response.headers}
        self.known.append((response.header("Server"), names - CHANGING_HEADERS))

    def differs(self, response: Response) -> bool:
        """Return whether the response appears to come from a server in front of the endpoint."""
        if response.status in BEFORE_ROUTING:
            return True
        if "json" in response.media_type or response.succeeded:
            return False
        if response.status == 500:  # proxies return 4xx, or 501 to 504
            return False
        names = {name.lower() for name, _ in response.headers}
        server = response.header("Server")
        is_known = any(server == known and headers <= names for known, headers in self.known)
        return not is_known or PROXY_PAGE.search(response.text) is not None
