"""How an answer goes out: whole, before its request has been read, or broken on purpose."""

import asyncio
import socket
import struct
from contextlib import suppress

from starlette.responses import Response
from starlette.types import Receive, Send

LINGER_SECONDS = 1.0
RESET = struct.pack("ii", 1, 0)  # SO_LINGER of no seconds: closing resets


async def and_close(response: Response, receive: Receive, send: Send) -> None:
    """Answer a request whose body was not read to its end, and close the connection.

    What is still on its way is thrown away first, for a while: a connection closed over unread
    bytes is reset, and the answer lost with it.
    """
    response.headers["Connection"] = "close"
    await _begin(response, response.body, send)
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body"})


async def broken(fault: str, response: Response, receive: Receive, send: Send) -> None:
    """Break the answer: `reset`, `timeout`, `truncated` within its body, or `malformed` JSON."""
    half = response.body[: len(response.body) // 2]
    # uvicorn hands out the connection to nobody; its `send` belongs to who has it.
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if fault == "malformed":
        response.headers["Content-Length"] = str(len(half))
        await _begin(response, half, send)
        await send({"type": "http.response.body"})
    elif transport is None:
        raise _as_httpx(fault)
    else:
        if fault == "truncated":
            await _begin(response, half, send)
        _end(transport, fault)
        while (await receive())["type"] != "http.disconnect":
            pass


def _end(transport: asyncio.Transport, fault: str) -> None:
    if fault == "truncated":
        transport.close()
    elif fault == "reset":
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        transport.abort()


async def _begin(response: Response, body: bytes | memoryview, send: Send) -> None:
    start = {"status": response.status_code, "headers": response.raw_headers}
    await send({"type": "http.response.start", **start})
    await send({"type": "http.response.body", "body": bytes(body), "more_body": True})


def _as_httpx(fault: str) -> Exception:
    """What httpx would raise, where it asks in process: there is no connection to break."""
    import httpx  # noqa: PLC0415 - only there

    errors = {"reset": httpx.ReadError, "timeout": httpx.ReadTimeout}
    return errors.get(fault, httpx.RemoteProtocolError)(f"{fault}, as planned")
