"""Requests to the mock and its responses, with methods to inspect and modify them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self
from urllib.parse import unquote

from multidict import CIMultiDict

import flashback_mock
from flashback_mock.http import messages

NOT_JSON = object()


class _Message:
    headers: CIMultiDict[str]
    body: bytes

    def set_header(self, name: str, value: str) -> Self:
        """Replace a header."""
        self.headers[name] = value
        return self

    def drop_header(self, name: str) -> Self:
        """Remove a header."""
        self.headers.popall(name, None)
        return self

    def header(self, name: str) -> str:
        """Return a header, or an empty string."""
        return self.headers.get(name, "")

    def set_body(self, body: bytes) -> Self:
        """Replace the body."""
        self.body = body
        return self

    @property
    def _json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return NOT_JSON

    @property
    def is_json(self) -> bool:
        """Return whether the body is JSON, of any type."""
        return self._json is not NOT_JSON

    @property
    def fields(self) -> dict[str, Any]:
        """Return the fields of the body; none if the body is not a JSON object."""
        value = self._json
        return value if isinstance(value, dict) else {}

    def replace_fields(self, fields: Mapping[str, object]) -> Self:
        """Replace the body by a JSON object."""
        return self.set_body(json.dumps(fields).encode())

    def set_fields(self, **fields: object) -> Self:
        """Set fields of the body."""
        return self.replace_fields({**self.fields, **fields})

    def drop_field(self, field: str) -> Self:
        """Remove a field from the body."""
        fields = self.fields
        if field in fields:
            del fields[field]
            self.replace_fields(fields)
        return self


def _text_field(name: str) -> property:
    return property(lambda request: request.text(name))


class Request(_Message):
    """A request to the mock; a change may modify it."""

    # Fields of the body as text; empty if the field is missing or not a string.
    name = _text_field("name")
    ai_type = _text_field("aiType")
    endpoint = _text_field("endpoint")
    key = _text_field("key")
    secret = _text_field("secret")

    def __init__(
        self, received: messages.Request, mock: flashback_mock.Mock, memory: dict[object, Any]
    ) -> None:
        """Copy the received request; all requests of a backend share the memory."""
        self._received = received
        self.method = received.method
        self.path = received.path
        self.query = received.query
        self.headers = received.headers
        self.body = received.body
        self.connection: object = received.peer  # identifies the connection
        self.memory = memory
        self.tokens = mock.tokens
        self.ids = mock.ids
        self._store = mock.store

    def changed(self) -> messages.Request:
        """Return the request for the mock."""
        return replace(
            self._received,
            method=self.method,
            target=f"{self.path}?{self.query}" if self.query else self.path,
            headers=self.headers,
            body=self.body,
        )

    @property
    def id(self) -> str:
        """Return the last segment of the path, percent-decoded."""
        return unquote(self.path.rpartition("/")[2])

    def is_for(self, role: str) -> bool:
        """Return whether the id belongs to this fixture configuration."""
        return self.id == self.ids[role]

    @property
    def has_known_id(self) -> bool:
        """Return whether the id belongs to any fixture configuration."""
        return self.id in self.ids.values()

    @property
    def authorization(self) -> str:
        """Return the Authorization header, or an empty string."""
        return self.header("Authorization")

    @property
    def token(self) -> str:
        """Return the credentials after the authentication scheme."""
        return self.authorization.partition(" ")[2]

    @property
    def role(self) -> str:
        """Return the fixture user of the bearer token, or an empty string."""
        for role, token in self.tokens.items():
            if self.authorization == f"Bearer {token}":
                return role
        return ""

    @property
    def is_authenticated(self) -> bool:
        """Return whether the bearer token is known and has not expired."""
        return self.role not in ("", "expired")

    @property
    def media_type(self) -> str:
        """Return the Content-Type header, or an empty string."""
        return self.header("Content-Type")

    @property
    def is_chunked(self) -> bool:
        """Return whether the body was sent in chunks."""
        return "Transfer-Encoding" in self.headers

    @property
    def names(self) -> list[str]:
        """Return the names of the fields of the body."""
        return list(self.fields)

    def text(self, field: str) -> str:
        """Return a field of the body; an empty string if it is missing or not a string."""
        value = self.fields.get(field)
        return value if isinstance(value, str) else ""

    def as_user(self, role: str = "owner") -> Self:
        """Replace the token by that of another user."""
        return self.set_header("Authorization", f"Bearer {self.tokens[role]}")

    def for_id(self, id: str) -> Self:
        """Replace the id."""
        self.path = f"{self.path.rpartition('/')[0]}/{id}"
        return self

    def count(self, event: object) -> int:
        """Return how often the event has been counted, including this time."""
        count: int = self.memory.get(event, 0) + 1
        self.memory[event] = count
        return count

    def previous(self, key: str, value: Any, default: Any = None) -> Any:
        """Return the value that the last request stored under the key, and store another value."""
        remembered = self.memory.get(key, default)
        self.memory[key] = value
        return remembered

    async def name_of(self, id: str) -> str:
        """Return the name that the mock has stored."""
        return str((await self._store.configuration(id))["name"])

    async def rename(self, name: str) -> None:
        """Store another name for the configuration of the request."""
        await self._store.update(self.tokens["owner"], self.id, {"name": name})


class Answer(_Message):
    """A response of the mock; a change may modify it."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        """Create a JSON response with these headers."""
        self.status = status
        self.body = body
        self.headers = CIMultiDict({"Content-Type": "application/json", **headers})

    def set_status(self, status: int) -> Self:
        """Replace the status."""
        self.status = status
        return self

    def accept(self, request: Request) -> Self:
        """Become the mock's response to a valid update."""
        return self.replace_with(accepted(request))

    def refuse(self, status: int) -> Self:
        """Become the mock's response to an update that it refuses."""
        return self.replace_with(refused(status))

    def replace_with(self, other: "Answer") -> Self:
        """Take status, headers and body from another response."""
        self.status = other.status
        self.headers = other.headers
        return self.set_body(other.body)


def accepted(request: Request) -> Answer:
    """Return the mock's response to a valid update."""
    body = {"success": True, "aiLlmId": request.id, "message": "updated"}
    return Answer(200, json.dumps(body).encode())


def refused(status: int, **headers: str) -> Answer:
    """Return the mock's response to an update that it refuses."""
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(status, b'{"success": false, "message": "no"}', **headers)


def page(status: int, text: str, **headers: str) -> Answer:
    """Return an HTML page, as a proxy or a framework sends it."""
    return Answer(status, text.encode(), **headers).set_header("Content-Type", "text/html")
