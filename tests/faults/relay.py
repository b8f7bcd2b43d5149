"""A TCP relay that modifies the bytes of the mock's responses."""

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from anyio.from_thread import start_blocking_portal

# A function that modifies the bytes of a response and writes them to a transport.
OnTheWire = Callable[[bytes, Any], None]


@contextmanager
def relay(url: str, change: OnTheWire) -> Generator[str]:
    """Start a relay that applies the change to responses from `url`, and yield the relay's URL."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(_relay(urlsplit(url), change, reader, writer))
        # The event loop holds only weak references to tasks, so keep a reference here.
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    with start_blocking_portal() as portal:
        server = portal.call(asyncio.start_server, accept, "127.0.0.1", 0)
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        portal.call(server.close)


async def _relay(
    mock: SplitResult, change: OnTheWire, reader: StreamReader, writer: StreamWriter
) -> None:
    mock_reader, mock_writer = await asyncio.open_connection(mock.hostname, mock.port)
    forwarding = asyncio.create_task(_forward(reader, mock_writer))
    try:
        while data := await mock_reader.read(1 << 18):
            # If the mock cannot parse a request, it responds in HTTP/1.0; forward this unchanged.
            if data.startswith(b"HTTP/1.0 "):
                writer.write(data)
                continue
            for part in _heads_and_bodies(data):
                if writer.transport.is_closing():
                    return
                change(part, writer.transport)
    except ConnectionError:  # The client or the mock reset the connection.
        pass
    finally:
        forwarding.cancel()
        mock_writer.close()
        writer.close()


async def _forward(reader: StreamReader, writer: StreamWriter) -> None:
    """Forward the client's bytes to the mock."""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _heads_and_bodies(data: bytes) -> Iterator[bytes]:
    """Yield the head and the body of each response separately.

    The data consists of complete responses, because the mock sends each response in one write.
    """
    while data:
        head, separator, data = data.partition(b"\r\n\r\n")
        yield head + separator
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = data[: int(length[1])] if length else b""
        # A response to HEAD has a Content-Length but no body, so the next head may follow directly.
        if body and not body.startswith(b"HTTP/1"):
            yield body
            data = data[len(body) :]
