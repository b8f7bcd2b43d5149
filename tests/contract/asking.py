"""Requests by hand: schemathesis cases of the operation, each answer held against the contract."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn
from urllib.parse import quote

import contract
import requests
import schemathesis
from backend import WRITER, Backend, BrokenPromiseError, Exchange
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CONFORMANCE = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def load_schema(backend: Backend, **settings: Any) -> BaseSchema:
    """The contract as schemathesis reads it, aimed at the backend."""
    settings = {"base-url": backend.url, **settings}
    config = SchemathesisConfig.from_dict(settings)
    return schemathesis.openapi.from_path(contract.FILE, config=config)


class Asker:
    """Sends requests by hand, and holds every answer of the operation against its schema."""

    def __init__(self, backend: Backend) -> None:
        """Ask `backend`."""
        self.backend = backend
        self._operation = load_schema(backend)[contract.PATH]["PUT"]

    def __call__(  # noqa: PLR0913 - each is a part of a request
        self,
        *,
        id: str | None = None,
        token: str | None = WRITER,
        body: Any = contract.EXAMPLES["nothing"],
        headers: Mapping[str, str | None] | None = None,
        method: str = "PUT",
        path: str | None = None,
    ) -> Exchange:
        """Ask, and judge what any answer must keep.

        `token` is a variable, or None for no token; `body` a JSON value, octets, or an iterator
        of chunks; a header that is None is left out; `path` is sent to the letter.
        """
        sent: dict[str, str | None] = {"Content-Type": "application/json"}
        if token is not None:
            sent["Authorization"] = f"Bearer {self.backend.given[token]}"
        sent |= headers or {}
        request = requests.Request(method, self.backend.url).prepare()
        request.headers.update({name: value for name, value in sent.items() if value is not None})
        request.url = self.backend.url + (path or self.path_of(id or self.backend.id))
        request.body = body if isinstance(body, (bytes, Iterator)) else json.dumps(body).encode()
        if isinstance(request.body, bytes):
            request.headers["Content-Length"] = str(len(request.body))
        else:
            request.headers["Transfer-Encoding"] = "chunked"
            del request.headers["Content-Length"]
        response = self.backend.send(request)
        if method == "PUT" and path is None:
            case = self._operation.Case(path_parameters={"id": self.backend.id})
            case.validate_response(response, checks=CONFORMANCE)
        return Exchange(request, response)

    def path_of(self, id: str) -> str:
        """The operation's path for an id."""
        return contract.PATH.replace("{id}", quote(id, safe=""))

    def expect(self, *statuses: int, **asked: Any) -> Exchange:
        """Ask; raise `BrokenPromiseError` unless the answer has one of the statuses."""
        exchange = self(**asked)
        if exchange.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            self.broken(exchange, f"expected {wanted}, came {exchange.status}")
        return exchange

    def broken(self, exchange: Exchange, why: str) -> NoReturn:
        """Raise `BrokenPromiseError` about an exchange."""
        self.backend.last = exchange
        raise BrokenPromiseError(why)
