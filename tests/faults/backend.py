"""The mock with one thing changed from outside: the only module that knows how the mock serves."""

import inspect
import json
from collections.abc import Callable, Generator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Self
from urllib.parse import unquote

import flashback_mock
from flashback_mock import server
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Request:
    """A request on its way to the mock; a change may modify it."""

    def __init__(self, scope: Scope, body: bytes, app: "ChangedApp") -> None:
        """Hold the request as it was received, with its whole body."""
        self.scope = scope
        self.body = body
        self.headers = MutableHeaders(scope=scope)
        self.memory = app.memory  # shared by all requests of one backend
        self.tokens = app.tokens
        self.ids = app.ids
        self._store = app.store

    @property
    def method(self) -> str:
        """Return the method."""
        return str(self.scope["method"])

    @method.setter
    def method(self, method: str) -> None:
        self.scope["method"] = method

    @property
    def path(self) -> str:
        """Return the path as it was sent."""
        return str(self.scope["raw_path"].decode("latin-1"))

    @path.setter
    def path(self, path: str) -> None:
        self.scope["raw_path"] = path.encode("latin-1")

    @property
    def query(self) -> str:
        """Return the query string, without its `?`."""
        return str(self.scope["query_string"].decode("latin-1"))

    @property
    def connection(self) -> object:
        """Return what identifies the connection."""
        return self.scope["client"]

    @property
    def id(self) -> str:
        """Return the path's last segment, percent-decoded."""
        return unquote(self.path.rpartition("/")[2])

    @property
    def authorization(self) -> str:
        """Return the header of that name, or an empty string."""
        return self.headers.get("Authorization", "")

    @property
    def authorizations(self) -> list[str]:
        """Return the values of all headers `Authorization`."""
        return self.headers.getlist("Authorization")

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

    def set_header(self, name: str, value: str) -> Self:
        """Replace a header."""
        self.headers[name] = value
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


class Answer:
    """An answer on its way from the mock; a change may modify it."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        """Hold an answer in JSON with these headers."""
        self.status = status
        self.body = body
        self.headers = MutableHeaders({"Content-Type": "application/json", **headers})

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

    def set_header(self, name: str, value: str) -> Self:
        """Replace a header."""
        self.headers[name] = value
        return self

    def drop_header(self, name: str) -> Self:
        """Remove a header."""
        del self.headers[name]
        return self

    def set_status(self, status: int) -> Self:
        """Replace the status."""
        self.status = status
        return self

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
    """The mock's application with a change around it."""

    def __init__(self, app: ASGIApp, mock: flashback_mock.Mock, change: Change) -> None:
        """Put `change` around `app`."""
        self._app = app
        self._change = change
        self.store = mock.store
        self.tokens = mock.tokens
        self.ids = mock.ids
        self.memory: dict[object, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request as the mock would, but for the change."""
        try:
            request = Request(scope, await StarletteRequest(scope, receive).body(), self)
        except ClientDisconnect:
            return
        answer = await result(self._change.before(request)) if self._change.before else None
        if not isinstance(answer, Answer):
            answer = await self._ask_mock(request)
        if self._change.after:
            await result(self._change.after(request, answer))
        answer.headers["Content-Length"] = str(len(answer.body))
        start = {"status": answer.status, "headers": answer.headers.raw}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": answer.body})

    async def _ask_mock(self, request: Request) -> Answer:
        answer = Answer(500, b"")
        messages = iter([{"type": "http.request", "body": request.body}])

        async def receive() -> MutableMapping[str, Any]:
            return next(messages, {"type": "http.disconnect"})

        async def send(message: MutableMapping[str, Any]) -> None:
            answer.status = message.get("status", answer.status)
            answer.headers = MutableHeaders(raw=message.get("headers", answer.headers.raw))
            answer.body += message.get("body", b"")

        await self._app(request.scope, receive, send)
        return answer


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
    listener = server.listen("127.0.0.1", 0)
    with listener:
        uvicorn = server.Server(listener, server.mock_at(listener, contract()))
        app: Any = uvicorn.config.app
        uvicorn.config.app = ChangedApp(app, uvicorn.mock, change)
        if change.on_the_wire:
            uvicorn.config.http = _protocol(change.on_the_wire)
        with server.in_thread(uvicorn, listener):
            yield uvicorn.mock


def _protocol(change: OnTheWire) -> type[HttpToolsProtocol]:
    class Transport:
        def __init__(self, transport: Any) -> None:
            self._transport = transport

        def __getattr__(self, name: str) -> Any:
            return getattr(self._transport, name)

        def write(self, data: bytes) -> None:
            change(data, self._transport)

    class Protocol(HttpToolsProtocol):
        def connection_made(self, transport: Any) -> None:
            changed: Any = Transport(transport)
            super().connection_made(changed)

    return Protocol
