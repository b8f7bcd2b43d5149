"""The mock with one thing changed from outside: the only module that knows how the mock serves."""

import asyncio
import inspect
import json
import re
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Self
from urllib.parse import SplitResult, unquote, urlsplit

from multidict import CIMultiDict

import flashback_mock
from flashback_mock.http import messages

VARIABLES = {
    "FLASHBACK_ADMIN_TOKEN": "admin",
    "FLASHBACK_READER_TOKEN": "reader",
    "FLASHBACK_STRANGER_TOKEN": "stranger",
    "FLASHBACK_EXPIRED_TOKEN": "expired",
    "FLASHBACK_TOKEN": "owner",
}
ID_VARIABLES = {
    "FLASHBACK_FOREIGN_AI_LLM_ID": "foreign",
    "FLASHBACK_SIBLING_AI_LLM_ID": "sibling",
    "FLASHBACK_AI_LLM_ID": "main",
}


def environment(tokens: Mapping[str, str], ids: Mapping[str, str]) -> dict[str, str]:
    """Return the environment variables with the tokens and ids of each role."""
    variables = {variable: tokens[role] for variable, role in VARIABLES.items()}
    return variables | {variable: ids[role] for variable, role in ID_VARIABLES.items()}


class _Message:
    headers: CIMultiDict[str]

    def set_header(self, name: str, value: str) -> Self:
        """Replace a header."""
        self.headers[name] = value
        return self

    def drop_header(self, name: str) -> Self:
        """Remove a header."""
        self.headers.popall(name, None)
        return self


class Request(_Message):
    """A request to the mock; a change may modify it."""

    def __init__(self, received: messages.Request, app: "ChangedApp") -> None:
        """Hold the request as it was received, with its whole body."""
        self._received = received
        self.method = received.method
        self.path = received.path
        self.query = received.query
        self.headers = received.headers
        self.body = received.body
        self.memory = app.memory  # shared by all requests of one backend
        self.tokens = app.mock.tokens
        self.ids = app.mock.ids
        self._store = app.mock.store

    def changed(self) -> messages.Request:
        """Return the request as the mock gets it."""
        target = f"{self.path}?{self.query}" if self.query else self.path
        received = self._received
        return replace(
            received, method=self.method, target=target, headers=self.headers, body=self.body
        )

    @property
    def connection(self) -> object:
        """Return what identifies the connection."""
        return self._received.peer

    @property
    def id(self) -> str:
        """Return the path's last segment, percent-decoded."""
        return unquote(self.path.rpartition("/")[2])

    def is_for(self, role: str) -> bool:
        """Return whether the id belongs to the fixture configuration with this name."""
        return self.id == self.ids[role]

    @property
    def authorization(self) -> str:
        """Return the header of that name, or an empty string."""
        return self.headers.get("Authorization", "")

    @property
    def authorizations(self) -> list[str]:
        """Return the values of all headers `Authorization`."""
        return self.headers.getall("Authorization", [])

    @property
    def token(self) -> str:
        """Return what follows the authentication scheme."""
        return self.authorization.partition(" ")[2]

    @property
    def role(self) -> str:
        """Return the fixtures' name for the user of the bearer token, or an empty string."""
        for role, token in self.tokens.items():
            if self.authorization == f"Bearer {token}":
                return role
        return ""

    @property
    def media_type(self) -> str:
        """Return the header Content-Type, or an empty string."""
        return self.headers.get("Content-Type", "")

    @property
    def is_chunked(self) -> bool:
        """Return whether the body came in chunks."""
        return "Transfer-Encoding" in self.headers

    @property
    def fields(self) -> dict[str, Any]:
        """Return the body's fields; none if it is not a JSON object."""
        try:
            value: Any = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def names(self) -> list[str]:
        """Return the names of the body's fields."""
        return list(self.fields)

    @property
    def is_json(self) -> bool:
        """Return whether the body is JSON, of any type."""
        try:
            json.loads(self.body)
        except (ValueError, RecursionError):
            return False
        return True

    def text(self, field: str) -> str:
        """Return a field of the body; an empty string if it is missing or not a string."""
        value = self.fields.get(field)
        return value if isinstance(value, str) else ""

    def as_user(self, role: str = "owner") -> Self:
        """Send the token of another user."""
        return self.set_header("Authorization", f"Bearer {self.tokens[role]}")

    def for_id(self, id: str) -> Self:
        """Ask for another id."""
        self.path = self.path.rpartition("/")[0] + "/" + id
        return self

    def set_body(self, body: bytes) -> Self:
        """Replace the body."""
        self.body = body
        return self

    def set_fields(self, fields: dict[str, Any]) -> Self:
        """Replace the body by a JSON object."""
        return self.set_body(json.dumps(fields).encode())

    def count(self, what: object) -> int:
        """Return how often `what` was counted, this time included."""
        self.memory[what] = self.memory.get(what, 0) + 1
        return int(self.memory[what])

    async def name_of(self, id: str) -> str:
        """Return the name that the mock has stored."""
        return str((await self._store.configuration(id))["name"])

    async def rename(self, name: str) -> None:
        """Store another name for the configuration that the request asks for."""
        await self._store.update(self.tokens["owner"], self.id, {"name": name})


