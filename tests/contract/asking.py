"""Requests by hand: schemathesis cases of the operation, each answer held against the contract."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any, NoReturn
from urllib.parse import quote

import contract
import pytest
import requests
import schemathesis
import values
from backend import MEANINGS, WRITER, Backend
from exchange import BrokenPromiseError, Exchange
from requests.structures import CaseInsensitiveDict
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks

CONFORMANCE = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def load_schema(backend: Backend, **settings: Any) -> BaseSchema:
    """The contract as schemathesis reads it, aimed at the backend."""
    config = SchemathesisConfig.from_dict({"base-url": backend.url, **settings})
    return schemathesis.openapi.from_path(contract.FILE, config=config)


class Asker:
    """Sends requests by hand, and holds every answer of the operation against its schema."""

    def __init__(self, backend: Backend) -> None:
        """Ask `backend`."""
        self.backend, self.id, self.given = backend, backend.id, backend.given
        self._operation = load_schema(backend)[contract.PATH]["PUT"]

    def need(self, variable: str) -> str:
        """The variable's value; the promise is not tested if it is not given."""
        if variable not in self.given:
            pytest.skip(f"set {variable}: {MEANINGS[variable]}")
        return self.given[variable]

    def __call__(  # noqa: PLR0913 - each is a part of a request
        self,
        *,
        id: str | None = None,
        token: str | None = WRITER,
        authorization: str | None = None,
        body: Any = values.GOOD,
        headers: Mapping[str, str | None] | None = None,
        method: str = "PUT",
        path: str | None = None,
        query: str = "",
        escaped: bool = False,
    ) -> Exchange:
        """Ask, and judge what any answer must keep.

        `token` is a variable, unless the header `authorization` is given, or None for no token;
        `body` a JSON value, octets, or a tuple of chunks; a header that is None is left out;
        `path` is sent to the letter; with `escaped` every octet of the id is percent-encoded.
        """
        documented = path is None
        if authorization is None and token is not None:
            authorization = f"Bearer {self.given[token]}"
        request = requests.PreparedRequest()  # as it is: preparing it would tidy it up
        request.method = method
        path = path or self.path_of(id or self.id, escaped)
        request.url = self.backend.url + path + (f"?{query}" if query else "")
        request.body = body if isinstance(body, (bytes, tuple)) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", "Authorization": authorization}
        sent |= headers or {}
        whole = isinstance(request.body, bytes)
        sent["Content-Length"] = str(len(request.body)) if whole else None
        sent["Transfer-Encoding"] = None if whole else "chunked"
        request.headers = CaseInsensitiveDict({n: v for n, v in sent.items() if v is not None})
        response = self.backend.send(request)
        if method == "PUT" and documented:
            case = self._operation.Case(path_parameters={"id": self.id})
            case.validate_response(response, checks=CONFORMANCE)
        return Exchange(request, response, self.backend.url)

    def path_of(self, id: str, escaped: bool = False) -> str:  # noqa: FBT001, FBT002
        """The operation's path for an id."""
        octets = "".join(f"%{octet:02X}" for octet in id.encode())
        return contract.PATH.replace("{id}", octets if escaped else quote(id, safe=""))

    def expect(self, *statuses: int, **asked: Any) -> Exchange:
        """Ask; raise `BrokenPromiseError` unless the answer has one of the statuses."""
        exchange = self(**asked)
        if exchange.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            self.broken(exchange, f"expected {wanted}, came {exchange.status}")
        return exchange

    def expect_always(self, status: int, ids: Iterable[str], **asked: Any) -> None:
        """Expect a status for each id, in every way to ask, whatever the body.

        For an invalid body 400 may come before 403 and 404, but not before 401.
        """
        for id in ids:
            for way in values.ways():
                self.expect(status, id=id, **asked, **way)
            first = () if status == 401 else (400,)
            for body in values.INVALID:
                self.expect(status, *first, id=id, body=body, **asked)

    def at_once(self, ways: list[dict[str, Any]]) -> list[Exchange]:
        """The answers to requests that are sent at the same moment."""
        start = Barrier(len(ways))

        def ask(way: dict[str, Any]) -> Exchange:
            start.wait()
            return self(**way)

        with ThreadPoolExecutor(len(ways)) as pool:
            return list(pool.map(ask, ways))

    def broken(self, exchange: Exchange, why: str) -> NoReturn:
        """Raise `BrokenPromiseError` about an exchange."""
        self.backend.last = exchange
        raise BrokenPromiseError(why)
