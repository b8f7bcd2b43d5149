"""Requests to the mock and responses from it, with methods to inspect and modify them."""

import gzip
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
        return self._json is not NOT_JSON

    @property
    def fields(self) -> dict[str, Any]:
        """Return the body's fields, or an empty dictionary if the body is not a JSON object."""
        value = self._json
        return value if isinstance(value, dict) else {}

    def replace_fields(self, fields: Mapping[str, object]) -> Self:
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
    """A mutable request to the mock."""

    name = _text_field("name")
    ai_type = _text_field("aiType")
    endpoint = _text_field("endpoint")
    key = _text_field("key")
    secret = _text_field("secret")
    answer: "Answer"  # the mock's response

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

    @property
    def request(self) -> Self:
        return self

    def for_mock(self) -> messages.Request:
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
        return self.id == self.ids[role]

    @property
    def authorization(self) -> str:
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
        return self.role not in ("", "expired")

    @property
    def media_type(self) -> str:
        return self.header("Content-Type")

    @property
    def is_chunked(self) -> bool:
        return "Transfer-Encoding" in self.headers

    @property
    def names(self) -> list[str]:
        return list(self.fields)

    @property
    def non_strings(self) -> list[object]:
        """Return the body's field values that are not strings."""
        return [value for value in self.fields.values() if not isinstance(value, str)]

    def text(self, field: str) -> str:
        """Return the value of a body field, or an empty string if the value is not a string."""
        value = self.fields.get(field)
        return value if isinstance(value, str) else ""

    def as_user(self, role: str = "owner") -> Self:
        return self.set_header("Authorization", f"Bearer {self.tokens[role]}")

    def for_id(self, id: str) -> Self:
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
        return str((await self._store.find(id)).plain["name"])

    async def rename(self, name: str) -> None:
        await self._store.update(self.tokens["owner"], self.id, {"name": name})


class Answer(_Message, messages.Answer):
    """A mutable response from the mock."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        """Create a JSON response with these additional headers."""
        all_headers = CIMultiDict({"Content-Type": "application/json", **headers})
        super().__init__(status, body, all_headers)

    def set_status(self, status: int) -> Self:
        self.status = status
        return self

    def reject(self, status: int) -> Self:
        return self.replace_with(rejected(status))

    def compress(self) -> Self:
        """Compress the body into two gzip members."""
        members = gzip.compress(self.body[:9]) + gzip.compress(self.body[9:])
        return self.set_header("Content-Encoding", "gzip").set_body(members)

    def replace_with(self, other: "Answer") -> Self:
        self.status = other.status
        self.headers = other.headers
        return self.set_body(other.body)


def accepted(request: Request) -> Answer:
    body = {"success": True, "aiLlmId": request.id, "message": "updated"}
    return Answer(200, json.dumps(body).encode())


RETRY_NOW = {"Retry-After": "0"}


def rejected(status: int, **headers: str) -> Answer:
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(status, b'{"success": false, "message": "no"}', **headers)


def page(status: int, text: str, **headers: str) -> Answer:
    return Answer(status, text.encode(), **headers).set_header("Content-Type", "text/html")
