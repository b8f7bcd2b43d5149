"""A relay in front of the mock that changes the bytes of its responses."""

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from anyio.from_thread import start_blocking_portal

OnTheWire = Callable[[bytes, Any], None]  # the bytes to send, and the transport to write them to


@contextmanager
def relay(url: str, change: OnTheWire) -> Generator[str]:
    """Forward connections to the mock at `url` and change its responses; yield the relay's URL."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.create_task(_relay(urlsplit(url), change, reader, writer))
        tasks.add(task)  # the event loop holds weak references only
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
            if data.startswith(b"HTTP/1.0 "):  # the mock could not parse the request
                writer.write(data)
                continue
            for part in _heads_and_bodies(data):
                if writer.transport.is_closing():
                    return
                change(part, writer.transport)
    except ConnectionError:  # the client or the mock has reset the connection
        pass
    finally:
        forwarding.cancel()
        mock_writer.close()
        writer.close()


async def _forward(reader: StreamReader, writer: StreamWriter) -> None:
    """Send the client's bytes to the mock."""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _heads_and_bodies(data: bytes) -> Iterator[bytes]:
    """Yield head and body of each response separately; the mock sends a response in one piece."""
    while data:
        head, empty, data = data.partition(b"\r\n\r\n")
        yield head + empty
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = data[: int(length[1])] if length else b""
        if body and not body.startswith(b"HTTP/1"):  # a response to HEAD has none
            yield body
            data = data[len(body) :]
