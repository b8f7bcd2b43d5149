"""Requests by hand: schemathesis cases of the operation, each answer held against the contract."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import contract
import pytest
import requests
import schemathesis
import values
from backend import MEANINGS, WRITER, under_test
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


def load_schema(**settings: Any) -> BaseSchema:
    """The contract as schemathesis reads it, aimed at the backend."""
    config = SchemathesisConfig.from_dict({"base-url": under_test.url, **settings})
    return schemathesis.openapi.from_path(contract.FILE, config=config)


OPERATION = load_schema()[contract.PATH]["PUT"]


def need(variable: str) -> str:
    """The variable's value; the promise is not tested if it is not given."""
    if variable not in under_test.given:
        pytest.skip(f"set {variable}: {MEANINGS[variable]}")
    return under_test.given[variable]


def ask(  # noqa: PLR0913 - each is a part of a request
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
    if authorization is None and token is not None:
        authorization = f"Bearer {under_test.given[token]}"
    request = requests.PreparedRequest()  # as it is: preparing it would tidy it up
    request.method = method
    target = path or contract.path_of(id or under_test.id, escaped=escaped)
    request.url = under_test.url + target + (f"?{query}" if query else "")
    request.body = body if isinstance(body, (bytes, tuple)) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "Authorization": authorization}
    sent |= headers or {}
    whole = isinstance(request.body, bytes)
    sent["Content-Length"] = str(len(request.body)) if whole else None
    sent["Transfer-Encoding"] = None if whole else "chunked"
    request.headers = CaseInsensitiveDict({n: v for n, v in sent.items() if v is not None})
    exchange = under_test.exchange(request)
    if method == "PUT" and path is None:
        case = OPERATION.Case(path_parameters={"id": under_test.id})
        case.validate_response(exchange.response, checks=CONFORMANCE)
    return exchange


def expect(*statuses: int, **asked: Any) -> Exchange:
    """Ask; raise `BrokenPromiseError` unless the answer has one of the statuses."""
    exchange = ask(**asked)
    require(exchange.status in statuses, exchange, " or ".join(map(str, statuses)))
    return exchange


def expect_always(status: int, ids: Iterable[str], **asked: Any) -> None:
    """Expect a status for each id, in every way to ask, whatever the body.

    For an invalid body 400 may come before 403 and 404, but not before 401.
    """
    for id in ids:
        for way in values.ways():
            expect(status, id=id, **asked, **way)
        first = () if status == 401 else (400,)
        for body in values.INVALID:
            expect(status, *first, id=id, body=body, **asked)


def at_once(ways: list[dict[str, Any]]) -> list[Exchange]:
    """The answers to requests that are sent at the same moment."""
    start = Barrier(len(ways))

    def ask_together(way: dict[str, Any]) -> Exchange:
        start.wait()
        return ask(**way)

    with ThreadPoolExecutor(len(ways)) as pool:
        return list(pool.map(ask_together, ways))


def require(good: object, exchange: Exchange, wanted: str, came: object = None) -> None:
    """Raise `BrokenPromiseError` about an exchange unless it is good: what was wanted and came."""
    if not good:
        under_test.last = exchange
        raise BrokenPromiseError(f"expected {wanted}, came {came or exchange.status}")