class Answer(_Message):
    """A response of the mock; a change may modify it."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        """Hold an answer in JSON with these headers."""
        self.status = status
        self.body = body
        self.headers = CIMultiDict({"Content-Type": "application/json", **headers})

    @property
    def json(self) -> dict[str, Any]:
        """Return the body's fields."""
        fields: dict[str, Any] = json.loads(self.body or b"{}")
        return fields

    @json.setter
    def json(self, value: object) -> None:
        self.body = json.dumps(value).encode()

    def set_fields(self, **fields: object) -> Self:
        """Set fields of the body."""
        self.json = {**self.json, **fields} if self.body else fields
        return self

    def drop_field(self, field: str) -> Self:
        """Remove a field from the body."""
        self.json = {name: value for name, value in self.json.items() if name != field}
        return self

    def set_status(self, status: int) -> Self:
        """Replace the status."""
        self.status = status
        return self

    def accept(self, request: Request) -> Self:
        """Answer as the mock does to an update."""
        return self.replace_with(accepted(request))

    def refuse(self, status: int) -> Self:
        """Answer as the mock does to an update that it refuses."""
        return self.replace_with(refused(status))

    def replace_with(self, other: "Answer") -> Self:
        """Take status, body and headers of another answer."""
        self.status = other.status
        self.body = other.body
        self.headers = other.headers
        return self


def accepted(request: Request) -> Answer:
    """Return what the mock answers to an update."""
    body = {"success": True, "aiLlmId": request.id, "message": "updated"}
    return Answer(200, json.dumps(body).encode())


def refused(status: int, message: str = "no", **headers: str) -> Answer:
    """Return what the mock answers to an update that it refuses."""
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(status, json.dumps({"success": False, "message": message}).encode(), **headers)


Before = Callable[[Request], Any]  # an `Answer` replaces the mock's; may be a coroutine function
After = Callable[[Request, Answer], Any]  # may be a coroutine function
OnTheWire = Callable[[bytes, Any], None]  # the bytes to send, and the transport to write them to


@dataclass(frozen=True)
class Change:
    """How a backend differs from the mock."""

    before: Before | None = None
    after: After | None = None
    on_the_wire: OnTheWire | None = None


class ChangedApp:
    """The mock's handler with a change around it."""

    mock: flashback_mock.Mock  # once it serves

    def __init__(self, change: Change) -> None:
        """Put `change` around the handler that `wrap` gets."""
        self._change = change
        self.memory: dict[object, Any] = {}

    def wrap(self, handler: messages.Handler) -> messages.Handler:
        """Return a handler that answers as the mock would, but for the change."""

        async def changed(received: messages.Request) -> messages.Answer:
            request = Request(received, self)
            answer = await result(self._change.before(request)) if self._change.before else None
            if not isinstance(answer, Answer):
                real = await handler(request.changed())
                answer = Answer(real.status, real.body)
                answer.headers = real.headers
            if self._change.after:
                await result(self._change.after(request, answer))
            answer.headers.popall("Content-Length", None)
            close = bool(received.cut)
            return messages.Answer(answer.status, answer.body, answer.headers, close=close)

        return changed


async def result(value: Any) -> Any:
    """Return what a function or a coroutine function returned."""
    return await value if inspect.isawaitable(value) else value


@cache
def contract() -> flashback_mock.Contract:
    """Return the contract, which takes a tenth of a second to read."""
    return flashback_mock.Contract()


@contextmanager
def serving(change: Change) -> Generator[flashback_mock.Mock]:
    """Serve a fresh mock with the change around it, on a free loopback port."""
    app = ChangedApp(change)
    with ExitStack() as stack:
        app.mock = mock = stack.enter_context(flashback_mock.running(contract(), wrap=app.wrap))
        if change.on_the_wire:
            mock.base_url = stack.enter_context(relay(mock.base_url, change.on_the_wire))
        yield mock


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
