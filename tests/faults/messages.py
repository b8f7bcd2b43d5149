"""Requests to the mock and responses from it, with methods to inspect and modify them."""

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
        """Set a header, replacing any previous values."""
        self.headers[name] = value
        return self

    def drop_header(self, name: str) -> Self:
        self.headers.popall(name, None)
        return self

    def header(self, name: str) -> str:
        """Return the value of a header, or an empty string if the header is missing."""
        return self.headers.get(name, "")

    def set_body(self, body: bytes) -> Self:
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
        """Return whether the body is valid JSON, even if it is not an object."""
        return self._json is not NOT_JSON

    @property
    def fields(self) -> dict[str, Any]:
        """Return the body's fields, or an empty dictionary if the body is not a JSON object."""
        value = self._json
        return value if isinstance(value, dict) else {}

    def replace_fields(self, fields: Mapping[str, object]) -> Self:
        """Replace the body with a JSON object that has these fields."""
        return self.set_body(json.dumps(fields).encode())

    def set_fields(self, **fields: object) -> Self:
        return self.replace_fields({**self.fields, **fields})

    def drop_field(self, field: str) -> Self:
        fields = self.fields
        if field in fields:
            del fields[field]
            self.replace_fields(fields)
        return self


def _text_field(name: str) -> property:
    return property(lambda request: request.text(name))


class Request(_Message):
    """A modifiable request to the mock."""

    name = _text_field("name")
    ai_type = _text_field("aiType")
    endpoint = _text_field("endpoint")
    key = _text_field("key")
    secret = _text_field("secret")

    def __init__(
        self, received: messages.Request, mock: flashback_mock.Mock, memory: dict[object, Any]
    ) -> None:
        """Wrap a received request. All requests to a backend share the same `memory`."""
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

    def for_mock(self) -> messages.Request:
        """Convert the modified request to the type that the mock's handler accepts."""
        return replace(
            self._received,
            method=self.method,
            target=f"{self.path}?{self.query}" if self.query else self.path,
            headers=self.headers,
            body=self.body,
        )

    @property
    def id(self) -> str:
        """Return the percent-decoded last segment of the path."""
        return unquote(self.path.rpartition("/")[2])

    def is_for(self, role: str) -> bool:
        """Return whether the request is for the fixture configuration with this role."""
        return self.id == self.ids[role]

    @property
    def has_known_id(self) -> bool:
        """Return whether the id belongs to one of the fixture configurations."""
        return self.id in self.ids.values()

    @property
    def authorization(self) -> str:
        """Return the value of the Authorization header, or an empty string."""
        return self.header("Authorization")

    @property
    def token(self) -> str:
        """Return the part of the Authorization header that follows the scheme."""
        return self.authorization.partition(" ")[2]

    @property
    def role(self) -> str:
        """Return the role of the bearer token's user, or an empty string for an unknown token."""
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
        """Return the value of the Content-Type header, or an empty string."""
        return self.header("Content-Type")

    @property
    def is_chunked(self) -> bool:
        """Return whether the request uses chunked transfer encoding."""
        return "Transfer-Encoding" in self.headers

    @property
    def names(self) -> list[str]:
        """Return the names of the fields in the body."""
        return list(self.fields)

    def text(self, field: str) -> str:
        """Return the value of a body field, or an empty string if the value is not a string."""
        value = self.fields.get(field)
        return value if isinstance(value, str) else ""

    def as_user(self, role: str = "owner") -> Self:
        """Replace the token with the token of the user with this role."""
        return self.set_header("Authorization", f"Bearer {self.tokens[role]}")

    def for_id(self, id: str) -> Self:
        """Replace the id in the path."""
        self.path = f"{self.path.rpartition('/')[0]}/{id}"
        return self

    def count(self, event: object) -> int:
        """Count an event, and return how many times it has occurred so far."""
        count: int = self.memory.get(event, 0) + 1
        self.memory[event] = count
        return count

    def previous(self, key: str, value: Any, default: Any = None) -> Any:
        """Store a value under a key, and return the previous value (initially the default)."""
        remembered = self.memory.get(key, default)
        self.memory[key] = value
        return remembered

    async def name_of(self, id: str) -> str:
        """Return the stored name of a configuration."""
        return str((await self._store.find(id)).plain["name"])

    async def rename(self, name: str) -> None:
        """Change the stored name of the requested configuration."""
        await self._store.update(self.tokens["owner"], self.id, {"name": name})


class Answer(_Message):
    """A modifiable response from the mock."""

    fault = ""  # `truncated` or `reset` if the mock does not send the whole response

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        """Create a JSON response with these additional headers."""
        self.status = status
        self.body = body
        self.headers = CIMultiDict({"Content-Type": "application/json", **headers})

    def set_status(self, status: int) -> Self:
        """Replace the status."""
        self.status = status
        return self

    def accept(self, request: Request) -> Self:
        """Turn this response into a success response for the request."""
        return self.replace_with(accepted(request))

    def refuse(self, status: int) -> Self:
        """Turn this response into an error response with this status."""
        return self.replace_with(refused(status))

    def replace_with(self, other: "Answer") -> Self:
        """Copy the status, headers and body of another response into this one."""
        self.status = other.status
        self.headers = other.headers
        return self.set_body(other.body)


def accepted(request: Request) -> Answer:
    body = {"success": True, "aiLlmId": request.id, "message": "updated"}
    return Answer(200, json.dumps(body).encode())


def refused(status: int, **headers: str) -> Answer:
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(status, b'{"success": false, "message": "no"}', **headers)


def page(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, text.encode(), **headers).set_header("Content-Type", "text/html")
