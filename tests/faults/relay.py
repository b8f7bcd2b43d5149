"""A relay in front of the mock that changes the bytes of its responses."""

import asyncio
import re
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

OnTheWire = Callable[[bytes, Any], None]  # the bytes to send, and the transport to write them to


@contextmanager
def relay(url: str, change: OnTheWire) -> Generator[str]:
    """Forward connections to the mock at `url`, and change what it sends; yield the relay's URL."""
    loop = asyncio.new_event_loop()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: StreamReader, writer: StreamWriter) -> None:
        task = loop.create_task(_relay(urlsplit(url), change, reader, writer))
        tasks.add(task)  # the loop itself has weak references only
        task.add_done_callback(tasks.discard)

    async def stop() -> None:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _relay(
    mock: SplitResult, change: OnTheWire, reader: StreamReader, writer: StreamWriter
) -> None:
    mock_reader, mock_writer = await asyncio.open_connection(mock.hostname, mock.port)
    forwarding = asyncio.create_task(_forward(reader, mock_writer))
    try:
        while data := await mock_reader.read(1 << 18):
            if data.startswith(b"HTTP/1.0 "):  # to what the mock cannot parse
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
    """Send what a client sends to the mock."""
    with suppress(ConnectionError):
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


def _heads_and_bodies(data: bytes) -> Iterator[bytes]:
    """Yield each answer's head and body separately; the mock sends an answer in one piece."""
    while data:
        head, empty, data = data.partition(b"\r\n\r\n")
        yield head + empty
        length = re.search(rb"(?i)content-length: (\d+)", head)
        body = data[: int(length[1])] if length else b""
        if body and not body.startswith(b"HTTP/1"):  # an answer to HEAD has none
            yield body
            data = data[len(body) :]
