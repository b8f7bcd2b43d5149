"""HTTP/1.1 on a connection: httptools, which is fast, and h11 where it would lose a body.

uvicorn bounds how long an idle connection is kept; here is what it leaves open: how long a request
may be on its way and an answer unread, how much of a connection is held in memory, and that every
answer goes out whole, to the request that it belongs to.
"""

import asyncio
import logging
import re
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

SECONDS = 10.0  # for a request to arrive, and for answers to be taken
MOST_BYTES = 1 << 17  # of a request that are not its body: line, headers, chunk sizes, trailer

OFFER = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)
# What clients do to a connection is no news; what matters is in the application's log.
QUIET = logging.getLogger("flashback_mock.http")
QUIET.setLevel(logging.CRITICAL + 1)


class _Whole:
    """A transport that sends what is written at a time as one piece.

    uvicorn writes an answer's head and its body apart; each would be a packet, for which the
    client wakes up.
    """

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        """Send through `transport`."""
        self._transport: Any = transport
        self._parts = list[bytes]()
        self._soon = asyncio.get_running_loop().call_soon

    def __getattr__(self, name: str) -> Any:
        """Everything else is the transport's."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send this with all else that is written before the loop goes on."""
        if not self._parts:
            self._soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Send what was written."""
        if self._parts and not self._transport.is_closing():
            self._transport.write(b"".join(self._parts))
        self._parts.clear()

    def close(self) -> None:
        """Send what was written, and close."""
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        """Send what was written, as far as the client takes it at once, and close."""
        self.flush()
        self._transport.abort()


class _Impatient(asyncio.Protocol):
    """A connection that ends when its client makes it wait."""

    app: Any
    config: uvicorn.Config
    cycle: Any  # of the newest request; None until the first, whatever uvicorn says
    flow: Any
    logger: logging.Logger
    transport: Any
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Expect a request."""
        # Without what uvicorn puts around the application: it would log what it is sent.
        self.app, self.logger = self.config.app, QUIET
        whole = transport if isinstance(transport, _Whole) else _Whole(transport)
        super().connection_made(cast("asyncio.BaseTransport", whole))
        self._expect()

    def eof_received(self) -> Any:  # uvicorn says None, asyncio takes a bool
        """Answer what was asked, and close then: the client sends no more, but it may read.

        It may be gone, too, which only an answer would show: none is waited for without end.
        """
        self.transport.flush()
        if owed := self._answering() and not self.cycle.more_body:
            self.cycle.keep_alive = False
            asyncio.get_running_loop().call_later(SECONDS, self.transport.abort)
        return owed

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing any more."""
        super().connection_lost(exc)
        self._settle()

    def pause_writing(self) -> None:
        """Expect the client to read."""
        super().pause_writing()
        self._expect()

    def resume_writing(self) -> None:
        """Be content that it does."""
        super().resume_writing()
        self._settle()
        if self._lacks():
            self._expect()

    def _expect(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SECONDS, self._give_up)

    def _settle(self) -> None:
        if self._timer is not None and not self.flow.write_paused:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        answering = self._answering()
        if self.flow.write_paused:
            self.transport.abort()  # closing would wait for what the client does not read
        elif self.flow.read_paused or (answering and not self.cycle.more_body):
            self._expect()  # it is the client that waits
        elif answering and not self.cycle.response_started:
            self.cycle.scope["late"] = True  # see body.py
            self.cycle.message_event.set()
        else:
            self.transport.abort()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _lacks(self) -> bool:
        """Whether a request is on its way, and not here to its end."""
        raise NotImplementedError


class _Flow(FlowControl):
    """Reads no further while requests wait, however often the first of them asks for its body."""

    def __init__(self, protocol: "Protocol") -> None:
        """Control the connection of `protocol`."""
        super().__init__(protocol.transport)
        self._protocol = protocol

    def resume_reading(self) -> None:
        """Read on, unless requests wait."""
        if not self._protocol.pipeline:
            super().resume_reading()


class Protocol(_Impatient, HttpToolsProtocol):
    """uvicorn's protocol on httptools, but for what httptools cannot do.

    It skips the body of a request that offers to upgrade, and takes what follows for the next
    request. Java's client makes that offer with every request, so such a connection is h11's.
    """

    _idle = True
    _beside = 0  # bytes of this request that are not its body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with a flow control of our own."""
        super().connection_made(transport)
        self.flow = _Flow(self)

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._idle = False
        self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Refuse a late offer; keep trailer fields, which come after the body, out of the head."""
        parser: Any = self.parser  # uvicorn says that it may be None, but not while it parses
        if parser.should_upgrade():
            raise ValueError("an offer to upgrade in the middle of a connection")
        self.scope["headers"] = list(self.headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, which has a bound of its own."""
        self._beside -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request has ended."""
        self._idle, self._beside = True, 0
        self._settle()
        if not self._answering():  # it was answered before; uvicorn waits no more for the next one
            self._expect()
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Take data in; hand the connection over when a request that offers to upgrade begins."""
        if self._beside > MOST_BYTES:
            self._refuse()
        elif not self._idle or not _offers(data) or self._answering():
            self._beside += len(data)
            self._expect()
            super().data_received(data)
        else:
            self._hand_over(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed; behind a request, its answer goes out instead."""
        its_own = self.cycle and self.cycle.scope is self.scope and not self._idle
        if self._answering() and not self.cycle.more_body:
            self.cycle.keep_alive = False
        elif self.pipeline or (its_own and self.cycle.response_started):
            self.transport.abort()  # this would be taken for the answer of another, or a second one
        elif not self.transport.is_closing():
            super().send_400_response(msg)

    def _lacks(self) -> bool:
        return not self._idle

    def _refuse(self) -> None:
        if self._answering() and self.cycle.more_body:
            self.transport.abort()
        else:
            self.send_400_response("The head of the request is too large.")

    def _hand_over(self, data: bytes) -> None:
        successor = _H11(self.config, self.server_state, self.app_state)
        self.connections.discard(self)
        self._settle()
        self._unset_keepalive_if_required()
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        successor.data_received(data)


def _offers(data: bytes) -> bool:
    """Whether a request offers to upgrade."""
    return b"upgrade" in data.lower() and OFFER.search(data) is not None  # most: seen at once


class _H11(_Impatient, H11Protocol):
    """uvicorn's protocol on h11, which bounds by itself all that is no body."""

    def data_received(self, data: bytes) -> None:
        """Take data in."""
        self._expect()
        super().data_received(data)
        if not self._lacks():
            self._settle()

    def on_response_complete(self) -> None:
        """Expect the rest of a request that came behind this one."""
        super().on_response_complete()
        if self._lacks():
            self._expect()

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be parsed, unless an answer is out already."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _lacks(self) -> bool:
        return self.conn.their_state is h11.SEND_BODY or bool(self.conn.trailing_data[0])
