"""HTTP/1.1 on a connection: httptools, which is fast, and h11 where it would lose a body."""

import re
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

OFFER = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol on httptools, but for what httptools cannot do.

    It skips the body of a request that offers to upgrade, and takes what follows for the next
    request. Java's client makes that offer with every request, so such a connection is h11's.
    """

    _idle = True

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._idle = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a late offer; keep trailer fields, which come after the body, out of the head."""
        parser: Any = self.parser  # uvicorn says that it may be None, but not while it parses
        if parser.should_upgrade():
            raise ValueError("an offer to upgrade in the middle of a connection")
        self.scope["headers"] = list(self.headers)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the request has ended."""
        self._idle = True
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Hand the connection over when a request that offers to upgrade begins."""
        if not self._idle or not OFFER.search(data) or self._answering():
            super().data_received(data)
            return
        successor = H11Protocol(self.config, self.server_state, self.app_state)
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        successor.data_received(data)

    def _answering(self) -> bool:
        cycle: Any = self.cycle  # None until the first request, whatever uvicorn says
        return cycle is not None and not cycle.response_complete
